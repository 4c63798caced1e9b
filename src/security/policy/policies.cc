// SPDX-License-Identifier: Apache-2.0
#include "security/policy/policies.h"

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "core/base/log.h"
#include "core/expr/jmespath/wildcard.h"

namespace caisson::policy {
namespace {

constexpr std::array<std::string_view, 4> kOperations = {"CREATE", "UPDATE", "DELETE", "CONNECT"};

std::string key_of(const Value& object) {
  const Value& metadata = object["metadata"];
  // Both groups have a PolicyException.
  const std::string_view version = object["apiVersion"].as_string();
  return std::string(version.substr(0, version.find('/'))) + "/" + object["kind"].str() + "/" +
         metadata["namespace"].str() + "/" + metadata["name"].str();
}

void index_rule(const Rule& rule, std::set<std::string>& keys) {
  for (const ResourceFilter& filter : rule.match.filters) {
    for (const std::string_view operation : kOperations) {
      const auto& wanted = filter.operations;
      if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), operation) == wanted.end()) continue;
      if (filter.kinds.empty()) keys.insert("*/" + std::string(operation));
      for (const KindSelector& kind : filter.kinds)
        keys.insert((jmespath::has_wildcard(kind.kind) ? "*" : kind.kind) + "/" + std::string(operation));
    }
  }
}

// Each list holds the policies that speak of any kind, too.
std::unordered_map<std::string, std::vector<const Policy*>> index_of(
    const std::vector<std::shared_ptr<const Policy>>& policies) {
  std::vector<std::set<std::string>> keys(policies.size());
  std::unordered_map<std::string, std::vector<const Policy*>> index;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    for (const Rule& rule : policies[i]->rules) index_rule(rule, keys[i]);
    for (const std::string& key : keys[i]) index[key];
  }
  for (auto& [key, list] : index) {
    const std::string of_any_kind = "*" + key.substr(key.find('/'));
    for (std::size_t i = 0; i < policies.size(); ++i)
      if (keys[i].contains(key) || keys[i].contains(of_any_kind)) list.push_back(policies[i].get());
  }
  return index;
}

bool asks_for_roles(const Policy& policy) {
  const auto asks = [](const MatchBlock& block) {
    return std::any_of(block.filters.begin(), block.filters.end(), [](const ResourceFilter& filter) {
      return !filter.roles.empty() || !filter.cluster_roles.empty();
    });
  };
  return std::any_of(policy.rules.begin(), policy.rules.end(),
                     [&](const Rule& rule) { return asks(rule.match) || asks(rule.exclude); });
}

bool is_exception_of(const Value& object, std::string_view group) {
  return object["kind"].as_string() == "PolicyException" && object["apiVersion"].as_string().starts_with(group);
}

void report_invalid(const Value& object, const Error& error) {
  log::warning("policy left out",
               {{"kind", object["kind"].str()}, {"name", object["metadata"]["name"].str()}, {"error", error}});
}

}  // namespace

std::span<const Policy* const> PolicySnapshot::for_request(std::string_view kind, std::string_view operation) const {
  for (const std::string_view name : {kind, std::string_view("*")}) {
    const auto found = index.find(std::string(name) + "/" + std::string(operation));
    if (found != index.end()) return found->second;
  }
  return {};
}

bool is_filtered(std::string_view group, std::string_view kind, std::string_view ns) {
  static constexpr std::string_view kNamespaces[] = {"kube-system", "kube-public", "kube-node-lease", "caisson-system"};
  static constexpr std::string_view kGroups[] = {"caisson.dev",          "wgpolicyk8s.io",      "authentication.k8s.io",
                                                 "authorization.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
                                                 "events.k8s.io"};
  static constexpr std::string_view kKinds[] = {"Event", "Node", "Binding", "Endpoints", "APIService"};
  const auto has = [](std::span<const std::string_view> list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  return has(kNamespaces, ns) || has(kGroups, group) || has(kKinds, kind);
}

Policies::Policies() : snapshot_(std::make_shared<const PolicySnapshot>()) {}

std::vector<schema::Resource> policy_resources() {
  return {{"kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", false},
          {"kyverno.io", "v1", "Policy", "policies", true},
          {"kyverno.io", "v2", "PolicyException", "policyexceptions", true},
          {"policies.kyverno.io", "v1", "ValidatingPolicy", "validatingpolicies", false},
          {"policies.kyverno.io", "v1", "MutatingPolicy", "mutatingpolicies", false},
          {"policies.kyverno.io", "v1", "GeneratingPolicy", "generatingpolicies", false},
          {"policies.kyverno.io", "v1", "ImageValidatingPolicy", "imagevalidatingpolicies", false},
          {"policies.kyverno.io", "v1", "PolicyException", "policyexceptions", true}};
}

Result<void> Policies::load(kube::Client& client) {
  for (const schema::Resource& resource : policy_resources()) {
    const auto list = TRY(client.list(resource, {}).in("read the policies"));
    for (const kube::Object& object : list.items) set(object.value());
  }
  return {};
}

void Policies::set(const Value& object) {
  const std::string key = key_of(object);
  std::shared_ptr<const Policy> policy;
  std::shared_ptr<const CelPolicy> cel;
  if (is_policy(object)) {
    auto compiled = compile_policy(object);
    if (!compiled.ok()) return report_invalid(object, compiled.error());
    policy = std::make_shared<const Policy>(std::move(compiled).value());
  } else if (CelPolicy::is_one(object)) {
    auto compiled = CelPolicy::compile(object);
    if (!compiled.ok()) return report_invalid(object, compiled.error());
    cel = std::make_shared<const CelPolicy>(std::move(compiled).value());
  }
  const std::lock_guard lock(mutex_);
  objects_[key] = object;
  if (policy) compiled_[key] = std::move(policy);
  if (cel) compiled_cel_[key] = std::move(cel);
  rebuild();
}

void Policies::remove(const Value& object) {
  const std::string key = key_of(object);
  const std::lock_guard lock(mutex_);
  objects_.erase(key);
  compiled_.erase(key);
  compiled_cel_.erase(key);
  rebuild();
}

std::shared_ptr<const CelPolicy> Policies::with_exceptions(const std::shared_ptr<const CelPolicy>& policy) const {
  std::vector<const Value*> exceptions;
  for (const auto& entry : objects_) {
    if (!is_exception_of(entry.second, "policies.kyverno.io/")) continue;
    for (const Value& reference : entry.second["spec"]["policyRefs"].items())
      if (reference["name"].as_string() == policy->name()) exceptions.push_back(&entry.second);
  }
  if (exceptions.empty()) return policy;
  auto own = CelPolicy::compile(policy->object());  // its exceptions are part of it
  if (!own.ok()) return policy;
  auto out = std::make_shared<CelPolicy>(std::move(own).value());
  for (const Value* exception : exceptions)
    if (const auto added = out->add_exception(*exception); !added.ok()) report_invalid(*exception, added.error());
  return out;
}

void Policies::rebuild() {
  auto next = std::make_shared<PolicySnapshot>();
  for (const auto& entry : compiled_) next->policies.push_back(entry.second);
  for (const auto& entry : compiled_cel_) next->cel_policies.push_back(with_exceptions(entry.second));
  std::sort(next->policies.begin(), next->policies.end(),
            [](const auto& a, const auto& b) { return a->key() < b->key(); });
  std::sort(next->cel_policies.begin(), next->cel_policies.end(),
            [](const auto& a, const auto& b) { return a->name() < b->name(); });
  next->index = index_of(next->policies);
  for (const auto& policy : next->policies) {
    next->asks_for_roles = next->asks_for_roles || asks_for_roles(*policy);
    next->changes_objects =
        next->changes_objects || policy->has(RuleKind::mutate) || policy->has(RuleKind::verify_images);
  }
  for (const auto& policy : next->cel_policies)
    next->changes_objects =
        next->changes_objects || policy->form() == CelForm::mutating || policy->form() == CelForm::image_validating;
  for (const auto& entry : objects_) {
    if (!is_exception_of(entry.second, "kyverno.io/")) continue;
    auto exception = parse_exception(entry.second);
    if (exception.ok())
      next->exceptions.push_back(std::move(exception).value());
    else
      report_invalid(entry.second, exception.error());
  }
  next->generation = ++generation_;
  snapshot_ = std::move(next);
}

std::shared_ptr<const PolicySnapshot> Policies::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

}  // namespace caisson::policy
