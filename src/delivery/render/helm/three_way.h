// SPDX-License-Identifier: Apache-2.0
// Three-way merge: what a live object becomes when its manifest changes from `original` to `modified`. What only the
// cluster has stays; what the manifest had and has no longer goes. Lists merge by their keys where the schema has any.
// Behaviour: apimachinery's CreateThreeWayMergePatch, and jsonmergepatch's for kinds without a schema. Pure.
#pragma once
#include "core/document/patch.h"
#include "core/document/value.h"

namespace caisson::render::helm {

Value three_way_merge(const Value& original, const Value& modified, Value live, const document::MergeSchema* schema);

}  // namespace caisson::render::helm
