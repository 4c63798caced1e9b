// SPDX-License-Identifier: Apache-2.0
// Descriptions: what the types and fields of the kind files are, in a sentence each, as `kubectl explain` and OpenAPI
// show it. The texts are descriptions/PACKAGE.yaml, put into the program as JSON; a package is parsed when the first of
// its types is asked for and forgotten with this object, so that they cost nothing while nobody reads documentation.
// Threads: one at a time.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "cluster/schema/kind_files.h"
#include "core/document/value.h"

namespace caisson::schema {

std::span<const KindFile> description_files();  // path: "io.k8s.api.core.v1.yaml"

class Descriptions {
 public:
  // Types by their full name ("io.k8s.api.core.v1.PodSpec"). "" where nothing is said of it.
  std::string type(std::string_view name) { return find(name, "$"); }
  std::string field(std::string_view type, std::string_view name) { return find(type, name); }

 private:
  std::string find(std::string_view type, std::string_view name);
  const Value& package(std::string_view name);

  std::map<std::string, Value, std::less<>> packages_;
};

}  // namespace caisson::schema
