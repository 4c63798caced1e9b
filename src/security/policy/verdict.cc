// SPDX-License-Identifier: Apache-2.0
#include "security/policy/verdict.h"

#include "security/policy/client_lookups.h"

namespace caisson::policy {

struct Verdict::Impl {
  std::shared_ptr<const Policies> policies;
  kube::Client& client;
  UserInfo user;
  Engine engine;
  std::unique_ptr<Lookups> lookups;

  Impl(std::shared_ptr<const Policies> p, kube::Client& c, UserInfo u, Clock& clock)
      : policies(std::move(p)),
        client(c),
        user(std::move(u)),
        engine({.clock = &clock}),
        lookups(make_client_lookups(c)) {}
};

namespace {

void add(const std::string& policy, const RuleResponse& rule, bool ignores_errors,
         std::vector<ForeseenViolation>& out) {
  if (rule.status != Status::fail && rule.status != Status::error) return;
  const bool enforced = rule.action == FailureAction::enforce && !(rule.status == Status::error && ignores_errors);
  out.push_back({policy, rule.rule, rule.message, enforced});
}

}  // namespace

Verdict::Verdict(std::shared_ptr<const Policies> policies, kube::Client& client, UserInfo user, Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(policies), client, std::move(user), clock)) {}
Verdict::~Verdict() = default;

std::uint64_t Verdict::generation() const {
  return impl_->policies->snapshot()->generation;
}

std::vector<ForeseenViolation> Verdict::of(const Value& object) const {
  std::vector<ForeseenViolation> out;
  const auto snapshot = impl_->policies->snapshot();
  const std::string kind = object["kind"].str();
  const auto policies = snapshot->for_request(kind, "CREATE");
  if (policies.empty() && snapshot->cel_policies.empty()) return out;
  Request request;
  Target& target = request.target;
  const std::string version = object["apiVersion"].str();
  const std::size_t slash = version.find('/');
  target.group = slash == std::string::npos ? "" : version.substr(0, slash);
  target.version = slash == std::string::npos ? version : version.substr(slash + 1);
  target.kind = kind;
  target.operation = "CREATE";
  target.object = object;
  target.user = impl_->user;
  if (is_filtered(target.group, kind, target.ns())) return out;
  Value namespace_object;
  if (!target.ns().empty()) {
    // One that a sync will make has no labels yet.
    const auto found = impl_->client.get(schema::kNamespaces, {"", target.ns()});
    if (found.ok()) namespace_object = found->value();
  }
  target.namespace_labels = namespace_object["metadata"]["labels"];
  if (snapshot->asks_for_roles)
    (void)add_roles(impl_->client, target.user).ok();  // without its bindings nobody has roles
  for (const Policy* policy : policies)
    if (policy->admission && policy->has(RuleKind::mutate))
      target.object = impl_->engine.mutate(*policy, request, *impl_->lookups, snapshot->exceptions).patched;
  for (const auto& policy : snapshot->cel_policies) {
    if (policy->form() != CelForm::mutating) continue;
    Value patched = target.object;
    const auto response = policy->evaluate(request, namespace_object, Value(), *impl_->lookups, patched);
    if (response && response->status == Status::pass) target.object = std::move(patched);
  }
  for (const Policy* policy : policies) {
    if (!policy->admission || !policy->has(RuleKind::validate)) continue;
    for (const RuleResponse& rule :
         impl_->engine.validate(*policy, request, *impl_->lookups, snapshot->exceptions).rules)
      add(policy->key(), rule, policy->failure_policy_ignore, out);
  }
  for (const auto& policy : snapshot->cel_policies) {
    if (policy->form() != CelForm::validating) continue;
    Value patched;
    const auto response = policy->evaluate(request, namespace_object, Value(), *impl_->lookups, patched);
    if (response) add(policy->name(), *response, false, out);
  }
  return out;
}

}  // namespace caisson::policy
