// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/policy_program.h"

#include <algorithm>
#include <map>

#include "cluster/apiserver/request_expressions.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kMessageBytesMax = 5u << 10, kAnnotationBytesMax = 10u << 10;

Error refused(const std::string& at, const Value& value, const std::string& why) {
  return {ErrorCode::invalid, at + ": Invalid value: " + json::write(value) + ": " + why};
}

class Compiler {
 public:
  explicit Compiler(const Value& spec) : spec_(spec) {}

  Result<PolicyProgram> run() {
    PolicyProgram out;
    out.ignores_failure = spec_["failurePolicy"].as_string() == "Ignore";
    out.param_kind = spec_["paramKind"];
    out.match = TRY(ResourceMatch::from(spec_["matchConstraints"]).in("spec.matchConstraints"));
    TRY(variables(out));
    TRY(conditions(out));
    TRY(validations(out));
    TRY(annotations(out));
    out.variables_type = variables_type();
    return out;
  }

 private:
  cel::Type variables_type() const {
    cel::TypeNode node{.name = "kubernetes.variables"};
    node.has_fields = true;
    node.fields = fields_;
    std::sort(node.fields.begin(), node.fields.end(),
              [](const cel::Field& a, const cel::Field& b) { return a.name < b.name; });
    return cel::Type::from(cel::TypeKind::object, std::move(node));
  }

  Result<cel::Program> compile(const Value& expression, const std::string& at, cel::TypeKind wanted) const {
    cel::EnvironmentOptions options = admission_environment();
    options.variables.push_back({"namespaceObject", cel::Type()});
    options.variables.push_back({"variables", variables_type()});
    if (!spec_["paramKind"].is_null()) options.variables.push_back({"params", cel::Type()});
    const std::string text(trim(expression.as_string()));
    if (text.empty()) return Error{ErrorCode::invalid, at + ": Required value: expression is not specified"};
    auto program = cel::Environment(std::move(options)).compile(text);
    if (!program.ok()) return refused(at, expression, "compilation failed: " + program.error().message);
    if (wanted != cel::TypeKind::dyn && !program->result_type().is(wanted))
      return refused(at, expression, "must evaluate to " + std::string(cel::Type(wanted).name()));
    return std::move(program).value();
  }

  Result<void> variables(PolicyProgram& out) {
    std::size_t index = 0;
    for (const Value& variable : spec_["variables"].items()) {
      const std::string at = "spec.variables[" + std::to_string(index++) + "].expression";
      auto program = TRY(compile(variable["expression"], at, cel::TypeKind::dyn));
      const std::string name = variable["name"].str();
      fields_.push_back({name, name, program.result_type()});
      out.variables.push_back({name, std::move(program)});
    }
    return {};
  }

  Result<void> conditions(PolicyProgram& out) const {
    std::size_t index = 0;
    for (const Value& condition : spec_["matchConditions"].items()) {
      const std::string at = "spec.matchConditions[" + std::to_string(index++) + "].expression";
      auto program = TRY(compile(condition["expression"], at, cel::TypeKind::boolean));
      out.conditions.push_back({condition["name"].str(), std::move(program)});
    }
    return {};
  }

  Result<void> validations(PolicyProgram& out) const {
    std::size_t index = 0;
    for (const Value& validation : spec_["validations"].items()) {
      const std::string at = "spec.validations[" + std::to_string(index++) + "]";
      auto program = TRY(compile(validation["expression"], at + ".expression", cel::TypeKind::boolean));
      PolicyProgram::Validation made{std::move(program), std::nullopt,
                                     std::string(trim(validation["expression"].as_string())),
                                     std::string(trim(validation["message"].as_string())), validation["reason"].str()};
      if (const Value& expression = validation["messageExpression"]; !expression.is_null())
        made.message_expression = TRY(compile(expression, at + ".messageExpression", cel::TypeKind::string));
      out.validations.push_back(std::move(made));
    }
    return {};
  }

  Result<void> annotations(PolicyProgram& out) const {
    std::size_t index = 0;
    for (const Value& annotation : spec_["auditAnnotations"].items()) {
      const std::string at = "spec.auditAnnotations[" + std::to_string(index++) + "].valueExpression";
      auto program = TRY(compile(annotation["valueExpression"], at, cel::TypeKind::dyn));
      const cel::Type& type = program.result_type();
      if (!type.is(cel::TypeKind::string) && !type.is(cel::TypeKind::null) && !type.is(cel::TypeKind::dyn))
        return refused(at, annotation["valueExpression"], "must evaluate to one of string or null");
      out.annotations.push_back({annotation["key"].str(), std::move(program)});
    }
    return {};
  }

  const Value& spec_;
  std::vector<cel::Field> fields_;
};

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

  // Whether the policy is for this request; an error is a finding.
  bool wanted(std::vector<PolicyFinding>& out) {
    std::string errors;
    for (const auto& condition : policy_.conditions) {
      const auto result = value(condition.program);
      if (result.ok() && result->is(cel::Kind::boolean)) {
        if (!result->as_bool()) return false;
        continue;
      }
      errors += (errors.empty() ? "" : ", ") + std::string("match condition ") + condition.name + ": " +
                (result.ok() ? "not a boolean" : result.error().message);
    }
    if (!errors.empty()) failed(errors, out);
    return errors.empty();
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

}  // namespace

Result<PolicyProgram> PolicyProgram::compile(const Value& policy) {
  auto out = TRY(Compiler(policy["spec"]).run());
  out.name = policy["metadata"]["name"].str();
  return out;
}

std::vector<PolicyFinding> evaluate(const PolicyProgram& policy, const PolicyInput& input) {
  std::vector<PolicyFinding> out;
  Evaluation evaluation(policy, input);
  if (!evaluation.wanted(out)) return out;
  evaluation.validate(out);
  evaluation.annotate(input.request, out);
  return out;
}

}  // namespace caisson::apiserver
