// SPDX-License-Identifier: Apache-2.0
// KRM functions that are containers: each runs as a Pod of the platform that the kubeconfig names, with its
// ResourceList on standard input, and is removed afterwards.
#pragma once
#include <string>

#include "delivery/render/function_pod.h"

namespace caisson::cli {

// The function's standard output; its standard error is passed on. Errors: unavailable when no platform is reached,
// with what to do; forbidden as function_pod; internal when the image can't be had or the function fails.
Result<std::string> run_container_function(const render::FunctionCall& call, render::FunctionPodOptions options);

}  // namespace caisson::cli
