// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/place_tree.h"

#include <algorithm>

namespace caisson::render::kustomize_impl {

PlaceTree::PlaceTree(std::vector<Place> places) : places_(std::move(places)) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    Step* at = &root_;
    for (std::string_view name : places_[i].path) {
      if (name.ends_with("[]")) name.remove_suffix(2);
      auto known = std::find_if(at->next.begin(), at->next.end(), [&](const Step& step) { return step.name == name; });
      if (known == at->next.end()) known = at->next.insert(known, Step{std::string(name), {}, {}, i});
      at = &*known;
    }
    at->ending.push_back(i);
  }
}

Result<void> PlaceTree::visit(Value& object, const Change& change) const {
  return visit(object, root_, change);
}

Result<void> PlaceTree::visit(Value& node, const Step& step, const Change& change) const {
  for (const std::size_t place : step.ending) {
    auto done = change(place, node);
    if (!done.ok()) return std::move(done).error().in("considering field '" + places_[place].spec->path + "'");
  }
  return step.next.empty() ? Result<void>() : visit_below(node, step, change);
}

Result<void> PlaceTree::visit_below(Value& node, const Step& step, const Change& change) const {
  if (node.is_null()) return {};
  if (node.is_list()) {
    for (std::size_t i = 0; i < node.size(); ++i) TRY(visit_below(node.edit(i), step, change));
    return {};
  }
  if (!node.is_map()) {
    const std::string& path = places_[step.next.front().first].spec->path;
    return Error{ErrorCode::invalid, "considering field '" + path + "': " + path + ": leads through a " +
                                         std::string(document::kind_name(node.kind()))};
  }
  for (const Step& next : step.next) {
    if (node.contains(next.name)) TRY(visit(node.edit(next.name), next, change));
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
