// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/explain.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::cli::kubectl {
namespace {

const kube::Resource kWidgets{"example.com", "v1", "Widget", "widgets", true};

std::string file(const std::string& name) {
  return read_file(test_room_dir() + "/testdata/explain/" + name).value();
}

}  // namespace

TEST_CASE("explain prints what kubectl prints") {
  const Value document = json::parse(file("openapi.json")).value();
  int compared = 0;
  for (std::string name : list_dir(test_room_dir() + "/testdata/explain").value()) {
    if (!name.ends_with(".txt")) continue;
    const std::string wanted = file(name);
    name.resize(name.size() - 4);
    const bool recursive = name.ends_with("--recursive");
    if (recursive) name.resize(name.size() - std::string_view("--recursive").size());
    std::vector<std::string> path;
    for (std::string_view part : split(name, '.')) path.emplace_back(part);
    path.erase(path.begin());
    const auto text = explained(document, kWidgets, path, recursive);
    REQUIRE(text.ok());
    CHECK_MESSAGE(explained_kind(kWidgets) + *text == wanted, name);
    ++compared;
  }
  CHECK(compared == 16);
}

TEST_CASE("explain refuses fields and kinds that are not there") {
  const Value document = json::parse(file("openapi.json")).value();
  const auto field = explained(document, kWidgets, {"spec", "nobody"}, false);
  CHECK(field.error().message == "field \"nobody\" does not exist");
  const auto below_scalar = explained(document, kWidgets, {"spec", "color", "x"}, false);
  CHECK(below_scalar.error().message == "field \"x\" does not exist");
  CHECK_FALSE(explained(document, {"example.com", "v2", "Widget", "widgets", true}, {}, false).ok());
}

}  // namespace caisson::cli::kubectl
