// SPDX-License-Identifier: Apache-2.0
// MutatingAdmissionWebhook and ValidatingAdmissionWebhook (pkg/admission/plugin/webhook of apiserver 1.33): servers
// that configurations name are asked with an AdmissionReview of admission.k8s.io/v1. Mutating ones one after the other,
// in the order of their configurations' names, validating ones at once.
#include <algorithm>
#include <future>
#include <mutex>

#include "cluster/apiserver/admit.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/policy_match.h"
#include "cluster/apiserver/request_expressions.h"
#include "cluster/apiserver/webhook_client.h"
#include "cluster/schema/defaults.h"
#include "cluster/schema/validate.h"
#include "cluster/store/store.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/document/json.h"
#include "core/document/patch.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kGroup = "admissionregistration.k8s.io";
constexpr std::size_t kWarningsMax = 64;

struct Webhook {
  std::string name, configuration;
  ResourceMatch match;
  MatchConditions conditions;
  WebhookTarget target;
  bool ignores_failure = false, reinvoked = false, harmless_in_dry_run = false;
  Duration time_max = std::chrono::seconds(10);
};

struct Answer {
  bool allowed = false;
  Value status;  // of a refusal
  std::vector<std::string> warnings;
  std::string patch;  // RFC 6902; empty: none
};

Result<Webhook> webhook_from(const Value& hook, const std::string& configuration) {
  Webhook out;
  out.name = hook["name"].str();
  out.configuration = configuration;
  out.match = TRY(ResourceMatch::from(Value{{"resourceRules", hook["rules"]},
                                            {"matchPolicy", hook["matchPolicy"]},
                                            {"namespaceSelector", hook["namespaceSelector"]},
                                            {"objectSelector", hook["objectSelector"]}}));
  std::vector<schema::FieldError> errors;
  out.conditions = MatchConditions::compile(hook["matchConditions"], "matchConditions", errors);
  if (!errors.empty()) return Error{ErrorCode::invalid, errors[0].str()};
  out.target = TRY(WebhookTarget::from(hook["clientConfig"]));
  out.ignores_failure = hook["failurePolicy"].as_string() == "Ignore";
  out.reinvoked = hook["reinvocationPolicy"].as_string() == "IfNeeded";
  const std::string_view effects = hook["sideEffects"].as_string();
  out.harmless_in_dry_run = effects == "None" || effects == "NoneOnDryRun";
  out.time_max = std::chrono::seconds(hook["timeoutSeconds"].as_int(10));
  return out;
}

// What a server answered, checked as upstream's VerifyAdmissionResponse does.
Result<Answer> answer_from(const Value& review, const std::string& uid, bool mutating) {
  const auto wrong = [](std::string why) { return Error{ErrorCode::bad_request, std::move(why)}; };
  if (review["kind"].as_string() != "AdmissionReview" || review["apiVersion"].as_string() != "admission.k8s.io/v1")
    return wrong("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got " +
                 review["apiVersion"].str() + ", Kind=" + review["kind"].str());
  const Value& response = review["response"];
  if (!response.is_map()) return wrong("webhook response was absent");
  if (response["uid"].as_string() != uid)
    return wrong("expected response.uid=\"" + uid + "\", got \"" + response["uid"].str() + "\"");
  Answer out;
  out.allowed = response["allowed"].as_bool();
  out.status = response["status"];
  for (const Value& warning : response["warnings"].items())
    if (out.warnings.size() < kWarningsMax) out.warnings.push_back(warning.str());
  const Value& patch = response["patch"];
  if (patch.as_string().empty() || !mutating) return out;
  if (response["patchType"].as_string() != "JSONPatch")
    return wrong("webhook returned response.patch with invalid response.patchType: \"" + response["patchType"].str() +
                 "\" is not \"JSONPatch\"");
  out.patch = TRY(unbase64(patch.as_string()).in("response.patch"));
  return out;
}

// The Status of a refusal: the server's own, made whole (pkg/admission/plugin/webhook/errors).
Value refusal_status(const std::string& webhook, Value status) {
  const std::string denied = "admission webhook \"" + webhook + "\" denied the request";
  const std::string message = status["message"].str(), reason = status["reason"].str();
  if (!status.is_map()) status = Value::map();
  const std::int64_t code = status["code"].as_int();
  Value out{{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", Value::map()}, {"status", "Failure"}};
  out.set("message", !message.empty()  ? denied + ": " + message
                     : !reason.empty() ? denied + ": " + reason
                                       : denied + " without explanation");
  if (!reason.empty()) out.set("reason", reason);
  if (!status["details"].is_null()) out.set("details", status["details"]);
  out.set("code", code < 400 || code > 599 ? 400 : code);
  return out;
}

Error failed_call(const AdmissionRequest& request, const Webhook& hook, const std::string& why) {
  const std::string message = "failed calling webhook \"" + hook.name + "\": " + why;
  request.details = Value{{"causes", Value(std::vector<Value>{Value{{"message", message}}})}};
  return Error{ErrorCode::internal, "Internal error occurred: " + message};
}

// The webhooks of one kind of configuration, read again when one of them changed.
class Configurations {
 public:
  using List = std::vector<Webhook>;
  Configurations(const store::Store& store, std::string resource) : store_(store), resource_(std::move(resource)) {}

  Result<std::shared_ptr<const List>> current() const {
    const store::Revision revision = store_.revision_of(resource_);
    const std::lock_guard lock(mutex_);
    if (known_ != nullptr && revision_ == revision) return known_;
    const auto listing = TRY(store_.list(resource_));  // sorted by name
    auto out = std::make_shared<List>();
    for (const store::ItemPtr& item : listing.items) {
      const Value configuration = item->value();
      for (const Value& hook : configuration["webhooks"].items()) {
        if (hook["rules"].empty()) continue;
        auto made = webhook_from(hook, std::string(item->name()));
        // It was admitted, so it can be read; one that can't is not passed over in silence.
        if (!made.ok()) return std::move(made).error().in("webhook " + hook["name"].str());
        out->push_back(std::move(made).value());
      }
    }
    known_ = std::move(out);
    revision_ = revision;
    return known_;
  }

 private:
  const store::Store& store_;
  const std::string resource_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const List> known_;  // GUARDED_BY(mutex_)
  mutable store::Revision revision_ = 0;       // GUARDED_BY(mutex_)
};

// What both plug-ins share: whether a webhook is asked, and asking it.
class WebhookPlugin : public Admission {
 public:
  WebhookPlugin(const WebhookEnvironment& environment, const std::string& resource)
      : environment_(environment), configurations_(environment.store, resource) {}
  bool takes_subresource_bodies() const override { return true; }

 protected:
  // Errors: forbidden when the conditions can't be evaluated, bad_request for a dry run that the webhook can't take.
  Result<bool> asks(const Webhook& hook, const AdmissionRequest& request, const Value& object, const Value& ns) const {
    if (!hook.match.matches(request, object, ns)) return false;
    if (!hook.match.kind_for(request, environment_.schema)) return false;  // it is for versions that are not served
    const auto held = hook.conditions.hold(request, object, environment_.authorizer);
    if (!held.ok()) {
      if (hook.ignores_failure) {
        log::warning("match conditions of a webhook failed", {{"webhook", hook.name}, {"error", held.error()}});
        return false;
      }
      return Error{ErrorCode::forbidden, request.kind.resource.group_resource() + " \"" + request.name +
                                             "\" is forbidden: " + held.error().message};
    }
    if (!*held) return false;
    if (request.dry_run && !hook.harmless_in_dry_run)
      return Error{ErrorCode::bad_request, "admission webhook \"" + hook.name + "\" does not support dry run"};
    return true;
  }

  Result<Answer> ask(const Webhook& hook, const AdmissionRequest& request, const Value& object, bool mutating) const {
    const auto kind = hook.match.kind_for(request, environment_.schema);
    if (!kind) return Error{ErrorCode::internal, "no version of the resource that the webhook takes is served"};
    const std::string uid = random_uuid();
    Value body{{"uid", uid}};
    const Value described = request_value(request, object);
    for (const auto& [key, value] : described.entries()) body.set(key, value);
    const bool other_version = kind->resource.version != request.kind.resource.version && request.subresource.empty();
    if (other_version) {
      body.edit("kind").set("version", kind->resource.version);
      body.edit("resource").set("version", kind->resource.version);
    }
    const auto shown = [&](const Value& value) -> Result<Value> {
      if (!other_version || value.is_null()) return value;
      return environment_.conversion.convert(*kind, value);
    };
    body.set("object", TRY(shown(object)));
    body.set("oldObject", TRY(shown(request.before)));
    const Value review{{"kind", "AdmissionReview"}, {"apiVersion", "admission.k8s.io/v1"}, {"request", body}};
    const auto posted = environment_.client.post(hook.target, review, hook.time_max);
    if (!posted.ok()) return Error{posted.error().code, "failed to call webhook: " + posted.error().message};
    Answer answer = TRY(answer_from(*posted, uid, mutating));
    if (!answer.patch.empty() && other_version)
      answer.patch = TRY(own_version_patch(*kind, request, object, answer.patch));
    return answer;
  }

  // Fails the request, or lets it pass as the webhook's failurePolicy says.
  static Result<void> settle_failure(const Webhook& hook, const AdmissionRequest& request, const Error& error) {
    if (!hook.ignores_failure) return failed_call(request, hook, error.message);
    log::warning("webhook failed, its policy is Ignore", {{"webhook", hook.name}, {"error", error}});
    return {};
  }
  static Error refused(const Webhook& hook, const AdmissionRequest& request, const Value& status) {
    request.refusal = refusal_status(hook.name, status);
    return Error{ErrorCode::forbidden, request.refusal["message"].str()};
  }

  // A configuration that is written: its match conditions must compile.
  Result<void> check_configuration(const AdmissionRequest& request, const Value& object) const {
    std::vector<schema::FieldError> errors;
    for (std::size_t i = 0; i < object["webhooks"].size(); ++i) {
      const Value& hook = object["webhooks"][i];
      const std::string at = "webhooks[" + std::to_string(i) + "]";
      MatchConditions::compile(hook["matchConditions"], at + ".matchConditions", errors);
      if (const auto target = WebhookTarget::from(hook["clientConfig"]); !target.ok())
        errors.push_back({schema::FieldError::Type::invalid, at + ".clientConfig.caBundle",
                          hook["clientConfig"]["caBundle"], target.error().message});
    }
    if (errors.empty()) return {};
    const std::string name = object["metadata"]["name"].str();
    request.details = Value{
        {"name", name}, {"group", kGroup}, {"kind", request.kind.resource.kind}, {"causes", schema::causes(errors)}};
    return Error{ErrorCode::invalid, schema::invalid_message(request.kind, name, errors)};
  }

  static bool is_exempt(const AdmissionRequest& request) {
    return request.kind.resource.group == kGroup || request.kind.is_review();
  }
  static Value namespace_of(const AdmissionRequest& request) {
    return request.ns.empty() ? Value() : request.find(schema::kNamespaces, "", request.ns);
  }

  const WebhookEnvironment environment_;
  const Configurations configurations_;

 private:
  // A patch of the version the webhook saw becomes one of the version that the request is in.
  Result<std::string> own_version_patch(const schema::KindSchema& seen, const AdmissionRequest& request,
                                        const Value& object, const std::string& patch) const {
    const Value operations = TRY(json::parse(patch).in("response.patch"));
    const Value shown = TRY(environment_.conversion.convert(seen, object));
    const Value patched = TRY(document::json_patch(shown, operations).in("response.patch"));
    const Value back = TRY(environment_.conversion.convert(request.kind, patched));
    return json::write(Value(std::vector<Value>{Value{{"op", "replace"}, {"path", ""}, {"value", back}}}));
  }
};

class MutatingWebhooks final : public WebhookPlugin {
 public:
  explicit MutatingWebhooks(const WebhookEnvironment& environment)
      : WebhookPlugin(environment, "mutatingwebhookconfigurations.admissionregistration.k8s.io") {}
  std::string_view name() const override { return "MutatingAdmissionWebhook"; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    if (is_exempt(request)) return {};
    const auto hooks = TRY(configurations_.current());
    if (hooks->empty()) return {};
    const Value ns = namespace_of(request);
    Reinvocation::Memory& memory = request.reinvocation.webhooks;
    if (request.reinvocation.second && !(object == memory.left)) memory.changed();
    for (const Webhook& hook : *hooks) {
      const std::string key = hook.configuration + "/" + hook.name;
      if (request.reinvocation.second && !memory.is_due(key)) continue;
      const Value before = object;
      const bool asked = TRY(call(hook, request, object, ns));
      if (!(object == before)) {
        memory.changed();
        request.reinvocation.wanted = true;
      }
      if (asked && hook.reinvoked) memory.eligible.push_back(key);
    }
    memory.left = object;
    return {};
  }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    const bool own = request.kind.resource.group == kGroup &&
                     request.kind.resource.plural == "mutatingwebhookconfigurations" && !object.is_null();
    return own ? check_configuration(request, object) : Result<void>();
  }

 private:
  Result<bool> call(const Webhook& hook, const AdmissionRequest& request, Value& object, const Value& ns) const {
    const bool asked = TRY(asks(hook, request, object, ns));
    if (!asked) return false;
    auto answer = ask(hook, request, object, true);
    if (!answer.ok()) {
      TRY(settle_failure(hook, request, answer.error()));
      return true;
    }
    for (const std::string& warning : answer->warnings) request.warnings.push_back(warning);
    if (!answer->allowed) return refused(hook, request, answer->status);
    if (answer->patch.empty() || object.is_null()) return true;
    auto patched = apply(request, object, answer->patch);
    if (patched.ok())
      object = std::move(patched).value();
    else
      TRY(settle_failure(hook, request, patched.error()));
    return true;
  }

  static Result<Value> apply(const AdmissionRequest& request, const Value& object, const std::string& patch) {
    const Value operations = TRY(json::parse(patch).in("response.patch"));
    Value patched = TRY(document::json_patch(object, operations).in("response.patch"));
    if (!request.subresource.empty() && !(object["kind"] == Value(request.kind.resource.kind))) return patched;
    for (const char* field : {"name", "namespace", "uid"})
      if (!(patched["metadata"][field] == object["metadata"][field]))
        return Error{ErrorCode::invalid, "response.patch changes metadata." + std::string(field)};
    patched = schema::pruned(request.kind, std::move(patched), nullptr);
    if (auto wrong = schema::decode_error(request.kind, patched)) return std::move(*wrong).in("response.patch");
    return patched;
  }
};

class ValidatingWebhooks final : public WebhookPlugin {
 public:
  explicit ValidatingWebhooks(const WebhookEnvironment& environment)
      : WebhookPlugin(environment, "validatingwebhookconfigurations.admissionregistration.k8s.io") {}
  std::string_view name() const override { return "ValidatingAdmissionWebhook"; }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (request.kind.resource.group == kGroup) {
      const bool own = request.kind.resource.plural == "validatingwebhookconfigurations" && !object.is_null();
      return own ? check_configuration(request, object) : Result<void>();
    }
    if (is_exempt(request)) return {};
    const auto hooks = TRY(configurations_.current());
    if (hooks->empty()) return {};
    const Value ns = namespace_of(request);
    std::vector<const Webhook*> wanted;
    for (const Webhook& hook : *hooks) {
      const bool asked = TRY(asks(hook, request, object, ns));
      if (asked) wanted.push_back(&hook);
    }
    return ask_all(wanted, request, object);
  }

 private:
  Result<void> ask_all(const std::vector<const Webhook*>& hooks, const AdmissionRequest& request,
                       const Value& object) const {
    if (hooks.empty()) return {};
    std::vector<std::future<Result<Answer>>> others;
    for (std::size_t i = 1; i < hooks.size(); ++i)
      others.push_back(std::async(std::launch::async, [this, hook = hooks[i], &request, &object] {
        return ask(*hook, request, object, false);
      }));
    std::vector<Result<Answer>> answers;
    answers.push_back(ask(*hooks[0], request, object, false));
    for (auto& other : others) answers.push_back(other.get());
    for (std::size_t i = 0; i < hooks.size(); ++i) {
      if (!answers[i].ok()) {
        TRY(settle_failure(*hooks[i], request, answers[i].error()));
        continue;
      }
      for (const std::string& warning : answers[i]->warnings) request.warnings.push_back(warning);
      if (!answers[i]->allowed) return refused(*hooks[i], request, answers[i]->status);
    }
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_mutating_webhooks(const WebhookEnvironment& environment) {
  return std::make_shared<MutatingWebhooks>(environment);
}
std::shared_ptr<Admission> make_validating_webhooks(const WebhookEnvironment& environment) {
  return std::make_shared<ValidatingWebhooks>(environment);
}

}  // namespace caisson::apiserver
