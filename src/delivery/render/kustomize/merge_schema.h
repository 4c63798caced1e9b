// SPDX-License-Identifier: Apache-2.0
// What the strategic merge knows of a kind's lists: from cluster/schema's table for built-in kinds, from an `openapi`
// file for others.
#pragma once
#include "core/document/patch.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {

// Null: nothing is known. Lives as long as the build, or until it reads another `openapi` file.
const document::MergeSchema* merge_keys_of(Build& build, const Value& object);

}  // namespace caisson::render::kustomize_impl
