// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/image.h"

#include <doctest/doctest.h>

using namespace caisson;
using namespace caisson::content;

namespace {
ImageConfig full_config() {
  ImageConfig c;
  c.platform = {"linux", "arm", "v7"};
  c.created = "2026-01-02T03:04:05Z";
  c.author = "에이";
  c.env = {"B=2", "A=1"};
  c.entrypoint = {"/bin/app"};
  c.cmd = {"--serve", ""};
  c.working_dir = "/app";
  c.user = "1000:1000";
  c.stop_signal = "SIGQUIT";
  c.exposed_ports = {"53/udp", "80/tcp"};
  c.volumes = {"/data"};
  c.labels = {{"z", "1"}, {"a", "2"}};
  c.healthcheck = Healthcheck{{"CMD-SHELL", "true"}, 1, 2, 3, 4, 5};
  c.shell = {"/bin/sh", "-c"};
  c.on_build = {"RUN x"};
  c.diff_ids = {Digest::of("a"), Digest::of("b")};
  c.history = {{"2026-01-02T03:04:05Z", "RUN x", "", false}, {"", "ENV A=1", "", true}};
  return c;
}
}  // namespace

TEST_CASE("parse(write(x)) is x for configurations, manifests and indexes") {
  const ImageConfig config = full_config();
  const Result<ImageConfig> read = parse_config(write_config(config));
  REQUIRE(read.ok());
  CHECK(*read == config);

  Manifest manifest;
  manifest.config = {std::string(kOciConfig), Digest::of("c"), 7, {}, "", {}};
  manifest.layers = {{std::string(kOciLayer), Digest::of("l"), 9, {}, "", {{"k", "v"}}}};
  manifest.subject = Descriptor{std::string(kOciManifest), Digest::of("s"), 3, {}, "", {}};
  manifest.annotations = {{"a", "b"}};
  const Result<Manifest> manifest_read = parse_manifest(write_manifest(manifest));
  REQUIRE(manifest_read.ok());
  CHECK(*manifest_read == manifest);

  Index index;
  index.manifests = {{std::string(kOciManifest), Digest::of("m"), 5, Platform{"linux", "arm64", "v8"}, "", {}}};
  const Result<Index> index_read = parse_index(write_index(index));
  REQUIRE(index_read.ok());
  CHECK(*index_read == index);
}

TEST_CASE("the platform is chosen as containerd does") {
  const auto entry = [](const char* os, const char* arch, const char* variant) {
    return Descriptor{std::string(kOciManifest),
                      Digest::of(std::string(os) + arch + variant),
                      1,
                      Platform{os, arch, variant},
                      "",
                      {}};
  };
  Index index;
  index.manifests = {entry("unknown", "unknown", ""), entry("linux", "arm64", "v8"), entry("linux", "amd64", "")};
  CHECK(choose_platform(index)->digest == index.manifests[2].digest);
  CHECK(choose_platform(index, {"linux", "arm64", ""})->digest == index.manifests[1].digest);
  const Result<Descriptor> none = choose_platform(index, {"linux", "s390x", ""});
  REQUIRE_FALSE(none.ok());
  CHECK(none.error().message.find("linux/arm64") != std::string::npos);
}

TEST_CASE("malformed manifests are refused with the field") {
  const std::string hex(64, '0');
  struct Case {
    std::string text, why;
  };
  for (const Case& c :
       {Case{"[]", "object"}, Case{"{\"schemaVersion\":1}", "schemaVersion"},
        Case{"{\"schemaVersion\":2,\"layers\":[]}", "config"},
        Case{"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:zz\",\"size\":1}}", "config.digest"},
        Case{"{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:" + hex + "\",\"size\":-1}}", "config.size"},
        Case{"{\"schemaVersion\":2,\"manifests\":[]}", "index"}}) {
    CAPTURE(c.text);
    const Result<Manifest> manifest = parse_manifest(c.text);
    REQUIRE_FALSE(manifest.ok());
    CHECK(manifest.error().message.find(c.why) != std::string::npos);
  }
}
