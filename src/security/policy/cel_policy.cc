// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cel_policy.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "security/policy/cel_checks.h"
#include "security/policy/cel_images.h"
#include "security/policy/cel_match.h"
#include "security/policy/cel_mutate.h"
#include "security/policy/cel_template.h"

namespace caisson::policy {
namespace {

std::optional<CelForm> form_of(const Value& object) {
  const std::string_view group = object["apiVersion"].as_string();
  std::string_view kind = object["kind"].as_string();
  if (group.starts_with("policies.kyverno.io/")) {
    if (kind.starts_with("Namespaced")) kind.remove_prefix(std::string_view("Namespaced").size());
    if (kind == "ValidatingPolicy") return CelForm::validating;
    if (kind == "MutatingPolicy") return CelForm::mutating;
    if (kind == "GeneratingPolicy") return CelForm::generating;
    if (kind == "DeletingPolicy") return CelForm::deleting;
    if (kind == "ImageValidatingPolicy") return CelForm::image_validating;
  }
  if (group.starts_with("admissionregistration.k8s.io/")) {
    if (kind == "ValidatingAdmissionPolicy") return CelForm::validating;
    if (kind == "MutatingAdmissionPolicy") return CelForm::mutating;
  }
  return {};
}

// A policy as written, or said of the controllers that make Pods.
struct Variant {
  Value constraints;
  std::string_view template_at;  // it is asked about the Pod made from there; empty: about the object
  CelChecks checks;
  std::vector<CelMutation> mutations;
  std::vector<cel::Program> generators;
};

Result<Variant> compile_variant(const Value& spec, CelForm form, bool of_kyverno) {
  Variant variant;
  variant.constraints = spec["matchConstraints"];
  const Value& conditions = form == CelForm::deleting ? spec["conditions"] : spec["matchConditions"];
  variant.checks = TRY(compile_checks(conditions, spec["variables"], spec["validations"]));
  variant.checks.tells_message_errors = of_kyverno;
  variant.mutations = TRY(compile_mutations(spec["mutations"]));
  for (const Value& generator : spec["generate"].items()) {
    auto program = cel_environment().compile(generator["expression"].as_string());
    if (!program.ok()) return Error{ErrorCode::invalid, "generate: " + program.error().message};
    variant.generators.push_back(std::move(program).value());
  }
  return variant;
}

// --- policies on Pods said of controllers

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// "object.spec" becomes "object.spec.template.spec"; metadata.namespace stays that of the object.
std::string moved(const std::string& text, std::string_view from, std::string_view to) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found; (found = text.find(from, at)) != std::string::npos; at = found + from.size()) {
    out.append(text, at, found - at);
    const std::string_view rest = std::string_view(text).substr(found + from.size());
    constexpr std::string_view kProtected = ".namespace";
    const bool stays = rest.starts_with(kProtected) &&
                       (rest.size() == kProtected.size() || !is_name_character(rest[kProtected.size()]));
    out += stays ? from : to;
  }
  return out.append(text, at);
}
Value moved_expressions(const Value& value, const std::string& at) {
  if (value.is_string()) {
    std::string text = value.str();
    for (const char* member : {"spec", "metadata"})
      for (const char* base : {"object.", "oldObject."})
        text = moved(text, std::string(base) + member, std::string(base) + at + "." + member);
    return Value(text);
  }
  if (value.is_list()) {
    Value out = Value::list();
    for (const Value& item : value.items()) out.push_back(moved_expressions(item, at));
    return out;
  }
  if (!value.is_map()) return value;
  Value out = Value::map();
  for (const auto& entry : value.entries()) out.set(entry.key, moved_expressions(entry.value, at));
  return out;
}

bool only_pods(const Value& constraints) {
  const Value& rules = constraints["resourceRules"];
  const Value& rule = rules[0];
  const auto is_one = [](const Value& list, std::string_view text) {
    return list.size() == 1 && list[0].as_string() == text;
  };
  return rules.size() == 1 && constraints["excludeResourceRules"].empty() && rule["resourceNames"].empty() &&
         constraints["objectSelector"]["matchLabels"].empty() &&
         constraints["objectSelector"]["matchExpressions"].empty() && is_one(rule["apiGroups"], "") &&
         is_one(rule["apiVersions"], "v1") && is_one(rule["resources"], "pods");
}

struct Controller {
  std::string_view group, plural;
};
constexpr std::array<Controller, 6> kControllers = {{{"apps", "daemonsets"},
                                                     {"apps", "deployments"},
                                                     {"apps", "replicasets"},
                                                     {"apps", "statefulsets"},
                                                     {"batch", "jobs"},
                                                     {"batch", "cronjobs"}}};

// What a policy on Pods says of those that make them. A mutation is of a Pod, and is made to one: its text stays.
struct ControllerSpec {
  Value spec;
  std::string_view template_at;
};
std::vector<ControllerSpec> controller_specs(const Value& spec, CelForm form) {
  std::vector<ControllerSpec> out;
  if (!only_pods(spec["matchConstraints"])) return out;
  const Value* chosen = spec["autogen"]["podControllers"].find("controllers");
  const auto is_chosen = [&](std::string_view plural) {
    if (chosen == nullptr) return true;
    return std::any_of(chosen->items().begin(), chosen->items().end(),
                       [&](const Value& name) { return name.as_string() == plural; });
  };
  for (const bool cron : {false, true}) {
    Value rules = Value::list();
    for (const Controller& one : kControllers) {
      if ((one.plural == "cronjobs") != cron || !is_chosen(one.plural)) continue;
      Value rule = spec["matchConstraints"]["resourceRules"][0];
      rule.set("apiGroups", Value::list_of({std::string(one.group)}))
          .set("resources", Value::list_of({std::string(one.plural)}));
      rules.push_back(rule);
    }
    if (rules.empty()) continue;
    Value constraints = spec["matchConstraints"];
    constraints.set("resourceRules", rules);
    const std::string_view at = cron ? kCronTemplate : kTemplate;
    const bool mutates = form == CelForm::mutating;
    Value other = mutates ? spec : moved_expressions(spec, std::string(at));
    other.set("matchConstraints", constraints);
    out.push_back({std::move(other), mutates ? at : ""});
  }
  return out;
}

// What the expressions of the variant look at.
CelInput seen_by(const Variant& variant, CelInput input) {
  if (variant.template_at.empty()) return input;
  input.object = pod_of_template(input.object, variant.template_at);
  input.old_object = pod_of_template(input.old_object, variant.template_at);
  return input;
}

std::string plural_of(const Value& request) {
  return request["resource"]["resource"].str();
}

}  // namespace

struct CelPolicy::Impl {
  CelForm form = CelForm::validating;
  std::string name;
  Value object;
  bool denies = true, ignores_failures = false, takes_json = false;
  std::vector<Variant> variants;
  std::optional<ImagePolicy> images;
  struct Exempted {
    std::string key;
    CelChecks checks;
    bool reports_pass = false;
  };
  std::vector<Exempted> exceptions;

  RuleResponse respond(Status status, std::string message) const {
    RuleResponse response;
    response.rule = name;
    response.kind = form == CelForm::mutating           ? RuleKind::mutate
                    : form == CelForm::generating       ? RuleKind::generate
                    : form == CelForm::image_validating ? RuleKind::verify_images
                                                        : RuleKind::validate;
    response.status = status;
    response.message = std::move(message);
    response.action = denies ? FailureAction::enforce : FailureAction::audit;
    return response;
  }
  std::optional<RuleResponse> exempted(const CelInput& input) const;
  RuleResponse run(const Variant& variant, CelInput input, Value& patched) const;
  CelInput input_of(const Request& request, const Value& namespace_object, const Value& params,
                    const Lookups& lookups) const;
  const Variant* variant_for(const Request& request, const CelInput& input) const;
  RuleResponse run_images(const Variant& variant, CelInput input) const;
};

std::optional<RuleResponse> CelPolicy::Impl::exempted(const CelInput& input) const {
  for (const Exempted& exception : exceptions) {
    const CelOutcome outcome = evaluate_checks(exception.checks, input);
    if (outcome.verdict != CelVerdict::pass) continue;
    return respond(exception.reports_pass ? Status::pass : Status::skip,
                   "rule is " + std::string(exception.reports_pass ? "passed" : "skipped") +
                       " due to policy exception: " + exception.key);
  }
  return {};
}

// Asks nothing of a registry unless the conditions hold and the policy speaks of an image.
RuleResponse CelPolicy::Impl::run_images(const Variant& variant, CelInput input) const {
  ImageEvaluation evaluation{*images, *input.lookups, system_clock().now(), Value(), {}};
  {
    const CelScope scope(input, variant.checks.variables);
    const CelOutcome matched = evaluate_match_conditions(variant.checks, scope);
    if (matched.verdict == CelVerdict::not_matched) return respond(Status::skip, matched.message);
    if (matched.verdict == CelVerdict::error)
      return respond(ignores_failures ? Status::skip : Status::error, matched.message);
    auto found = images->images(input, scope);
    if (!found.ok()) return respond(Status::error, found.error().message);
    if (found->is_null()) return respond(Status::skip, "no image matched");
    auto attestors = images->attestors(scope);
    if (!attestors.ok()) return respond(Status::error, attestors.error().message);
    input.images = std::move(found).value();
    evaluation.attestors = std::move(attestors).value();
  }
  input.images_asked = &evaluation;
  const CelOutcome outcome = evaluate_checks(variant.checks, input);
  if (outcome.verdict == CelVerdict::error)
    return respond(ignores_failures ? Status::skip : Status::error, outcome.message);
  if (outcome.verdict != CelVerdict::pass) return respond(Status::fail, outcome.message);
  if (images->verifies_digest())
    for (const auto& list : input.images.entries())
      for (const Value& image : list.value.items())
        if (image.as_string().find("@sha") == std::string_view::npos)
          return respond(Status::fail, "missing digest for " + image.str());
  return respond(Status::pass, "success");
}

RuleResponse CelPolicy::Impl::run(const Variant& variant, CelInput input, Value& patched) const {
  if (images) return run_images(variant, std::move(input));
  const CelOutcome outcome = evaluate_checks(variant.checks, input);
  if (form == CelForm::deleting) {
    if (outcome.verdict == CelVerdict::error) return respond(Status::error, outcome.message);
    const bool goes = outcome.verdict == CelVerdict::pass;
    return respond(goes ? Status::pass : Status::fail, goes ? "resource matched" : "resource did not match");
  }
  switch (outcome.verdict) {
    case CelVerdict::not_matched:
      return respond(Status::skip, outcome.message);
    case CelVerdict::fail:
      return respond(Status::fail, outcome.message);
    case CelVerdict::error:
      return respond(ignores_failures ? Status::skip : Status::error, outcome.message);
    case CelVerdict::pass:
      break;
  }
  if (form == CelForm::mutating) {
    auto result = apply_mutations(variant.mutations, variant.checks.variables, input);
    if (!result.ok()) return respond(Status::error, result.error().message);
    patched = std::move(result).value();
    return respond(Status::pass, "success");
  }
  RuleResponse response = respond(Status::pass, "success");
  if (form == CelForm::generating) {
    input.generated = &response.generated;
    const CelScope scope(input, variant.checks.variables);
    for (const cel::Program& generator : variant.generators) {
      const auto made = scope.evaluate(generator);
      if (!made.ok()) return respond(Status::error, made.error().message);
    }
  }
  return response;
}

bool CelPolicy::is_one(const Value& object) {
  return form_of(object).has_value();
}

Result<CelPolicy> CelPolicy::compile(const Value& object) {
  auto impl = std::make_shared<Impl>();
  const auto form = form_of(object);
  if (!form) return Error{ErrorCode::invalid, object["kind"].str() + " is no policy in CEL"};
  const Value& spec = object["spec"];
  impl->form = *form;
  impl->name = object["metadata"]["name"].str();
  impl->object = object;
  impl->ignores_failures = spec["failurePolicy"].as_string() == "Ignore";
  impl->takes_json = spec["evaluation"]["mode"].as_string() == "JSON";
  const bool of_kyverno = object["apiVersion"].as_string().starts_with("policies.kyverno.io/");
  const Value& actions = spec["validationActions"];
  // A policy of Kyverno's that says nothing denies; one of Kubernetes' is told by its binding.
  impl->denies =
      (of_kyverno && actions.empty()) || std::any_of(actions.items().begin(), actions.items().end(),
                                                     [](const Value& action) { return action.as_string() == "Deny"; });
  impl->variants.push_back(TRY(compile_variant(spec, *form, of_kyverno).in(impl->name)));
  const bool is_autogen =
      *form == CelForm::validating || *form == CelForm::image_validating || *form == CelForm::mutating;
  if (of_kyverno && is_autogen) {
    for (const ControllerSpec& other : controller_specs(spec, *form)) {
      Variant variant = TRY(compile_variant(other.spec, *form, of_kyverno).in(impl->name));
      variant.template_at = other.template_at;
      impl->variants.push_back(std::move(variant));
    }
  }
  if (*form == CelForm::image_validating) impl->images = TRY(ImagePolicy::compile(spec).in(impl->name));
  return CelPolicy(std::move(impl));
}

CelForm CelPolicy::form() const {
  return impl_->form;
}
const std::string& CelPolicy::name() const {
  return impl_->name;
}
const Value& CelPolicy::object() const {
  return impl_->object;
}
bool CelPolicy::denies() const {
  return impl_->denies;
}

bool CelPolicy::names(std::string_view group, std::string_view version, std::string_view plural) const {
  return std::any_of(impl_->variants.begin(), impl_->variants.end(), [&](const Variant& variant) {
    return constraints_name(variant.constraints, group, version, plural);
  });
}

Result<void> CelPolicy::add_exception(const Value& exception) {
  for (const Value& reference : exception["spec"]["policyRefs"].items()) {
    if (reference["name"].as_string() != impl_->name ||
        reference["kind"].as_string() != impl_->object["kind"].as_string())
      continue;
    Impl::Exempted one;
    one.key = exception["metadata"]["namespace"].str() + "/" + exception["metadata"]["name"].str();
    one.checks = TRY(compile_checks(exception["spec"]["matchConditions"], Value(), Value()));
    one.reports_pass = exception["spec"]["reportResult"].as_string() == "pass";
    impl_->exceptions.push_back(std::move(one));
  }
  return {};
}

CelInput CelPolicy::Impl::input_of(const Request& request, const Value& namespace_object, const Value& params,
                                   const Lookups& lookups) const {
  CelInput input;
  const bool removes = request.target.operation == "DELETE";
  if (!removes) input.object = request.target.object;
  input.old_object = removes ? request.target.object : request.old_object;
  input.request = request.review();
  input.namespace_object = namespace_object;
  input.params = params;
  input.lookups = &lookups;
  return input;
}

const Variant* CelPolicy::Impl::variant_for(const Request& request, const CelInput& input) const {
  const std::string plural = plural_of(input.request);
  for (const Variant& variant : variants)
    if (takes_json || constraints_match(variant.constraints, request.target, plural)) return &variant;
  return nullptr;
}

std::optional<RuleResponse> CelPolicy::evaluate(const Request& request, const Value& namespace_object,
                                                const Value& params, const Lookups& lookups, Value& patched) const {
  const CelInput input = impl_->input_of(request, namespace_object, params, lookups);
  const Variant* variant = impl_->variant_for(request, input);
  if (variant == nullptr) return {};
  if (auto response = impl_->exempted(input)) return response;
  if (variant->template_at.empty()) return impl_->run(*variant, input, patched);
  const CelInput of_pod = seen_by(*variant, input);
  if (of_pod.object.is_null()) return {};
  Value pod;
  RuleResponse response = impl_->run(*variant, of_pod, pod);
  if (response.status == Status::pass) patched = with_template(input.object, variant->template_at, pod);
  return response;
}

std::vector<CelStep> CelPolicy::trace(const Request& request, const Value& namespace_object,
                                      const Lookups& lookups) const {
  std::vector<CelStep> out;
  const CelInput input = impl_->input_of(request, namespace_object, Value(), lookups);
  const Variant* variant = impl_->variant_for(request, input);
  if (variant == nullptr) return out;
  const CelChecks& checks = variant->checks;
  const CelInput seen = seen_by(*variant, input);
  const CelScope scope(seen, checks.variables);
  const auto add = [&](std::string what, const cel::Program& program) {
    const auto value = scope.evaluate(program);
    out.push_back({std::move(what), program.text(), value.ok() ? value->debug_string() : "",
                   value.ok() ? "" : value.error().message});
  };
  for (std::size_t i = 0; i < checks.conditions.size(); ++i)
    add("condition " + checks.condition_names[i], checks.conditions[i]);
  for (const auto& [name, program] : checks.variables) add("variable " + name, program);
  // Those of images ask registries: the result tells of them.
  if (impl_->images) return out;
  for (std::size_t i = 0; i < checks.validations.size(); ++i)
    add("validation " + std::to_string(i), checks.validations[i].expression);
  return out;
}

Result<Value> CelPolicy::with_digests(const Request& request, const Value& namespace_object,
                                      const Lookups& lookups) const {
  const Value& object = request.target.object;
  if (!impl_->images || !impl_->images->mutates_digest() || lookups.images() == nullptr) return object;
  const CelInput input = impl_->input_of(request, namespace_object, Value(), lookups);
  const Variant* variant = impl_->variant_for(request, input);
  if (variant == nullptr || impl_->exempted(input)) return object;
  const CelScope scope(input, variant->checks.variables);
  if (evaluate_match_conditions(variant->checks, scope).verdict != CelVerdict::pass) return object;
  const Value images = TRY(impl_->images->images(input, scope));
  if (images.is_null()) return object;
  return impl_->images->with_digests(object, images, *lookups.images());
}

bool is_binding(const Value& object) {
  return object["apiVersion"].as_string().starts_with("admissionregistration.k8s.io/") &&
         object["kind"].as_string().ends_with("AdmissionPolicyBinding");
}

bool binding_matches(const Value& binding, const Target& target) {
  return constraints_match(binding["spec"]["matchResources"], target,
                           plural_of(admission_request_value(target, false)));
}

}  // namespace caisson::policy
