// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/ignore.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::render::helm {
namespace {

constexpr std::size_t kRulesMax = 10'000;

// One character of a class or of plain text, a quoted one included. Nothing at a malformed place.
std::optional<char> next_literal(std::string_view& pattern) {
  if (!pattern.empty() && pattern[0] == '\\') pattern.remove_prefix(1);
  if (pattern.empty()) return std::nullopt;
  const char c = pattern[0];
  pattern.remove_prefix(1);
  return c;
}

// Consumes "[…]" from `pattern`: is `c` in it?
std::optional<bool> in_class(std::string_view& pattern, char c) {
  pattern.remove_prefix(1);
  const bool negated = pattern.starts_with('^');
  if (negated) pattern.remove_prefix(1);
  bool matched = false;
  for (bool first = true;; first = false) {
    if (pattern.empty()) return std::nullopt;
    if (pattern[0] == ']' && !first) break;
    if (pattern[0] == '-' || pattern[0] == ']') return std::nullopt;
    const auto low = next_literal(pattern);
    if (!low || pattern.empty()) return std::nullopt;
    auto high = low;
    if (pattern[0] == '-') {
      pattern.remove_prefix(1);
      high = next_literal(pattern);
      if (!high) return std::nullopt;
    }
    matched |= *low <= c && c <= *high;
  }
  pattern.remove_prefix(1);
  return matched != negated;
}

// Walks the rest of a pattern that can no longer match: malformed is malformed wherever it stands.
bool well_formed(std::string_view pattern) {
  while (!pattern.empty()) {
    if (pattern[0] == '[') {
      if (!in_class(pattern, 'a')) return false;
    } else if (pattern[0] == '\\' && pattern.size() == 1) {
      return false;
    } else {
      pattern.remove_prefix(pattern[0] == '\\' ? 2 : 1);
    }
  }
  return true;
}

bool match(std::string_view pattern, std::string_view name) {
  std::size_t star_pattern = std::string_view::npos, star_name = 0;
  std::string_view p = pattern, n = name;
  while (true) {
    bool advanced = false;
    if (!p.empty() && p[0] == '*') {
      p.remove_prefix(1);
      star_pattern = pattern.size() - p.size();
      star_name = name.size() - n.size();
      continue;
    }
    if (n.empty() && p.empty()) return true;
    if (!n.empty() && !p.empty()) {
      if (p[0] == '[') {
        advanced = in_class(p, n[0]).value_or(false) && n[0] != '/';
      } else if (p[0] == '?') {
        advanced = n[0] != '/';
        p.remove_prefix(1);
      } else {
        const auto c = next_literal(p);
        advanced = c && *c == n[0];
      }
      n.remove_prefix(1);
    }
    if (advanced) continue;
    // Let the last star take one character more.
    if (star_pattern == std::string_view::npos || star_name >= name.size() || name[star_name] == '/') return false;
    ++star_name;
    n = name.substr(star_name);
    p = pattern.substr(star_pattern);
  }
}

}  // namespace

std::optional<bool> path_matches(std::string_view pattern, std::string_view name) {
  if (!well_formed(pattern)) return std::nullopt;
  return match(pattern, name);
}

IgnoreRules::IgnoreRules() {
  rules_.push_back({"templates/.?*", 0, false, false, true});
}

Result<void> IgnoreRules::add(std::string_view line) {
  line = trim(line);
  if (line.empty() || line[0] == '#') return {};
  if (line.find("**") != std::string_view::npos)
    return Error{ErrorCode::bad_request, "double-star (**) syntax is not supported"};
  if (!path_matches(line, "abc")) return Error{ErrorCode::bad_request, "syntax error in pattern"};
  Rule rule;
  if (line[0] == '!') {
    rule.negated = true;
    line.remove_prefix(1);
  }
  if (line.ends_with('/')) {
    rule.only_directories = true;
    line.remove_suffix(1);
  }
  rule.whole_path = line.find('/') != std::string_view::npos;
  if (line.starts_with('/')) line.remove_prefix(1);
  rule.pattern = line;
  rule.tail_size = line.size() - (line.find_last_of("*?]\\") + 1);
  if (rules_.size() >= kRulesMax) return Error{ErrorCode::too_large, ".helmignore: too many rules"};
  rules_.push_back(std::move(rule));
  return {};
}

Result<IgnoreRules> IgnoreRules::parse(std::string_view text) {
  IgnoreRules out;
  const Rule always = std::move(out.rules_.back());
  out.rules_.clear();
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (const std::string_view line : split(text, '\n')) TRY(out.add(line));
  out.rules_.push_back(always);
  return out;
}

bool IgnoreRules::ignores(std::string_view path, bool directory) const {
  if (path.empty() || path == "." || path == "./") return false;
  const std::string base_text = path_base(path);
  const std::string_view base = base_text;
  for (const Rule& rule : rules_) {
    // Most patterns are "name", "*.swp" and their like, and most names fit none of them: the last characters tell.
    const std::string_view name = rule.whole_path ? path : base, pattern = rule.pattern;
    const bool matches = name.ends_with(pattern.substr(pattern.size() - rule.tail_size)) && match(pattern, name);
    if (rule.negated) {
      if ((rule.only_directories && !directory) || !matches) return true;
      continue;
    }
    if (rule.only_directories && !directory) continue;
    if (matches) return true;
  }
  return false;
}

}  // namespace caisson::render::helm
