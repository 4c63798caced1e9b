// SPDX-License-Identifier: Apache-2.0
// patchStrategicMerge: a patch with anchors laid over an object. Anchors are resolved against the object first; what is
// left is merged by the kind's list keys, items of the patch before those it does not name. Follows Kyverno 1.19,
// pkg/engine/mutate/patch. Pure; any thread.
#pragma once
#include "core/base/result.h"
#include "core/document/patch.h"
#include "core/document/value.h"

namespace caisson::policy {

// Resolves the anchors. A condition that does not hold leaves an empty patch. Errors: bad_request.
Result<Value> resolve_anchors(const Value& patch, const Value& resource);
Value merge_patch(const Value& object, const Value& patch, const document::MergeSchema* schema);

}  // namespace caisson::policy
