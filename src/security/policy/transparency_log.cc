// SPDX-License-Identifier: Apache-2.0
#include "security/policy/transparency_log.h"

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::policy {

// Log id c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d, the sha256 of this key.
const char* const kPublicRekorKey =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwr\n"
    "kBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==\n"
    "-----END PUBLIC KEY-----\n";

namespace {

Error bad(std::string why) {
  return {ErrorCode::bad_request, "transparency log: " + std::move(why)};
}
Error refused(std::string why) {
  return {ErrorCode::unauthorized, "transparency log: " + std::move(why)};
}

std::int64_t number_of(const Value& value) {  // proto3 JSON writes 64-bit numbers as strings
  return value.is_string() ? parse_int(value.as_string()).value_or(0) : value.as_int();
}

// What an entry says was signed, by whom; of several signers any one.
struct Claim {
  std::string payload_sha256, envelope_payload;
  std::vector<std::pair<std::string, std::string>> signatures;  // raw signature (empty: not said), PEM of the signer
};

Result<std::string> decoded(const Value& text) {
  return unbase64(text.as_string());
}

Result<Claim> claim_of(const Value& body) {
  const std::string_view kind = body["kind"].as_string();
  const Value& spec = body["spec"];
  Claim claim;
  if (kind == "hashedrekord") {
    if (spec["data"]["hash"]["algorithm"].as_string() != "sha256") return bad("the entry's hash is not sha256");
    claim.payload_sha256 = spec["data"]["hash"]["value"].str();
    std::string signature = TRY(decoded(spec["signature"]["content"]));
    std::string key = TRY(decoded(spec["signature"]["publicKey"]["content"]));
    claim.signatures.emplace_back(std::move(signature), std::move(key));
    return claim;
  }
  if (kind == "dsse") {
    claim.payload_sha256 = spec["payloadHash"]["value"].str();
    for (const Value& one : spec["signatures"].items()) {
      std::string signature = TRY(decoded(one["signature"]));
      std::string key = TRY(decoded(one["verifier"]));
      claim.signatures.emplace_back(std::move(signature), std::move(key));
    }
    return claim;
  }
  if (kind == "intoto") {
    claim.payload_sha256 = spec["content"]["payloadHash"]["value"].str();
    if (spec.contains("publicKey")) {
      std::string key = TRY(decoded(spec["publicKey"]));
      claim.signatures.emplace_back("", std::move(key));
    }
    for (const Value& one : spec["content"]["envelope"]["signatures"].items()) {
      // Here the signature is in base64 twice.
      const std::string once = TRY(decoded(one["sig"]));
      std::string signature = TRY(unbase64(once));
      std::string key = TRY(decoded(one["publicKey"]));
      claim.signatures.emplace_back(std::move(signature), std::move(key));
    }
    return claim;
  }
  return bad("entries of kind \"" + std::string(kind) + "\" are not known");
}

}  // namespace

Result<LogEntry> parse_rekor_bundle(std::string_view text) {
  const Value bundle = TRY(json::parse(text, {.depth_max = 20, .size_bytes_max = 1u << 20}).in("transparency log"));
  const Value& payload = bundle["Payload"];
  LogEntry entry;
  entry.body = payload["body"].str();
  entry.log_id = payload["logID"].str();
  entry.integrated_time = payload["integratedTime"].as_int();
  entry.log_index = payload["logIndex"].as_int();
  entry.promise = TRY(decoded(bundle["SignedEntryTimestamp"]));
  if (entry.body.empty() || entry.promise.empty()) return bad("the bundle has no entry");
  return entry;
}

Result<LogEntry> parse_bundle_entry(const Value& given) {
  LogEntry entry;
  entry.body = given["canonicalizedBody"].str();
  const std::string id = TRY(decoded(given["logId"]["keyId"]));
  entry.log_id = hex(id);
  entry.integrated_time = number_of(given["integratedTime"]);
  entry.log_index = number_of(given["logIndex"]);
  entry.promise = TRY(decoded(given["inclusionPromise"]["signedEntryTimestamp"]));
  if (entry.body.empty()) return bad("the bundle has no entry");
  if (entry.promise.empty()) return bad("the entry has no inclusion promise, and proofs of inclusion are not checked");
  return entry;
}

Result<void> verify_promise(const LogEntry& entry, const PublicKey& log_key) {
  if (entry.log_id != log_key.fingerprint()) return refused("the entry is of another log");
  std::string signed_text = "{\"body\":";
  json::append_string(signed_text, entry.body);
  signed_text += ",\"integratedTime\":" + std::to_string(entry.integrated_time) + ",\"logID\":";
  json::append_string(signed_text, entry.log_id);
  signed_text += ",\"logIndex\":" + std::to_string(entry.log_index) + "}";
  if (!log_key.verifies(signed_text, entry.promise)) return refused("the log's promise does not verify");
  return {};
}

Result<void> check_entry_is_of(const LogEntry& entry, std::string_view payload, std::string_view signature,
                               const PublicKey& signer) {
  const std::string text = TRY(unbase64(entry.body));
  const Value body = TRY(json::parse(text, {.depth_max = 50, .size_bytes_max = 4u << 20}).in("transparency log"));
  const Claim claim = TRY(claim_of(body));
  if (claim.payload_sha256 != sha256_hex(payload)) return refused("the entry is of another payload");
  for (const auto& [known, pem] : claim.signatures) {
    const auto key = PublicKey::parse(pem);
    if (!key.ok() || key->fingerprint() != signer.fingerprint()) continue;
    if (known.empty() || known == signature) return {};
  }
  return refused("the entry is of another signature or signer");
}

}  // namespace caisson::policy
