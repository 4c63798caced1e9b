// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/request_expressions.h"

#include <algorithm>

#include "cluster/apiserver/policy_match.h"
#include "cluster/schema/checks.h"
#include "core/base/text.h"
#include "core/expr/cel/authorizer.h"
#include "core/expr/cel/schema.h"

namespace caisson::apiserver {
namespace {

// admission.k8s.io/v1 AdmissionRequest, as expressions see it.
const cel::Type& request_type() {
  static const cel::Type type = [] {
    const Value text{{"type", "string"}};
    const auto object = [](Value properties) {
      return Value{{"type", "object"}, {"properties", std::move(properties)}};
    };
    const Value kind = object(Value{{"group", text}, {"version", text}, {"kind", text}});
    const Value resource = object(Value{{"group", text}, {"version", text}, {"resource", text}});
    const Value texts{{"type", "array"}, {"items", text}};
    const Value extra{{"type", "object"}, {"additionalProperties", texts}};
    const Value user = object(Value{{"username", text}, {"uid", text}, {"groups", texts}, {"extra", extra}});
    const cel::Type escaped =
        cel::type_from_schema(object(Value{{"kind", kind},
                                           {"resource", resource},
                                           {"subResource", text},
                                           {"requestKind", kind},
                                           {"requestResource", resource},
                                           {"requestSubResource", text},
                                           {"name", text},
                                           {"namespace", text},
                                           {"operation", text},
                                           {"userInfo", user},
                                           {"dryRun", Value{{"type", "boolean"}}},
                                           {"options", Value{{"x-kubernetes-int-or-string", true}}}}),
                              "kubernetes.AdmissionRequest");
    // Here, other than in custom resources, a field is written as it is: request.namespace.
    cel::TypeNode node = *escaped.node();
    for (cel::Field& field : node.fields) field.name = field.key;
    std::sort(node.fields.begin(), node.fields.end(),
              [](const cel::Field& a, const cel::Field& b) { return a.name < b.name; });
    return cel::Type::from(cel::TypeKind::object, std::move(node));
  }();
  return type;
}

// An AdmissionReview's JSON leaves out what is empty, and expressions see that JSON: `request.subResource` of none is
// "no such key".
void set_stated(Value& out, std::string_view member, const std::string& text) {
  if (!text.empty()) out.set(member, text);
}

Value kind_value(const AdmissionRequest& request, const Value& object) {
  const schema::Resource& r = request.kind.resource;
  const Value& shown = object.is_null() ? request.before : object;
  if (request.subresource.empty() || !shown["kind"].is_string())
    return Value{{"group", r.group}, {"version", r.version}, {"kind", r.kind}};
  const std::string api_version = shown["apiVersion"].str();  // of a Scale, a Binding …
  const std::size_t slash = api_version.find('/');
  return Value{{"group", slash == std::string::npos ? "" : api_version.substr(0, slash)},
               {"version", slash == std::string::npos ? api_version : api_version.substr(slash + 1)},
               {"kind", shown["kind"]}};
}

}  // namespace

Value request_value(const AdmissionRequest& request, const Value& object) {
  const schema::Resource& r = request.kind.resource;
  const Value kind = kind_value(request, object);
  const Value resource{{"group", r.group}, {"version", r.version}, {"resource", r.plural}};
  Value extra = Value::map();
  for (const auto& [key, values] : request.user.extra) extra.set(key, Value::list_of(values));
  Value user{{"username", request.user.name}};
  set_stated(user, "uid", request.user.uid);
  if (!request.user.groups.empty()) user.set("groups", Value::list_of(request.user.groups));
  if (!extra.empty()) user.set("extra", extra);
  Value asked_kind = kind, asked_resource = resource;
  if (request.asked != nullptr) {
    asked_kind.set("version", request.asked->resource.version);
    asked_resource.set("version", request.asked->resource.version);
  }
  Value out{{"kind", kind},
            {"resource", resource},
            {"requestKind", std::move(asked_kind)},
            {"requestResource", std::move(asked_resource)},
            {"operation", operation_name(request.operation)},
            {"userInfo", user},
            {"dryRun", request.dry_run}};
  set_stated(out, "subResource", request.subresource);
  set_stated(out, "requestSubResource", request.subresource);
  const std::string name = request.name.empty() ? object["metadata"]["name"].str() : request.name;
  set_stated(out, "name", name);
  set_stated(out, "namespace", r == schema::kNamespaces ? name : request.ns);
  if (Value options = request.options ? request.options() : Value(); !options.is_null())
    out.set("options", std::move(options));
  return out;
}

namespace {

// `authorizer` asks this server's RBAC for the request's user, or for a ServiceAccount.
class RequestAuthorizer : public cel::Authorizer {
 public:
  RequestAuthorizer(const apiserver::Authorizer& authorizer, const User& user) : authorizer_(authorizer), user_(user) {}
  cel::AuthorizerDecision check(const cel::AuthorizerRequest& asked) const override {
    User user = user_;
    if (!asked.service_account.empty()) {
      const std::string ns = asked.service_account.substr(0, asked.service_account.find(':'));
      user = {"system:serviceaccount:" + asked.service_account,
              {"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"},
              "",
              {}};
    }
    const auto decision = authorizer_.decide(user, {.verb = asked.verb,
                                                    .is_resource = asked.is_resource,
                                                    .group = asked.group,
                                                    .resource = asked.resource,
                                                    .subresource = asked.subresource,
                                                    .name = asked.name,
                                                    .ns = asked.namespace_,
                                                    .path = asked.path});
    return {decision.allowed, decision.reason, ""};
  }

 private:
  const apiserver::Authorizer& authorizer_;
  const User user_;
};

}  // namespace

cel::EnvironmentOptions admission_environment() {
  cel::EnvironmentOptions options = cel::kubernetes_options();
  options.variables = {{"object", cel::Type()},
                       {"oldObject", cel::Type()},
                       {"request", request_type()},
                       {"authorizer", cel::authorizer_type()},
                       {"authorizer.requestResource", cel::resource_check_type()}};
  return options;
}

void bind_request(cel::Bindings& bindings, const AdmissionRequest& request, const Value& object,
                  const Authorizer& authorizer) {
  const auto asked = std::make_shared<const RequestAuthorizer>(authorizer, request.user);
  bindings.set("object", cel::Value::from(object));
  bindings.set("oldObject", cel::Value::from(request.before));
  bindings.set("request", cel::Value::from(request_value(request, object), request_type()));
  bindings.set("authorizer", cel::authorizer_value(asked));
  cel::AuthorizerRequest own;
  own.is_resource = true;
  own.group = request.kind.resource.group;
  own.resource = request.kind.resource.plural;
  own.subresource = request.subresource;
  own.namespace_ = request.ns;
  own.name = request.name;
  bindings.set("authorizer.requestResource", cel::resource_check_value(asked, std::move(own)));
}

MatchConditions MatchConditions::compile(const Value& conditions, const std::string& at,
                                         std::vector<schema::FieldError>& errors) {
  using Type = schema::FieldError::Type;
  MatchConditions out;
  std::size_t index = 0;
  for (const Value& condition : conditions.items()) {
    const std::string path = at + "[" + std::to_string(index++) + "]";
    const Value& expression = condition["expression"];
    const std::string text(trim(expression.as_string()));
    if (text.empty()) {
      errors.push_back({Type::required, path + ".expression", {}, ""});
    } else {
      auto program = cel::Environment(admission_environment()).compile(text);
      if (!program.ok())
        errors.push_back(
            {Type::invalid, path + ".expression", expression, "compilation failed: " + program.error().message});
      else if (!program->result_type().is(cel::TypeKind::boolean))
        errors.push_back({Type::invalid, path + ".expression", expression,
                          "must evaluate to bool but got " + program->result_type().str()});
      else
        out.conditions_.push_back({condition["name"].str(), std::move(program).value()});
    }
    if (condition["name"].as_string().empty()) {
      errors.push_back({Type::required, path + ".name", {}, ""});
      continue;
    }
    for (const std::string& why : schema::check_qualified_name(condition["name"].as_string()))
      errors.push_back({Type::invalid, path + ".name", condition["name"], why});
  }
  return out;
}

Result<bool> MatchConditions::hold(const AdmissionRequest& request, const Value& object,
                                   const Authorizer& authorizer) const {
  if (conditions_.empty()) return true;
  cel::Bindings bindings;
  bind_request(bindings, request, object, authorizer);
  std::uint64_t spent = 0;
  std::string failures;
  for (const Condition& condition : conditions_) {
    if (spent > kCostMaxPerPolicy)
      return Error{ErrorCode::too_large, "match conditions: out of cost budget, no further expression is evaluated"};
    const cel::Outcome outcome = condition.program.evaluate(bindings, {.cost_max = kCostMaxPerExpression});
    spent += outcome.cost;
    if (outcome.value.ok() && outcome.value->is(cel::Kind::boolean)) {
      if (!outcome.value->as_bool()) return false;  // one that is false decides, whatever the others say
      continue;
    }
    const std::string why = outcome.value.ok() ? "not a boolean" : outcome.value.error().message;
    failures +=
        (failures.empty() ? "" : ", ") + ("expression '" + condition.program.text() + "' resulted in error: ") + why;
  }
  if (!failures.empty()) return Error{ErrorCode::bad_request, std::move(failures)};
  return true;
}

}  // namespace caisson::apiserver
