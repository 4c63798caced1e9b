// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/authenticate.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/subresources.h"
#include "cluster/apiserver/tokens.h"

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

// Upstream's strategy of the reviews names no kind.
Error invalid_review(Request& request, const schema::FieldError& error) {
  return request.fail(ErrorCode::invalid, ".authorization.k8s.io \"\" is invalid: " + error.str(),
                      Value{{"group", "authorization.k8s.io"}, {"causes", schema::causes({error})}});
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
  if (access && spec["resourceAttributes"].is_map() == spec["nonResourceAttributes"].is_map()) {
    const Value shown = spec["resourceAttributes"].is_null() ? Value("null") : spec["resourceAttributes"];
    return invalid_review(request, {schema::FieldError::Type::invalid, "spec.resourceAttributes", shown,
                                    "exactly one of nonResourceAttributes or resourceAttributes must be specified"});
  }
  if (kind == "SelfSubjectAccessReview") {
    object.set("status", access_status(*core.authorizer, request.user, spec));
  } else if (access) {
    if (kind == "LocalSubjectAccessReview" &&
        !(spec["resourceAttributes"]["namespace"].as_string() == std::string_view(request.ns))) {
      return invalid_review(request, {schema::FieldError::Type::invalid, "spec.resourceAttributes.namespace",
                                      spec["resourceAttributes"]["namespace"], "must match metadata.namespace"});
    }
    const User user = user_of_spec(spec);
    if (user.name.empty() && user.groups.empty()) {
      return invalid_review(request, {schema::FieldError::Type::invalid, "spec.user", Value(""),
                                      "at least one of user or group must be specified"});
    }
    object.set("status", access_status(*core.authorizer, user, spec));
  } else if (kind == "SelfSubjectRulesReview") {
    if (spec["namespace"].as_string().empty()) return request.bad_request("no namespace on request");
    object.set("status", rules_status(*core.authorizer, request.user, spec["namespace"].str()));
    object.set("spec", Value::map());
  } else if (kind == "SelfSubjectReview") {
    object.edit("metadata").set("creationTimestamp", time_now(core.clock));
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
