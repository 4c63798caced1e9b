// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cluster/apiserver/field_set.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/policy_program.h"
#include "cluster/apiserver/request_expressions.h"
#include "cluster/schema/defaults.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "core/expr/cel/mutation_types.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kMessageBytesMax = 5u << 10, kAnnotationBytesMax = 10u << 10;

class Evaluation;

// `variables`: each is evaluated when first asked for, and once.
class Variables : public cel::Object {
 public:
  Variables(const PolicyProgram& policy, Evaluation& evaluation) : policy_(policy), evaluation_(evaluation) {}
  cel::Type type() const override { return policy_.variables_type; }
  bool equals(const Object& other) const override { return &other == this; }
  Result<bool> has_field(std::string_view name) const override {
    return std::any_of(policy_.variables.begin(), policy_.variables.end(),
                       [&](const PolicyProgram::Named& v) { return v.name == name; });
  }
  Result<cel::Value> field(std::string_view name) const override;

 private:
  const PolicyProgram& policy_;
  Evaluation& evaluation_;
  mutable std::map<std::string, Result<cel::Value>, std::less<>> known_;
};

class Evaluation {
 public:
  Evaluation(const PolicyProgram& policy, const PolicyInput& input) : policy_(policy) {
    bind_request(bindings_, input.request, input.object, input.authorizer);
    bindings_.set("namespaceObject", cel::Value::from(input.ns));
    bindings_.set("params", input.params == nullptr ? cel::Value() : cel::Value::from(*input.params));
    bindings_.set("variables", cel::Value(std::make_shared<const Variables>(policy, *this)));
  }

  Result<cel::Value> value(const cel::Program& program) {
    if (spent_ > kCostMaxPerPolicy)
      return Error{ErrorCode::too_large,
                   "validation failed due to running out of cost budget, no further validation "
                   "rules will be run"};
    cel::Outcome outcome = program.evaluate(bindings_, {.cost_max = kCostMaxPerExpression});
    spent_ += outcome.cost;
    return std::move(outcome.value);
  }

  // Whether the policy is for this request.
  Result<bool> wanted() {
    std::vector<std::string> errors;
    for (const auto& condition : policy_.conditions) {
      const auto result = value(condition.program);
      if (result.ok() && result->is(cel::Kind::boolean)) {
        if (!result->as_bool()) return false;  // one that is false decides, whatever the others say
        continue;
      }
      errors.push_back("expression '" + condition.program.text() +
                       "' resulted in error: " + (result.ok() ? "not a boolean" : result.error().message));
    }
    if (errors.empty()) return true;
    if (policy_.ignores_failure) return false;
    return Error{ErrorCode::bad_request, errors.size() == 1 ? errors[0] : "[" + join(errors, ", ") + "]"};
  }

  void validate(std::vector<PolicyFinding>& out) {
    int index = -1;
    for (const auto& validation : policy_.validations) {
      ++index;
      const auto result = value(validation.program);
      if (!result.ok())
        failed("expression '" + validation.text + "' resulted in error: " + result.error().message, out);
      else if (!result->is(cel::Kind::boolean) || !result->as_bool())
        out.push_back({message_of(validation), validation.reason, index});
    }
  }

  void annotate(const AdmissionRequest& request, std::vector<PolicyFinding>& out) {
    for (const auto& annotation : policy_.annotations) {
      const auto result = value(annotation.program);
      if (!result.ok()) {
        failed("expression '" + annotation.program.text() + "' resulted in error: " + result.error().message, out);
        continue;
      }
      if (!result->is(cel::Kind::string)) continue;  // null leaves it out
      const std::string_view text = trim(result->as_string()).substr(0, kAnnotationBytesMax);
      if (!text.empty()) note(request.audit_annotations, policy_.name + "/" + annotation.name, text);
    }
  }

 private:
  // What several bindings or parameters say is one annotation.
  static void note(std::vector<std::pair<std::string, std::string>>& notes, const std::string& key,
                   std::string_view text) {
    for (auto& [known, said] : notes)
      if (known == key) return (void)(said += ", " + std::string(text));
    notes.emplace_back(key, text);
  }

  void failed(std::string message, std::vector<PolicyFinding>& out) const {
    if (!policy_.ignores_failure) out.push_back({std::move(message), ""});
  }

  std::string message_of(const PolicyProgram::Validation& validation) {
    if (validation.message_expression) {
      const auto result = value(*validation.message_expression);
      if (result.ok() && result->is(cel::Kind::string)) {
        const std::string_view text = trim(result->as_string());
        if (!text.empty() && text.size() <= kMessageBytesMax && text.find('\n') == std::string_view::npos)
          return std::string(text);
      }
    }
    return validation.message.empty() ? "failed expression: " + validation.text : validation.message;
  }

  const PolicyProgram& policy_;
  cel::Bindings bindings_;
  std::uint64_t spent_ = 0;
};

Result<cel::Value> Variables::field(std::string_view name) const {
  if (const auto found = known_.find(name); found != known_.end()) return found->second;
  for (const auto& variable : policy_.variables) {
    if (variable.name != name) continue;
    auto value = evaluation_.value(variable.program);
    if (!value.ok())
      value = Error{value.error().code,
                    "composited variable \"" + variable.name + "\" fails to evaluate: " + value.error().message};
    return known_.emplace(std::string(name), std::move(value)).first->second;
  }
  return Error{ErrorCode::bad_request, "no such key: " + std::string(name)};
}

// Places below `value` that are owned as one: a configuration may not set them.
void find_atomics(const schema::Field* field, const Value& value, const std::string& path,
                  std::vector<std::string>& out) {
  if (field == nullptr) return;
  if (value.is_map()) {
    if (field->atomic_map) out.push_back(path);
    for (const auto& [key, member] : value.entries())
      find_atomics(field_below(field, key), member, path + "." + std::string(key), out);
  } else if (value.is_list() && field->type == schema::FieldType::list) {
    if (shape_of(field, value) == Shape::leaf) out.push_back(path);
    for (std::size_t i = 0; i < value.size(); ++i)
      find_atomics(field->element, value[i], path + "[" + std::to_string(i) + "]", out);
  }
}

Result<Value> configured(const Value& object, const cel::Value& result, const schema::KindSchema& kind) {
  TRY(cel::check_type_names(result).in("type mismatch"));
  Value config = TRY(result.to_document());
  config.set("apiVersion", object["apiVersion"]).set("kind", object["kind"]);
  const schema::Field* root = &kind.root();
  const auto refused = [](const std::string& why) {
    return Error{ErrorCode::bad_request, "error applying patch: " + why};
  };
  if (const auto wrong = undeclared_field(root, config))
    return refused("failed to convert patch object to typed object: " + *wrong);
  std::vector<std::string> atomics;
  find_atomics(root, config, "", atomics);
  if (!atomics.empty())
    return refused("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: " + join(atomics, ", "));
  return merge_configuration(root, object, config);
}

// Whether a test of the patch does not hold: then nothing of it is applied, which is no failure.
bool is_test_failure(const Value& object, const Value& operations) {
  Value before = Value::list();
  for (const Value& operation : operations.items()) {
    if (operation["op"].as_string() == "test") {
      const auto reached = document::json_patch(object, before);
      Value alone = Value::list();
      alone.push_back(operation);
      if (reached.ok() && !document::json_patch(*reached, alone).ok()) return true;
    }
    before.push_back(operation);
  }
  return false;
}

Result<Value> patched(const Value& object, const cel::Value& result, const schema::KindSchema& kind) {
  for (std::size_t i = 0; i < result.size(); ++i) {
    const cel::Value operation = result.item(i);
    if (!operation.is(cel::Kind::object)) continue;
    const auto value = operation.as_object().field("value");
    if (value.ok()) TRY(cel::check_type_names(*value).in("type mismatch"));
  }
  const Value operations =
      TRY(result.to_document().in("JSONPath valueExpression evaluated to a type that could not marshal to JSON"));
  auto out = document::json_patch(object, operations);
  if (!out.ok()) {
    if (is_test_failure(object, operations)) return object;
    return std::move(out).error().in("JSONPath");
  }
  std::vector<std::string> unknown;
  Value pruned = schema::pruned(kind, *out, &unknown);
  if (!unknown.empty())
    return Error{ErrorCode::internal,
                 "Internal error occurred: strict decoding error: unknown field \"" + unknown[0] + "\""};
  return pruned;
}

}  // namespace

std::vector<PolicyFinding> evaluate(const PolicyProgram& policy, const PolicyInput& input) {
  std::vector<PolicyFinding> out;
  Evaluation evaluation(policy, input);
  const auto wanted = evaluation.wanted();
  if (!wanted.ok()) out.push_back({wanted.error().message, ""});
  if (!wanted.ok() || !*wanted) return out;
  evaluation.validate(out);
  evaluation.annotate(input.request, out);
  return out;
}

Result<bool> conditions_hold(const PolicyProgram& policy, const PolicyInput& input) {
  if (policy.conditions.empty()) return true;
  return Evaluation(policy, input).wanted();
}

Result<Value> mutated(const PolicyProgram& policy, const PolicyProgram::Mutation& mutation, const PolicyInput& input,
                      const schema::KindSchema& kind) {
  Evaluation evaluation(policy, input);
  const auto result = evaluation.value(mutation.program);
  if (!result.ok())
    return Error{ErrorCode::bad_request,
                 "expression '" + mutation.program.text() + "' resulted in error: " + result.error().message};
  Value out = TRY(mutation.json_patch ? patched(input.object, *result, kind) : configured(input.object, *result, kind));
  for (const char* field : {"name", "namespace", "uid"})
    if (!(out["metadata"][field] == input.object["metadata"][field]))
      return Error{ErrorCode::bad_request, "a mutation may not change metadata." + std::string(field)};
  if (auto wrong = schema::decode_error(kind, out)) return std::move(*wrong);
  return schema::with_defaults(kind, std::move(out));
}

}  // namespace caisson::apiserver
