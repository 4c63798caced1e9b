// SPDX-License-Identifier: Apache-2.0
// ValidatingAdmissionPolicy (plugin/policy/validating of apiserver 1.33): policies of the store, bound by their
// bindings, looked at after an object is valid. Compiled again when a policy or binding changed.
#include <map>
#include <mutex>

#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/policy_program.h"
#include "cluster/store/store.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kGroup = "admissionregistration.k8s.io";
constexpr const char* kPolicies = "validatingadmissionpolicies.admissionregistration.k8s.io";
constexpr const char* kBindings = "validatingadmissionpolicybindings.admissionregistration.k8s.io";

struct Binding {
  std::string name;
  std::shared_ptr<const PolicyProgram> policy;
  ResourceMatch match;
  Value param_ref;  // null: none
  bool denies = false, warns = false, audits = false;
  Value actions;  // as written
};

struct Policies {
  store::Revision revision = 0;
  std::vector<Binding> bindings;
};

ErrorCode code_of(std::string_view reason) {
  if (reason == "Forbidden") return ErrorCode::forbidden;
  if (reason == "Unauthorized") return ErrorCode::unauthorized;
  if (reason == "RequestEntityTooLarge") return ErrorCode::too_large;
  return ErrorCode::invalid;
}

bool is_policy(const AdmissionRequest& request) {
  const schema::Resource& resource = request.kind.resource;
  return resource.group == kGroup && resource.plural == "validatingadmissionpolicies" && request.subresource.empty();
}

class ValidatingAdmissionPolicy : public Admission {
 public:
  ValidatingAdmissionPolicy(store::Store& store, const schema::Schema& schema, const Authorizer& authorizer)
      : store_(store), schema_(schema), authorizer_(authorizer) {}
  std::string_view name() const override { return "ValidatingAdmissionPolicy"; }
  bool takes_subresource_bodies() const override { return true; }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (is_policy(request) && !object.is_null()) TRY(check_policy(object));
    // Policies do not govern what configures admission, or one could lock everybody out.
    if (request.kind.resource.group == kGroup || request.kind.is_review()) return {};
    const auto policies = TRY(current());
    if (policies->bindings.empty()) return {};
    const Value ns = request.ns.empty() ? Value() : request.find(schema::kNamespaces, "", request.ns);
    for (const Binding& binding : policies->bindings) {
      if (!binding.policy->match.matches(request, object, ns) || !binding.match.matches(request, object, ns)) continue;
      TRY(apply(binding, request, object, ns));
    }
    return {};
  }

 private:
  static Result<void> check_policy(const Value& object) {
    auto compiled = PolicyProgram::compile(object);
    if (compiled.ok()) return {};
    return Error{ErrorCode::invalid, "ValidatingAdmissionPolicy.admissionregistration.k8s.io \"" +
                                         object["metadata"]["name"].str() +
                                         "\" is invalid: " + compiled.error().message};
  }

  Result<std::shared_ptr<const Policies>> current() const {
    const store::Revision revision = std::max(store_.revision_of(kPolicies), store_.revision_of(kBindings));
    const std::lock_guard lock(mutex_);
    if (known_ != nullptr && known_->revision == revision) return known_;
    known_ = TRY(compile(revision));
    return known_;
  }

  Result<std::shared_ptr<const Policies>> compile(store::Revision revision) const {
    auto out = std::make_shared<Policies>();
    out->revision = revision;
    const auto policies = TRY(store_.list(kPolicies));
    const auto bindings = TRY(store_.list(kBindings));
    std::map<std::string, std::shared_ptr<const PolicyProgram>, std::less<>> by_name;
    for (const store::ItemPtr& item : policies.items) {
      auto compiled = PolicyProgram::compile(item->value());
      if (compiled.ok())
        by_name.emplace(item->name(), std::make_shared<const PolicyProgram>(std::move(compiled).value()));
      else
        log::warning("admission policy not applied", {{"policy", item->name()}, {"error", compiled.error()}});
    }
    for (const store::ItemPtr& item : bindings.items) {
      const Value binding = item->value();
      const auto policy = by_name.find(binding["spec"]["policyName"].as_string());
      if (policy == by_name.end()) continue;
      Binding made{std::string(item->name()), policy->second, {}, binding["spec"]["paramRef"]};
      made.match = TRY(ResourceMatch::from(binding["spec"]["matchResources"]).in("binding " + made.name));
      made.actions = binding["spec"]["validationActions"];
      for (const Value& action : made.actions.items()) {
        made.audits = made.audits || action.as_string() == "Audit";
        made.denies = made.denies || action.as_string() == "Deny";
        made.warns = made.warns || action.as_string() == "Warn";
      }
      out->bindings.push_back(std::move(made));
    }
    return std::shared_ptr<const Policies>(std::move(out));
  }

  Result<void> apply(const Binding& binding, const AdmissionRequest& request, const Value& object,
                     const Value& ns) const {
    const auto params = params_of(binding, request);
    if (!params.ok()) {
      // A binding that can't be used refuses whatever its actions are.
      if (binding.policy->ignores_failure) return {};
      return denial(binding, request, object, {"failed to configure binding: " + params.error().message, ""});
    }
    Value failures = Value::list();
    const auto put_on_record = [&] {
      if (failures.empty()) return;
      request.audit_annotations.emplace_back("validation.policy.admission.k8s.io/validation_failure",
                                             json::write(failures));
    };
    for (const Value& one : *params) {
      const PolicyInput input{request, object, ns, binding.policy->param_kind.is_null() ? nullptr : &one, authorizer_};
      for (const PolicyFinding& finding : evaluate(*binding.policy, input)) {
        if (binding.warns)
          request.warnings.push_back("Validation failed for ValidatingAdmissionPolicy '" + binding.policy->name +
                                     "' with binding '" + binding.name + "': " + finding.message);
        if (binding.audits) failures.push_back(failure(binding, finding));
        if (!binding.denies) continue;
        put_on_record();
        return denial(binding, request, object, finding);
      }
    }
    put_on_record();
    return {};
  }

  static Value failure(const Binding& binding, const PolicyFinding& finding) {
    return Value{{"message", finding.message},
                 {"policy", binding.policy->name},
                 {"binding", binding.name},
                 {"expressionIndex", std::max(finding.index, 0)},
                 {"validationActions", binding.actions}};
  }

  static Error denial(const Binding& binding, const AdmissionRequest& request, const Value& object,
                      const PolicyFinding& finding) {
    const std::string& policy = binding.policy->name;
    std::string name = request.name;
    if (name.empty()) name = object["metadata"]["name"].str();
    const schema::Resource& resource = request.kind.resource;
    const std::string denied = "ValidatingAdmissionPolicy '" + policy + "' with binding '" + binding.name +
                               "' denied request: " + finding.message;
    Value& details = request.details;
    details.set("name", name);
    if (!resource.group.empty()) details.set("group", resource.group);
    details.set("kind", resource.plural).set("causes", Value(std::vector<Value>{Value{{"message", denied}}}));
    return Error{code_of(finding.reason), resource.group_resource() + " \"" + name + "\" is forbidden: " + denied};
  }

  // One null when the policy takes no parameters. Errors: why there are none.
  Result<std::vector<Value>> params_of(const Binding& binding, const AdmissionRequest& request) const {
    const Value& kind_name = binding.policy->param_kind;
    if (kind_name.is_null() || binding.param_ref.is_null()) return std::vector<Value>{Value()};
    const schema::KindPtr kind =
        schema_.find_api_version(kind_name["apiVersion"].as_string(), kind_name["kind"].as_string());
    if (kind == nullptr)
      return Error{ErrorCode::not_found, "failed to find resource referenced by paramKind: '" +
                                             kind_name["apiVersion"].str() + ", Kind=" + kind_name["kind"].str() + "'"};
    std::string ns = binding.param_ref["namespace"].str();
    if (kind->resource.namespaced && ns.empty()) ns = request.ns;
    std::vector<Value> out;
    if (const std::string name = binding.param_ref["name"].str(); !name.empty()) {
      Value found = request.find(kind->resource, ns, name);
      if (!found.is_null()) out.push_back(std::move(found));
    } else {
      const auto selector = TRY(kube::LabelSelector::from(binding.param_ref["selector"]));
      const auto listing = TRY(store_.list(kind->resource.group_resource(), {.ns = ns}));
      for (const store::ItemPtr& item : listing.items) {
        Value value = item->value();
        if (selector.matches(value["metadata"]["labels"])) out.push_back(std::move(value));
      }
    }
    if (out.empty() && binding.param_ref["parameterNotFoundAction"].as_string() != "Allow")
      return Error{ErrorCode::not_found, "no params found for policy binding with `Deny` parameterNotFoundAction"};
    return out;
  }

  store::Store& store_;
  const schema::Schema& schema_;
  const Authorizer& authorizer_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Policies> known_;  // guarded by mutex_
};

}  // namespace

std::shared_ptr<Admission> make_validating_admission_policy(store::Store& store, const schema::Schema& schema,
                                                            const Authorizer& authorizer) {
  return std::make_shared<ValidatingAdmissionPolicy>(store, schema, authorizer);
}

}  // namespace caisson::apiserver
