// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/semver.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::jmespath {
namespace {

std::optional<std::uint64_t> number_of(std::string_view text) {
  if (text.empty() || text.size() > 18 || (text.size() > 1 && text[0] == '0')) return {};
  std::uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

std::weak_ordering order_of(const std::string& a, const std::string& b) {
  const auto x = number_of(a), y = number_of(b);
  if (x && y) return *x <=> *y;
  if (x || y) return x ? std::weak_ordering::less : std::weak_ordering::greater;
  return a.compare(b) <=> 0;
}

// "1.x" and "1.2.x" stand for every version that begins so.
struct Bound {
  Version from;
  std::optional<Version> next;  // the first version behind a wildcard
};
std::optional<Bound> bound_of(std::string_view text) {
  const auto parts = split(text, '.');
  const auto is_wild = [](std::string_view part) { return part == "x" || part == "X" || part == "*"; };
  const auto wild = std::find_if(parts.begin(), parts.end(), is_wild);
  if (wild == parts.end()) {
    const auto version = Version::parse(text);
    if (!version) return {};
    return Bound{*version, {}};
  }
  const auto known = wild - parts.begin();
  if (known == 0 || known > 2 || parts.size() > 3) return {};
  const auto major = number_of(parts[0]);
  const auto minor = known == 2 ? number_of(parts[1]) : std::optional<std::uint64_t>(0);
  if (!major || !minor) return {};
  Bound bound;
  bound.from.major = *major;
  bound.from.minor = *minor;
  bound.next = known == 2 ? Version{*major, *minor + 1, 0, {}} : Version{*major + 1, 0, 0, {}};
  return bound;
}

std::optional<bool> holds(const Version& version, std::string_view comparison) {
  const std::size_t length = std::min(comparison.find_first_not_of("<>=!"), comparison.size());
  const std::string_view op = comparison.substr(0, length);
  const auto bound = bound_of(comparison.substr(length));
  if (!bound) return {};
  const bool inside = bound->next ? version >= bound->from && version < *bound->next : version == bound->from;
  if (op.empty() || op == "=" || op == "==") return inside;
  if (op == "!" || op == "!=") return !inside;
  if (op == ">=") return version >= bound->from;
  if (op == "<") return version < bound->from;
  if (op == ">") return bound->next ? version >= *bound->next : version > bound->from;
  if (op == "<=") return bound->next ? version < *bound->next : version <= bound->from;
  return {};
}

// Operators may stand apart from their versions: ">= 1.2".
std::vector<std::string> comparisons_of(std::string_view text) {
  std::vector<std::string> out;
  bool open = false;
  for (const std::string_view word : split(text, ' ')) {
    if (trim(word).empty()) continue;
    if (open)
      out.back() += trim(word);
    else
      out.emplace_back(trim(word));
    open = out.back().find_first_not_of("<>=!") == std::string::npos;
  }
  return out;
}

}  // namespace

std::optional<Version> Version::parse(std::string_view text) {
  Version version;
  const std::size_t plus = text.find('+');
  if (plus != std::string_view::npos) {
    for (const auto part : split(text.substr(plus + 1), '.'))
      if (!is_identifier(part)) return {};
    text = text.substr(0, plus);
  }
  const std::size_t dash = text.find('-');
  if (dash != std::string_view::npos) {
    for (const auto part : split(text.substr(dash + 1), '.')) {
      if (!is_identifier(part)) return {};
      version.pre.emplace_back(part);
    }
    text = text.substr(0, dash);
  }
  const auto parts = split(text, '.');
  if (parts.size() != 3) return {};
  const auto major = number_of(parts[0]), minor = number_of(parts[1]), patch = number_of(parts[2]);
  if (!major || !minor || !patch) return {};
  version.major = *major;
  version.minor = *minor;
  version.patch = *patch;
  return version;
}

std::weak_ordering Version::operator<=>(const Version& other) const {
  if (const auto order = major <=> other.major; order != 0) return order;
  if (const auto order = minor <=> other.minor; order != 0) return order;
  if (const auto order = patch <=> other.patch; order != 0) return order;
  if (pre.empty() || other.pre.empty()) return other.pre.size() <=> pre.size();  // a release is above its previews
  for (std::size_t i = 0; i < std::min(pre.size(), other.pre.size()); ++i)
    if (const auto order = order_of(pre[i], other.pre[i]); order != 0) return order;
  return pre.size() <=> other.pre.size();
}

Result<bool> version_in_range(const Version& version, std::string_view range) {
  bool any = false;
  std::string_view rest = range;
  for (;;) {
    const std::size_t bar = rest.find("||");
    const auto comparisons = comparisons_of(rest.substr(0, bar));
    if (comparisons.empty()) return Error{ErrorCode::bad_request, "no version in range \"" + std::string(range) + "\""};
    bool all = true;
    for (const std::string& comparison : comparisons) {
      const auto held = holds(version, comparison);
      if (!held) return Error{ErrorCode::bad_request, "could not parse version range \"" + comparison + "\""};
      all = all && *held;
    }
    any = any || all;
    if (bar == std::string_view::npos) return any;
    rest.remove_prefix(bar + 2);
  }
}

}  // namespace caisson::jmespath
