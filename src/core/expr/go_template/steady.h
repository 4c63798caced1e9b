// SPDX-License-Identifier: Apache-2.0
// Is what a template gives determined by the data that it runs over? Charts include the same few names (fullname, chart,
// labels) over the same "." many times in a file, and a template that is steady need run only once. Pure; any thread.
#pragma once
#include <functional>
#include <string_view>

#include "core/expr/go_template/tree.h"

namespace caisson::go_template {

// True when neither `tree` nor what it includes calls a function that edits a dict, runs a text, or asks a clock, the
// random numbers or the world. `include_steady`: of the template of a name that it includes.
bool is_steady(const Tree& tree, const std::function<bool(std::string_view name)>& include_steady);

}  // namespace caisson::go_template
