// SPDX-License-Identifier: Apache-2.0
// mutate: patchStrategicMerge, patchesJson6902, foreach, existing targets. Follows Kyverno 1.19,
// pkg/engine/handlers/mutation.
#include <algorithm>

#include "cluster/schema/schema.h"
#include "core/base/check.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "core/expr/jmespath/wildcard.h"
#include "security/policy/stages.h"
#include "security/policy/strategic.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

constexpr int kNestingMax = 10;

std::string pointer_of(std::span<const std::string> path) {
  std::string pointer;
  for (const std::string& part : path) pointer += "/" + replace_all(replace_all(part, "~", "~0"), "/", "~1");
  return pointer;
}

// Indexes from the end ("-1") become indexes; an `add` counts the place behind the last item too.
std::vector<std::string> counted(const Value& object, std::vector<std::string> path, bool adds) {
  const Value* at = &object;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto index = parse_int(path[i]);
    if (index && *index < 0) {
      const bool last = i + 1 == path.size();
      const auto size = static_cast<std::int64_t>(at->size()) + (last && adds ? 1 : 0);
      path[i] = std::to_string(std::max<std::int64_t>(0, size + *index));
    }
    const auto found = parse_int(path[i]);
    at = at->is_list() ? &(*at)[found && *found >= 0 ? static_cast<std::size_t>(*found) : at->size()] : &(*at)[path[i]];
  }
  return path;
}

// RFC 6902 as Kyverno applies it: what is to be removed need not be there, an `add` makes the way to its place, and
// indexes may count from the end.
Result<Value> apply_operation(Value object, const Value& given) {
  const std::string_view op = given["op"].as_string();
  auto path = TRY(document::parse_pointer(given["path"].as_string()));
  const bool adds = op == "add";
  for (std::size_t length = 1; adds && length < path.size(); ++length) {
    const std::string next = path[length];
    path = counted(object, std::move(path), true);
    const std::vector<std::string> parent(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(length));
    const Value* found = document::find_pointer(object, parent);
    if (found != nullptr && !found->is_null()) continue;
    const bool list = next == "-" || parse_int(next).has_value();
    const Value make(std::vector<Value>{
        Value{{"op", "add"}, {"path", pointer_of(parent)}, {"value", list ? Value::list() : Value::map()}}});
    object = TRY(document::json_patch(std::move(object), make));
  }
  path = counted(object, std::move(path), adds);
  if (op == "remove" && document::find_pointer(object, path) == nullptr) return object;
  Value operation = given;
  operation.set("path", pointer_of(path));
  return document::json_patch(std::move(object), Value(std::vector<Value>{operation}));
}

Result<Value> apply_json_patch(const Value& object, const Value& given) {
  const Value operations = given.is_string() ? TRY(yaml::read(given.as_string())) : given;
  if (!operations.is_list()) return Error{ErrorCode::bad_request, "patchesJson6902 is no list"};
  Value out = object;
  for (const Value& operation : operations.items()) out = TRY(apply_operation(std::move(out), operation));
  return out;
}

// `body`: the rule's mutate or one item of a foreach, before its variables are substituted.
Result<Value> patched_by(const Value& body, Context& context, const Value& object) {
  const auto substituted = [&](const char* name) {
    return substitute(body[name], context).in("variable substitution failed");
  };
  if (!body["patchStrategicMerge"].is_null()) {
    const Value patch = TRY(substituted("patchStrategicMerge"));
    const Value resolved = TRY(resolve_anchors(patch, object).in("failed to patch resource"));
    const schema::KindPtr kind = built_in_schema().find_object(object);
    return merge_patch(object, resolved, kind == nullptr ? nullptr : schema::merge_schema(*kind));
  }
  if (body["patchesJson6902"].is_null()) return Error{ErrorCode::bad_request, "empty mutate rule"};
  const Value operations = TRY(substituted("patchesJson6902"));
  return apply_json_patch(object, operations).in("failed to patch resource");
}

class LoopMutator {
 public:
  explicit LoopMutator(std::string object_variable) : object_variable_(std::move(object_variable)) {}

  Result<Value> run(const Value& loops, Context& context, Value object, int nesting) {
    if (nesting > kNestingMax) return Error{ErrorCode::bad_request, "foreach is nested too deeply"};
    for (const Value& loop : loops.items()) {
      auto items = loop_items(loop, context);
      if (!items.ok()) return std::move(items).error().in("failed to evaluate list " + loop["list"].str());
      object = TRY(elements(loop, *items, context, std::move(object), nesting));
      context.set_path(object_variable_, object);
    }
    return object;
  }

 private:
  Result<Value> elements(const Value& loop, const std::vector<Value>& items, Context& context, Value object,
                         int nesting) {
    bool reverse = !loop["patchStrategicMerge"].is_null();
    if (loop.contains("order")) reverse = loop["order"].as_string() == "Descending";
    for (std::size_t n = 0; n < items.size(); ++n) {
      const std::size_t i = reverse ? items.size() - 1 - n : n;
      if (items[i].is_null()) continue;
      Context own = context;
      set_element(own, items[i], i, nesting);
      own.defer(loop["context"]);
      const auto conditions =
          TRY(evaluate_conditions(loop["preconditions"], own).in("failed to evaluate preconditions"));
      if (!conditions.holds) continue;
      object = loop["foreach"].is_list() ? TRY(run(loop["foreach"], own, std::move(object), nesting + 1))
                                         : TRY(patched_by(loop, own, object));
    }
    return object;
  }

  std::string object_variable_;
};

Result<Value> mutated(const Value& body, Context& context, const Value& object, const char* variable) {
  if (body["foreach"].is_list()) return LoopMutator(variable).run(body["foreach"], context, object, 0);
  return patched_by(body, context, object);
}

std::string success(const Value& object) {
  const Value& metadata = object["metadata"];
  std::string text = "mutated " + object["kind"].str() + "/" + metadata["name"].str();
  if (!metadata["namespace"].as_string().empty()) text += " in namespace " + metadata["namespace"].str();
  return text;
}

// The objects that a target names; names and namespaces may hold wildcards.
Result<std::vector<Value>> target_objects(const Value& target, Context& context) {
  const std::string ns = target["namespace"].str(), name = target["name"].str();
  const bool one_namespace = !jmespath::has_wildcard(ns);
  auto all = TRY(context.lookups().objects(target["apiVersion"].str(), target["kind"].str(), one_namespace ? ns : ""));
  std::vector<Value> out;
  for (const Value& object : all) {
    const Value& metadata = object["metadata"];
    if (!name.empty() && !jmespath::wildcard_match(name, metadata["name"].as_string())) continue;
    if (!ns.empty() && !jmespath::wildcard_match(ns, metadata["namespace"].as_string())) continue;
    if (target["selector"].is_map() && !labels_match(target["selector"], metadata["labels"])) continue;
    out.push_back(object);
  }
  return out;
}

}  // namespace

const schema::Schema& built_in_schema() {
  // The kinds are data of the program: they are read once, when the first patch needs them.
  static const schema::Schema schema = [] {
    auto built = schema::Schema::built_in();
    CHECK(built.ok());
    return std::move(built).value();
  }();
  return schema;
}

RuleResponse mutate_rule(const Stage& stage, Value& patched) {
  auto result = mutated(stage.rule.body, stage.context, stage.request.target.object, "request.object");
  if (!result.ok()) return stage.respond(Status::error, result.error().message);
  if (*result == stage.request.target.object) return stage.respond(Status::skip, "no patches applied");
  patched = std::move(result).value();
  return stage.respond(Status::pass, success(patched));
}

std::vector<RuleResponse> mutate_existing_rule(const Stage& stage) {
  std::vector<RuleResponse> out;
  for (const Value& target : stage.rule.body["targets"].items()) {
    Value named = target;
    named.erase("context");
    named.erase("preconditions");
    const auto where = substitute(named, stage.context);
    const auto objects = where.ok() ? target_objects(*where, stage.context) : Result<std::vector<Value>>(where.error());
    if (!objects.ok()) {
      out.push_back(stage.fail_with("failed to load the targets", objects.error()));
      continue;
    }
    for (const Value& object : *objects) {
      Context own = stage.context;
      own.set("target", object);
      own.defer(target["context"]);
      const auto conditions = evaluate_conditions(target["preconditions"], own);
      if (!conditions.ok() || !conditions->holds) {
        out.push_back(conditions.ok() ? stage.respond(Status::skip, "preconditions not met")
                                      : stage.fail_with("failed to evaluate preconditions", conditions.error()));
        continue;
      }
      auto result = mutated(stage.rule.body, own, object, "target");
      RuleResponse response = !result.ok()        ? stage.respond(Status::error, result.error().message)
                              : *result == object ? stage.respond(Status::skip, "no patches applied")
                                                  : stage.respond(Status::pass, success(*result));
      response.patched_target = result.ok() ? *result : object;
      out.push_back(std::move(response));
    }
  }
  return out;
}

}  // namespace caisson::policy
