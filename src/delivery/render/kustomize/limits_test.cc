// SPDX-License-Identifier: Apache-2.0
// Trees made to exhaust the builder: they are refused, in words that name the file, and early.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/file.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

using Files = std::map<std::string, std::string>;

std::string refusal(const Files& files) {
  const auto built = kustomize(MemorySource(files), "entry", {});
  return built.ok() ? "built" : built.error().message;
}

std::string refusal_of_resource(const std::string& text) {
  return refusal({{"entry/kustomization.yaml", "resources: [r.yaml]\n"}, {"entry/r.yaml", text}});
}

bool has(const std::string& message, std::string_view words) {
  return message.find(words) != std::string::npos;
}

long peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

const std::string kConfigMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";

}  // namespace

TEST_CASE("anchors that multiply are refused") {
  std::string text = kConfigMap + "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) text += ", " + before;
    text += "]\n";
  }
  const std::string message = refusal_of_resource(text);
  CHECK_MESSAGE(has(message, "expands to too many nodes"), message);
  CHECK_MESSAGE(has(message, "entry/r.yaml: line "), message);
}

TEST_CASE("a kustomization file of multiplying anchors is refused, too") {
  std::string text = "a0: &a0 {x: y}\n";
  for (int i = 1; i < 30; ++i) {
    const std::string n = std::to_string(i), before = "*a" + std::to_string(i - 1);
    text += "a" + n + ": &a" + n + " [" + before + ", " + before + "]\n";
  }
  const std::string message = refusal({{"entry/kustomization.yaml", text}});
  CHECK_MESSAGE(has(message, "entry/kustomization.yaml: line "), message);
  CHECK_MESSAGE(has(message, "expands to too many nodes"), message);
}

TEST_CASE("what is nested too deeply is refused, in flow and block style") {
  std::string block;
  for (int i = 0; i < 300; ++i) block += std::string(static_cast<std::size_t>(2 * i), ' ') + "a:\n";
  for (const std::string& text : {kConfigMap + "a: " + std::string(100'000, '['), kConfigMap + block}) {
    const std::string message = refusal_of_resource(text);
    CHECK_MESSAGE(has(message, "nested too deeply"), message.substr(0, 200));
  }
}

TEST_CASE("a file of very many small nodes is refused before it fills the memory") {
  std::string text = kConfigMap + "a: [";
  text.reserve(60u << 20);
  while (text.size() < 60u << 20) text += "1,";
  const long before = peak_kib();
  const std::string message = refusal_of_resource(text + "1]\n");
  CHECK_MESSAGE(has(message, "too many nodes"), message.substr(0, 200));
  CHECK(peak_kib() - before < 700 * 1024);
}

TEST_CASE("a file of 1 GiB is refused without being read") {
  const TempDir dir = TempDir::make("caisson-limits").value();
  REQUIRE(write_file_unsynced(dir.path() + "/kustomization.yaml", "resources: [r.yaml]\n").ok());
  const UniqueFd big(::open((dir.path() + "/r.yaml").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  REQUIRE(::ftruncate(big.get(), 1 << 30) == 0);
  const long before = peak_kib();
  const auto built = kustomize(*disk_source(dir.path()), ".", {});
  REQUIRE(!built.ok());
  CHECK(built.error().code == ErrorCode::too_large);
  CHECK_MESSAGE(built.error().message == "kustomization.yaml: resources[0]: r.yaml: larger than 64 MiB",
                built.error().message);
  CHECK(peak_kib() - before < 16 * 1024);
}

TEST_CASE("a cycle of kustomizations is refused") {
  const std::string message = refusal({{"entry/kustomization.yaml", "resources: [../a]\n"},
                                       {"a/kustomization.yaml", "resources: [../b]\n"},
                                       {"b/kustomization.yaml", "resources: [../entry]\n"}});
  CHECK_MESSAGE(has(message, "cycle"), message);
}

TEST_CASE("a chain of very many bases is refused") {
  Files files{{"entry/kustomization.yaml", "resources: [../d0]\n"}};
  for (int i = 0; i < 100; ++i)
    files["d" + std::to_string(i) + "/kustomization.yaml"] = "resources: [../d" + std::to_string(i + 1) + "]\n";
  const std::string message = refusal(files);
  CHECK_MESSAGE(has(message, "nested too deeply"), message);
}

TEST_CASE("two objects that a patch gives one name are refused") {
  const std::string second = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\n";
  const std::string rename =
      "patches:\n- target: {kind: ConfigMap}\n  patch: '[{op: replace, path: /metadata/name, value: x}]'\n";
  const std::string message = refusal({{"entry/kustomization.yaml", "resources: [c.yaml, d.yaml]\n" + rename},
                                       {"entry/c.yaml", kConfigMap},
                                       {"entry/d.yaml", second}});
  CHECK_MESSAGE(has(message, "already registered id: ConfigMap.v1.[noGrp]/x.[noNs]"), message);
}

TEST_CASE("what is not shaped as an object must be is refused, whoever makes it so") {
  const std::string start = "resources: [r.yaml]\nbuildMetadata: [originAnnotations, managedByLabel]\n";
  const auto with = [&](const std::string& fields) {
    return refusal({{"entry/kustomization.yaml", start + fields}, {"entry/r.yaml", kConfigMap}});
  };
  const std::string odd = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: x}\n";
  CHECK(has(refusal_of_resource(odd), "metadata.annotations: must be a map"));
  const std::string patch = "patches:\n- target: {kind: ConfigMap}\n  patch: '[{op: add, path: ";
  CHECK(has(with(patch + "/metadata/labels, value: x}]'\n"), "metadata.labels: must be a map"));
  CHECK(has(with(patch + "/metadata, value: [x]}]'\n"), "metadata: must be a map"));
  const std::string target = "replacements:\n- sourceValue: x\n  targets:\n  - select: {kind: ConfigMap}\n    ";
  CHECK(has(with(target + "options: {create: true}\n    fieldPaths: [metadata.annotations]\n"),
            "metadata.annotations: must be a map"));
  CHECK(has(with(target + "options: {create: true}\n    fieldPaths: ['kind.[name=x]']\n"), "expected a list"));
  CHECK(has(with(target + "fieldPaths: ['metadata.[=]']\n"), "expected a list"));
}

TEST_CASE("bases that double at each level are refused") {
  Files files{{"entry/kustomization.yaml", "resources: [../l30a, ../l30b]\n"},
              {"l0a/kustomization.yaml", "namePrefix: a-\nresources: [c.yaml]\n"},
              {"l0b/kustomization.yaml", "namePrefix: b-\nresources: [c.yaml]\n"},
              {"l0a/c.yaml", kConfigMap},
              {"l0b/c.yaml", kConfigMap}};
  for (int i = 1; i <= 30; ++i) {
    const std::string below = std::to_string(i - 1), level = "l" + std::to_string(i);
    for (const char* side : {"a", "b"}) {
      files[level + side + "/kustomization.yaml"] =
          "namePrefix: " + std::string(side) + "-\nresources: [../l" + below + "a, ../l" + below + "b]\n";
    }
  }
  const std::string message = refusal(files);
  CHECK_MESSAGE(has(message, "kustomizations"), message.substr(message.size() > 300 ? message.size() - 300 : 0));
}

}  // namespace caisson::render
