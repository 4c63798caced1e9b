// SPDX-License-Identifier: Apache-2.0
// What the strategic merge knows of a kind's lists: from cluster/schema for built-in kinds, from an `openapi` file for
// others.
#pragma once
#include <memory>

#include "core/document/patch.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {

struct MergeKeys {
  const document::MergeSchema* root = nullptr;  // null: nothing is known
  std::shared_ptr<const void> memory;           // keeps it alive
};
MergeKeys merge_keys_of(const Build& build, const Value& object);

}  // namespace caisson::render::kustomize_impl
