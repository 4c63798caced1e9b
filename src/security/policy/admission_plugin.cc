// SPDX-License-Identifier: Apache-2.0
#include "security/policy/admission_plugin.h"

#include <algorithm>
#include <map>
#include <span>

#include "core/base/random.h"
#include "core/document/yaml.h"
#include "security/policy/cleanup_policy.h"
#include "security/policy/client_lookups.h"
#include "security/policy/schema_validation.h"

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

// The reviews by which rights are asked are no objects either.
bool is_filtered(const apiserver::AdmissionRequest& request) {
  const schema::Resource& resource = request.kind.resource;
  return policy::is_filtered(resource.group, resource.kind, request.ns) || request.kind.is_review();
}

bool is_policy_kind(const schema::Resource& resource) {
  return resource.group == "kyverno.io" || resource.group == "policies.kyverno.io";
}

Result<void> compiles(const Value& object) {
  if (is_policy(object)) {
    const Policy policy = TRY(compile_policy(object));
    for (const Rule& rule : policy.rules)
      if (rule.check.check == Check::manifests)
        return Error{ErrorCode::invalid, "spec.rules: rule " + rule.name +
                                             ": validate.manifests: signatures of manifests are not verified here"};
    TRY(check_fields(policy));
  }
  if (is_cleanup_policy(object)) TRY(compile_cleanup_policy(object));
  if (!CelPolicy::is_one(object)) return {};
  const Value& spec = object["spec"];
  TRY(CelPolicy::compile(object));
  if (is_deleting_policy(object))
    TRY(controllers::CronSchedule::parse(spec["schedule"].as_string()).in("spec.schedule"));
  if (spec["evaluation"]["mutateExisting"]["enabled"].as_bool() && spec.contains("targetMatchConstraints"))
    return Error{ErrorCode::invalid,
                 "spec.targetMatchConstraints: a MutatingPolicy changes existing objects that it matches, no others; "
                 "mutate.targets of a ClusterPolicy does"};
  return {};
}

// A policy's own admission: it must compile.
Result<void> check_policy(const Value& object) {
  const auto done = compiles(object);
  if (done.ok()) return {};
  return Error{ErrorCode::forbidden,
               "admission webhook \"validate-policy.kyverno.svc\" denied the request: " + done.error().message};
}

class PolicyAdmission final : public apiserver::Admission {
 public:
  explicit PolicyAdmission(AdmissionOptions options)
      : options_(std::move(options)), engine_({.clock = options_.clock}) {}

  std::string_view name() const override { return "Policy"; }
  bool runs_again() const override { return false; }
  bool may_take_long() const override {
    const auto snapshot = options_.policies->snapshot();
    return !snapshot->policies.empty() || !snapshot->cel_policies.empty();
  }

  Result<void> mutate(const apiserver::AdmissionRequest& request, Value& object) const override {
    if (request.operation == Operation::remove || request.operation == Operation::connect) return {};
    if (is_filtered(request) || is_policy_kind(request.kind.resource)) return {};
    // Most policies only say no: what they would see of the request is then made once, for validate.
    if (!options_.policies->snapshot()->changes_objects) return {};
    const Asked asked = ask(request, object);
    if (asked.is_nothing()) return {};
    Request current = asked.request;
    Refusals refusals;
    for (const Policy* policy : asked.policies) {
      if (!policy->admission || !policy->has(RuleKind::mutate)) continue;
      const PolicyResponse response = engine_.mutate(*policy, current, *asked.lookups, asked.snapshot->exceptions);
      collect_errors(*policy, response, request, refusals);
      take(current, response.patched);
    }
    pin_images(asked, current, refusals);
    for (const auto& policy : asked.snapshot->cel_policies) {
      if (policy->form() != CelForm::mutating) continue;
      Value patched = current.target.object;
      const auto response = policy->evaluate(current, asked.namespace_object, Value(), *asked.lookups, patched);
      if (!response) continue;
      if (response->status == Status::error) refusals[policy->name()][response->rule] = response->message;
      if (response->status == Status::pass) take(current, std::move(patched));
    }
    if (!refusals.empty()) return denied("mutate.kyverno.svc-fail", current.target, refusals);
    object = current.target.object;
    return {};
  }

  Result<void> validate(const apiserver::AdmissionRequest& request, const Value& object) const override {
    if (options_.deadlines && !request.dry_run) tell_deadline(object);
    if (is_policy_kind(request.kind.resource)) {
      if (request.operation != Operation::remove) return check_policy(object);
      if (options_.notices && !request.dry_run) options_.notices->policy_deleted(request.before, request.user.name);
      return {};
    }
    if (is_filtered(request)) return {};
    const Asked asked = ask(request, object);
    if (asked.is_nothing()) return {};
    Refusals refusals;
    for (const Policy* policy : asked.policies) {
      if (!policy->admission) continue;
      for (const RuleKind kind : {RuleKind::validate, RuleKind::verify_images}) {
        if (!policy->has(kind)) continue;
        const auto& exceptions = asked.snapshot->exceptions;
        if (kind == RuleKind::validate && exceptions.empty() && engine_.allows(*policy, asked.request, *asked.lookups))
          continue;
        const PolicyResponse response = kind == RuleKind::validate
                                            ? engine_.validate(*policy, asked.request, *asked.lookups, exceptions)
                                            : engine_.verify_images(*policy, asked.request, *asked.lookups, exceptions);
        for (const RuleResponse& rule : response.rules)
          if (rule.status == Status::fail || rule.status == Status::error)
            collect_one({policy->key(), policy->object, policy->failure_policy_ignore}, rule, asked, request, refusals);
      }
    }
    for (const auto& policy : asked.snapshot->cel_policies) {
      if (policy->form() != CelForm::validating && policy->form() != CelForm::image_validating) continue;
      Value patched;
      const auto response = policy->evaluate(asked.request, asked.namespace_object, Value(), *asked.lookups, patched);
      if (response) collect_one({policy->name(), policy->object(), false}, *response, asked, request, refusals);
    }
    if (refusals.empty()) return {};
    return denied("validate.kyverno.svc-fail", asked.request.target, refusals);
  }

 private:
  using Refusals = std::map<std::string, std::map<std::string, std::string>>;  // policy, rule, message

  struct Asked {
    std::shared_ptr<const PolicySnapshot> snapshot;
    std::span<const Policy* const> policies;
    Request request;
    Value namespace_object;
    std::unique_ptr<Lookups> own_lookups;
    const Lookups* lookups = nullptr;
    bool is_nothing() const { return policies.empty() && snapshot->cel_policies.empty(); }
  };

  // What the label says is checked where the object is to go.
  void tell_deadline(const Value& object) const {
    if (!object["metadata"]["labels"].contains(kTtlLabel)) return;
    Value made = object;  // of a new object the time is not written yet
    if (made["metadata"]["creationTimestamp"].is_null())
      made.edit({"metadata", "creationTimestamp"}) = format_time(options_.clock->now());
    const auto when = time_to_go(made);
    if (when.ok() && *when) options_.deadlines->tell(**when);
  }

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
    asked.request.only_failures = true;
    asked.request.uid = random_uuid();
    if (!request.ns.empty()) asked.namespace_object = request.find(schema::kNamespaces, "", request.ns);
    target.namespace_labels = asked.namespace_object["metadata"]["labels"];
    kube::Client* client = options_.client ? options_.client() : nullptr;
    if (client != nullptr)
      asked.own_lookups =
          make_client_lookups(*client, options_.images ? options_.images() : nullptr, kRequestLookupsMax);
    asked.lookups = asked.own_lookups ? asked.own_lookups.get() : &no_lookups();
    // Without their bindings nobody has roles: a rule that exempts a role then exempts nobody.
    if (asked.snapshot->asks_for_roles && client != nullptr) (void)add_roles(*client, target.user).ok();
    Engine::prepare(asked.request);
    return asked;
  }

  // Digests for images whose policies want them. Whether signatures are good is said by validate, once for all.
  void pin_images(const Asked& asked, Request& current, Refusals& refusals) const {
    if (asked.lookups->images() == nullptr) return;
    bool cleared = false;
    for (const Policy* policy : asked.policies) {
      if (!policy->admission || !policy->has(RuleKind::verify_images)) continue;
      if (!cleared) clear_verification(current);
      cleared = true;
      take(current, engine_.verify_images(*policy, current, *asked.lookups, asked.snapshot->exceptions).patched);
    }
    for (const auto& policy : asked.snapshot->cel_policies) {
      if (policy->form() != CelForm::image_validating) continue;
      auto pinned = policy->with_digests(current, asked.namespace_object, *asked.lookups);
      if (pinned.ok())
        take(current, std::move(pinned).value());
      else if (policy->denies())
        refusals[policy->name()]["mutateDigest"] = pinned.error().message;
    }
  }

  // What was verified is for this server to say: nobody writes it for himself.
  static void clear_verification(Request& current) {
    constexpr const char* kVerified = "kyverno.io/verify-images";
    Value object = current.target.object;
    if (!object["metadata"]["annotations"].contains(kVerified)) return;
    const Value before = current.old_object["metadata"]["annotations"][kVerified];
    Value& annotations = object.edit({"metadata", "annotations"});
    if (before.is_null())
      annotations.erase(kVerified);
    else
      annotations.set(kVerified, before);
    take(current, std::move(object));
  }

  // The next policies see the object as this one left it.
  static void take(Request& current, Value object) {
    if (object.shares_with(current.target.object)) return;
    current.target.object = std::move(object);
    Engine::prepare(current);
  }

  struct Said {
    std::string policy;
    const Value& object;
    bool ignores_errors;
  };
  void collect_one(const Said& by, const RuleResponse& rule, const Asked& asked,
                   const apiserver::AdmissionRequest& request, Refusals& refusals) const {
    if (rule.status != Status::fail && rule.status != Status::error) return;
    const bool enforces = rule.action == FailureAction::enforce && !(rule.status == Status::error && by.ignores_errors);
    if (enforces)
      refusals[by.policy][rule.rule] = rule.message;
    else
      request.warnings.push_back("policy " + by.policy + "." + rule.rule + ": " + rule.message);
    // What is only audited is told by the scan, which sees the object as it was stored.
    if (enforces && options_.notices && !request.dry_run)
      options_.notices->violation(
          {by.policy, rule.rule, rule.message, by.object, with_kind(asked.request.target), true, request.user.name});
  }

  static Value with_kind(const Target& target) {
    Value out = target.object;
    return out.set("apiVersion", target.group.empty() ? target.version : target.group + "/" + target.version)
        .set("kind", target.kind);
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
