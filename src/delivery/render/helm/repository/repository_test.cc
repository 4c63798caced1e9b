// SPDX-License-Identifier: Apache-2.0
// What the session in tests/differential/helm does not reach: parts by themselves, and what is wrong with input.
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/http/server.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/repository/fetch.h"
#include "delivery/render/helm/repository/home.h"
#include "delivery/render/helm/repository/index.h"
#include "delivery/render/helm/repository/oci.h"
#include "delivery/render/helm/repository/openpgp.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/repository/provenance.h"
#include "delivery/render/helm/repository/search.h"
#include "delivery/render/helm/repository/url.h"

namespace caisson::render::helm {
namespace {

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}

std::string signed_file(const std::string& name) {
  return must(read_file(test_repository_dir() + "/tests/differential/helm/" + name));
}

Index index_of(std::string_view text) {
  std::vector<std::string> warnings;
  return must(parse_index(text, "test", warnings));
}

constexpr std::string_view kIndex =
    "apiVersion: v1\nentries:\n  web:\n"
    "  - {apiVersion: v2, name: web, version: 1.2.0, urls: [web-1.2.0.tgz]}\n"
    "  - {apiVersion: v2, name: web, version: 1.10.0, urls: [web-1.10.0.tgz], keywords: [page]}\n"
    "  - {apiVersion: v2, name: web, version: 2.0.0-rc.1}\n"
    "  - null\n"
    "  - {apiVersion: v2, name: web, version: nonsense}\n";

}  // namespace

TEST_CASE("Helm's folders follow HELM_*, then XDG_*, then HOME") {
  std::map<std::string, std::string> env{{"HOME", "/home/a"}};
  const auto home = [&] { return home_of([&](const char* name) { return env[name]; }); };
  CHECK(home().repositories_file == "/home/a/.config/helm/repositories.yaml");
  CHECK(home().index_file("x") == "/home/a/.cache/helm/repository/x-index.yaml");
  CHECK(home().data == "/home/a/.local/share/helm");
  env["XDG_CONFIG_HOME"] = "/xdg";
  CHECK(home().registry_file == "/xdg/helm/registry/config.json");
  env["HELM_CONFIG_HOME"] = "/own";
  CHECK(home().repositories_file == "/own/repositories.yaml");
  env["HELM_REPOSITORY_CONFIG"] = "/r.yaml";
  CHECK(home().repositories_file == "/r.yaml");
}

TEST_CASE("an index gives the newest version of a range, and leaves out what is no chart") {
  std::vector<std::string> warnings;
  const Index index = must(parse_index(kIndex, "test", warnings));
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0] == "skipping loading invalid entry for chart \"web\" from test: empty entry");
  CHECK(index.entries.at("web")[0].metadata.version == "2.0.0-rc.1");
  const auto version = [&](const char* constraint) {
    const auto found = index.find("web", constraint);
    return found.ok() ? (*found)->metadata.version : found.error().message;
  };
  CHECK(version("") == "1.10.0");
  CHECK(version("~1.2") == "1.2.0");
  CHECK(version(">0.0.0-0") == "2.0.0-rc.1");
  CHECK(version("2.0.0-rc.1") == "2.0.0-rc.1");
  CHECK(version("3") == "no chart version found for web-3");
  CHECK(version("x y") == "improper constraint: \"x y\"");
  CHECK(index.find("nope", "").error().message == "no chart name found");
  const auto refused = [&](std::string_view text) { return parse_index(text, "test", warnings).error().message; };
  CHECK(refused("") == "empty index.yaml file");
  CHECK(refused("entries: {}") == "no API version specified");
  CHECK(refused("[]").find("cannot unmarshal array") != std::string::npos);
}

TEST_CASE("indexes merge by name and version, and are written as they were read") {
  Index index = index_of(kIndex);
  const Index more = index_of(
      "apiVersion: v1\nentries: {web: [{apiVersion: v2, name: web, version: 1.2.0, urls: [other]}, "
      "{apiVersion: v2, name: web, version: 3.0.0}], db: [{apiVersion: v1, name: db, version: 1.0.0}]}");
  index.merge(more);
  index.sort();
  CHECK(index.entries.at("web")[0].metadata.version == "3.0.0");
  CHECK((*index.find("web", "1.2.0"))->urls[0] == "web-1.2.0.tgz");
  CHECK(index_of(write_index(index, false)).document() == index.document());
  CHECK(index_of(write_index(index, true)).document() == index.document());
}

TEST_CASE("a login goes to its repository's own host and port, unless it is for all") {
  http::Server server = must(http::Server::start({}));
  std::mutex mutex;
  std::string seen;
  const int port = must(server.listen("127.0.0.1", 0, [&](const http::ExchangePtr& exchange) {
    const std::lock_guard lock(mutex);
    seen = exchange->headers.get("Authorization");
    exchange->respond({exchange->path == "/gone" ? 404 : 200, {}, "bytes"});
  }));
  const std::string url = "http://127.0.0.1:" + std::to_string(port);
  Access access;
  access.username = "ann";
  access.password = SecretBytes("secret");
  const auto sent = [&](const std::string& repository) {
    CHECK(must(fetch(url + "/x", repository, access)) == "bytes");
    const std::lock_guard lock(mutex);
    return seen;
  };
  CHECK(sent(url + "/charts") == "Basic YW5uOnNlY3JldA==");
  CHECK(sent("http://127.0.0.1:1/charts") == "");
  CHECK(sent("https://127.0.0.1:" + std::to_string(port)) == "");
  access.pass_credentials_all = true;
  CHECK(sent("http://127.0.0.1:1/charts") == "Basic YW5uOnNlY3JldA==");
  CHECK(fetch(url + "/gone", url, access).error().message == "failed to fetch " + url + "/gone : 404 Not Found");
  CHECK(fetch("ftp://h/x", url, access).error().message == "could not find protocol handler for: ftp");
  CHECK_FALSE(fetch(url + "/x", url, access, {.bytes_max = 2}).ok());
}

TEST_CASE("a search finds by name, description and keyword, the name first") {
  const std::vector<NamedIndex> indexes{{"one", index_of(kIndex)}};
  SearchOptions options{"PAGE", false, false, ">0.0.0"};
  const auto found = must(search(indexes, options));
  REQUIRE(found.size() == 1);
  CHECK(found[0].name == "one/web");
  CHECK(found[0].score == 3);
  options = {"^w", true, true, ">0.0.0-0"};
  CHECK(must(search(indexes, options)).size() == 3);
  options.term = "(";
  CHECK_FALSE(search(indexes, options).ok());
}

TEST_CASE("URLs join and resolve as Helm's do") {
  CHECK(url_join("https://h/a/", "b.tgz") == "https://h/a/b.tgz");
  CHECK(url_join("charts", "b.tgz") == "charts/b.tgz");
  CHECK(resolve_url("https://h/a?x=1", "b.tgz") == "https://h/a/b.tgz?x=1");
  CHECK(resolve_url("https://h/a", "/b.tgz") == "https://h/b.tgz");
  CHECK(resolve_url("https://h/a", "http://o/b.tgz") == "http://o/b.tgz");
  CHECK(same_url("https://h/a/", "https://h/a"));
  CHECK_FALSE(same_url("https://h/a", "http://h/a"));
}

TEST_CASE("references of charts in registries") {
  const auto parsed = [](std::string_view text) {
    const auto ref = OciReference::parse(text);
    return ref.ok() ? ref->str() : ref.error().message;
  };
  CHECK(parsed("oci://localhost:5000/shop/web:1.0.0+b") == "localhost:5000/shop/web:1.0.0_b");
  CHECK(parsed("ghcr.io/o/web") == "ghcr.io/o/web");
  CHECK(parsed("oci://ghcr.io") == "invalid reference: missing registry or repository");
  CHECK(parsed("oci://h/Upper") == "invalid reference: invalid repository \"Upper\"");
  CHECK(parsed("oci://h/a@sha256:12").starts_with("invalid reference: invalid digest"));
  CHECK(must(choose_version({"2.0.0", "1.1.0", "1.0.0"}, "1.x")) == "1.1.0");
  CHECK(choose_version({"2.0.0"}, "1.x").error().message ==
        "Could not locate a version matching provided version string 1.x");
}

TEST_CASE("logins are kept beside others', and docker's are found") {
  const TempDir folder = must(TempDir::make("logins"));
  Home home;
  home.registry_file = folder.path() + "/helm/config.json";
  home.docker_file = folder.path() + "/docker.json";
  REQUIRE(write_file(home.docker_file, R"({"auths": {"https://ghcr.io/v2/": {"auth": "ZDplcg=="}}})").ok());
  CHECK_FALSE(known_login(home, "h:5000"));
  REQUIRE(keep_login(home, "h:5000", {"ann", SecretBytes("a:b")}).ok());
  REQUIRE(keep_login(home, "other", {"bob", SecretBytes("c")}).ok());
  CHECK(known_login(home, "h:5000")->password.reveal() == "a:b");
  CHECK(known_login(home, "ghcr.io")->user == "d");
  REQUIRE(forget_login(home, "h:5000").ok());
  CHECK_FALSE(known_login(home, "h:5000"));
  CHECK(known_login(home, "other")->user == "bob");
}

// Chart.lock of helm v3.22.0 (`helm dependency update`) for this Chart.yaml.
TEST_CASE("the digest of what is wanted and what was taken is Helm's") {
  Metadata metadata;
  REQUIRE(
      read_metadata(must(yaml::read("dependencies:\n- {name: db, version: '>=1.0 <2', repository: "
                                    "'http://127.0.0.1:18089/', condition: db.enabled, "
                                    "tags: [back, a&b], alias: store, import-values: [data, {parent: b, child: a}]}\n"
                                    "- {name: local, version: 0.1.0, repository: 'file://../db2'}\n")),
                    metadata)
          .ok());
  std::vector<Dependency> locked(2);
  locked[0].name = "db";
  locked[0].version = "1.5.0";
  locked[0].repository = "http://127.0.0.1:18089/";
  locked[1].name = "local";
  locked[1].version = "0.1.0";
  locked[1].repository = "file://../db2";
  CHECK(dependencies_digest(metadata.dependencies, locked) ==
        "sha256:fd6805319e751357daf31900b1d4f94441f5bf6ae2d66ebbc4ec13e38affde11");
}

TEST_CASE("a provenance file holds for its archive and its key alone") {
  const std::string archive = signed_file("signed/signed-1.0.0.tgz"),
                    text = signed_file("signed/signed-1.0.0.tgz.prov");
  const std::string ring = test_repository_dir() + "/tests/differential/helm/keys/public.gpg";
  const auto verdict = [&](const std::string& name, const std::string& bytes, const std::string& provenance) {
    const auto verified = verify_provenance(name, bytes, provenance, ring);
    return verified.ok() ? verified->identities.at(0) : verified.error().message;
  };
  CHECK(verdict("signed-1.0.0.tgz", archive, text) == "Test signer <signer@example.com>");
  CHECK(verdict("signed-1.0.0.tgz", archive + "x", text).starts_with("sha256 sum does not match for signed-1.0.0.tgz"));
  CHECK(verdict("other-1.0.0.tgz", archive, text) ==
        "provenance does not contain a SHA for a file named \"other-1.0.0.tgz\"");
  std::string changed = text;
  changed.replace(changed.find("version: 1.0.0"), 14, "version: 1.0.1");
  CHECK(verdict("signed-1.0.0.tgz", archive, changed) == "openpgp: invalid signature: hash tag doesn't match");
  CHECK(verdict("signed-1.0.0.tgz", archive, "version: 1.0.0") ==
        "failed to decode signature: signature block not found");
}

TEST_CASE("key rings and signatures that are cut off or wrong end in an error, at every byte") {
  const std::string ring = signed_file("keys/public.gpg"), text = signed_file("signed/signed-1.0.0.tgz.prov");
  const auto entities = must(read_key_ring(ring));
  for (std::size_t size = 1; size < ring.size(); size += 3) {
    const auto cut = read_key_ring(ring.substr(0, size));
    if (cut.ok()) CHECK(cut->size() <= 1);
  }
  const ClearSigned message = must(read_clear_signed(text));
  for (std::size_t at = 0; at < message.signature.size(); at += 7) {
    ClearSigned broken = message;
    broken.signature[at] = static_cast<char>(broken.signature[at] ^ 0x55);
    const auto who = check_signature(entities, broken);
    CHECK_FALSE(who.ok());
    broken.signature.resize(at);
    CHECK_FALSE(check_signature(entities, broken).ok());
  }
  CHECK_FALSE(read_key_ring("text").ok());
}

TEST_CASE("a package holds Chart.yaml first, and its subcharts unpacked") {
  const auto chart = [](const char* name) {
    return "apiVersion: v2\nname: " + std::string(name) + "\nversion: 1.0.0\n";
  };
  std::vector<std::string> warnings;
  const std::vector<File> below = {{"Chart.yaml", chart("sub")}, {"templates/a.yaml", "a: 1"}};
  const std::string inner = must(pack_chart(must(load_files(below, warnings)).metadata, below));
  const std::vector<File> files = {
      {"values.yaml", "x: 1"}, {"charts/sub-1.0.0.tgz", inner}, {"Chart.yaml", chart("web")}};
  const Metadata metadata = must(load_files(files, warnings)).metadata;
  const std::string packed = must(pack_chart(metadata, files));
  CHECK(packed == must(pack_chart(metadata, files)));
  const std::vector<File> out = must(read_archive(packed));
  REQUIRE(out.size() == 4);
  CHECK(out[0].name == "Chart.yaml");
  CHECK(out[2].name == "charts/sub/Chart.yaml");
  CHECK(must(load_archive(packed, warnings)).dependencies.size() == 1);
}

}  // namespace caisson::render::helm
