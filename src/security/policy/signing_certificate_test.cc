// SPDX-License-Identifier: Apache-2.0
// Certificates of signers: embedded timestamps of a certificate log, chains, what can't be read.
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "security/policy/signing_certificate.h"

namespace caisson::policy {
namespace {

std::string testdata(const std::string& name) {
  auto text = read_file(test_room_dir() + "/testdata/" + name);
  REQUIRE(text.ok());
  return std::move(text).value();
}
Certificate certificate(const std::string& name) {
  auto all = Certificate::parse_all(testdata(name));
  REQUIRE(all.ok());
  return all->front();
}

const Time kThen = *parse_time("2026-06-01T00:00:00Z");

}  // namespace

TEST_CASE("a certificate's embedded timestamp verifies with its log's key and no other") {
  const Certificate issuer = certificate("issuer.pem"), leaf = certificate("timestamped.pem");
  const auto verified = verify_embedded_timestamp(leaf, issuer, testdata("certificate-log.pub"), kThen);
  CHECK_MESSAGE(verified.ok(), (verified.ok() ? "" : verified.error().message));
  CHECK(!verify_embedded_timestamp(leaf, issuer, testdata("other-log.pub"), kThen).ok());
  CHECK(!verify_embedded_timestamp(leaf, leaf, testdata("certificate-log.pub"), kThen).ok());
  CHECK(!verify_embedded_timestamp(certificate("plain.pem"), issuer, testdata("certificate-log.pub"), kThen).ok());
  CHECK(!verify_embedded_timestamp(leaf, issuer, "no key", kThen).ok());
}

TEST_CASE("a chain leads to its root at a time within it") {
  const Certificate issuer = certificate("issuer.pem"), leaf = certificate("plain.pem");
  CHECK(verify_chain(leaf, {}, {issuer}, kThen).ok());
  CHECK(!verify_chain(leaf, {}, {issuer}, *parse_time("2040-01-01T00:00:00Z")).ok());
  CHECK(!verify_chain(leaf, {}, {certificate("timestamped.pem")}, kThen).ok());
  CHECK(!verify_chain(leaf, {issuer}, {}, kThen).ok());
  // One that names no use is for any, as Go's x509 has it.
  CHECK(verify_chain(issuer, {}, {issuer}, kThen).ok());
}

TEST_CASE("what is no certificate is refused") {
  CHECK(!Certificate::parse_all("").ok());
  CHECK(!Certificate::parse_all("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").ok());
  CHECK(!Certificate::parse_der("\x30\x82").ok());
  const Certificate leaf = certificate("plain.pem");
  CHECK(leaf.subjects() == std::vector<std::string>{"dev@example.com"});
  CHECK(leaf.issuer().empty());
  CHECK(leaf.is_valid_at(kThen));
  CHECK(!leaf.is_self_signed());
}

}  // namespace caisson::policy
