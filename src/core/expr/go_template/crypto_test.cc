// SPDX-License-Identifier: Apache-2.0
// What differs at each call is tested by what must hold of it.
#include <doctest/doctest.h>

#include <set>

#include "core/base/encoding.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/semver.h"
#include "core/expr/go_template/sprig/bcrypt.h"
#include "core/expr/go_template/sprig/certificates.h"
#include "core/expr/go_template/sprig/decimal.h"
#include "core/expr/go_template/url.h"

using namespace caisson;
using namespace caisson::go_template;

namespace {

std::string render(std::string_view text) {
  Set set("gotpl", {sprig_functions(), go_functions()});
  REQUIRE(set.parse("t", text).ok());
  Execution execution(set, {});
  const auto out = execution.run("t", Datum());
  return out.ok() ? *out : out.error().message;
}

}  // namespace

TEST_CASE("bcrypt gives what OpenBSD's gives") {
  // Vectors of the jBCrypt test suite: cost 6, 8.
  const std::string first_salt = *unhex("144b3d691a7b4ecf39cf735c7fa7a79c");
  CHECK(*sprig::bcrypt_hash("", first_salt, 6) == "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.");
  const std::string second_salt = *unhex("26c63033c04f8bcba2fe24b574db6274");
  CHECK(*sprig::bcrypt_hash("", second_salt, 8) == "$2a$08$HqWuK6/Ng6sg9gQzbLrgb.Tl.ZHfXLhvt/SgVyWhQqgqcZ7ZuUtye");
  CHECK(sprig::bcrypt_hash(std::string(73, 'x'), first_salt, 4).error().message ==
        "bcrypt: password length exceeds 72 bytes");
}

TEST_CASE("what is encrypted is decrypted") {
  for (const std::string_view text : {"x", "sixteen bytes ok", "longer than one block of the cipher"}) {
    const std::string program = "{{ encryptAES \"key\" \"" + std::string(text) + "\" | decryptAES \"key\" }}";
    CHECK(render(program) == text);
  }
}

TEST_CASE("random texts have the length and the characters that are asked for") {
  CHECK(render("{{ regexMatch \"^[0-9A-Za-z]{32}$\" (randAlphaNum 32) }}") == "true");
  CHECK(render("{{ regexMatch \"^[A-Za-z]{32}$\" (randAlpha 32) }}") == "true");
  CHECK(render("{{ regexMatch \"^[0-9]{32}$\" (randNumeric 32) }}") == "true");
  CHECK(render("{{ regexMatch \"^[ -~]{32}$\" (randAscii 32) }}") == "true");
  CHECK(render("{{ regexMatch \"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$\" uuidv4 }}") ==
        "true");
  CHECK(render("{{ shuffle \"abcd\" | splitList \"\" | sortAlpha | join \"\" }}") == "abcd");
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) seen.insert(render("{{ randInt 3 6 }}"));
  CHECK(seen == std::set<std::string>{"3", "4", "5"});
}

TEST_CASE("certificates are signed by their authority") {
  using namespace caisson::go_template::sprig;
  const PrivateKey authority_key = *PrivateKey::generate("ecdsa", 0);
  const PrivateKey key = *PrivateKey::generate("ed25519", 0);
  CertificateRequest request;
  request.common_name = "ca, with a comma";
  request.days_valid = 10;
  request.is_authority = true;
  const auto authority = self_signed(request, authority_key);
  REQUIRE(authority.ok());
  request = {.common_name = "svc", .addresses = {"10.0.0.1", "::1"}, .names = {"a.b,DNS:evil"}, .days_valid = 1};
  const auto leaf = signed_by(request, key, *authority);
  REQUIRE(leaf.ok());
  CHECK(check_certificate(leaf->certificate).ok());
  CHECK(leaf->key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  CHECK(authority->key.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
  CHECK(PrivateKey::parse(authority->key).ok());
  CHECK(PrivateKey::parse("x").error().message == "no PEM data in input");
  CHECK(PrivateKey::parse(authority->certificate).error().message ==
        "no private key data in PEM block of type CERTIFICATE");
  CHECK(signed_by(request, key, {"", ""}).error().message == "unable to decode certificate");
}

TEST_CASE("decimal arithmetic has no binary rounding") {
  using sprig::Decimal;
  CHECK(Decimal::from(0.1)->add(*Decimal::from(0.2)).to_double() == 0.3);
  CHECK(Decimal::from(1.1)->multiply(*Decimal::from(1.1)).to_double() == 1.21);
  CHECK(Decimal::from(-1)->divide(*Decimal::from(3))->to_double() == -0.3333333333333333);
  CHECK(Decimal::from(1e300)->multiply(*Decimal::from(1e-300)).to_double() == 1);
  CHECK(Decimal::from(1)->divide(*Decimal::from(0)).error().message == "decimal division by 0");
}

TEST_CASE("a URL is written as it was read") {
  for (const std::string_view text : {"https://u:p%20w@h:80/a%2Fb/c?q=1#f", "mailto:a@b", "/x?y", "http://[::1]:80/",
                                      "a/b", "file:///x", "http://h", "//h/p", "http://h/?", "x:/p"}) {
    CHECK(Url::parse(text)->str() == text);
  }
}
