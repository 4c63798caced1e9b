// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/policy_program.h"

#include <algorithm>

#include "cluster/apiserver/request_expressions.h"
#include "core/base/text.h"
#include "core/expr/cel/mutation_types.h"

namespace caisson::apiserver {
namespace {

using FieldErrors = std::vector<schema::FieldError>;

class Compiler {
 public:
  Compiler(const Value& spec, FieldErrors& errors) : spec_(spec), errors_(errors) {}

  PolicyProgram run() {
    PolicyProgram out;
    out.ignores_failure = spec_["failurePolicy"].as_string() == "Ignore";
    out.reinvoked = spec_["reinvocationPolicy"].as_string() == "IfNeeded";
    out.param_kind = spec_["paramKind"];
    auto match = ResourceMatch::from(spec_["matchConstraints"]);
    if (match.ok())
      out.match = std::move(match).value();
    else
      refuse("spec.matchConstraints", spec_["matchConstraints"], match.error().message);
    variables(out);
    conditions(out);
    validations(out);
    annotations(out);
    mutations(out);
    out.variables_type = variables_type();
    return out;
  }

 private:
  void refuse(const std::string& at, const Value& value, std::string why) {
    errors_.push_back({schema::FieldError::Type::invalid, at, value, std::move(why)});
  }

  cel::Type variables_type() const {
    cel::TypeNode node{.name = "kubernetes.variables"};
    node.has_fields = true;
    node.fields = fields_;
    std::sort(node.fields.begin(), node.fields.end(),
              [](const cel::Field& a, const cel::Field& b) { return a.name < b.name; });
    return cel::Type::from(cel::TypeKind::object, std::move(node));
  }

  cel::Environment environment(bool mutates) const {
    cel::EnvironmentOptions options = admission_environment();
    options.variables.push_back({"namespaceObject", cel::Type()});
    options.variables.push_back({"variables", variables_type()});
    if (!spec_["paramKind"].is_null()) options.variables.push_back({"params", cel::Type()});
    if (mutates) {
      options.libraries = options.libraries | cel::Library::json_patch;
      options.types = cel::mutation_types();
    }
    return cel::Environment(std::move(options));
  }

  // Nothing: there is no expression, or what is wrong was told. `wanted`: empty means any type.
  std::optional<cel::Program> compile(const cel::Environment& environment, const Value& expression,
                                      const std::string& at, const std::vector<cel::Type>& wanted) {
    const std::string text(trim(expression.as_string()));
    if (text.empty()) return {};
    auto program = environment.compile(text);
    if (!program.ok()) {
      refuse(at, expression, "compilation failed: " + program.error().message);
      return {};
    }
    const cel::Type& type = program->result_type();
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), type) == wanted.end()) {
      refuse(at, expression, "must evaluate to " + wanted.front().str() + " but got " + type.str());
      return {};
    }
    return std::move(program).value();
  }

  void variables(PolicyProgram& out) {
    std::size_t index = 0;
    for (const Value& variable : spec_["variables"].items()) {
      const std::string at = "spec.variables[" + std::to_string(index++) + "].expression";
      auto program = compile(environment(false), variable["expression"], at, {});
      if (!program) continue;
      const std::string name = variable["name"].str();
      fields_.push_back({name, name, program->result_type()});
      out.variables.push_back({name, *std::move(program)});
    }
  }

  void conditions(PolicyProgram& out) {
    if (spec_["matchConditions"].empty()) return;
    const cel::Environment own = environment(false);
    std::size_t index = 0;
    for (const Value& condition : spec_["matchConditions"].items()) {
      const std::string at = "spec.matchConditions[" + std::to_string(index++) + "].expression";
      if (auto program = compile(own, condition["expression"], at, {cel::TypeKind::boolean}))
        out.conditions.push_back({condition["name"].str(), *std::move(program)});
    }
  }

  void validations(PolicyProgram& out) {
    if (spec_["validations"].empty()) return;
    const cel::Environment own = environment(false);
    std::size_t index = 0;
    for (const Value& validation : spec_["validations"].items()) {
      const std::string at = "spec.validations[" + std::to_string(index++) + "]";
      auto program = compile(own, validation["expression"], at + ".expression", {cel::TypeKind::boolean});
      auto message = compile(own, validation["messageExpression"], at + ".messageExpression", {cel::TypeKind::string});
      if (!program) continue;
      out.validations.push_back({*std::move(program), std::move(message),
                                 std::string(trim(validation["expression"].as_string())),
                                 std::string(trim(validation["message"].as_string())), validation["reason"].str()});
    }
  }

  void annotations(PolicyProgram& out) {
    if (spec_["auditAnnotations"].empty()) return;
    const cel::Environment own = environment(false);
    std::size_t index = 0;
    for (const Value& annotation : spec_["auditAnnotations"].items()) {
      const std::string at = "spec.auditAnnotations[" + std::to_string(index++) + "].valueExpression";
      auto program = compile(own, annotation["valueExpression"], at, {});
      if (!program) continue;
      const cel::Type& type = program->result_type();
      if (!type.is(cel::TypeKind::string) && !type.is(cel::TypeKind::null) && !type.is(cel::TypeKind::dyn))
        refuse(at, annotation["valueExpression"], "must evaluate to one of [string null_type]");
      else
        out.annotations.push_back({annotation["key"].str(), *std::move(program)});
    }
  }

  void mutations(PolicyProgram& out) {
    if (spec_["mutations"].empty()) return;
    const cel::Environment own = environment(true);
    std::size_t index = 0;
    for (const Value& mutation : spec_["mutations"].items()) {
      const bool json_patch = mutation["patchType"].as_string() == "JSONPatch";
      const std::string field = json_patch ? "jsonPatch" : "applyConfiguration";
      const std::string at = "spec.mutations[" + std::to_string(index++) + "]." + field + ".expression";
      const cel::Type wanted =
          json_patch ? cel::Type::list(cel::Type::object("JSONPatch")) : cel::Type::object("Object");
      if (auto program = compile(own, mutation[field]["expression"], at, {wanted}))
        out.mutations.push_back({json_patch, *std::move(program)});
    }
  }

  const Value& spec_;
  FieldErrors& errors_;
  std::vector<cel::Field> fields_;
};

}  // namespace

PolicyProgram PolicyProgram::compile(const Value& policy, FieldErrors& errors) {
  PolicyProgram out = Compiler(policy["spec"], errors).run();
  out.name = policy["metadata"]["name"].str();
  return out;
}

Result<PolicyProgram> PolicyProgram::compile(const Value& policy) {
  FieldErrors errors;
  PolicyProgram out = compile(policy, errors);
  if (!errors.empty()) return Error{ErrorCode::invalid, errors.front().str()};
  return out;
}

Result<void> check_policy_expressions(const AdmissionRequest& request, const Value& object) {
  const schema::Resource& resource = request.kind.resource;
  const bool is_policy = resource.group == "admissionregistration.k8s.io" && request.subresource.empty() &&
                         (resource.kind == "ValidatingAdmissionPolicy" || resource.kind == "MutatingAdmissionPolicy");
  if (!is_policy || object.is_null()) return {};
  FieldErrors errors;
  (void)PolicyProgram::compile(object, errors);  // what is wrong with it is all that counts here
  if (errors.empty()) return {};
  const std::string name = object["metadata"]["name"].str();
  request.details =
      Value{{"name", name}, {"group", resource.group}, {"kind", resource.kind}, {"causes", schema::causes(errors)}};
  return Error{ErrorCode::invalid, schema::invalid_message(request.kind, name, errors)};
}

}  // namespace caisson::apiserver
