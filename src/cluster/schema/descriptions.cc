// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/descriptions.h"

#include "core/base/check.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

constexpr int kLikenessesMax = 4;  // a type is like one that is like another …

}  // namespace

const Value& Descriptions::package(std::string_view name) {
  const auto known = packages_.find(name);
  if (known != packages_.end()) return known->second;
  Value& made = packages_[std::string(name)];
  for (const KindFile& file : description_files()) {
    if (file.path.size() != name.size() + 5 || !file.path.starts_with(name)) continue;
    auto read = json::parse(file.json);
    CHECK(read.ok());  // the build wrote it
    made = std::move(read).value();
  }
  return made;
}

// What a type does not say of a field stands at the type that it is like, and at last in common.yaml.
std::string Descriptions::find(std::string_view type, std::string_view name) {
  std::string at(type);
  for (int i = 0; i < kLikenessesMax; ++i) {
    const std::size_t dot = at.rfind('.');
    if (dot == std::string::npos) break;
    const std::string home = at.substr(0, dot);
    const Value& members = package(home)[std::string_view(at).substr(dot + 1)];
    if (const Value* said = members.find(name)) return said->str();
    const std::string like = members["$like"].str();
    if (like.empty()) break;
    at = like.find('.') == std::string::npos ? home + "." + like : like;
  }
  return package("common")["*"][name].str();
}

}  // namespace caisson::schema
