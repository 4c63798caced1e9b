// SPDX-License-Identifier: Apache-2.0
// Differences of documents by path, and unified diffs of texts by lines (Myers' algorithm, with a bound on its work).
#include <algorithm>
#include <string>

#include "core/document/patch.h"

namespace caisson::document {
namespace {

void compare(const Value& before, const Value& after, const std::string& path, std::vector<Difference>& out) {
  if (before.shares_with(after)) return;
  if (before.is_map() && after.is_map()) {
    const std::string prefix = path.empty() ? "" : path + ".";
    for (const MapEntry& entry : before.entries()) {
      const Value* other = after.find(entry.key);
      if (other != nullptr)
        compare(entry.value, *other, prefix + std::string(entry.key), out);
      else
        out.push_back({prefix + std::string(entry.key), entry.value, Value(), false, true});
    }
    for (const MapEntry& entry : after.entries()) {
      if (!before.contains(entry.key))
        out.push_back({prefix + std::string(entry.key), Value(), entry.value, true, false});
    }
    return;
  }
  if (before.is_list() && after.is_list()) {
    const std::size_t longer = std::max(before.size(), after.size());
    for (std::size_t i = 0; i < longer; ++i) {
      const std::string at = path + "[" + std::to_string(i) + "]";
      if (i < before.size() && i < after.size())
        compare(before[i], after[i], at, out);
      else
        out.push_back({at, before[i], after[i], i >= before.size(), i >= after.size()});
    }
    return;
  }
  if (!(before == after)) out.push_back({path, before, after});
}

// Lines keep their '\n', so that a missing one at the end of the text is a difference.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

struct Edit {
  char mark;                  // ' ', '-' or '+'
  std::size_t before, after;  // line numbers from 0
};

constexpr std::size_t kEditsMax = 2000;  // beyond, the rest counts as replaced whole

std::vector<Edit> replaced(std::size_t first, std::size_t before_end, std::size_t after_end) {
  std::vector<Edit> out;
  for (std::size_t i = first; i < before_end; ++i) out.push_back({'-', i, first});
  for (std::size_t i = first; i < after_end; ++i) out.push_back({'+', before_end, i});
  return out;
}

// The shortest way from a[first..a_end) to b[first..b_end).
std::vector<Edit> shortest(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b,
                           std::size_t first, std::size_t a_end, std::size_t b_end) {
  const auto n = static_cast<std::ptrdiff_t>(a_end - first), m = static_cast<std::ptrdiff_t>(b_end - first);
  const std::ptrdiff_t most = std::min<std::ptrdiff_t>(n + m, kEditsMax);
  const auto same = [&](std::ptrdiff_t x, std::ptrdiff_t y) {
    return a[first + static_cast<std::size_t>(x)] == b[first + static_cast<std::size_t>(y)];
  };
  std::vector<std::vector<std::ptrdiff_t>> trace;
  std::vector<std::ptrdiff_t> reach(static_cast<std::size_t>(2 * most + 2), 0);
  const auto at = [most](std::ptrdiff_t k) { return static_cast<std::size_t>(k + most); };
  std::ptrdiff_t edits = 0;
  bool found = false;
  for (; edits <= most && !found; ++edits) {
    trace.push_back(reach);
    for (std::ptrdiff_t k = -edits; k <= edits && !found; k += 2) {
      const bool down = k == -edits || (k != edits && reach[at(k - 1)] < reach[at(k + 1)]);
      std::ptrdiff_t x = down ? reach[at(k + 1)] : reach[at(k - 1)] + 1;
      while (x < n && x - k < m && x - k >= 0 && same(x, x - k)) ++x;
      reach[at(k)] = x;
      found = x >= n && x - k >= m;
    }
  }
  if (!found) return replaced(first, a_end, b_end);
  std::vector<Edit> out;
  std::ptrdiff_t x = n, y = m;
  const auto put = [&](char mark) {
    out.push_back({mark, first + static_cast<std::size_t>(x), first + static_cast<std::size_t>(y)});
  };
  for (std::ptrdiff_t d = edits - 1; d >= 0; --d) {
    const auto& before = trace[static_cast<std::size_t>(d)];
    const std::ptrdiff_t k = x - y;
    const bool down = k == -d || (k != d && before[at(k - 1)] < before[at(k + 1)]);
    const std::ptrdiff_t from_k = down ? k + 1 : k - 1;
    const std::ptrdiff_t from_x = d == 0 ? 0 : before[at(from_k)], from_y = d == 0 ? 0 : from_x - from_k;
    while (x > from_x && y > from_y && (d == 0 || x > (down ? from_x : from_x + 1))) {
      --x, --y;
      put(' ');
    }
    if (d == 0) break;
    if (down) {
      --y;
      put('+');
    } else {
      --x;
      put('-');
    }
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Edit> edits_between(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  std::size_t first = 0, a_end = a.size(), b_end = b.size();
  while (first < a_end && first < b_end && a[first] == b[first]) ++first;
  while (a_end > first && b_end > first && a[a_end - 1] == b[b_end - 1]) --a_end, --b_end;
  std::vector<Edit> out;
  for (std::size_t i = 0; i < first; ++i) out.push_back({' ', i, i});
  const auto middle = shortest(a, b, first, a_end, b_end);
  out.insert(out.end(), middle.begin(), middle.end());
  for (; a_end < a.size(); ++a_end, ++b_end) out.push_back({' ', a_end, b_end});
  return out;
}

std::string range_text(std::size_t start, std::size_t count) {
  const std::string first = std::to_string(count == 0 ? start : start + 1);
  return count == 1 ? first : first + "," + std::to_string(count);
}

}  // namespace

std::vector<Difference> differences(const Value& before, const Value& after) {
  std::vector<Difference> out;
  compare(before, after, "", out);
  return out;
}

std::string unified_diff(std::string_view before, std::string_view after, std::string_view before_name,
                         std::string_view after_name) {
  if (before == after) return {};
  constexpr std::size_t kContext = 3;
  const auto a = lines_of(before), b = lines_of(after);
  const auto edits = edits_between(a, b);
  std::string out;
  out.append("--- ").append(before_name).append("\n+++ ").append(after_name).append("\n");
  for (std::size_t i = 0; i < edits.size();) {
    if (edits[i].mark == ' ') {
      ++i;
      continue;
    }
    const std::size_t start = i > kContext ? i - kContext : 0;
    std::size_t end = i, last_change = i;  // a hunk goes on while changes are at most two contexts apart
    for (; end < edits.size() && end <= last_change + 2 * kContext; ++end) {
      if (edits[end].mark != ' ') last_change = end;
    }
    end = std::min(edits.size(), last_change + kContext + 1);
    std::size_t before_count = 0, after_count = 0;
    for (std::size_t j = start; j < end; ++j) {
      before_count += edits[j].mark != '+';
      after_count += edits[j].mark != '-';
    }
    out += "@@ -" + range_text(edits[start].before, before_count) + " +" + range_text(edits[start].after, after_count) +
           " @@\n";
    for (std::size_t j = start; j < end; ++j) {
      const std::string_view line = edits[j].mark == '+' ? b[edits[j].after] : a[edits[j].before];
      out += edits[j].mark;
      out += line;
      if (line.back() != '\n') out += "\n\\ No newline at end of file\n";
    }
    i = end;
  }
  return out;
}

}  // namespace caisson::document
