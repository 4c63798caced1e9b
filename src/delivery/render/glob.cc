// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

bool match(std::string_view p, std::string_view t);

// One of {a,b,c}, then the rest of the pattern.
bool match_choice(std::string_view p, std::string_view t) {
  const std::size_t close = p.find('}');
  if (close == std::string_view::npos) return !t.empty() && t[0] == '{' && match(p.substr(1), t.substr(1));
  std::string_view choices = p.substr(1, close - 1);
  while (true) {
    const std::size_t comma = choices.find(',');
    if (match(std::string(choices.substr(0, comma)) + std::string(p.substr(close + 1)), t)) return true;
    if (comma == std::string_view::npos) return false;
    choices.remove_prefix(comma + 1);
  }
}

bool match_set(std::string_view set, char c) {
  const bool negated = !set.empty() && (set[0] == '!' || set[0] == '^');
  if (negated) set.remove_prefix(1);
  bool in = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      in |= set[i] <= c && c <= set[i + 2];
      i += 2;
    } else {
      in |= set[i] == c;
    }
  }
  return in != negated;
}

bool match(std::string_view p, std::string_view t) {
  while (!p.empty()) {
    if (p.starts_with("**")) {
      p.remove_prefix(2);
      if (p.starts_with("/") && match(p.substr(1), t)) return true;
      for (std::size_t i = 0; i <= t.size(); ++i) {
        if (match(p, t.substr(i))) return true;
      }
      return false;
    }
    if (p[0] == '*') {
      p.remove_prefix(1);
      for (std::size_t i = 0; i <= t.size(); ++i) {
        if (match(p, t.substr(i))) return true;
        if (i < t.size() && t[i] == '/') return false;
      }
      return false;
    }
    if (p[0] == '{') return match_choice(p, t);
    if (t.empty()) return false;
    const std::size_t close = p[0] == '[' ? p.find(']', 1) : std::string_view::npos;
    if (close != std::string_view::npos) {
      if (!match_set(p.substr(1, close - 1), t[0])) return false;
      p.remove_prefix(close + 1);
    } else {
      if (p[0] != '?' && p[0] != t[0]) return false;
      if (p[0] == '?' && t[0] == '/') return false;
      p.remove_prefix(1);
    }
    t.remove_prefix(1);
  }
  return t.empty();
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  return match(pattern, path);
}

}  // namespace caisson::render
