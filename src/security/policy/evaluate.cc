// SPDX-License-Identifier: Apache-2.0
#include "security/policy/evaluate.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::policy {
namespace {

std::vector<std::string> strings_of(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

UserInfo user_of(const Value& file) {
  UserInfo user;
  if (file.is_null()) return user;
  const Value& info = file["userInfo"];
  user.known = true;
  user.name = info["username"].str();
  user.uid = info["uid"].str();
  user.groups = strings_of(info["groups"]);
  user.roles = strings_of(file["roles"]);
  user.cluster_roles = strings_of(file["clusterRoles"]);
  return user;
}

void split_api_version(std::string_view api_version, std::string& group, std::string& version) {
  const std::size_t slash = api_version.find('/');
  group = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
  version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
}

const Value& named(const Value& list, std::string_view name) {
  for (const Value& item : list.items())
    if (item["name"].as_string() == name) return item;
  return document::kNull;
}

// A resource that is a sub-resource's body (a Scale) stands for its parent.
void apply_subresource(const Value& values, Target& target) {
  for (const Value& entry : values["subresources"].items()) {
    const Value &sub = entry["subresource"], &parent = entry["parentResource"];
    if (sub["kind"].as_string() != target.kind || sub["group"].as_string() != target.group ||
        sub["version"].as_string() != target.version)
      continue;
    target.group = parent["group"].str();
    target.version = parent["version"].str();
    target.kind = parent["kind"].str();
    const std::string_view name = sub["name"].as_string();
    target.subresource = name.substr(std::min(name.size(), name.find('/') + 1));
    return;
  }
}

// The values that a test's file gives for a policy and a resource.
std::vector<std::pair<std::string, Value>> variables_for(const Value& values, const Policy& policy, const Value& resource) {
  std::vector<std::pair<std::string, Value>> out;
  const auto take = [&](const Value& map) {
    for (const auto& entry : map.entries()) out.emplace_back(entry.key, entry.value);
  };
  take(values["globalValues"]);
  const Value& own = named(values["policies"], policy.name);
  take(named(own["resources"], resource["metadata"]["name"].as_string())["values"]);
  return out;
}

}  // namespace

struct PolicySet::Impl {
  Engine engine;
  std::vector<Policy> policies;
  Engine::Exceptions exceptions;
  std::map<std::string, std::string> invalid;

  Request request_for(const Policy& policy, const Value& resource, const std::string& operation,
                      const TestInputs& inputs) const;
  std::vector<Evaluation> stage(RuleKind kind, const Policy& policy, const Request& request, const TestInputs& inputs,
                                const Lookups& lookups, bool existing) const;
};

Request PolicySet::Impl::request_for(const Policy& policy, const Value& resource, const std::string& operation,
                                     const TestInputs& inputs) const {
  Request request;
  request.variables = variables_for(inputs.values, policy, resource);
  Target& target = request.target;
  target.operation = operation.empty() ? inputs.values["globalValues"]["request.operation"].str() : operation;
  for (const auto& [name, value] : request.variables)
    if (operation.empty() && name == "request.operation") target.operation = value.str();
  if (target.operation != "UPDATE" && target.operation != "DELETE") target.operation = "CREATE";
  if (!operation.empty()) request.variables.emplace_back("request.operation", Value(operation));
  target.object = resource;
  // Values may reach into the object itself.
  constexpr std::string_view kObject = "request.object.";
  for (const auto& [name, value] : request.variables) {
    if (!name.starts_with(kObject)) continue;
    Value* at = &target.object;
    const auto parts = split(std::string_view(name).substr(kObject.size()), '.');
    for (const std::string_view part : parts) at = &at->edit(part);
    *at = value;
  }
  split_api_version(resource["apiVersion"].as_string(), target.group, target.version);
  target.kind = resource["kind"].str();
  apply_subresource(inputs.values, target);
  if (target.operation != "CREATE") request.old_object = resource;
  const auto labels = inputs.namespace_labels.find(target.ns());
  if (labels != inputs.namespace_labels.end()) target.namespace_labels = labels->second;
  target.user = user_of(inputs.user);
  return request;
}

std::vector<Evaluation> PolicySet::Impl::stage(RuleKind kind, const Policy& policy, const Request& request,
                                               const TestInputs& inputs, const Lookups& lookups, bool existing) const {
  // Values may be given for one rule alone: then that rule is asked by itself.
  Evaluation out{policy.name, false, request.target.object, request.target.object, {}};
  Request current = request;
  for (const Rule& rule : policy.rules) {
    if (rule.kind != kind) continue;
    Policy one = policy;
    one.rules = {rule};
    current.variables = request.variables;
    const Value& own = named(named(inputs.values["policies"], policy.name)["rules"], rule.name);
    for (const auto& entry : own["values"].entries()) current.variables.emplace_back(entry.key, entry.value);
    for (const auto& entry : own["foreachValues"].entries()) current.variables.emplace_back(entry.key, entry.value[0]);
    PolicyResponse response;
    switch (kind) {
      case RuleKind::mutate:
        response = existing ? engine.mutate_existing(one, current, lookups, exceptions)
                            : engine.mutate(one, current, lookups, exceptions);
        break;
      case RuleKind::validate: response = engine.validate(one, current, lookups, exceptions); break;
      case RuleKind::verify_images: response = engine.verify_images(one, current, lookups, exceptions); break;
      case RuleKind::generate: response = engine.generate(one, current, lookups, exceptions); break;
    }
    current.target.object = response.patched;
    bool applied = false;
    for (RuleResponse& each : response.rules) {
      if (each.status == Status::fail && !policy.scored) each.status = Status::warn;
      applied = applied || each.status != Status::skip;
      out.rules.push_back(std::move(each));
    }
    if (policy.apply_one_rule && applied) break;
  }
  out.patched = current.target.object;
  return {std::move(out)};
}

PolicySet::PolicySet() : impl_(std::make_unique<Impl>()) {}
PolicySet::~PolicySet() = default;

void PolicySet::add(const Value& document) {
  if (!is_policy(document)) return;
  auto policy = compile_policy(document);
  if (policy.ok())
    impl_->policies.push_back(std::move(policy).value());
  else
    impl_->invalid[document["metadata"]["name"].str()] = policy.error().message;
}

Result<void> PolicySet::add_exception(const Value& document) {
  if (document["kind"].as_string() != "PolicyException") return {};
  impl_->exceptions.push_back(TRY(parse_exception(document)));
  return {};
}

std::string PolicySet::invalid(const std::string& policy) const {
  const auto found = impl_->invalid.find(policy);
  return found == impl_->invalid.end() ? "" : found->second;
}

std::size_t PolicySet::size() const { return impl_->policies.size(); }

std::vector<Evaluation> PolicySet::evaluate(const Value& given, const std::string& operation, const TestInputs& inputs,
                                            const std::vector<Value>& targets, const Lookups& lookups) const {
  std::vector<Evaluation> out;
  Value resource = given;
  const auto run = [&](RuleKind kind, const Policy& policy, bool existing) {
    const Request request = impl_->request_for(policy, resource, operation, inputs);
    for (Evaluation& one : impl_->stage(kind, policy, request, inputs, lookups, existing)) {
      if (kind == RuleKind::mutate && !existing) resource = one.patched;
      if (kind == RuleKind::generate && one.rules.empty()) continue;
      out.push_back(std::move(one));
    }
  };
  for (const Policy& policy : impl_->policies) {
    if (!policy.has(RuleKind::mutate)) continue;
    run(RuleKind::mutate, policy, false);
    if (!targets.empty()) run(RuleKind::mutate, policy, true);
  }
  for (const RuleKind kind : {RuleKind::verify_images, RuleKind::validate, RuleKind::generate})
    for (const Policy& policy : impl_->policies)
      if (policy.has(kind)) run(kind, policy, false);
  return out;
}

}  // namespace caisson::policy
