// SPDX-License-Identifier: Apache-2.0
#include "main/cli/unknown_command.h"

#include <algorithm>

namespace caisson::cli {
namespace {

// Damerau's distance, restricted: letters inserted, removed, changed, or swapped with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before = std::exchange(last, now);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest_command(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t kLongestWord = 32;
  std::string_view nearest;
  if (word.size() > kLongestWord) return nearest;
  std::size_t least = std::min<std::size_t>(3, (word.size() + 1) / 2);
  for (const std::string_view one : known) {
    const std::size_t d = distance(word, one);
    if (d >= least) continue;
    least = d;
    nearest = one;
  }
  return nearest;
}

std::string which_command(const std::vector<std::string>& words, std::span<const SubCommand> family) {
  std::string out = words.size() > 1 && !words[1].starts_with('-')
                        ? "'" + words[0] + "' has no command '" + words[1] + "'; it has:\n"
                        : "'" + words[0] + "' is followed by one of:\n";
  std::size_t width = 0;
  for (const SubCommand& one : family) width = std::max(width, one.name.size());
  for (const SubCommand& one : family) {
    out.append("  ").append(one.name).append(width - one.name.size() + 2, ' ').append(one.help).append("\n");
  }
  return out;
}

}  // namespace caisson::cli
