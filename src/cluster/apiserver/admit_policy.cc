// SPDX-License-Identifier: Apache-2.0
// ValidatingAdmissionPolicy (plugin/policy/validating of apiserver 1.33): policies of the store, bound by their
// bindings, looked at after an object is valid. Compiled again when a policy or binding changed.
#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/policy_bindings.h"
#include "cluster/schema/validate.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

ErrorCode code_of(std::string_view reason) {
  if (reason == "Forbidden") return ErrorCode::forbidden;
  if (reason == "Unauthorized") return ErrorCode::unauthorized;
  if (reason == "RequestEntityTooLarge") return ErrorCode::too_large;
  return ErrorCode::invalid;
}

class ValidatingAdmissionPolicy : public Admission {
 public:
  ValidatingAdmissionPolicy(const store::Store& store, const schema::Schema& schema, const Authorizer& authorizer,
                            const Conversion& conversion)
      : schema_(schema),
        authorizer_(authorizer),
        conversion_(conversion),
        bindings_(store, "validatingadmissionpolicies.admissionregistration.k8s.io",
                  "validatingadmissionpolicybindings.admissionregistration.k8s.io") {}
  std::string_view name() const override { return "ValidatingAdmissionPolicy"; }
  bool takes_subresource_bodies() const override { return true; }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    TRY(check_policy_expressions(request, object));
    if (is_exempt_from_policies(request)) return {};
    const auto bound = TRY(bindings_.current());
    if (bound->empty()) return {};
    const Value ns = request.ns.empty() ? Value() : request.find(schema::kNamespaces, "", request.ns);
    for (const BoundPolicy& one : *bound)
      if (one.matches(request, object, ns)) TRY(apply_in_its_version(one, request, object, ns));
    return {};
  }

 private:
  // A policy for another version of the resource (matchPolicy Equivalent) sees the objects in that version; one whose
  // versions are not served is for nothing.
  Result<void> apply_in_its_version(const BoundPolicy& binding, const AdmissionRequest& request, const Value& object,
                                    const Value& ns) const {
    const schema::KindPtr kind = binding.policy->match.kind_for(request, schema_);
    if (kind == nullptr) return {};
    if (kind->resource.version == request.kind.resource.version || !request.subresource.empty())
      return apply(binding, request, object, ns);
    const auto shown = [&](const Value& value) -> Result<Value> {
      if (value.is_null()) return value;
      return conversion_.convert(*kind, value);
    };
    const Value now = TRY(shown(object)), before = TRY(shown(request.before));
    const AdmissionRequest seen{.operation = request.operation,
                                .kind = *kind,
                                .ns = request.ns,
                                .name = request.name,
                                .subresource = request.subresource,
                                .user = request.user,
                                .before = before,
                                .dry_run = request.dry_run,
                                .warnings = request.warnings,
                                .audit_annotations = request.audit_annotations,
                                .find = request.find,
                                .list = request.list,
                                .stage = request.stage,
                                .details = request.details,
                                .refusal = request.refusal,
                                .reinvocation = request.reinvocation,
                                .asked = &request.kind,
                                .options = request.options};
    return apply(binding, seen, now, ns);
  }

  Result<void> apply(const BoundPolicy& binding, const AdmissionRequest& request, const Value& object,
                     const Value& ns) const {
    const auto params = params_of(binding, request, schema_);
    if (!params.ok()) {
      // A binding that can't be used refuses whatever its actions are.
      if (binding.policy->ignores_failure) return {};
      return denial(binding, request, object, {"failed to configure binding: " + params.error().message, ""});
    }
    const bool warns = binding.has_action("Warn"), audits = binding.has_action("Audit"),
               denies = binding.has_action("Deny");
    Value failures = Value::list();
    const auto put_on_record = [&] {
      if (failures.empty()) return;
      request.audit_annotations.emplace_back("validation.policy.admission.k8s.io/validation_failure",
                                             json::write(failures));
    };
    for (const Value& one : *params) {
      const PolicyInput input{request, object, ns, binding.policy->param_kind.is_null() ? nullptr : &one, authorizer_};
      for (const PolicyFinding& finding : evaluate(*binding.policy, input)) {
        if (warns)
          request.warnings.push_back("Validation failed for ValidatingAdmissionPolicy '" + binding.policy->name +
                                     "' with binding '" + binding.name + "': " + finding.message);
        if (audits) failures.push_back(failure(binding, finding));
        if (!denies) continue;
        put_on_record();
        return denial(binding, request, object, finding);
      }
    }
    put_on_record();
    return {};
  }

  static Value failure(const BoundPolicy& binding, const PolicyFinding& finding) {
    return Value{{"message", finding.message},
                 {"policy", binding.policy->name},
                 {"binding", binding.name},
                 {"expressionIndex", std::max(finding.index, 0)},
                 {"validationActions", binding.actions}};
  }

  static Error denial(const BoundPolicy& binding, const AdmissionRequest& request, const Value& object,
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

  const schema::Schema& schema_;
  const Authorizer& authorizer_;
  const Conversion& conversion_;
  const PolicyBindings bindings_;
};

}  // namespace

std::shared_ptr<Admission> make_validating_admission_policy(const store::Store& store, const schema::Schema& schema,
                                                            const Authorizer& authorizer,
                                                            const Conversion& conversion) {
  return std::make_shared<ValidatingAdmissionPolicy>(store, schema, authorizer, conversion);
}

}  // namespace caisson::apiserver
