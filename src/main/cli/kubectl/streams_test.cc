// SPDX-License-Identifier: Apache-2.0
// cp, port-forward: what can be decided without a pod.
#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "artifact/content/tar.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/copy.h"
#include "main/cli/kubectl/forward.h"

namespace caisson::cli::kubectl {
namespace {

Value read(std::string_view text) {
  return yaml::read(text).value();
}

std::string tar_of(const std::vector<content::TarEntry>& entries, const std::string& contents) {
  std::string out;
  for (content::TarEntry entry : entries) {
    if (entry.type == content::EntryType::file) entry.size_bytes = contents.size();
    content::append_header(out, entry);
    if (entry.type == content::EntryType::file)
      out += contents + std::string(content::padding_bytes(contents.size()), '\0');
  }
  return out + std::string(content::kTrailerBytes, '\0');
}

std::string refusal(const Result<CopyPlace>& place) {
  return place.ok() ? "" : place.error().message;
}

}  // namespace

TEST_CASE("a side of a copy is a file, or a path in a pod") {
  CHECK(parse_place("a/b").value() == CopyPlace{"", "", "a/b"});
  CHECK(parse_place("web-1:/etc").value() == CopyPlace{"", "web-1", "/etc"});
  CHECK(parse_place("shop/web-1:/etc").value() == CopyPlace{"shop", "web-1", "/etc"});
  CHECK(parse_place("./a:b").value() == CopyPlace{"", "", "./a:b"});
  CHECK(refusal(parse_place(":/etc")).starts_with("filespec must match"));
  CHECK(refusal(parse_place("a/b/c:/etc")).starts_with("filespec must match"));
  CHECK(refusal(parse_place("web-1:")) == "filepath can not be empty");
}

TEST_CASE("a tree goes into a tar and comes out the same") {
  const TempDir dir = TempDir::make("cp").value();
  REQUIRE(make_dirs(dir.path() + "/from/sub").ok());
  REQUIRE(write_file(dir.path() + "/from/sub/big", std::string(100'000, 'x')).ok());
  REQUIRE(write_file(dir.path() + "/from/empty", "").ok());
  REQUIRE(write_file(dir.path() + "/from/run", "#!/bin/sh\n", 0755).ok());
  std::vector<std::string> skipped;
  REQUIRE(untar_below(local_tar(dir.path() + "/from", "to").value(), "to", dir.path() + "/there", skipped).ok());
  CHECK(skipped.empty());
  CHECK(read_file(dir.path() + "/there/sub/big").value() == std::string(100'000, 'x'));
  CHECK(read_file(dir.path() + "/there/empty").value().empty());
  struct stat found {};
  REQUIRE(::stat((dir.path() + "/there/run").c_str(), &found) == 0);
  CHECK((found.st_mode & 0100) != 0);
}

TEST_CASE("an archive of a container writes nothing beside its destination, and makes no links") {
  const TempDir dir = TempDir::make("cp").value();
  content::TarEntry link;
  link.type = content::EntryType::symlink;
  link.name = "data/out";
  link.link = "/etc";
  const auto file = [](const char* name) {
    content::TarEntry entry;
    entry.name = name;
    return entry;
  };
  const std::string archive =
      tar_of({file("data/ok"), file("data/../../evil"), file("other/x"), link, file("/data/rooted")}, "hello");
  std::vector<std::string> skipped;
  REQUIRE(untar_below(content::from_string(archive), "/data", dir.path() + "/to", skipped).ok());
  CHECK(read_file(dir.path() + "/to/ok").value() == "hello");
  CHECK(read_file(dir.path() + "/to/rooted").value() == "hello");
  CHECK_FALSE(exists(dir.path() + "/evil"));
  CHECK_FALSE(exists(dir.path() + "/to/out"));
  CHECK(skipped.size() == 3);
  CHECK_FALSE(untar_below(content::from_string(std::string(content::kTrailerBytes, '\0')), "data", dir.path() + "/none",
                          skipped)
                  .ok());
}

TEST_CASE("ports of a forward are pairs, the same on both sides, or a local one of the system's choice") {
  CHECK(parse_ports("8080:80").value() == PortPair{8080, "80", false});
  CHECK(parse_ports(":http").value() == PortPair{0, "http", false});
  CHECK(parse_ports("80").value() == PortPair{0, "80", true});
  for (const char* wrong : {"80:", "x:80", "80:0", "70000:80", "80:70000"})
    CHECK_MESSAGE(!parse_ports(wrong).ok(), wrong);
}

TEST_CASE("a Service's port leads to its target in the pod, by number and by name") {
  const Value pod =
      read("{metadata: {name: p}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}");
  const Value service = read(
      "{metadata: {name: s}, spec: {clusterIP: 10.0.0.1, ports: [{name: web, port: 80, targetPort: http}, {name: raw, "
      "port: 81, targetPort: 9000}, {name: same, port: 82}]}}");
  CHECK(remote_port({}, pod, "80").value() == 80);
  CHECK(remote_port({}, pod, "http").value() == 8080);
  CHECK(remote_port(service, pod, "80").value() == 8080);
  CHECK(remote_port(service, pod, "raw").value() == 9000);
  CHECK(remote_port(service, pod, "82").value() == 82);
  CHECK(remote_port({}, pod, "nope").error().message == "Pod 'p' does not have a named port 'nope'");
  CHECK(remote_port(service, pod, "83").error().message == "Service s does not have a service port 83");
  CHECK(remote_port(read("{metadata: {name: h}, spec: {clusterIP: None, ports: [{port: 80, targetPort: 9000}]}}"), pod,
                    "80")
            .value() == 80);
}

}  // namespace caisson::cli::kubectl
