// SPDX-License-Identifier: Apache-2.0
// Runs the KRM functions of a build, as far as its flags allow: programs of this machine with --enable-alpha-plugins
// --enable-exec, containers with --enable-alpha-plugins (kustomize_container.h).
#pragma once
#include <memory>

#include "delivery/render/functions.h"
#include "main/cli/helm_flags.h"

namespace caisson::cli {

// Null when the flags allow none. Errors: bad_request for flags that make no sense together.
Result<std::unique_ptr<render::FunctionRunner>> make_function_runner(const Flags& flags);

}  // namespace caisson::cli
