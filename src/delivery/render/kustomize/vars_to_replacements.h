// SPDX-License-Identifier: Apache-2.0
// `kustomize edit fix --vars`: vars become replacements. "$(NAME)" in the files becomes "NAME_PLACEHOLDER", and each
// place where it stood a target. Source: kustomize v5.8, commands/edit/fix/convert.go. Pure; any thread.
#pragma once
#include <map>
#include <string>

#include "core/base/result.h"
#include "core/document/value.h"
#include "delivery/render/render.h"

namespace caisson::render {

struct ConvertedVars {
  Value fields;                              // of the kustomization
  std::map<std::string, std::string> files;  // path → new text, of those that change
};
// Errors: invalid for a var in the middle of a text without the same delimiter on both sides.
Result<ConvertedVars> vars_to_replacements(const FileSource& source, Value fields);

}  // namespace caisson::render
