// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/version.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "artifact/scan/cvss.h"

namespace caisson::scan {
namespace {

// The list ascends.
struct Order {
  VersionScheme scheme;
  std::vector<std::string> versions;
};

void check_order(const Order& order) {
  for (std::size_t i = 0; i < order.versions.size(); ++i) {
    for (std::size_t j = 0; j < order.versions.size(); ++j) {
      const int got = compare_versions(order.scheme, order.versions[i], order.versions[j]);
      const int want = i < j ? -1 : i > j ? 1 : 0;
      CHECK_MESSAGE(got == want, order.versions[i] << " and " << order.versions[j] << ": " << got);
    }
  }
}

TEST_CASE("dpkg: tilde before the end, epochs first, revisions last") {
  check_order({VersionScheme::dpkg,
               {"1.0~beta1~svn1245", "1.0~beta1", "1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1",
                "1.0-1+deb12u2", "1.0-2", "1.0-10", "1.0a-1", "1.0+dfsg-1", "1.2.3-1", "1.10-1", "1:0.5-1", "2:0.1"}});
  CHECK(compare_dpkg("1.0", "0:1.0-0") == 0);
  CHECK(compare_dpkg("2.36-9+deb12u7", "2.36-9+deb12u10") < 0);
}

TEST_CASE("apk: suffixes before and after, revisions last") {
  check_order(
      {VersionScheme::apk,
       {"1.0_alpha1", "1.0_alpha2", "1.0_beta", "1.0_pre", "1.0_rc1", "1.0", "1.0-r1", "1.0-r10", "1.0_git20230101",
        "1.0_p1", "1.0_p1-r2", "1.0a", "1.0b", "1.0.1", "1.01.1", "1.1", "1.2.3", "1.10.0", "2.0_rc1"}});
}

TEST_CASE("rpm: tilde, caret, and numbers above letters") {
  check_order({VersionScheme::rpm,
               {"1.0~rc1-1", "1.0-1", "1.0^git1-1", "1.0.a-1", "1.0.1-1", "1.0.2-1.el9", "1.1-1", "1:0.1-1"}});
  CHECK(compare_rpm("5.1.8-6.el9", "5.1.8") == 0);
}

TEST_CASE("semver: pre-releases first, numbers by value, build data of no account") {
  check_order({VersionScheme::semver,
               {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
                "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-0", "2.0.0"}});
  CHECK(compare_semver("v1.2.3+incompatible", "1.2.3") == 0);
  CHECK(compare_semver("go1.22.1", "1.22.1") == 0);
  CHECK(compare_semver("0.0.0-20210101000000-abcdefabcdef", "0.0.0-20220101000000-000000000000") < 0);
  CHECK(compare_semver("1.22", "1.22.0") == 0);
}

TEST_CASE("PEP 440: dev, pre, post, local, epochs") {
  check_order({VersionScheme::pep440, {"1.0.dev456",    "1.0a1",         "1.0a2.dev456", "1.0a12.dev456",
                                       "1.0a12",        "1.0b1.dev456",  "1.0b2",        "1.0b2.post345.dev456",
                                       "1.0b2.post345", "1.0rc1.dev456", "1.0rc1",       "1.0",
                                       "1.0+abc.5",     "1.0+abc.7",     "1.0+5",        "1.0.post456.dev34",
                                       "1.0.post456",   "1.0.15",        "1.1.dev1",     "1!0.1"}});
  CHECK(compare_pep440("1.0-1", "1.0.post1") == 0);
  CHECK(compare_pep440("v1.0.ALPHA-1", "1a1") == 0);
}

TEST_CASE("Maven: qualifiers by rank, nulls trimmed, dashes and dots") {
  check_order({VersionScheme::maven,
               {"1-alpha-1", "1-beta-1", "1-milestone-1", "1-rc-1", "1-SNAPSHOT", "1", "1-sp", "1-sp-1", "1-abc", "1-1",
                "1.1", "1.2-rc1", "1.2", "1.2.1", "1.10"}});
  CHECK(compare_maven("1.0.0", "1") == 0);
  CHECK(compare_maven("1.ga", "1") == 0);
  CHECK(compare_maven("1.0-final", "1") == 0);
  CHECK(compare_maven("1-a1", "1-alpha-1") == 0);
  CHECK(compare_maven("2.9.10.8", "2.9.10.6") > 0);
  CHECK(compare_maven("2.13.4.2", "2.13.4") > 0);
}

TEST_CASE("any text has a place in the order") {
  for (const VersionScheme scheme : {VersionScheme::dpkg, VersionScheme::apk, VersionScheme::rpm, VersionScheme::semver,
                                     VersionScheme::pep440, VersionScheme::maven}) {
    for (const char* odd : {"", "-", "..", "::", "~", "^", "1:", "_", "+", "!", "a-b-c-", "1.0.0.0.0.0.0.0",
                            "99999999999999999999999999999999"}) {
      CHECK(compare_versions(scheme, odd, odd) == 0);
      CHECK(compare_versions(scheme, odd, "1.0") == -compare_versions(scheme, "1.0", odd));
    }
  }
}

TEST_CASE("CVSS: base scores as the specification's examples have them") {
  const auto score = [](const char* vector) {
    const Result<double> out = cvss_base_score(vector);
    REQUIRE_MESSAGE(out.ok(), (out.ok() ? "" : out.error().message));
    return *out;
  };
  CHECK(score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H") == doctest::Approx(9.8));
  CHECK(score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H") == doctest::Approx(10.0));
  CHECK(score("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N") == doctest::Approx(6.1));
  CHECK(score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N") == doctest::Approx(6.4));
  CHECK(score("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H") == doctest::Approx(7.8));
  CHECK(score("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N") == doctest::Approx(0.0));
  CHECK(score("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H/E:P/RL:O") == doctest::Approx(5.9));
  CHECK(score("AV:N/AC:L/Au:N/C:C/I:C/A:C") == doctest::Approx(10.0));
  CHECK(score("AV:N/AC:M/Au:N/C:P/I:P/A:P") == doctest::Approx(6.8));
  CHECK_FALSE(cvss_base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H").ok());
  CHECK_FALSE(cvss_base_score("CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H").ok());
  CHECK(cvss_base_score("CVSS:4.0/AV:N/AC:L/AT:N").error().message.find("4.0") != std::string::npos);
  CHECK(severity_of_score(9.0) == Severity::critical);
  CHECK(severity_of_score(8.9) == Severity::high);
  CHECK(severity_of_score(0) == Severity::none);
}

}  // namespace
}  // namespace caisson::scan
