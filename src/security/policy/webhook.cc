// SPDX-License-Identifier: Apache-2.0
#include "security/policy/webhook.h"

#include <optional>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::policy {
namespace {

constexpr std::string_view kVersion = "admission.k8s.io/v1";

std::optional<apiserver::AdmissionRequest::Operation> operation_of(std::string_view name) {
  using Operation = apiserver::AdmissionRequest::Operation;
  if (name == "CREATE") return Operation::create;
  if (name == "UPDATE") return Operation::update;
  if (name == "DELETE") return Operation::remove;
  if (name == "CONNECT") return Operation::connect;
  return {};
}

apiserver::User user_of(const Value& info) {
  apiserver::User user;
  user.name = info["username"].str();
  user.uid = info["uid"].str();
  for (const Value& group : info["groups"].items()) user.groups.push_back(group.str());
  return user;
}

schema::KindSchema kind_of(const Value& request) {
  schema::KindSchema kind;
  kind.resource = {request["kind"]["group"].str(), request["kind"]["version"].str(), request["kind"]["kind"].str(),
                   request["resource"]["resource"].str(), !request["namespace"].as_string().empty()};
  return kind;
}

// The server that asks puts "admission webhook … denied the request: " before what it is told.
std::string_view without_prefix(std::string_view message) {
  constexpr std::string_view kDenied = "denied the request: ";
  const std::size_t at = message.find(kDenied);
  return at == std::string_view::npos ? message : message.substr(at + kDenied.size());
}

std::string pointer(const std::string& at, std::string_view key) {
  return at + "/" + replace_all(replace_all(std::string(key), "~", "~0"), "/", "~1");
}

void add_operations(const Value& before, const Value& after, const std::string& at, Value& patch) {
  if (before == after) return;
  if (before.is_map() && after.is_map()) {
    for (const auto& entry : before.entries())
      if (!after.contains(entry.key)) patch.push_back(Value{{"op", "remove"}, {"path", pointer(at, entry.key)}});
    for (const auto& entry : after.entries()) {
      const std::string path = pointer(at, entry.key);
      if (const Value* old = before.find(entry.key))
        add_operations(*old, entry.value, path, patch);
      else
        patch.push_back(Value{{"op", "add"}, {"path", path}, {"value", entry.value}});
    }
    return;
  }
  if (before.is_list() && after.is_list() && before.size() == after.size()) {
    for (std::size_t i = 0; i < before.size(); ++i)
      add_operations(before[i], after[i], at + "/" + std::to_string(i), patch);
    return;
  }
  patch.push_back(Value{{"op", "replace"}, {"path", at}, {"value", after}});
}

Value refusal_of(const Error& error) {
  const bool forbids = error.code == ErrorCode::forbidden;
  return Value{{"status", "Failure"},
               {"message", without_prefix(error.message)},
               {"reason", forbids ? "Forbidden" : "Invalid"},
               {"code", forbids ? 403 : 422}};
}

}  // namespace

Value json_patch_between(const Value& before, const Value& after) {
  Value patch = Value::list();
  add_operations(before, after, "", patch);
  return patch;
}

Result<Value> answer_review(const apiserver::Admission& policies, const Value& review, WebhookStage stage,
                            const FindObject& find) {
  const Value& given = review["request"];
  const auto operation = operation_of(given["operation"].as_string());
  if (review["apiVersion"].as_string() != kVersion || given["uid"].as_string().empty() || !operation)
    return Error{ErrorCode::bad_request, "expected an AdmissionReview of admission.k8s.io/v1 with a request"};
  const schema::KindSchema kind = kind_of(given);
  const apiserver::User user = user_of(given["userInfo"]);
  Value object = given["object"], details, refusal;
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, std::string>> audit;
  apiserver::Reinvocation reinvocation;
  const apiserver::AdmissionRequest request{.operation = *operation,
                                            .kind = kind,
                                            .ns = given["namespace"].str(),
                                            .name = given["name"].str(),
                                            .subresource = given["subResource"].str(),
                                            .user = user,
                                            .before = given["oldObject"],
                                            .dry_run = given["dryRun"].as_bool(),
                                            .warnings = warnings,
                                            .audit_annotations = audit,
                                            .find = find,
                                            .details = details,
                                            .refusal = refusal,
                                            .reinvocation = reinvocation,
                                            .options = [&given] { return given["options"]; }};
  const auto done =
      stage == WebhookStage::mutate ? policies.mutate(request, object) : policies.validate(request, object);
  Value response{{"uid", given["uid"]}, {"allowed", done.ok()}};
  if (!done.ok()) response.set("status", refusal_of(done.error()));
  if (!warnings.empty()) response.set("warnings", Value::list_of(warnings));
  if (done.ok() && stage == WebhookStage::mutate) {
    const Value patch = json_patch_between(given["object"], object);
    if (!patch.empty()) response.set("patchType", "JSONPatch").set("patch", base64(json::write(patch)));
  }
  return Value{{"apiVersion", kVersion}, {"kind", "AdmissionReview"}, {"response", std::move(response)}};
}

Value webhook_configuration(WebhookStage stage, const std::string& url, const std::string& ca_pem,
                            bool ignore_failures) {
  const bool mutates = stage == WebhookStage::mutate;
  const std::string name = mutates ? "mutate.kyverno.svc-fail" : "validate.kyverno.svc-fail";
  Value operations = Value::list_of({"CREATE", "UPDATE"});
  if (!mutates)
    for (const char* more : {"DELETE", "CONNECT"}) operations.push_back(more);
  const Value everything = Value::list_of({"*"});
  const Value rule{{"apiGroups", everything},
                   {"apiVersions", everything},
                   {"resources", Value::list_of({"*", "pods/ephemeralcontainers"})},
                   {"operations", std::move(operations)},
                   {"scope", "*"}};
  const Value own = Value::list_of({"kube-system", "kube-public", "kube-node-lease"});
  const Value elsewhere{{"key", "kubernetes.io/metadata.name"}, {"operator", "NotIn"}, {"values", own}};
  Value hook{{"name", name},
             {"clientConfig", Value{{"url", url + (mutates ? "/mutate" : "/validate")}, {"caBundle", base64(ca_pem)}}},
             {"rules", Value(std::vector<Value>{rule})},
             {"namespaceSelector", Value{{"matchExpressions", Value(std::vector<Value>{elsewhere})}}},
             {"failurePolicy", ignore_failures ? "Ignore" : "Fail"},
             {"matchPolicy", "Equivalent"},
             {"sideEffects", "NoneOnDryRun"},
             {"admissionReviewVersions", Value::list_of({"v1"})},
             {"timeoutSeconds", 10}};
  if (mutates) hook.set("reinvocationPolicy", "IfNeeded");
  return Value{{"apiVersion", "admissionregistration.k8s.io/v1"},
               {"kind", mutates ? "MutatingWebhookConfiguration" : "ValidatingWebhookConfiguration"},
               {"metadata", Value{{"name", "caisson-policy"}}},
               {"webhooks", Value(std::vector<Value>{std::move(hook)})}};
}

}  // namespace caisson::policy
