// SPDX-License-Identifier: Apache-2.0
// Bodies of requests: the first byte chooses a kind, the rest is JSON on its way into the store. Properties: what is
// pruned has nothing unknown; defaults and canonical form do not change what has them; what is written is JSON for the
// store too, and what the store takes for JSON parses.
#include "cluster/schema/defaults.h"
#include "cluster/schema/schema.h"
#include "cluster/schema/validate.h"
#include "cluster/store/written_json.h"
#include "core/base/check.h"
#include "core/document/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson;
  static const auto* const kinds = [] {
    static const schema::Schema all = schema::Schema::built_in().value();
    return new std::vector<schema::KindPtr>(all.all());
  }();
  if (size == 0) return 0;
  const schema::KindSchema& kind = *(*kinds)[data[0] % kinds->size()];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto body = json::parse(text);
  CHECK(body.ok() || !store::is_json(text));
  if (!body.ok() || !body->is_map()) return 0;

  std::vector<std::string> unknown, again;
  const Value known = schema::pruned(kind, *body, &unknown);
  CHECK(schema::pruned(kind, known, &again) == known);
  CHECK(again.empty());
  if (schema::decode_error(kind, known)) return 0;
  const Value canonical = schema::canonical(kind, known);
  CHECK(schema::canonical(kind, canonical) == canonical);
  const Value whole = schema::with_defaults(kind, canonical);
  CHECK(store::is_json(json::write(whole)));
  for (const schema::FieldError& error : schema::validate(kind, whole)) CHECK(!error.str().empty());
  (void)schema::validate_update(kind, whole, canonical).size();
  return 0;
}
