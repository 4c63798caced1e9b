// SPDX-License-Identifier: Apache-2.0
// Is what a template gives determined by the data that it runs over? Charts include the same few names (fullname,
// chart, labels) over the same "." in every file, and a template that is steady need run only once. Pure; any thread.
#pragma once
#include <functional>
#include <span>
#include <string_view>

#include "core/expr/go_template/tree.h"

namespace caisson::go_template {

enum class Steadiness : std::uint8_t {
  none,     // may edit a dict, run a text, or ask a clock, the random numbers or the world
  of_run,   // determined by its data while one template of an Execution runs
  of_data,  // also from one of them to the next: shows nothing of the data's own fields of a run
};

struct SteadyQuestion {
  // Fields and methods of the data that are not the same in every run over it (see Options::own_fields).
  std::span<const std::string_view> own_fields;
  // Of the template of a name that is included; `none` while that is being found out.
  std::function<Steadiness(std::string_view name)> of_included;
};
// Of `tree` and all that it includes. What it does not know for sure it takes for the worse.
Steadiness steadiness(const Tree& tree, const SteadyQuestion& question);

}  // namespace caisson::go_template
