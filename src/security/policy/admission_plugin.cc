// SPDX-License-Identifier: Apache-2.0
#include "security/policy/admission_plugin.h"

#include <algorithm>
#include <map>

#include "core/base/random.h"
#include "core/document/yaml.h"
#include "security/policy/client_lookups.h"

namespace caisson::policy {
namespace {

using Operation = apiserver::AdmissionRequest::Operation;

std::string_view operation_name(Operation operation) {
  switch (operation) {
    case Operation::create:
      return "CREATE";
    case Operation::update:
      return "UPDATE";
    case Operation::remove:
      return "DELETE";
    case Operation::connect:
      return "CONNECT";
  }
  return "CREATE";
}

// What policies never see, as Kyverno's default filters have it: the platform's own namespaces and records, and the
// reviews by which rights are asked.
bool is_filtered(const apiserver::AdmissionRequest& request) {
  const schema::Resource& resource = request.kind.resource;
  for (const std::string_view ns : {"kube-system", "kube-public", "kube-node-lease", "caisson-system"})
    if (request.ns == ns) return true;
  for (const std::string_view group : {"caisson.dev", "wgpolicyk8s.io", "authentication.k8s.io", "authorization.k8s.io",
                                       "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io"})
    if (resource.group == group) return true;
  for (const std::string_view kind : {"Event", "Node", "Binding", "Endpoints", "APIService"})
    if (resource.kind == kind) return true;
  return request.kind.is_review();
}

bool is_policy_kind(const schema::Resource& resource) {
  return resource.group == "kyverno.io" || resource.group == "policies.kyverno.io";
}

// A policy's own admission: it must compile.
Result<void> check_policy(const Value& object) {
  if (is_policy(object)) {
    const auto policy = compile_policy(object);
    if (!policy.ok())
      return Error{ErrorCode::forbidden,
                   "admission webhook \"validate-policy.kyverno.svc\" denied the request: " + policy.error().message};
  }
  if (CelPolicy::is_one(object)) {
    const auto policy = CelPolicy::compile(object);
    if (!policy.ok())
      return Error{ErrorCode::forbidden,
                   "admission webhook \"validate-policy.kyverno.svc\" denied the request: " + policy.error().message};
  }
  return {};
}

class PolicyAdmission final : public apiserver::Admission {
 public:
  explicit PolicyAdmission(AdmissionOptions options)
      : options_(std::move(options)), engine_({.clock = options_.clock}) {}

  std::string_view name() const override { return "Policy"; }

  Result<void> mutate(const apiserver::AdmissionRequest& request, Value& object) const override {
    if (request.operation == Operation::remove || request.operation == Operation::connect) return {};
    if (is_filtered(request) || is_policy_kind(request.kind.resource)) return {};
    const Asked asked = ask(request, object);
    if (asked.is_nothing()) return {};
    Request current = asked.request;
    Refusals refusals;
    for (const Policy* policy : asked.policies) {
      if (!policy->admission || !policy->has(RuleKind::mutate)) continue;
      const PolicyResponse response = engine_.mutate(*policy, current, *asked.lookups, asked.snapshot->exceptions);
      collect_errors(*policy, response, request, refusals);
      current.target.object = response.patched;
    }
    for (const auto& policy : asked.snapshot->cel_policies) {
      if (policy->form() != CelForm::mutating) continue;
      Value patched = current.target.object;
      const auto response = policy->evaluate(current, asked.namespace_object, Value(), *asked.lookups, patched);
      if (!response) continue;
      if (response->status == Status::error) refusals[policy->name()][response->rule] = response->message;
      if (response->status == Status::pass) current.target.object = std::move(patched);
    }
    if (!refusals.empty()) return denied("mutate.kyverno.svc-fail", current.target, refusals);
    object = current.target.object;
    return {};
  }

  Result<void> validate(const apiserver::AdmissionRequest& request, const Value& object) const override {
    if (is_policy_kind(request.kind.resource))
      return request.operation == Operation::remove ? Result<void>() : check_policy(object);
    if (is_filtered(request)) return {};
    const Asked asked = ask(request, object);
    if (asked.is_nothing()) return {};
    Refusals refusals;
    for (const Policy* policy : asked.policies) {
      if (!policy->admission) continue;
      if (policy->has(RuleKind::validate))
        collect(*policy, engine_.validate(*policy, asked.request, *asked.lookups, asked.snapshot->exceptions), request,
                refusals);
      if (policy->has(RuleKind::verify_images))
        collect(*policy, engine_.verify_images(*policy, asked.request, *asked.lookups, asked.snapshot->exceptions),
                request, refusals);
    }
    for (const auto& policy : asked.snapshot->cel_policies) {
      if (policy->form() != CelForm::validating) continue;
      Value patched;
      const auto response = policy->evaluate(asked.request, asked.namespace_object, Value(), *asked.lookups, patched);
      if (response) collect_one(policy->name(), *response, false, request, refusals);
    }
    if (refusals.empty()) return {};
    return denied("validate.kyverno.svc-fail", asked.request.target, refusals);
  }

 private:
  using Refusals = std::map<std::string, std::map<std::string, std::string>>;  // policy, rule, message

  struct Asked {
    std::shared_ptr<const PolicySnapshot> snapshot;
    std::vector<const Policy*> policies;
    Request request;
    Value namespace_object;
    std::unique_ptr<Lookups> own_lookups;
    const Lookups* lookups = nullptr;
    bool is_nothing() const { return policies.empty() && snapshot->cel_policies.empty(); }
  };

  Asked ask(const apiserver::AdmissionRequest& request, const Value& object) const {
    Asked asked;
    asked.snapshot = options_.policies->snapshot();
    const std::string_view operation = operation_name(request.operation);
    asked.policies = asked.snapshot->for_request(request.kind.resource.kind, operation);
    if (asked.is_nothing()) return asked;
    Target& target = asked.request.target;
    const schema::Resource& resource = request.kind.resource;
    target.group = resource.group;
    target.version = resource.version;
    target.kind = resource.kind;
    target.subresource = request.subresource;
    target.operation = operation;
    target.object = request.operation == Operation::remove ? request.before : object;
    target.user = {request.user.name, request.user.uid, request.user.groups, {}, {}, true};
    if (request.operation != Operation::create) asked.request.old_object = request.before;
    asked.request.dry_run = request.dry_run;
    asked.request.uid = random_uuid();
    if (!request.ns.empty()) asked.namespace_object = request.find(schema::kNamespaces, "", request.ns);
    target.namespace_labels = asked.namespace_object["metadata"]["labels"];
    kube::Client* client = options_.client ? options_.client() : nullptr;
    if (client != nullptr) asked.own_lookups = make_client_lookups(*client);
    asked.lookups = asked.own_lookups ? asked.own_lookups.get() : &no_lookups();
    // Without their bindings nobody has roles: a rule that exempts a role then exempts nobody.
    if (asked.snapshot->asks_for_roles && client != nullptr) (void)add_roles(*client, target.user).ok();
    return asked;
  }

  static void collect_one(const std::string& policy, const RuleResponse& rule, bool ignores_errors,
                          const apiserver::AdmissionRequest& request, Refusals& refusals) {
    if (rule.status != Status::fail && rule.status != Status::error) return;
    const bool enforces = rule.action == FailureAction::enforce && !(rule.status == Status::error && ignores_errors);
    if (enforces)
      refusals[policy][rule.rule] = rule.message;
    else
      request.warnings.push_back("policy " + policy + "." + rule.rule + ": " + rule.message);
  }

  static void collect(const Policy& policy, const PolicyResponse& response, const apiserver::AdmissionRequest& request,
                      Refusals& refusals) {
    for (const RuleResponse& rule : response.rules)
      collect_one(policy.key(), rule, policy.failure_policy_ignore, request, refusals);
  }

  // A mutation that fails refuses, unless the policy says that failures are ignored.
  static void collect_errors(const Policy& policy, const PolicyResponse& response,
                             const apiserver::AdmissionRequest& request, Refusals& refusals) {
    for (const RuleResponse& rule : response.rules) {
      if (rule.status != Status::error && rule.status != Status::fail) continue;
      if (policy.failure_policy_ignore)
        request.warnings.push_back("policy " + policy.key() + "." + rule.rule + ": " + rule.message);
      else
        refusals[policy.key()][rule.rule] = rule.message;
    }
  }

  static Error denied(std::string_view webhook, const Target& target, const Refusals& refusals) {
    Value lines = Value::map();
    for (const auto& [policy, rules] : refusals)
      for (const auto& [rule, message] : rules) lines.edit(policy).set(rule, message);
    const std::string ns = target.ns();
    const std::string resource = target.kind + "/" + (ns.empty() ? "" : ns + "/") + target.name();
    return {ErrorCode::forbidden, "admission webhook \"" + std::string(webhook) +
                                      "\" denied the request: \n\nresource " + resource +
                                      " was blocked due to the following policies \n\n" + yaml::write(lines)};
  }

  AdmissionOptions options_;
  Engine engine_;
};

}  // namespace

std::shared_ptr<apiserver::Admission> make_policy_admission(AdmissionOptions options) {
  return std::make_shared<PolicyAdmission>(std::move(options));
}

}  // namespace caisson::policy
