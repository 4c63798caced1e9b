// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize build --watch`: prints what a build gives, then, when one of the files that it read changes, how
// the output differs.
#pragma once
#include <functional>

#include "core/base/result.h"
#include "delivery/render/render.h"

namespace caisson::cli {

// Goes on until it is interrupted. A build that fails is reported, and the files of the last good one are watched on.
// Errors: those of the first build, and of inotify.
Result<void> watch_rendering(const std::function<Result<render::Rendering>()>& build);

}  // namespace caisson::cli
