// SPDX-License-Identifier: Apache-2.0
// Follows github.com/gobwas/glob 0.2 with "/" as the only separator.
#include "delivery/render/helm/objects.h"

namespace caisson::render::helm {
namespace {

constexpr int kStepsMax = 1'000'000;

struct Matcher {
  int steps = 0;

  // The place of the bracket that closes the one at `open`; npos when there is none.
  static std::size_t closing(std::string_view pattern, std::size_t open, char opener, char closer) {
    int depth = 0;
    for (std::size_t i = open; i < pattern.size(); ++i) {
      if (pattern[i] == '\\')
        ++i;
      else if (pattern[i] == opener)
        ++depth;
      else if (pattern[i] == closer && --depth == 0)
        return i;
    }
    return std::string_view::npos;
  }

  static bool in_set(std::string_view set, char c) {
    const bool negated = set.starts_with('!');
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

  bool star(std::string_view rest, std::string_view name, bool over_separators) {
    for (std::size_t i = 0; i <= name.size(); ++i) {
      if (match(rest, name.substr(i))) return true;
      if (i < name.size() && name[i] == '/' && !over_separators) return false;
    }
    return false;
  }

  bool choice(std::string_view pattern, std::size_t close, std::string_view name) {
    const std::string_view choices = pattern.substr(1, close - 1);
    const std::string rest(pattern.substr(close + 1));
    std::size_t from = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= choices.size(); ++i) {
      if (i < choices.size() && choices[i] == '\\') {
        ++i;
        continue;
      }
      if (i < choices.size() && choices[i] == '{') ++depth;
      if (i < choices.size() && choices[i] == '}') --depth;
      if (i < choices.size() && (choices[i] != ',' || depth > 0)) continue;
      if (match(std::string(choices.substr(from, i - from)) + rest, name)) return true;
      from = i + 1;
    }
    return false;
  }

  bool match(std::string_view pattern, std::string_view name) {
    if (++steps > kStepsMax) return false;
    while (!pattern.empty()) {
      const char c = pattern[0];
      if (c == '*') {
        const bool super = pattern.starts_with("**");
        return star(pattern.substr(super ? 2 : 1), name, super);
      }
      if (c == '{') return choice(pattern, closing(pattern, 0, '{', '}'), name);
      if (name.empty()) return false;
      if (c == '[') {
        const std::size_t close = pattern.find(']', 1);
        if (!in_set(pattern.substr(1, close - 1), name[0])) return false;
        pattern.remove_prefix(close);
      } else if (c == '?') {
        if (name[0] == '/') return false;
      } else {
        if (c == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
        if (pattern[0] != name[0]) return false;
      }
      pattern.remove_prefix(1);
      name.remove_prefix(1);
    }
    return name.empty();
  }
};

bool well_formed(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == '[') {
      i = pattern.find(']', i + 1);
      if (i == std::string_view::npos) return false;
    } else if (pattern[i] == '{' && Matcher::closing(pattern, i, '{', '}') == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool file_glob_matches(std::string_view pattern, std::string_view name) {
  return !well_formed(pattern) || Matcher().match(pattern, name);
}

}  // namespace caisson::render::helm
