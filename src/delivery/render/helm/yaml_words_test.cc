// SPDX-License-Identifier: Apache-2.0
// What is said of a document that is no YAML, beside what Helm says of it. testdata/yaml_errors.jsonl: a document and
// the answer of helm v3.22 to `helm template` of a chart whose one template it is.
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/render/helm/manifest.h"

namespace caisson::render::helm {

TEST_CASE("a document that is no YAML is refused in Helm's words") {
  const auto text = read_file(test_room_dir() + "/helm/testdata/yaml_errors.jsonl");
  REQUIRE(text.ok());
  std::size_t count = 0;
  for (const std::string_view line : split(*text, '\n')) {
    if (line.empty()) continue;
    const auto one = json::parse(line);
    REQUIRE(one.ok());
    std::vector<std::string> warnings;
    const auto manifests = sort_manifests({{"c/templates/x.yaml", (*one)["document"].str()}}, warnings);
    CAPTURE((*one)["document"].str());
    CHECK((manifests.ok() ? "" : manifests.error().message) == (*one)["error"].str());
    ++count;
  }
  CHECK(count >= 60);
}

}  // namespace caisson::render::helm
