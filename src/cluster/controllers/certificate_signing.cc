// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/certificate_signing.h"

#include <algorithm>
#include <set>

#include "core/base/encoding.h"
#include "core/http/signing.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::Requeue;

constexpr Duration kSignedForMax = std::chrono::hours(24 * 365);
constexpr Duration kVerdictKept = std::chrono::hours(1), kPendingKept = std::chrono::hours(24);

const schema::Resource& signing_requests() {
  static const schema::Resource kind{"certificates.k8s.io", "v1", "CertificateSigningRequest",
                                     "certificatesigningrequests", false};
  return kind;
}

Error not_allowed(const std::string& why) {
  return {ErrorCode::forbidden, why};
}

std::set<std::string> usages_of(const Value& spec) {
  std::set<std::string> out;
  for (const Value& usage : spec["usages"].items()) out.insert(usage.str());
  return out;
}

// `needed` must be there, and nothing beyond `needed` and key encipherment or digital signature.
Result<void> check_usages(const Value& spec, const std::string& needed, bool signature_needed) {
  std::set<std::string> left = usages_of(spec);
  if (left.erase(needed) == 0) return not_allowed("usages did not match: \"" + needed + "\" is required");
  if (left.erase("digital signature") == 0 && signature_needed)
    return not_allowed("usages did not match: \"digital signature\" is required");
  left.erase("key encipherment");
  if (!left.empty()) return not_allowed("usages did not match: \"" + *left.begin() + "\" is not allowed");
  return {};
}

Result<void> check_node_subject(const http::SigningRequest& asked) {
  if (asked.organizations != std::vector<std::string>{"system:nodes"})
    return not_allowed("organization in subject is not \"system:nodes\"");
  if (!asked.common_name.starts_with("system:node:"))
    return not_allowed("subject common name does not begin with system:node:");
  return {};
}

const Value& true_condition(const Object& request, std::string_view type) {
  static const Value kNone;
  for (const Value& one : request.status()["conditions"].items())
    if (one["type"].as_string() == type && one["status"].as_string() == "True") return one;
  return kNone;
}

class CertificateSigner : public kube::Reconciler {
 public:
  CertificateSigner(kube::Runtime& runtime, http::KeyPair ca)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        requests_(runtime.informer(signing_requests())),
        ca_(std::move(ca)) {}
  std::string_view name() const override { return "certificate-signing"; }

  Result<Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto request = requests_.find(key);
    if (!request) return Requeue::never();
    if (wants_signing(*request)) TRY(sign(*request));
    const Time end = removed_at(*request);
    if (end > clock_.now()) return Requeue::after(end - clock_.now());
    TRY(client_.remove(signing_requests(), key, {.uid = request->uid()}));
    return Requeue::never();
  }

 private:
  bool wants_signing(const Object& request) const {
    return !ca_.key_pem.reveal().empty() && !true_condition(request, "Approved").is_null() &&
           true_condition(request, "Denied").is_null() && true_condition(request, "Failed").is_null() &&
           request.status()["certificate"].as_string().empty();
  }

  static Time removed_at(const Object& request) {
    for (const char* type : {"Approved", "Denied", "Failed"}) {
      const Value& verdict = true_condition(request, type);
      if (verdict.is_null()) continue;
      const auto since = parse_time(verdict["lastUpdateTime"].as_string());
      return since.value_or(request.created().value_or(Time())) + kVerdictKept;
    }
    return request.created().value_or(Time()) + kPendingKept;
  }

  Result<void> sign(const Object& request) {
    const Value spec = request.spec();
    const auto allowed = check_signer_rules(spec);
    if (!allowed.ok() && allowed.error().code == ErrorCode::not_found) return {};
    Object changed = request;
    if (!allowed.ok()) {
      Value failed{{"type", "Failed"},
                   {"status", "True"},
                   {"reason", "SignerValidationFailure"},
                   {"message", allowed.error().message}};
      changed.edit({"status", "conditions"}).push_back(std::move(failed));
    } else {
      std::vector<std::string> usages;
      for (const Value& usage : spec["usages"].items()) usages.push_back(usage.str());
      const std::string pem = TRY(unbase64(spec["request"].as_string()));
      const Duration asked = std::chrono::seconds(spec["expirationSeconds"].as_int());
      const Duration valid_for = asked > Duration(0) ? std::min<Duration>(asked, kSignedForMax) : kSignedForMax;
      const std::string certificate = TRY(http::sign_request(ca_, pem, usages, clock_.now(), valid_for));
      changed.edit({"status"}).set("certificate", base64(certificate));
    }
    const auto written = client_.update_status(changed);
    if (!written.ok()) return written.error();
    return {};
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& requests_;
  const http::KeyPair ca_;
};

}  // namespace

Result<void> check_signer_rules(const Value& spec) {
  const std::string_view signer = spec["signerName"].as_string();
  const std::string pem = TRY(unbase64(spec["request"].as_string()));
  const auto asked = http::read_signing_request(pem);
  if (!asked.ok()) return not_allowed(asked.error().message);
  if (signer == "kubernetes.io/kube-apiserver-client") return check_usages(spec, "client auth", false);
  if (signer == "kubernetes.io/kube-apiserver-client-kubelet") {
    TRY(check_node_subject(*asked));
    if (!asked->dns_names.empty() || !asked->ip_addresses.empty() || !asked->emails.empty() || !asked->uris.empty())
      return not_allowed("DNS, IP, email and URI subjectAltNames are not allowed");
    return check_usages(spec, "client auth", true);
  }
  if (signer == "kubernetes.io/kubelet-serving") {
    TRY(check_node_subject(*asked));
    if (asked->dns_names.empty() && asked->ip_addresses.empty())
      return not_allowed("DNS or IP subjectAltName is required");
    if (!asked->emails.empty() || !asked->uris.empty())
      return not_allowed("email and URI subjectAltNames are not allowed");
    return check_usages(spec, "server auth", true);
  }
  if (signer == "kubernetes.io/legacy-unknown") return {};
  return Error{ErrorCode::not_found, "the signer " + std::string(signer) + " is somebody else's"};
}

void add_certificate_signing(kube::Runtime& runtime, http::KeyPair ca) {
  runtime.watch(signing_requests(), runtime.add(std::make_unique<CertificateSigner>(runtime, std::move(ca)), 1));
}

}  // namespace caisson::controllers
