// SPDX-License-Identifier: Apache-2.0
// The promise of a transparency log over an entry, offline.
#include <doctest/doctest.h>

#include "core/base/encoding.h"
#include "security/policy/transparency_log.h"

namespace caisson::policy {
namespace {

// Entry 14885625 of the public log, as its bundle has it.
constexpr const char* kPublicBundle =
    R"json({"SignedEntryTimestamp":"MEUCIQCFALeoiF8cs6zZjRCFRy//ZFujGalzoVg1ktPYFIhVqAIgI94xz+dCIVIjyAww1SUcDG22X4tjNGfbh4O4d+iSwsA=","Payload":{"body":"eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoiaGFzaGVkcmVrb3JkIiwic3BlYyI6eyJkYXRhIjp7Imhhc2giOnsiYWxnb3JpdGhtIjoic2hhMjU2IiwidmFsdWUiOiI1YTNjNGU1NTc0MWQxMjRiYjI2ODJjYTEwOTZjOGM3YTFmMjNiMWZmNmIyMDkxNjhiZWZkNTU1MGMzZmVjYjM0In19LCJzaWduYXR1cmUiOnsiY29udGVudCI6Ik1FUUNJRGc5a2p0K0hvRlJCa2xZSyt4SHlER1BLRTR3WmlORUc2Y2tuQmtiRWg1Y0FpQXM5TEU4N0ZZQys5a3NqV0dHWlA4SWJ2ZWx4ZmN5UGkzaFFpN3dHZjNvK2c9PSIsInB1YmxpY0tleSI6eyJjb250ZW50IjoiTFMwdExTMUNSVWRKVGlCUVZVSk1TVU1nUzBWWkxTMHRMUzBLVFVacmQwVjNXVWhMYjFwSmVtb3dRMEZSV1VsTGIxcEplbW93UkVGUlkwUlJaMEZGZWtsVGF5c3JORUpzVDBWd1pYUmFSM05vZGtGeVREUXJUVW9yVEFwVmVVZENUV2xOVUhVd2RsUnBUSGh1TURGd1RFbDBaVVZpWnpsM1QwdFBkM1JHY0ROeGRtSlJaR3RUY0dwcVl6aDVWMkV5ZFVWVlNXSjNQVDBLTFMwdExTMUZUa1FnVUZWQ1RFbERJRXRGV1MwdExTMHRDZz09In19fX0=","integratedTime":1678215719,"logIndex":14885625,"logID":"c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d"}})json";

}  // namespace

TEST_CASE("the public log's key is the one that its log id names, and its promise verifies") {
  const auto key = PublicKey::parse(kPublicRekorKey);
  REQUIRE(key.ok());
  CHECK(key->fingerprint() == "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d");
  auto entry = parse_rekor_bundle(kPublicBundle);
  REQUIRE_MESSAGE(entry.ok(), entry.error().message);
  CHECK(verify_promise(*entry, *key).ok());
  LogEntry changed = *entry;
  changed.integrated_time += 1;
  CHECK(!verify_promise(changed, *key).ok());
  changed = *entry;
  changed.log_id = std::string(64, '0');
  CHECK(!verify_promise(changed, *key).ok());
}

TEST_CASE("bundles that can't be read are refused by name") {
  CHECK(!parse_rekor_bundle("").ok());
  CHECK(!parse_rekor_bundle("{}").ok());
  CHECK(!parse_rekor_bundle(R"({"SignedEntryTimestamp":"%%%","Payload":{"body":"e30="}})").ok());
  const auto no_promise = parse_bundle_entry(Value{{"canonicalizedBody", "e30="}, {"logIndex", "1"}});
  REQUIRE(!no_promise.ok());
  CHECK(no_promise.error().message.find("inclusion promise") != std::string::npos);
}

TEST_CASE("an entry of an unknown kind, or of nothing at all, is of no signature") {
  const auto key = *PublicKey::parse(kPublicRekorKey);
  LogEntry entry;
  entry.body = base64(R"({"kind":"helm","spec":{}})");
  CHECK(!check_entry_is_of(entry, "payload", "signature", key).ok());
  entry.body = base64(R"({"kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"md5","value":""}}}})");
  CHECK(!check_entry_is_of(entry, "payload", "signature", key).ok());
  entry.body = "not base64!";
  CHECK(!check_entry_is_of(entry, "payload", "signature", key).ok());
}

}  // namespace caisson::policy
