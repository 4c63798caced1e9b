// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/certificate_signing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "cluster/apiserver/testing_test.h"
#include "cluster/kube/reconciler.h"
#include "core/base/encoding.h"
#include "core/http/openssl.h"
#include "core/http/signing.h"

using namespace caisson;
using namespace caisson::controllers;
using namespace std::chrono_literals;

namespace {

const kube::Resource kRequests{"certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests",
                               false};

// A PKCS#10 request in PEM; `names` as OpenSSL's configuration has them ("DNS:a,IP:1.2.3.4").
std::string request_pem(const std::string& common_name, const std::string& organization,
                        const std::string& names = "") {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509_REQ* request = X509_REQ_new();
  const auto add = [&](const char* field, const std::string& text) {
    if (!text.empty())
      X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), field, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(text.data()), -1, -1, 0);
  };
  add("O", organization);
  add("CN", common_name);
  if (!names.empty()) {
    STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
    sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str()));
    X509_REQ_add_extensions(request, extensions);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  }
  X509_REQ_set_pubkey(request, key);
  X509_REQ_sign(request, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509_REQ(bio, request);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  X509_REQ_free(request);
  EVP_PKEY_free(key);
  return pem;
}

Value spec_of(const std::string& signer, const std::string& pem, std::vector<std::string> usages) {
  return Value{{"signerName", signer}, {"request", base64(pem)}, {"usages", Value::list_of(usages)}};
}

const std::string kClient = "kubernetes.io/kube-apiserver-client";
const std::string kServing = "kubernetes.io/kubelet-serving";
const std::string kKubelet = "kubernetes.io/kube-apiserver-client-kubelet";

struct Signing : apiserver::TestServer {
  http::KeyPair ca = http::make_ca("signer", clock.now()).value();
  std::unique_ptr<kube::Client> controller = client("system:controller", {"system:masters"});
  kube::Runtime runtime{*controller, clock};

  Signing() {
    add_certificate_signing(runtime, ca);
    runtime.start();
  }
  void ask(const std::string& name, Value spec) {
    const auto made = admin->create(kube::Object(Value{{"apiVersion", "certificates.k8s.io/v1"},
                                                       {"kind", "CertificateSigningRequest"},
                                                       {"metadata", Value{{"name", name}}},
                                                       {"spec", std::move(spec)}}));
    REQUIRE_MESSAGE(made.ok(), apiserver::failure(made));
  }
  Result<kube::Object> decide(kube::Client& who, const std::string& name, const std::string& type) {
    kube::Object request = admin->get(kRequests, {"", name}).value();
    request.edit({"status", "conditions"}).push_back(Value{{"type", type}, {"status", "True"}, {"reason", "Test"}});
    kube::WriteOptions options;
    options.subresource = "approval";
    return who.update(request, options);
  }
  Value now(const std::string& name) { return admin->get(kRequests, {"", name}).value().status(); }
  // Once what was asked before has had its turn: the signer takes one request after the other.
  Value status(const std::string& name) {
    const std::string last = "last-" + std::to_string(++turns_);
    ask(last, spec_of(kClient, request_pem("last", ""), {"client auth"}));
    REQUIRE(decide(*admin, last, "Approved").ok());
    for (int i = 0; i < 2'000 && now(last)["certificate"].is_null(); ++i) std::this_thread::sleep_for(5ms);
    REQUIRE(!now(last)["certificate"].is_null());
    return now(name);
  }

 private:
  int turns_ = 0;
};

}  // namespace

TEST_CASE("an approved request is signed: subject, names, usages and time as asked") {
  Signing s;
  Value spec = spec_of(kClient, request_pem("ann", "dev", "DNS:ann.example.com"), {"client auth", "digital signature"});
  spec.set("expirationSeconds", 3600);
  s.ask("ann", spec);
  CHECK(s.status("ann")["certificate"].is_null());
  REQUIRE(s.decide(*s.admin, "ann", "Approved").ok());
  const Value status = s.status("ann");
  const std::string pem = unbase64(status["certificate"].as_string()).value();
  CHECK(status["conditions"][0]["lastUpdateTime"].is_string());
  CHECK(http::certificate_end(pem).value() == s.clock.now() + 3600s);
  CHECK(http::certificate_names(pem).value() == std::vector<std::string>{"ann.example.com"});
  auto chain = http::read_certificates(pem).value();
  X509* certificate = chain.front().get();
  CHECK(http::subject_entries(certificate, NID_commonName) == std::vector<std::string>{"ann"});
  CHECK(http::subject_entries(certificate, NID_organizationName) == std::vector<std::string>{"dev"});
  CHECK(X509_get_extended_key_usage(certificate) == XKU_SSL_CLIENT);
  CHECK(X509_get_key_usage(certificate) == KU_DIGITAL_SIGNATURE);
  auto issuer = http::read_certificates(s.ca.certificate_pem).value();
  CHECK(X509_verify(certificate, X509_get0_pubkey(issuer.front().get())) == 1);
}

TEST_CASE("what is denied, or of a signer of somebody else, is not signed") {
  Signing s;
  const std::string pem = request_pem("ann", "dev");
  s.ask("denied", spec_of(kClient, pem, {"client auth"}));
  s.ask("theirs", spec_of("example.com/signer", pem, {"client auth"}));
  REQUIRE(s.decide(*s.admin, "denied", "Denied").ok());
  REQUIRE(s.decide(*s.admin, "theirs", "Approved").ok());
  CHECK(s.status("denied")["certificate"].is_null());
  CHECK(s.status("theirs")["certificate"].is_null());
  CHECK(apiserver::failure(s.decide(*s.admin, "denied", "Approved")).find("mutually exclusive") != std::string::npos);
}

TEST_CASE("each signer has its rules, and a request against them fails") {
  struct Case {
    std::string signer, pem;
    std::vector<std::string> usages;
    const char* message;  // nullptr: may be signed
  };
  const std::string node = request_pem("system:node:n", "system:nodes"),
                    serving = request_pem("system:node:n", "system:nodes", "IP:10.0.0.1");
  for (const Case& c : std::initializer_list<Case>{
           {kClient, request_pem("ann", ""), {"client auth"}, nullptr},
           {kClient, request_pem("ann", ""), {"server auth"}, "\"client auth\" is required"},
           {kClient, request_pem("ann", ""), {"client auth", "cert sign"}, "\"cert sign\" is not allowed"},
           {kKubelet, node, {"client auth", "digital signature", "key encipherment"}, nullptr},
           {kKubelet, node, {"client auth"}, "\"digital signature\" is required"},
           {kKubelet, serving, {"client auth", "digital signature"}, "subjectAltNames are not allowed"},
           {kKubelet,
            request_pem("system:node:n", "dev"),
            {"client auth", "digital signature"},
            "organization in subject"},
           {kKubelet, request_pem("n", "system:nodes"), {"client auth", "digital signature"}, "system:node:"},
           {kServing, serving, {"server auth", "digital signature"}, nullptr},
           {kServing, node, {"server auth", "digital signature"}, "subjectAltName is required"},
           {kServing,
            request_pem("system:node:n", "system:nodes", "DNS:n,email:a@b"),
            {"server auth", "digital signature"},
            "email and URI"},
           {"kubernetes.io/legacy-unknown", request_pem("x", ""), {"any"}, nullptr},
           {kClient, "garbage", {"client auth"}, "certificate signing request"}}) {
    CAPTURE(c.signer);
    CAPTURE(c.usages[0]);
    const auto checked = check_signer_rules(spec_of(c.signer, c.pem, c.usages));
    CHECK(checked.ok() == (c.message == nullptr));
    if (c.message) CHECK(apiserver::failure(checked).find(c.message) != std::string::npos);
  }
  Signing s;
  s.ask("wrong", spec_of(kServing, node, {"server auth", "digital signature"}));
  REQUIRE(s.decide(*s.admin, "wrong", "Approved").ok());
  const Value status = s.status("wrong");
  CHECK_MESSAGE(status["conditions"][1]["reason"].str() == "SignerValidationFailure", json::write(status));
}

TEST_CASE("approving and signing need rights over the signer, and nobody asks for system:masters") {
  Signing s;
  s.ask("ann", spec_of(kClient, request_pem("ann", ""), {"client auth"}));
  s.create(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: csr}, rules: [{apiGroups: "
      "[certificates.k8s.io], "
      "resources: [certificatesigningrequests, certificatesigningrequests/approval, "
      "certificatesigningrequests/status], verbs: ['*']}]}");
  s.create(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: csr}, roleRef: {apiGroup: "
      "rbac.authorization.k8s.io, kind: ClusterRole, name: csr}, subjects: [{kind: User, name: bob}]}");
  const auto bob = s.client("bob");
  CHECK(apiserver::failure(s.decide(*bob, "ann", "Approved"))
            .find("user not permitted to approve requests with signerName \"" + kClient + "\"") != std::string::npos);
  kube::Object request = s.admin->get(kRequests, {"", "ann"}).value();
  request.edit({"status"}).set("certificate", base64("x"));
  CHECK(apiserver::failure(bob->update_status(request)).find("user not permitted to sign") != std::string::npos);
  s.create(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: approve}, rules: [{apiGroups: "
      "[certificates.k8s.io], "
      "resources: [signers], resourceNames: ['kubernetes.io/*'], verbs: [approve]}]}");
  s.create(
      "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: approve}, roleRef: "
      "{apiGroup: "
      "rbac.authorization.k8s.io, kind: ClusterRole, name: approve}, subjects: [{kind: User, name: bob}]}");
  CHECK(s.decide(*bob, "ann", "Approved").ok());
  const auto masters = s.admin->create(
      kube::Object(Value{{"apiVersion", "certificates.k8s.io/v1"},
                         {"kind", "CertificateSigningRequest"},
                         {"metadata", Value{{"name", "root"}}},
                         {"spec", spec_of(kClient, request_pem("root", "system:masters"), {"client auth"})}}));
  CHECK(apiserver::failure(masters).find("system:masters group is not allowed") != std::string::npos);
}

TEST_CASE("a verdict stays, and old requests go") {
  Signing s;
  s.ask("ann", spec_of("example.com/s", request_pem("ann", ""), {"client auth"}));
  REQUIRE(s.decide(*s.admin, "ann", "Approved").ok());
  kube::Object request = s.admin->get(kRequests, {"", "ann"}).value();
  request.edit({"status"}).erase("conditions");
  kube::WriteOptions approval;
  approval.subresource = "approval";
  CHECK(
      apiserver::failure(s.admin->update(request, approval)).find("may not remove a condition of type \"Approved\"") !=
      std::string::npos);
  REQUIRE(s.admin->update_status(request).ok());  // the status sub-resource keeps it
  CHECK(s.status("ann")["conditions"][0]["type"].str() == "Approved");
  s.clock.advance(2h);
  (void)s.runtime.wait_idle(1s);
  for (int i = 0; i < 300 && s.admin->get(kRequests, {"", "ann"}).ok(); ++i) std::this_thread::sleep_for(10ms);
  CHECK(s.admin->get(kRequests, {"", "ann"}).error().code == ErrorCode::not_found);
}
