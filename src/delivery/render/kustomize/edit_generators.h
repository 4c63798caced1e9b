// SPDX-License-Identifier: Apache-2.0
// What `kustomize create` and `edit` ask of the renderer. Pure functions of a FileSource; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "delivery/render/render.h"

namespace caisson::render {

// The files that hold resources, below the root; of a folder with a kustomization file the folder. Sorted as a walk
// meets them. Files that hold anything else are left out.
Result<std::vector<std::string>> detect_resources(const FileSource& source, bool recursive);

// Errors: as a build with this entry of configMapGenerator or secretGenerator would give.
Result<void> check_generator(const FileSource& source, const Value& generator, bool secret);

// The options of one generator over those of generatorOptions.
Value with_generator_options(Value own, const Value& global);

}  // namespace caisson::render
