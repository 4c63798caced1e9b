// SPDX-License-Identifier: Apache-2.0
// The annotations in which kustomize, from stage to stage and from tool to tool, keeps what it must remember of a
// resource. Here that is plain data, but what comes with a resource counts, and none of it is written. Source:
// kustomize api v0.21, resource.BuildAnnotations. Any thread.
#pragma once
#include "core/base/result.h"
#include "delivery/render/kustomize/resource.h"

namespace caisson::render::kustomize_impl {

// Earlier ids, prefixes, suffixes and the wish for a hash. Errors: invalid when the earlier ids are incomplete.
Result<void> take_build_annotations(Resource& resource);

// Origins and transformations stay when they are wanted. A map of annotations that becomes empty goes, too.
struct KeptAnnotations {
  bool origin = false, transformations = false;
};
void drop_build_annotations(Value& object, KeptAnnotations kept);

}  // namespace caisson::render::kustomize_impl
