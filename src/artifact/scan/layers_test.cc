// SPDX-License-Identifier: Apache-2.0
// Files to packages, layers to an inventory, an inventory to a bill of materials and back.
#include <doctest/doctest.h>

#include "artifact/content/compress.h"
#include "artifact/scan/layer_findings.h"
#include "artifact/scan/sbom.h"
#include "artifact/scan/secrets.h"
#include "artifact/scan/testing.h"
#include "artifact/scan/zip.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

std::string dpkg_entry(const std::string& name, const std::string& version, const std::string& more = "") {
  return "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\n" + more + "Version: " + version +
         "\nDescription: x\n y\n\n";
}

LayerFindings layer_of(const std::vector<TestFile>& files) {
  Result<LayerFindings> out = scan_layer(content::from_string(make_tar(files)));
  REQUIRE_MESSAGE(out.ok(), (out.ok() ? "" : out.error().message));
  return std::move(out).value();
}

content::Digest digest(char letter) {
  return {"sha256", std::string(64, letter)};
}

std::vector<std::string> names(const std::vector<Package>& packages) {
  std::vector<std::string> out;
  for (const Package& package : packages) out.push_back(package.name + " " + package.version);
  return out;
}

TEST_CASE("dpkg: sources, what is only configured is left out, distroless lists") {
  const auto packages = parse_dpkg_status(dpkg_entry("libc6", "2.36-9+deb12u7", "Source: glibc\n") +
                                          dpkg_entry("bash", "5.2.15-2+b2", "Source: bash (5.2.15-2)\n") +
                                          "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n");
  REQUIRE(packages.size() == 2);
  CHECK(packages[0].advisory_name() == "glibc");
  CHECK(packages[0].advisory_version() == "2.36-9+deb12u7");
  CHECK(packages[1].advisory_version() == "5.2.15-2");
  CHECK(parse_dpkg_status("Package: tzdata\nVersion: 2024a-0+deb12u1\n").size() == 1);
}

TEST_CASE("apk: the origin is the source") {
  const auto packages = parse_apk_installed(
      "C:Q1\nP:libcrypto3\nV:3.1.4-r5\nA:x86_64\nL:Apache-2.0\no:openssl\n\nP:musl\nV:1.2.4-r2\nA:x86_64\no:musl\n");
  REQUIRE(packages.size() == 2);
  CHECK(packages[0].source_name == "openssl");
  CHECK(packages[0].license == "Apache-2.0");
  CHECK(packages[1].source_name.empty());
}

TEST_CASE("npm: installed modules, locks of all versions without what is for development") {
  CHECK(names(parse_package_json(R"({"name":"@a/b","version":"1.2.3","license":{"type":"MIT"}})")) ==
        std::vector<std::string>{"@a/b 1.2.3"});
  CHECK(parse_package_json(R"({"name":"x"})").empty());
  CHECK(names(parse_package_lock(
            R"({"lockfileVersion":3,"packages":{"":{"name":"app"},"node_modules/a":{"version":"1.0.0"},
    "node_modules/a/node_modules/@s/b":{"version":"2.0.0"},"node_modules/t":{"version":"3.0.0","dev":true}}})")) ==
        std::vector<std::string>{"a 1.0.0", "@s/b 2.0.0"});
  CHECK(names(parse_package_lock(
            R"({"lockfileVersion":1,"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}},
    "t":{"version":"3","dev":true}}})")) == std::vector<std::string>{"a 1.0.0", "b 2.0.0"});
}

TEST_CASE("Python: names are normalised") {
  CHECK(names(parse_python_metadata(
            "Metadata-Version: 2.1\nName: Foo_.Bar\nVersion: 1.0\nLicense: MIT\n\nName: not this\n")) ==
        std::vector<std::string>{"foo-bar 1.0"});
}

TEST_CASE("Go: modules, replacements, the library of the toolchain") {
  CHECK(names(parse_go_modules("go1.22.1 X:x",
                               "path\tcmd\nmod\texample.com/app\t(devel)\t\ndep\tgolang.org/x/"
                               "net\tv0.1.0\th1:x\ndep\told.org/x\tv1.0.0\n=>\tnew.org/x\tv1.1.0\th1:y\n")) ==
        std::vector<std::string>{"stdlib 1.22.1", "golang.org/x/net v0.1.0", "new.org/x v1.1.0"});
}

TEST_CASE("Go: build information is found in a program that streams by, whatever the pieces") {
  std::string info("\xff Go buildinf:", 14);
  info += std::string("\x08\x02", 2) + std::string(16, '\0');
  const std::string modules = std::string(16, 's') + "dep\tgolang.org/x/net\tv0.1.0\th1:x\n" + std::string(16, 'e');
  info += "\x06go1.22" + std::string(1, static_cast<char>(modules.size())) + modules;
  std::string program =
      "\x7f"
      "ELF" +
      std::string(4093, '\1') + std::string("\xff Go buildinf:", 14) +
      std::string(4096, '\2');  // one that is not aligned
  program.append(16 - program.size() % 16, '\0');
  program += info + std::string(5000, '\3');
  for (const std::size_t piece : {std::size_t{1000}, std::size_t{4099}, program.size()}) {
    std::size_t at = 0;
    const auto found = analyze_program("app", [&]() -> Result<std::string> {
      const std::string out = program.substr(at, piece);
      at += out.size();
      return out;
    });
    REQUIRE(found.ok());
    CHECK(names(found->packages) == std::vector<std::string>{"stdlib 1.22", "golang.org/x/net v0.1.0"});
  }
  CHECK(analyze_program("sh", content::from_string("#!/bin/sh\n"))->packages.empty());
}

TEST_CASE("a broken archive of Java is no package and no failure") {
  CHECK(parse_jar("app.jar", "PK but not really").empty());
  CHECK_FALSE(zip_members("").ok());
  CHECK_FALSE(zip_members(std::string(100, 'x')).ok());
}

TEST_CASE("a package is of the layer that brought its version; what is deleted is gone") {
  const LayerFindings base = layer_of({{"usr/lib/os-release", kDebian},
                                       {"var/lib/dpkg/status", dpkg_entry("bash", "5.2") + dpkg_entry("curl", "7.88")},
                                       {"app/node_modules/a/package.json", R"({"name":"a","version":"1.0.0"})"}});
  const LayerFindings upgrade = layer_of(
      {{"var/lib/dpkg/status", dpkg_entry("bash", "5.2") + dpkg_entry("curl", "7.89")}, {"app/.wh.node_modules", ""}});
  const Inventory inventory = merge_layers({{digest('a'), base}, {digest('b'), upgrade}});
  CHECK(inventory.os.id == "debian");
  REQUIRE(names(inventory.packages) == std::vector<std::string>{"bash 5.2", "curl 7.89"});
  CHECK(inventory.packages[0].layer == digest('a'));
  CHECK(inventory.packages[1].layer == digest('b'));
  CHECK(advisory_ecosystem(inventory.packages[0], inventory.os) == "Debian:12");
}

TEST_CASE("an opaque folder hides what is below it, and nothing beside it") {
  const LayerFindings base =
      layer_of({{"app/node_modules/a/package.json", R"({"name":"a","version":"1.0.0"})"},
                {"application/node_modules/b/package.json", R"({"name":"b","version":"1.0.0"})"}});
  const LayerFindings upper = layer_of({{"app/.wh..wh..opq", ""}});
  CHECK(names(merge_layers({{digest('a'), base}, {digest('b'), upper}}).packages) ==
        std::vector<std::string>{"b 1.0.0"});
}

// Put together here, so that nobody's scanner takes this file for a leak.
const std::string kToken = std::string("ghp") + "_" + "aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0vW1xY2";

TEST_CASE("a secret that a later layer deletes is still in its layer") {
  const LayerFindings base = layer_of({{"app/.env", "A=1\nTOKEN=" + kToken + "\n"}});
  const LayerFindings upper = layer_of({{"app/.wh..env", ""}});
  const Inventory inventory = merge_layers({{digest('a'), base}, {digest('b'), upper}});
  REQUIRE(inventory.secrets.size() == 1);
  CHECK(inventory.secrets[0].layer == digest('a'));
  CHECK(inventory.secrets[0].line == 2);
  CHECK(inventory.secrets[0].match.find(kToken) == std::string::npos);
}

TEST_CASE("secrets: examples, parts of words and monotonous texts are none") {
  const std::string aws = "AKIA", letters = "Q7ZT3WLK5XUDB2NM";
  CHECK(find_secrets("x", aws + letters).size() == 1);
  CHECK(find_secrets("x", aws + "IOSFODNN7EXAMPLE").empty());
  CHECK(find_secrets("x", "X" + aws + letters).empty());
  CHECK(find_secrets("x", aws + letters + "Z").empty());
  CHECK(find_secrets("x", aws + std::string(16, 'A')).empty());
  CHECK(find_secrets("x", std::string("a\0b", 3) + aws + letters).empty());
  const std::string frame = "-----BEGIN RSA PRIVATE " + std::string("KEY-----\n");
  CHECK(find_secrets("x", frame + std::string(64, 'k') + "\n").size() == 1);
  CHECK(find_secrets("x", frame + "\" + key + \"").empty());
  CHECK(find_secrets("x", "-----BEGIN PUBLIC " + std::string("KEY-----\n") + std::string(64, 'k')).empty());
}

TEST_CASE("findings of a layer are kept as JSON and come back") {
  const LayerFindings findings = layer_of({{"etc/os-release", kDebian},
                                           {"var/lib/dpkg/status", dpkg_entry("bash", "5.2")},
                                           {"app/.env", kToken},
                                           {"a/.wh.b", ""},
                                           {"c/.wh..wh..opq", ""}});
  const auto back = layer_findings_of_value(json::parse(json::write(layer_findings_to_value(findings))).value());
  REQUIRE(back.ok());
  CHECK(*back == findings);
  CHECK_FALSE(layer_findings_of_value(Value::map()).ok());
}

TEST_CASE("hostile layers are refused by name") {
  CHECK(scan_layer(content::from_string(make_tar({{"../../etc/passwd", "x"}}))).error().code == ErrorCode::bad_request);
  CHECK_FALSE(scan_layer(content::from_string(make_tar({{"a", "x"}}).substr(0, 700))).ok());
  CHECK(scan_layer(content::from_string(make_tar({{"a", "1"}, {"b", "2"}, {"c", "3"}})), {.entries_max = 2})
            .error()
            .code == ErrorCode::too_large);
  // A bomb: a small stream that would become 64 MiB.
  const std::string zeros =
      content::read_all(
          content::compress_zstd(content::from_string(make_tar({{"bomb", std::string(64u << 20, '\0')}}))), 1u << 20)
          .value();
  CHECK(scan_layer(content::from_string(zeros), {.bytes_max = 1u << 20}).error().code == ErrorCode::too_large);
}

TEST_CASE("bills of materials come back as what they were made of") {
  Inventory inventory = merge_layers(
      {{digest('a'),
        layer_of({{"etc/os-release", kDebian},
                  {"var/lib/dpkg/status", dpkg_entry("libc6", "2.36-9+deb12u7", "Source: glibc (2.36-9)\n")},
                  {"m/node_modules/@s/b/package.json", R"({"name":"@s/b","version":"2.0.0"})"}})}});
  for (const SbomFormat format : {SbomFormat::cyclonedx_1_5, SbomFormat::cyclonedx_1_6, SbomFormat::spdx_2_3}) {
    const Value document = write_sbom(format, inventory, {"shop/web", digest('d').str(), Time{}});
    const auto back = read_sbom(document);
    REQUIRE(back.ok());
    REQUIRE(back->packages.size() == 2);
    CHECK(back->os.id == "debian");
    CHECK(back->os.version_id == "12");
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(back->packages[i].name == inventory.packages[i].name);
      CHECK(back->packages[i].version == inventory.packages[i].version);
      CHECK(back->packages[i].advisory_name() == inventory.packages[i].advisory_name());
      CHECK(back->packages[i].advisory_version() == inventory.packages[i].advisory_version());
    }
    CHECK(json::write(document) == json::write(write_sbom(format, inventory, {"shop/web", digest('d').str(), Time{}})));
  }
  CHECK_FALSE(read_sbom(Value::map()).ok());
}

TEST_CASE("package URLs keep their parts") {
  Package package;
  package.ecosystem = "Maven";
  package.name = "org.apache.logging.log4j:log4j-core";
  package.version = "2.14.1";
  CHECK(package_url(package, {}) == "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1");
  CHECK(parse_package_url(package_url(package, {}), nullptr)->name == package.name);
  CHECK_FALSE(parse_package_url("pkg:nothing/x@1", nullptr));
  CHECK_FALSE(parse_package_url("https://example.com", nullptr));
}

}  // namespace
}  // namespace caisson::scan
