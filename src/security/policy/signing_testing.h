// SPDX-License-Identifier: Apache-2.0
// What tests sign with: keys, certificates as Fulcio gives them, log entries as Rekor promises them, and a registry in
// memory. In cosign's formats, made with OpenSSL.
#pragma once
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/document/json.h"
#include "security/policy/image_source.h"
#include "security/policy/signatures.h"

namespace caisson::policy {

inline std::string pem_of(const std::function<void(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return out;
}

struct TestKey {
  std::shared_ptr<EVP_PKEY> key{EVP_EC_gen("P-256"), EVP_PKEY_free};

  std::string pem() const {
    return pem_of([&](BIO* bio) { PEM_write_bio_PUBKEY(bio, key.get()); });
  }
  std::string sign(std::string_view message) const {
    const std::shared_ptr<EVP_MD_CTX> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::size_t size = 256;
    std::string out(size, '\0');
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get());
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                   reinterpret_cast<const unsigned char*>(message.data()), message.size());
    out.resize(size);
    return out;
  }
};

// A certificate authority, and the short-lived certificates that it gives to identities.
struct TestAuthority {
  TestKey key;
  std::shared_ptr<X509> root = make("CN=test root", key.key.get(), nullptr, nullptr, {}, 0, 1'000'000);

  static std::shared_ptr<X509> make(const char* name, EVP_PKEY* subject_key, X509* issuer, EVP_PKEY* signer,
                                    const std::vector<std::pair<std::string, std::string>>& extensions,
                                    std::int64_t from, std::int64_t seconds) {
    std::shared_ptr<X509> out(X509_new(), X509_free);
    X509_set_version(out.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(out.get()), static_cast<long>(from + 1));
    ASN1_TIME_set(X509_getm_notBefore(out.get()), static_cast<time_t>(1'699'999'000 + from));
    ASN1_TIME_set(X509_getm_notAfter(out.get()), static_cast<time_t>(1'699'999'000 + from + seconds));
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(out.get(), X509_get_subject_name(issuer == nullptr ? out.get() : issuer));
    X509_set_pubkey(out.get(), subject_key);
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer == nullptr ? out.get() : issuer, out.get(), nullptr, nullptr, 0);
    const auto add = [&](const char* id, const char* value) {
      X509_EXTENSION* extension = X509V3_EXT_conf(nullptr, &context, id, value);
      X509_add_ext(out.get(), extension, -1);
      X509_EXTENSION_free(extension);
    };
    if (issuer == nullptr) add("basicConstraints", "critical,CA:TRUE");
    for (const auto& [id, value] : extensions) add(id.c_str(), value.c_str());
    X509_sign(out.get(), signer == nullptr ? subject_key : signer, EVP_sha256());
    return out;
  }
  // Valid from `from` seconds after 2023-11-14T21:56:40Z for ten minutes.
  std::string give(const TestKey& to, const std::string& subject, const std::string& issuer, std::int64_t from = 0,
                   const std::string& usage = "codeSigning") const {
    return pem(*make("signer", to.key.get(), root.get(), key.key.get(),
                     {{"extendedKeyUsage", usage},
                      {"subjectAltName", "email:" + subject},
                      {"1.3.6.1.4.1.57264.1.1", "DER:" + hex(issuer)},
                      {"1.3.6.1.4.1.57264.1.5", "DER:" + hex("org/app")}},
                     from, 600));
  }
  static std::string pem(X509& certificate) {
    return pem_of([&](BIO* bio) { PEM_write_bio_X509(bio, &certificate); });
  }
  std::string root_pem() const { return pem(*root); }
};

// A transparency log: dev.sigstore.cosign/bundle for a signature.
struct TestLog {
  TestKey key;

  std::string entry(const std::string& payload, const std::string& signature, const std::string& signer_pem,
                    std::int64_t time) const {
    const Value body{
        {"apiVersion", "0.0.1"},
        {"kind", "hashedrekord"},
        {"spec", Value{{"data", Value{{"hash", Value{{"algorithm", "sha256"}, {"value", sha256_hex(payload)}}}}},
                       {"signature", Value{{"content", base64(signature)},
                                           {"publicKey", Value{{"content", base64(signer_pem)}}}}}}}};
    return promise(base64(json::write(body)), time);
  }
  std::string promise(const std::string& body, std::int64_t time) const {
    const std::string id = PublicKey::parse(key.pem())->fingerprint();
    const std::string text = "{\"body\":\"" + body + "\",\"integratedTime\":" + std::to_string(time) + ",\"logID\":\"" +
                             id + "\",\"logIndex\":7}";
    return json::write(
        Value{{"SignedEntryTimestamp", base64(key.sign(text))},
              {"Payload", Value{{"body", body}, {"integratedTime", time}, {"logIndex", 7}, {"logID", id}}}});
  }
};

// Images and what is signed of them, in memory.
class TestRegistry final : public ImageSource {
 public:
  static constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";

  std::string put_blob(const std::string& bytes) {
    const std::string digest = "sha256:" + sha256_hex(bytes);
    blobs_[digest] = bytes;
    return digest;
  }
  std::string put_manifest(const std::string& repository, const std::string& tag, const Value& manifest) {
    const std::string bytes = json::write(manifest);
    const std::string digest = "sha256:" + sha256_hex(bytes);
    manifests_[repository + "@" + digest] = bytes;
    if (!tag.empty()) manifests_[repository + "@" + tag] = bytes;
    return digest;
  }
  // An image of one small configuration; gives its digest.
  std::string put_image(const std::string& repository, const std::string& tag, const std::string& what = "{}") {
    return put_manifest(repository, tag,
                        Value{{"schemaVersion", 2},
                              {"mediaType", kManifestType},
                              {"config", Value{{"digest", put_blob(what)}, {"size", what.size()}}},
                              {"layers", Value(std::vector<Value>{Value{{"size", 1000}}})}});
  }
  void put_layers(const std::string& repository, const std::string& tag, std::vector<Value> layers) {
    put_manifest(repository, tag, Value{{"schemaVersion", 2}, {"layers", Value(std::move(layers))}});
  }
  void put_referrer(const std::string& repository, const std::string& subject, const std::string& type,
                    std::vector<Value> layers) {
    const std::string digest =
        put_manifest(repository, "", Value{{"artifactType", type}, {"layers", Value(std::move(layers))}});
    referrers_[subject].push_back({digest, type});
  }

  Result<FetchedManifest> manifest(const std::string& repository, const std::string& reference) const override {
    ++asked;
    if (is_away) return Error{ErrorCode::unavailable, "no connection"};
    const auto found = manifests_.find(repository + "@" + reference);
    if (found == manifests_.end()) return Error{ErrorCode::not_found, "manifest unknown: " + reference};
    return FetchedManifest{"sha256:" + sha256_hex(found->second), kManifestType, found->second};
  }
  Result<std::string> blob(const std::string&, const std::string& digest, std::size_t) const override {
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) return Error{ErrorCode::not_found, "blob unknown"};
    return found->second;
  }
  Result<std::vector<ImageReferrer>> referrers(const std::string&, const std::string& digest) const override {
    const auto found = referrers_.find(digest);
    return found == referrers_.end() ? std::vector<ImageReferrer>{} : found->second;
  }
  bool is_away = false;
  mutable int asked = 0;

 private:
  std::map<std::string, std::string> manifests_, blobs_;
  std::map<std::string, std::vector<ImageReferrer>> referrers_;
};

inline std::string signature_tag(const std::string& digest, const char* suffix = ".sig") {
  return "sha256-" + digest.substr(7) + suffix;
}

// A layer of cosign's signature manifest.
struct SigningOptions {
  Value annotations;               // of the simple signing document
  std::string certificate, chain;  // PEM
  const TestLog* log = nullptr;
  std::int64_t time = 1'700'000'000;
};
inline Value sign_image(TestRegistry& registry, const TestKey& key, const std::string& digest,
                        const SigningOptions& options = {}) {
  const Value document{{"critical", Value{{"identity", Value{{"docker-reference", "example.com/app"}}},
                                          {"image", Value{{"docker-manifest-digest", digest}}},
                                          {"type", "cosign container image signature"}}},
                       {"optional", options.annotations}};
  const std::string payload = json::write(document), signature = key.sign(payload);
  Value annotations{{"dev.cosignproject.cosign/signature", base64(signature)}};
  if (!options.certificate.empty()) annotations.set("dev.sigstore.cosign/certificate", options.certificate);
  if (!options.chain.empty()) annotations.set("dev.sigstore.cosign/chain", options.chain);
  const std::string signer = options.certificate.empty() ? key.pem() : options.certificate;
  if (options.log != nullptr)
    annotations.set("dev.sigstore.cosign/bundle", options.log->entry(payload, signature, signer, options.time));
  return Value{{"mediaType", "application/vnd.dev.cosign.simplesigning.v1+json"},
               {"digest", registry.put_blob(payload)},
               {"annotations", annotations}};
}

inline Value statement_of(const std::string& digest, const std::string& type, const Value& predicate) {
  return Value{
      {"_type", "https://in-toto.io/Statement/v0.1"},
      {"predicateType", type},
      {"subject",
       Value(std::vector<Value>{Value{{"name", "example.com/app"}, {"digest", Value{{"sha256", digest.substr(7)}}}}})},
      {"predicate", predicate}};
}
inline Value envelope_of(const TestKey& key, const Value& statement) {
  const std::string payload = json::write(statement), type = "application/vnd.in-toto+json";
  return Value{
      {"payloadType", type},
      {"payload", base64(payload)},
      {"signatures",
       Value(std::vector<Value>{Value{{"keyid", ""}, {"sig", base64(key.sign(dsse_message(type, payload)))}}})}};
}
inline Value attest_image(TestRegistry& registry, const TestKey& key, const Value& statement) {
  return Value{{"mediaType", "application/vnd.dsse.envelope.v1+json"},
               {"digest", registry.put_blob(json::write(envelope_of(key, statement)))},
               {"annotations", Value{{"predicateType", statement["predicateType"]}}}};
}

}  // namespace caisson::policy
