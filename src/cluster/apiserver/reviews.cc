// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/authenticate.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/subresources.h"
#include "cluster/apiserver/tokens.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

Attributes attributes_of_spec(const Value& spec) {
  Attributes a;
  if (const Value& resource = spec["resourceAttributes"]; resource.is_map()) {
    a.verb = resource["verb"].str();
    a.group = resource["group"].str();
    a.resource = resource["resource"].str();
    a.subresource = resource["subresource"].str();
    a.name = resource["name"].str();
    a.ns = resource["namespace"].str();
  } else {
    a.is_resource = false;
    a.verb = spec["nonResourceAttributes"]["verb"].str();
    a.path = spec["nonResourceAttributes"]["path"].str();
  }
  return a;
}

Value access_status(const Authorizer& authorizer, const User& user, const Value& spec) {
  const auto decision = authorizer.decide(user, attributes_of_spec(spec));
  Value status{{"allowed", decision.allowed}};
  if (!decision.reason.empty()) status.set("reason", decision.reason);
  return status;
}

User user_of_spec(const Value& spec) {
  User user{.name = spec["user"].str(), .uid = spec["uid"].str()};
  for (const Value& group : spec["groups"].items()) user.groups.push_back(group.str());
  return user;
}

// What the spec of an access review must say; that of a SelfSubjectAccessReview names nobody.
std::vector<schema::FieldError> wrong_in_review(const Request& request, const Value& object) {
  using Type = schema::FieldError::Type;
  const std::string& kind = request.kind->resource.kind;
  const Value& spec = object["spec"];
  const Value &resource = spec["resourceAttributes"], &other = spec["nonResourceAttributes"];
  std::vector<schema::FieldError> out;
  if (resource.is_map() && other.is_map())
    out.push_back({Type::invalid, "spec.nonResourceAttributes", other,
                   "cannot be specified in combination with resourceAttributes"});
  if (!resource.is_map() && !other.is_map())
    out.push_back({Type::invalid, "spec.resourceAttributes", Value("null"),
                   "exactly one of nonResourceAttributes or resourceAttributes must be specified"});
  if (kind != "SelfSubjectAccessReview" && spec["user"].as_string().empty() && spec["groups"].empty())
    out.push_back({Type::invalid, "spec.user", Value(""), "at least one of user or group must be specified"});
  Value metadata = object["metadata"];
  metadata.erase("managedFields");
  metadata.erase("creationTimestamp");
  const bool local = kind == "LocalSubjectAccessReview";
  if (local) metadata.erase("namespace");
  if (!metadata.empty()) out.push_back({Type::invalid, "metadata", object["metadata"], "must be empty"});
  if (local && resource.is_map() && resource["namespace"].as_string() != std::string_view(request.ns))
    out.push_back({Type::invalid, "spec.resourceAttributes.namespace", Value(resource["namespace"].as_string()),
                   "must match metadata.namespace"});
  return out;
}

// Upstream's strategy of the reviews names no kind.
Error invalid_review(Request& request, const std::vector<schema::FieldError>& errors) {
  std::vector<std::string> texts;
  for (const schema::FieldError& error : errors) texts.push_back(error.str());
  const std::string text = texts.size() == 1 ? texts[0] : "[" + join(texts, ", ") + "]";
  return request.fail(ErrorCode::invalid, ".authorization.k8s.io \"\" is invalid: " + text,
                      Value{{"group", "authorization.k8s.io"}, {"causes", schema::causes(errors)}});
}

Value rules_status(const Authorizer& authorizer, const User& user, const std::string& ns) {
  std::vector<Value> resources, paths;
  for (const PolicyRule& rule : authorizer.rules_of(user, ns))
    (rule.paths.empty() ? resources : paths).push_back(rule.to_value());
  return Value{{"incomplete", false},
               {"nonResourceRules", Value(std::move(paths))},
               {"resourceRules", Value(std::move(resources))}};
}

Value user_info(const User& user) {
  Value info{{"username", user.name}};
  if (!user.uid.empty()) info.set("uid", user.uid);
  info.set("groups", Value::list_of(user.groups));
  for (const auto& [key, values] : user.extra) info.edit("extra").set(key, Value::list_of(values));
  return info;
}

Value token_status(const Core& core, const Value& spec) {
  std::vector<std::string> audiences;
  for (const Value& audience : spec["audiences"].items()) audiences.push_back(audience.str());
  auto user = verify_token(core, spec["token"].as_string(), audiences);
  if (!user.ok())
    return Value{{"user", Value::map()}, {"error", "[invalid bearer token, " + user.error().message + "]"}};
  User known = std::move(user).value();
  known.groups.push_back("system:authenticated");
  Value status{{"authenticated", true}, {"user", user_info(known)}};
  status.set("audiences",
             Value::list_of(audiences.empty() ? std::vector<std::string>{core.tokens->issuer()} : audiences));
  return status;
}

}  // namespace

Result<Value> review(Core& core, Request& request, Value body) {
  Value object = TRY(decode(core, request, std::move(body)));
  const std::string& kind = request.kind->resource.kind;
  if (!request.in_process && kind != "SelfSubjectRulesReview")
    track_update(*request.kind, Value(), object, {request.field_manager, "", time_now(core.clock)});
  const Value spec = object["spec"];
  const bool access =
      kind == "SubjectAccessReview" || kind == "SelfSubjectAccessReview" || kind == "LocalSubjectAccessReview";
  if (access)
    if (const auto wrong = wrong_in_review(request, object); !wrong.empty()) return invalid_review(request, wrong);
  if (kind == "SelfSubjectAccessReview") {
    object.set("status", access_status(*core.authorizer, request.user, spec));
  } else if (access) {
    const User user = user_of_spec(spec);
    object.set("status", access_status(*core.authorizer, user, spec));
  } else if (kind == "SelfSubjectRulesReview") {
    if (spec["namespace"].as_string().empty()) return request.bad_request("no namespace on request");
    object.set("status", rules_status(*core.authorizer, request.user, spec["namespace"].str()));
    object.set("spec", Value::map());
    object.set("metadata", Value{{"creationTimestamp", Value()}});
  } else if (kind == "SelfSubjectReview") {
    object.set("metadata", Value{{"creationTimestamp", time_now(core.clock)}});
    object.set("status", Value{{"userInfo", user_info(request.user)}});
  } else if (kind == "TokenReview") {
    if (spec["token"].as_string().empty())
      return request.bad_request("token is required for TokenReview in authentication");
    object.set("status", token_status(core, spec));
  } else {
    return request.fail(ErrorCode::method_not_allowed,
                        "the server does not allow this method on the requested resource", Value::map());
  }
  return ordered(object);
}

}  // namespace caisson::apiserver
