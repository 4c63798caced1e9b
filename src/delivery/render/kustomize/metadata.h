// SPDX-License-Identifier: Apache-2.0
// Whether an object's metadata can be worked on: a map, with maps as labels and annotations where it has them. Asked
// of every object that comes from outside, and again after what may put anything anywhere (patches, replacements).
#pragma once
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::kustomize_impl {

// Errors: invalid, naming the field.
Result<void> check_metadata(const Value& object);

}  // namespace caisson::render::kustomize_impl
