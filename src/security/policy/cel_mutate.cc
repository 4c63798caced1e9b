// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_mutate.h"

#include <algorithm>

#include "cluster/schema/schema.h"
#include "core/document/patch.h"
#include "security/policy/stages.h"

namespace caisson::policy {
namespace {

bool same_item(const Value& a, const Value& b, const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(),
                     [&](const std::string& key) { return a[key].scalar_text() == b[key].scalar_text(); });
}

// As structured-merge-diff merges: maps member by member, lists of type map by their keys (new items at the end), sets
// joined, everything else replaced.
Value applied(const Value& before, const Value& config, const schema::Field* field) {
  if (config.is_map()) {
    if (field != nullptr && (field->atomic_map || (field->object != nullptr && field->object->atomic))) return config;
    Value out = before.is_map() ? before : Value::map();
    for (const auto& entry : config.entries())
      out.set(entry.key, applied(out[entry.key], entry.value, field == nullptr ? nullptr : field->field(entry.key)));
    return out;
  }
  if (!config.is_list() || field == nullptr || !before.is_list()) return config;
  if (field->list_type == schema::ListType::set) {
    Value out = before;
    for (const Value& item : config.items())
      if (std::find(out.items().begin(), out.items().end(), item) == out.items().end()) out.push_back(item);
    return out;
  }
  const std::vector<std::string>& keys = field->list_keys.empty() ? field->patch_keys : field->list_keys;
  if (keys.empty()) return config;
  Value out = before;
  for (const Value& item : config.items()) {
    const auto items = out.items();
    const auto known =
        std::find_if(items.begin(), items.end(), [&](const Value& old) { return same_item(old, item, keys); });
    if (known == items.end()) {
      out.push_back(item);
      continue;
    }
    const auto at = static_cast<std::size_t>(known - items.begin());
    Value merged = applied(out[at], item, field->item());
    out.edit(at) = std::move(merged);
  }
  return out;
}

Result<Value> apply_one(const CelMutation& mutation, const CelVariables& variables, const CelInput& input,
                        const Value& object) {
  const CelScope scope(input, variables);
  const cel::Value result = TRY(scope.evaluate(mutation.expression));
  const Value document = TRY(result.to_document());
  if (mutation.json_patch) return document::json_patch(object, document);
  if (!document.is_map()) return Error{ErrorCode::bad_request, "applyConfiguration gives no object"};
  const schema::KindPtr kind = built_in_schema().find_object(object);
  return applied(object, document, kind == nullptr ? nullptr : kind->root_field);
}

}  // namespace

Result<std::vector<CelMutation>> compile_mutations(const Value& mutations) {
  std::vector<CelMutation> out;
  for (const Value& mutation : mutations.items()) {
    const bool json_patch = mutation["patchType"].as_string() == "JSONPatch" || mutation.contains("jsonPatch");
    const Value& text = json_patch ? mutation["jsonPatch"]["expression"] : mutation["applyConfiguration"]["expression"];
    auto program = cel_environment().compile(text.as_string());
    if (!program.ok()) return Error{ErrorCode::invalid, "mutations: " + program.error().message};
    out.push_back({json_patch, std::move(program).value()});
  }
  return out;
}

Result<Value> apply_mutations(const std::vector<CelMutation>& mutations, const CelVariables& variables,
                              CelInput input) {
  for (const CelMutation& mutation : mutations) {
    Value next = TRY(apply_one(mutation, variables, input, input.object));
    input.object = std::move(next);
  }
  return input.object;
}

}  // namespace caisson::policy
