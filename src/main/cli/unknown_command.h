// SPDX-License-Identifier: Apache-2.0
// What to say of words that are no command.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::cli {

// The name among `known` that a person may have meant by `word`: at most two letters wrong, missing, too many or
// swapped with their neighbour, and fewer than half of them; empty: none. The first of equals.
std::string_view nearest_command(std::string_view word, std::span<const std::string_view> known);

// A command of several words, as "rollout undo", and what it does.
struct SubCommand {
  std::string_view name, help;
};

// The text for `words` that begin with the first word of `family` but name none of its commands:
// "rollout" alone, or "rollout foo". Lists the family.
std::string which_command(const std::vector<std::string>& words, std::span<const SubCommand> family);

}  // namespace caisson::cli
