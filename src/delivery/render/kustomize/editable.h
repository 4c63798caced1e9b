// SPDX-License-Identifier: Apache-2.0
// A kustomization file that is changed and written back: `caisson kustomize edit` and `create`.
//
// What is written is what kustomize v5.8 writes (the file's own order of fields, then the new ones in kustomize's
// order; comments above fields stay above them), but for comments inside a field. kustomize moves those above the field
// and loses those at the end of a line or of the file; here they stay with the item or the line they belong to.
// Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render {

class EditableKustomization {
 public:
  // Deprecated fields that only changed their names (bases, imageTags, env, helmChartInflationGenerator) move to those
  // of now; apiVersion and kind are filled in. Errors: invalid, naming file and field.
  static Result<EditableKustomization> parse(std::string_view text, const std::string& file);

  Value fields;  // by their names, as kustomization.yaml has them; an empty one is not written

  std::string text() const;

 private:
  // A field with the lines that it takes in the file.
  struct Chunk {
    std::string_view field;          // of field_order(); empty: not written back
    std::vector<std::string> above;  // comments and blank lines
    std::vector<std::string> lines;  // without line ends
  };
  std::vector<Chunk> chunks_;
  std::vector<std::string> below_;  // comments at the end of the file
};

}  // namespace caisson::render
