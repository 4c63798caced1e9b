// SPDX-License-Identifier: Apache-2.0
// CertificateSigningRequests: what its strategies keep (pkg/registry/certificates of 1.33) and the plug-ins
// CertificateApproval, CertificateSigning and CertificateSubjectRestriction. Spec never changes; `approval` writes
// conditions, `status` the certificate, and each needs a right over the signer.
#include "cluster/apiserver/admit_certificates.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/http/signing.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;
using schema::FieldError;

constexpr std::string_view kClientSigner = "kubernetes.io/kube-apiserver-client";

bool is_verdict(const Value& condition) {
  return condition["type"].as_string() == "Approved" || condition["type"].as_string() == "Denied";
}

Value condition_of(const Value& object, std::string_view type) {
  for (const Value& condition : object["status"]["conditions"].items())
    if (condition["type"].as_string() == type) return condition;
  return {};
}

// A verdict is given once; the status sub-resource can't change it.
void keep_verdicts(const Value& before, Value& object) {
  Value kept = Value::list();
  for (const Value& condition : before["status"]["conditions"].items())
    if (is_verdict(condition)) kept.push_back(condition);
  for (const Value& condition : object["status"]["conditions"].items())
    if (!is_verdict(condition)) kept.push_back(condition);
  if (kept.empty())
    object.edit("status").erase("conditions");
  else
    object.edit("status").set("conditions", std::move(kept));
}

void date_conditions(const Value& before, const std::string& now, Value& object) {
  if (object["status"]["conditions"].empty()) return;
  Value& conditions = object.edit({"status", "conditions"});
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    Value& condition = conditions.edit(i);
    const Value was = condition_of(before, condition["type"].as_string());
    if (condition["lastUpdateTime"].is_null()) condition.set("lastUpdateTime", now);
    if (!condition["lastTransitionTime"].is_null()) continue;
    const bool same = was["status"] == condition["status"] && !was["lastTransitionTime"].is_null();
    condition.set("lastTransitionTime", same ? was["lastTransitionTime"] : Value(now));
  }
}

std::vector<FieldError> check_conditions(const Value& before, const Value& object) {
  using Type = FieldError::Type;
  std::vector<FieldError> out;
  for (const char* type : {"Approved", "Denied", "Failed"})
    if (!condition_of(before, type).is_null() && condition_of(object, type).is_null())
      out.push_back({Type::forbidden,
                     "status.conditions",
                     {},
                     "updates may not remove a condition of type \"" + std::string(type) + "\""});
  const Value& conditions = object["status"]["conditions"];
  std::string verdict;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    const Value& one = conditions[i];
    const std::string at = "status.conditions[" + std::to_string(i) + "]";
    const std::string type = one["type"].str();
    if ((is_verdict(one) || type == "Failed") && one["status"].as_string() != "True")
      out.push_back({Type::not_supported, at + ".status", one["status"], "supported values: \"True\""});
    if (!is_verdict(one)) continue;
    if (!verdict.empty() && verdict != type)
      out.push_back(
          {Type::invalid, at + ".type", one["type"], "Approved and Denied conditions are mutually exclusive"});
    verdict = type;
  }
  return out;
}

class CertificateRequests : public Admission {
 public:
  CertificateRequests(const Authorizer& authorizer, Clock& clock) : authorizer_(authorizer), clock_(clock) {}
  std::string_view name() const override { return "CertificateRequests"; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    if (!concerns(request) || request.operation != Operation::update) return {};
    const Value& before = request.before;
    object.set("spec", before["spec"]);
    if (request.subresource == "approval") {
      const Value conditions = object["status"]["conditions"];
      object.set("status", before["status"].is_map() ? before["status"] : Value::map());
      if (!conditions.empty())
        object.edit("status").set("conditions", conditions);
      else
        object.edit("status").erase("conditions");
    }
    if (request.subresource == "status") keep_verdicts(before, object);
    if (!request.subresource.empty()) date_conditions(before, time_now(clock_), object);
    return {};
  }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (!concerns(request)) return {};
    if (request.operation == Operation::create) return check_subject(request, object);
    if (request.operation != Operation::update || request.subresource.empty()) return {};
    const Value& before = request.before;
    if (request.subresource == "approval") TRY(need(request, "approve"));
    const bool signs = before["status"]["certificate"] != object["status"]["certificate"] ||
                       condition_of(before, "Failed").is_null() != condition_of(object, "Failed").is_null();
    if (request.subresource == "status" && signs) TRY(need(request, "sign"));
    std::vector<FieldError> errors = check_conditions(before, object);
    if (!before["status"]["certificate"].as_string().empty() &&
        before["status"]["certificate"] != object["status"]["certificate"])
      errors.push_back({FieldError::Type::forbidden,
                        "status.certificate",
                        {},
                        "updates may not set certificate content once it is set"});
    if (errors.empty()) return {};
    request.details = Value{{"name", request.name},
                            {"group", "certificates.k8s.io"},
                            {"kind", "CertificateSigningRequest"},
                            {"causes", schema::causes(errors)}};
    std::string said;
    for (const FieldError& error : errors) said += (said.empty() ? "" : ", ") + error.str();
    if (errors.size() > 1) said = "[" + said + "]";
    return Error{ErrorCode::invalid,
                 "CertificateSigningRequest.certificates.k8s.io \"" + request.name + "\" is invalid: " + said};
  }

 private:
  static bool concerns(const AdmissionRequest& request) {
    return request.kind.resource.plural == "certificatesigningrequests" &&
           request.kind.resource.group == "certificates.k8s.io";
  }

  static Error forbidden(const AdmissionRequest& request, const Value& object, const std::string& why) {
    const std::string name = request.name.empty() ? object["metadata"]["name"].str() : request.name;
    return {ErrorCode::forbidden,
            "certificatesigningrequests.certificates.k8s.io \"" + name + "\" is forbidden: " + why};
  }

  // The right to `verb` for the signer by name, or for all of its domain ("example.com/*").
  Result<void> need(const AdmissionRequest& request, const std::string& verb) const {
    const std::string signer = request.before["spec"]["signerName"].str();
    for (const std::string& name : {signer, signer.substr(0, signer.find('/')) + "/*"}) {
      const Attributes asked{.verb = verb, .group = "certificates.k8s.io", .resource = "signers", .name = name};
      if (authorizer_.decide(request.user, asked).allowed) return {};
    }
    return forbidden(request, request.before,
                     "user not permitted to " + verb + " requests with signerName \"" + signer + "\"");
  }

  // Who could have a client certificate of system:masters signed would be above RBAC.
  static Result<void> check_subject(const AdmissionRequest& request, const Value& object) {
    if (object["spec"]["signerName"].as_string() != kClientSigner) return {};
    const auto pem = unbase64(object["spec"]["request"].as_string());
    if (!pem.ok()) return {};  // the kind's validation has said so
    const auto asked = http::read_signing_request(*pem);
    if (!asked.ok()) return forbidden(request, object, "failed to parse CSR: " + asked.error().message);
    const auto& groups = asked->organizations;
    if (std::find(groups.begin(), groups.end(), "system:masters") != groups.end())
      return forbidden(request, object,
                       "use of " + std::string(kClientSigner) + " signer with system:masters group is not allowed");
    return {};
  }

  static std::string time_now(Clock& clock) { return format_time(clock.now()); }

  const Authorizer& authorizer_;
  Clock& clock_;
};

}  // namespace

std::shared_ptr<Admission> make_certificate_requests(const Authorizer& authorizer, Clock& clock) {
  return std::make_shared<CertificateRequests>(authorizer, clock);
}

}  // namespace caisson::apiserver
