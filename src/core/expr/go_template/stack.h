// SPDX-License-Identifier: Apache-2.0
// Templates call templates as deep as their limits say, on threads whose stacks were not made for it.
#pragma once
#include <functional>

namespace caisson::go_template {

bool stack_is_short();  // of this thread: less is left than one more level of evaluation may need

// Runs `work` to its end on a thread of its own, with a large stack, while this one waits.
void on_fresh_stack(const std::function<void()>& work);

}  // namespace caisson::go_template
