// SPDX-License-Identifier: Apache-2.0
// The lines of one field of a kustomization file, changed so that comments stay where they are. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace caisson::render::kustomize_impl {

// A comment or a blank line.
bool is_note(std::string_view line);
std::vector<std::string> notes_within(const std::vector<std::string>& lines);

// The text of `field` with the value `value` (null: the field goes). Without comments and blank lines inside, that is
// the value as kustomize writes it. With them, items and entries that stay keep their lines; where the lines can't be
// told apart (flow style, anchors), the comments move above the field.
std::string rewritten(const std::vector<std::string>& lines, std::string_view field, const Value& value);

}  // namespace caisson::render::kustomize_impl
