// SPDX-License-Identifier: Apache-2.0
// A kustomization file, checked: known fields of the right types, deprecated fields moved to those that took their
// place.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "delivery/render/render.h"

namespace caisson::yaml {
struct ReadOptions;
}

namespace caisson::render::kustomize_impl {

struct Kustomization {
  std::string directory;  // relative to the source's root, "." for the root
  std::string file;       // "overlays/prod/kustomization.yaml"
  Value fields;
  bool component() const { return fields["kind"].as_string() == "Component"; }
};

// As yaml::read_all; an error also tells go-yaml's words for it, which people know and search for.
Result<std::vector<Value>> read_documents(std::string_view text, const yaml::ReadOptions& options);

bool is_kustomization_name(std::string_view file_name);

// Errors: not_found when the directory has no kustomization file; invalid, with file and field.
Result<Kustomization> load_kustomization(const FileSource& source, const std::string& directory,
                                         std::vector<std::string>& warnings);

}  // namespace caisson::render::kustomize_impl
