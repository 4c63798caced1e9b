// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/watching.h"

#include "core/document/json.h"

namespace caisson::apiserver {

std::optional<Seen> seen_by(const ListParameters& parameters, const store::Event& event) {
  using Type = store::Event::Type;
  if (!event.after) return std::nullopt;
  if (parameters.everything()) return Seen{event.type, event.after};
  const bool was = event.before && matches(parameters, *event.before);
  if (event.type == Type::deleted) return was ? std::optional(Seen{Type::deleted, event.after}) : std::nullopt;
  const bool is = matches(parameters, *event.after);
  if (is) return Seen{was ? Type::modified : Type::added, event.after};
  if (!was) return std::nullopt;
  // As it was when it last matched, with the revision at which it stopped.
  Value last = event.before->value();
  last.edit("metadata").set("resourceVersion", std::to_string(event.revision));
  std::string bytes = json::write(last);
  return Seen{Type::deleted, std::make_shared<const store::Item>(event.before->key(), event.revision, std::move(bytes),
                                                                 std::move(last))};
}

}  // namespace caisson::apiserver
