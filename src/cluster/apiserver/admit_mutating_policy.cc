// SPDX-License-Identifier: Apache-2.0
// MutatingAdmissionPolicy (plugin/policy/mutating of apiserver 1.33): policies of the store, bound by their bindings,
// change objects before mutating webhooks are asked. Each sees what the one before left; by name of policy and binding.
#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/policy_bindings.h"

namespace caisson::apiserver {
namespace {

// Why a policy could not be asked, or what it made could not be used.
struct Failure {
  std::string message, reason;
};

class MutatingAdmissionPolicy final : public Admission {
 public:
  MutatingAdmissionPolicy(const store::Store& store, const schema::Schema& schema, const Authorizer& authorizer)
      : schema_(schema),
        authorizer_(authorizer),
        bindings_(store, "mutatingadmissionpolicies.admissionregistration.k8s.io",
                  "mutatingadmissionpolicybindings.admissionregistration.k8s.io") {}
  std::string_view name() const override { return "MutatingAdmissionPolicy"; }
  bool takes_subresource_bodies() const override { return true; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    if (is_exempt_from_policies(request) || request.operation == AdmissionRequest::Operation::remove) return {};
    const auto bound = TRY(bindings_.current());
    if (bound->empty()) return {};
    const Value ns = request.ns.empty() ? Value() : request.find(schema::kNamespaces, "", request.ns);
    const Value shown = object;  // which policies are for it is decided once, by the object as it came
    Reinvocation::Memory& memory = request.reinvocation.policies;
    if (request.reinvocation.second && !(object == memory.left)) memory.changed();
    std::vector<Failure> failures;
    for (const BoundPolicy& one : *bound) {
      if (!one.matches(request, shown, ns)) continue;
      const auto params = params_of(one, request, schema_);
      if (!params.ok()) {
        note(one, {"failed to configure binding: " + params.error().message, ""}, failures);
        continue;
      }
      for (const Value& param : *params) TRY(invoke(one, request, ns, param, object, failures));
    }
    memory.left = object;
    return failures.empty() ? Result<void>() : refused(request, shown, failures);
  }

 private:
  Result<void> invoke(const BoundPolicy& bound, const AdmissionRequest& request, const Value& ns, const Value& param,
                      Value& object, std::vector<Failure>& failures) const {
    const PolicyProgram& policy = *bound.policy;
    const auto input_of = [&](const Value& seen) {
      return PolicyInput{request, seen, ns, policy.param_kind.is_null() ? nullptr : &param, authorizer_};
    };
    const auto wanted = conditions_hold(policy, input_of(object));
    if (!wanted.ok()) note(bound, {wanted.error().message, "Invalid"}, failures);
    if (!wanted.ok() || !*wanted) return {};
    Reinvocation::Memory& memory = request.reinvocation.policies;
    const std::string key = policy.name + "/" + bound.name + "/" + param["metadata"]["namespace"].str() + "/" +
                            param["metadata"]["name"].str();
    if (request.reinvocation.second && !memory.is_due(key)) return {};
    const Value before = object;
    for (const PolicyProgram::Mutation& mutation : policy.mutations) {
      if (object.is_null()) break;
      const schema::KindPtr kind = kind_of(request, object);
      if (kind == nullptr) return unknown_kind(object);
      auto next = mutated(policy, mutation, input_of(object), *kind);
      if (next.ok())
        object = std::move(next).value();
      else if (next.error().code == ErrorCode::internal)
        return std::move(next).error();
      else
        note(bound, {next.error().message, "Invalid"}, failures);
    }
    if (!(object == before)) {
      memory.changed();
      request.reinvocation.wanted = true;
    }
    if (policy.reinvoked) memory.eligible.push_back(key);
    return {};
  }

  static void note(const BoundPolicy& bound, Failure failure, std::vector<Failure>& out) {
    if (bound.policy->ignores_failure) return;
    failure.message =
        "policy '" + bound.policy->name + "' with binding '" + bound.name + "' denied request: " + failure.message;
    out.push_back(std::move(failure));
  }

  // The body of a sub-resource may be of a kind of its own.
  schema::KindPtr kind_of(const AdmissionRequest& request, const Value& object) const {
    const schema::Resource& resource = request.kind.resource;
    if (object["kind"].is_null() || object["kind"].as_string() == resource.kind)
      return schema_.find_plural(resource.group, resource.version, resource.plural);
    return schema_.find_object(object);
  }

  static Error unknown_kind(const Value& object) {
    return {ErrorCode::unavailable, "Resource kind " + object["apiVersion"].str() + ", Kind=" + object["kind"].str() +
                                        " not found. There can be a delay between when CustomResourceDefinitions are "
                                        "created and when they are available."};
  }

  // A Status with what the first failure says and all of them as causes.
  static Error refused(const AdmissionRequest& request, const Value& object, const std::vector<Failure>& failures) {
    const schema::Resource& resource = request.kind.resource;
    Value causes = Value::list();
    for (const Failure& failure : failures) causes.push_back(Value{{"message", failure.message}});
    Value details{{"name", request.name.empty() ? object["metadata"]["name"].str() : request.name}};
    if (!resource.group.empty()) details.set("group", resource.group);
    details.set("kind", resource.plural).set("causes", std::move(causes));
    const Failure& first = failures.front();
    request.refusal = Value{{"kind", "Status"},
                            {"apiVersion", "v1"},
                            {"metadata", Value::map()},
                            {"status", "Failure"},
                            {"message", first.message},
                            {"reason", first.reason.empty() ? "Forbidden" : first.reason},
                            {"details", std::move(details)},
                            {"code", 403}};
    return {ErrorCode::forbidden, first.message};
  }

  const schema::Schema& schema_;
  const Authorizer& authorizer_;
  const PolicyBindings bindings_;
};

}  // namespace

std::shared_ptr<Admission> make_mutating_admission_policy(const store::Store& store, const schema::Schema& schema,
                                                          const Authorizer& authorizer) {
  return std::make_shared<MutatingAdmissionPolicy>(store, schema, authorizer);
}

}  // namespace caisson::apiserver
