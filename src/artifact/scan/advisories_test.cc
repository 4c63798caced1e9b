// SPDX-License-Identifier: Apache-2.0
// Advisories in, findings out, and how they are told.
#include <doctest/doctest.h>

#include "artifact/content/blob_store.h"
#include "artifact/scan/advisory_store.h"
#include "artifact/scan/bundle.h"
#include "artifact/scan/match.h"
#include "artifact/scan/report.h"
#include "artifact/scan/report_objects.h"
#include "core/base/file.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

struct Fixture {
  TempDir dir = TempDir::make("caisson-scan-test").value();
  AdvisoryStore store = AdvisoryStore::open(dir.path() + "/advisories.db").value();

  ImportResult import(const char* text) {
    Result<ImportResult> out = store.import_documents({{"test", json::parse(text).value()}});
    REQUIRE_MESSAGE(out.ok(), (out.ok() ? "" : out.error().message));
    return std::move(out).value();
  }
  std::vector<Finding> find(const Inventory& inventory) { return find_vulnerabilities(inventory, store).value(); }
};

Inventory debian_with(const std::string& name, const std::string& version, const std::string& source = "") {
  Inventory out;
  out.os = {"debian", "12", ""};
  Package package;
  package.ecosystem = "Debian";
  package.name = name;
  package.version = version;
  package.source_name = source;
  out.packages = {package};
  return out;
}

Inventory with(const std::string& ecosystem, const std::string& name, const std::string& version) {
  Inventory out;
  Package package;
  package.ecosystem = ecosystem;
  package.name = name;
  package.version = version;
  out.packages = {package};
  return out;
}

constexpr const char* kTracker = R"({"openssl": {
  "CVE-2026-0001": {"description": "bad things", "releases": {
    "bookworm": {"status": "resolved", "fixed_version": "3.0.11-1~deb12u2", "urgency": "not yet assigned"},
    "trixie": {"status": "open", "urgency": "low"}}},
  "CVE-2026-0002": {"releases": {"bookworm": {"status": "open", "urgency": "unimportant"}}},
  "CVE-2026-0003": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "0", "urgency": "high"}}},
  "CVE-2026-0004": {"releases": {"bookworm": {"status": "undetermined", "urgency": "high"}}}}})";

constexpr const char* kOsv =
    R"({"id": "GHSA-aaaa", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-0001"], "summary": "told by somebody",
  "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
  "affected": [{"package": {"ecosystem": "npm", "name": "kit"}, "ranges": [{"type": "SEMVER", "events": [
    {"introduced": "1.0.0"}, {"fixed": "1.2.0"}, {"introduced": "2.0.0"}, {"fixed": "2.4.1"}]}]}]})";

TEST_CASE_FIXTURE(Fixture, "Debian's tracker: source packages, open, not affected, undetermined") {
  CHECK(import(kTracker).added == 2);
  const auto findings = find(debian_with("libssl3", "3.0.11-1~deb12u1", "openssl"));
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].id == "CVE-2026-0002");
  CHECK(findings[0].severity == Severity::low);
  CHECK(findings[0].fixed_version.empty());
  CHECK(findings[1].id == "CVE-2026-0001");
  CHECK(findings[1].fixed_version == "3.0.11-1~deb12u2");
  CHECK(find(debian_with("libssl3", "3.0.11-1~deb12u2", "openssl")).size() == 1);
  CHECK(find(debian_with("openssl-helper", "3.0.11-1~deb12u1")).empty());
}

TEST_CASE_FIXTURE(Fixture, "what another source says of a CVE's severity counts where the distribution says none") {
  import(kTracker);
  import(kOsv);
  const auto findings = find(debian_with("libssl3", "3.0.11-1~deb12u1", "openssl"));
  CHECK(findings[0].id == "CVE-2026-0001");
  CHECK(findings[0].severity == Severity::critical);
  CHECK(findings[0].score == 9.8);
}

TEST_CASE_FIXTURE(Fixture, "OSV: several ranges, and the fix of the right one") {
  import(kOsv);
  CHECK(find(with("npm", "kit", "0.9.0")).empty());
  REQUIRE(find(with("npm", "kit", "1.1.0")).size() == 1);
  CHECK(find(with("npm", "kit", "1.1.0"))[0].fixed_version == "1.2.0");
  CHECK(find(with("npm", "kit", "1.2.0")).empty());
  CHECK(find(with("npm", "kit", "2.4.0"))[0].fixed_version == "2.4.1");
  CHECK(find(with("npm", "kit", "2.4.0"))[0].id == "CVE-2026-0001");
  CHECK(find(with("npm", "kit", "2.4.1")).empty());
  CHECK(find(with("PyPI", "kit", "1.1.0")).empty());
}

TEST_CASE_FIXTURE(Fixture, "OSV: listed versions, last affected, names without case at PyPI") {
  import(R"([{"id": "P-1", "affected": [{"package": {"ecosystem": "PyPI", "name": "Kit"}, "versions": ["1.0", "1.1"],
      "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}]},
    {"id": "M-1", "affected": [{"package": {"ecosystem": "Maven", "name": "a:b"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "1.9"}]}]}]}])");
  CHECK(find(with("PyPI", "kit", "1.1.0")).size() == 1);
  CHECK(find(with("PyPI", "kit", "1.2")).empty());
  CHECK(find(with("Maven", "a:b", "1.9.0")).size() == 1);
  CHECK(find(with("Maven", "a:b", "1.9.1")).empty());
}

TEST_CASE_FIXTURE(Fixture, "an import again changes nothing, a changed record replaces, a withdrawn one goes") {
  CHECK(import(kOsv).added == 1);
  const ImportResult again = import(kOsv);
  CHECK(again.unchanged == 1);
  CHECK(again.touched.empty());
  const ImportResult changed = import(
      R"({"id": "GHSA-aaaa", "modified": "2026-02-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "other"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]})");
  CHECK(changed.changed == 1);
  CHECK(changed.touched == std::set<PackageRef>{{"npm", "kit"}, {"npm", "other"}});
  CHECK(find(with("npm", "kit", "1.1.0")).empty());
  CHECK(find(with("npm", "other", "1.1.0")).size() == 1);
  import(
      R"({"id": "GHSA-aaaa", "modified": "2026-03-01T00:00:00Z", "withdrawn": "2026-03-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "other"},
    "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]})");
  CHECK(find(with("npm", "other", "1.1.0")).empty());
}

TEST_CASE_FIXTURE(Fixture, "what Debian's tracker no longer says is gone") {
  import(kTracker);
  const ImportResult changed =
      import(R"({"openssl": {"CVE-2026-0002": {"releases": {"bookworm": {"status": "open", "urgency": "low"}}}}})");
  CHECK(changed.touched.contains({"Debian:12", "openssl"}));
  CHECK(changed.touched.contains({"Debian:13", "openssl"}));
  CHECK(find(debian_with("openssl", "3.0.0-1")).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a new advisory finds the images that hold its package") {
  REQUIRE(store.record_image("sha256:1", package_refs(debian_with("libssl3", "3", "openssl"))).ok());
  REQUIRE(store.record_image("sha256:2", package_refs(with("npm", "kit", "1"))).ok());
  CHECK(store.images_with(import(kTracker).touched).value() == std::vector<std::string>{"sha256:1"});
  CHECK(store.images_with(import(kOsv).touched).value() == std::vector<std::string>{"sha256:2"});
  REQUIRE(store.forget_image("sha256:2").ok());
  CHECK(store.images_with({{"npm", "kit"}}).value().empty());
}

TEST_CASE_FIXTURE(Fixture, "what is no advisory is skipped by name, and the others are taken") {
  REQUIRE(write_file(dir.path() + "/in/nothing.json", "{}").ok() == false);
  REQUIRE(make_dirs(dir.path() + "/in/deep").ok());
  REQUIRE(write_file(dir.path() + "/in/broken.json", "{").ok());
  REQUIRE(write_file(dir.path() + "/in/other.json", R"({"a": 1})").ok());
  REQUIRE(write_file(dir.path() + "/in/readme.md", "no").ok());
  REQUIRE(write_file(dir.path() + "/in/deep/one.json", kOsv).ok());
  const auto result = store.import_path(dir.path() + "/in");
  REQUIRE(result.ok());
  CHECK(result->added == 1);
  REQUIRE(result->skipped.size() == 2);
  CHECK(result->skipped[0].find("broken.json") != std::string::npos);
  CHECK_FALSE(store.import_path(dir.path() + "/absent").ok());
}

TEST_CASE_FIXTURE(Fixture, "a bundle brings what was put into it, and nothing else is taken for one") {
  auto blobs = content::BlobStore::open(dir.path() + "/content").value();
  REQUIRE(make_dirs(dir.path() + "/in").ok());
  REQUIRE(write_file(dir.path() + "/in/one.json", kOsv).ok());
  const content::Digest bundle = make_bundle(dir.path() + "/in", blobs).value();
  CHECK(make_bundle(dir.path() + "/in", blobs).value() == bundle);
  CHECK(store.last_bundle().value().empty());
  CHECK(import_bundle(blobs, bundle, store).value().added == 1);
  CHECK(store.last_bundle().value() == bundle.str());
  content::Manifest other;
  other.config = {std::string(content::kOciEmpty), blobs.put_bytes("{}").value(), 2, {}, "", {}};
  const content::Digest wrong = blobs.put_bytes(content::write_manifest(other)).value();
  CHECK(import_bundle(blobs, wrong, store).error().code == ErrorCode::invalid);
}

TEST_CASE_FIXTURE(Fixture, "a report counts by severity, and equal reports are equal whatever the time") {
  import(kOsv);
  const Inventory inventory = with("npm", "kit", "1.1.0");
  const ScannedArtifact artifact{"registry.caisson.internal:5000", "shop/web", "1.0", "sha256:1"};
  const auto findings = find(inventory);
  const Value report = make_report(artifact, inventory, findings, Time{});
  CHECK(report.get({"summary", "criticalCount"}).as_int() == 1);
  CHECK(report["vulnerabilities"][0]["vulnerabilityID"].as_string() == "CVE-2026-0001");
  CHECK(same_report(report, make_report(artifact, inventory, findings, Time(std::chrono::hours(1)))));
  CHECK_FALSE(same_report(report, make_report(artifact, inventory, {}, Time{})));
  const Value sarif = write_sarif(artifact, inventory, findings);
  CHECK(sarif["runs"][0]["results"][0]["level"].as_string() == "error");
  CHECK(sarif["runs"][0]["tool"]["driver"]["rules"][0]["properties"]["security-severity"].as_string() == "9.8");
  CHECK(write_table(artifact, inventory, findings).find("CRITICAL  CVE-2026-0001  kit") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "what is accepted is accepted until its day") {
  import(kOsv);
  Inventory inventory = with("npm", "kit", "1.1.0");
  const Time now = *parse_time("2026-11-21T12:00:00Z");
  const auto left = [&](const char* file) {
    auto findings = find(inventory);
    apply_ignores(inventory, findings, parse_ignore_file(file).value(), now);
    return findings.size();
  };
  CHECK(left("# nothing\n\n") == 1);
  CHECK(left("CVE-2026-0001 # why") == 0);
  CHECK(left("GHSA-aaaa exp:2026-11-22") == 0);
  CHECK(left("CVE-2026-0001 exp:2026-11-21") == 1);
  CHECK(left("CVE-2026-0001 exp:9999-12-31") == 0);  // beyond what a Time holds
  CHECK(left("CVE-2026-0001 pkg:kit") == 0);
  CHECK(left("CVE-2026-0001 pkg:other") == 1);
  CHECK(parse_ignore_file("a\nCVE-1 exp:tomorrow").error().message.find("line 2") != std::string::npos);
  CHECK_FALSE(parse_ignore_file("pkg:x").ok());
}

TEST_CASE("reports are named after what they are of") {
  kube::Object pod = kube::Object::make(schema::kPods, "shop", "web-5d9f-abcde");
  pod.edit({"metadata", "uid"}) = Value("u1");
  CHECK(workload_report(pod, "nginx").name() == "pod-web-5d9f-abcde-nginx");
  pod.edit({"metadata", "ownerReferences"}) = Value(std::vector<Value>{Value{
      {"apiVersion", "apps/v1"}, {"kind", "ReplicaSet"}, {"name", "web-5d9f"}, {"uid", "u2"}, {"controller", true}}});
  CHECK(workload_report(pod, "nginx").name() == "replicaset-web-5d9f-nginx");
  CHECK(workload_report(pod, "nginx").owners()[0].uid == "u2");
  CHECK(tag_report("shop", "shop/web", "1_0").name() != tag_report("shop", "shop/web", "1-0").name());
  CHECK(tag_report("shop", "shop/" + std::string(240, 'x'), std::string(128, 'y')).name().size() <= 253);
  content::RegistryNames names;
  CHECK(artifact_of_image("nginx", "", names).repository == "library/nginx");
  CHECK(artifact_of_image("localhost:5000/shop/web:1", "", names).registry == content::kRegistryName);
}

}  // namespace
}  // namespace caisson::scan
