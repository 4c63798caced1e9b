// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/glob.h"

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::build {
namespace {

// A pattern as a row of tokens. `any` is * within a name, `any_deep` everything, `folders` "**/": nothing, or whole
// folders.
struct Token {
  enum class Kind { literal, one, any, any_deep, folders, set } kind;
  char c = 0;
  bool negated = false;
  std::vector<std::pair<char, char>> ranges;
};

struct Style {
  bool deep = false;  // "**" has a meaning
  bool classes = true;
  bool slash_is_special = true;
};

// Nothing when the pattern is malformed.
std::optional<std::vector<Token>> tokenize(std::string_view p, const Style& style) {
  std::vector<Token> out;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const char c = p[i];
    if (c == '*') {
      if (style.deep && i + 1 < p.size() && p[i + 1] == '*') {
        ++i;
        if (i + 1 < p.size() && p[i + 1] == '/') {
          ++i;
          // "**/" at the very end still means everything below
          out.push_back({i + 1 == p.size() ? Token::Kind::any_deep : Token::Kind::folders});
        } else if (i + 1 == p.size()) {
          out.push_back({Token::Kind::any_deep});
        } else {
          out.push_back({Token::Kind::folders});
        }
      } else {
        out.push_back({Token::Kind::any});
      }
    } else if (c == '?') {
      out.push_back({Token::Kind::one});
    } else if (c == '\\') {
      if (++i == p.size()) return std::nullopt;
      out.push_back({Token::Kind::literal, p[i]});
    } else if (c == '[' && style.classes) {
      Token token{Token::Kind::set};
      ++i;
      if (i < p.size() && p[i] == '^') {
        token.negated = true;
        ++i;
      }
      const auto letter = [&]() -> std::optional<char> {
        if (i < p.size() && p[i] == '\\') ++i;
        if (i >= p.size()) return std::nullopt;
        return p[i++];
      };
      for (bool first = true;; first = false) {
        if (i >= p.size()) return std::nullopt;
        if (p[i] == ']' && !first) break;
        if (p[i] == '-' || p[i] == ']') return std::nullopt;
        const std::optional<char> low = letter();
        if (!low) return std::nullopt;
        std::optional<char> high = low;
        if (i < p.size() && p[i] == '-') {
          ++i;
          if (i >= p.size() || p[i] == ']') return std::nullopt;
          high = letter();
          if (!high) return std::nullopt;
        }
        token.ranges.emplace_back(*low, *high);
      }
      out.push_back(std::move(token));
    } else {
      out.push_back({Token::Kind::literal, c});
    }
  }
  return out;
}

bool accepts(const Token& token, char c, const Style& style) {
  switch (token.kind) {
    case Token::Kind::literal:
      return token.c == c;
    case Token::Kind::one:
      return !style.slash_is_special || c != '/';
    case Token::Kind::set: {
      if (style.slash_is_special && c == '/') return false;
      bool in = false;
      for (const auto& [low, high] : token.ranges)
        in |= static_cast<unsigned char>(c) >= static_cast<unsigned char>(low) &&
              static_cast<unsigned char>(c) <= static_cast<unsigned char>(high);
      return in != token.negated;
    }
    default:
      return false;
  }
}

// One row per token: which positions of the text can be reached. No backtracking, so no pattern is slow.
bool run(const std::vector<Token>& tokens, std::string_view text, const Style& style) {
  std::vector<char> now(text.size() + 1, 0), after(text.size() + 1, 0);
  now[0] = 1;
  for (const Token& token : tokens) {
    std::fill(after.begin(), after.end(), 0);
    switch (token.kind) {
      case Token::Kind::any:
      case Token::Kind::any_deep: {
        bool open = false;
        for (std::size_t i = 0; i <= text.size(); ++i) {
          if (now[i]) open = true;
          if (open) after[i] = 1;
          if (i < text.size() && text[i] == '/' && token.kind == Token::Kind::any && style.slash_is_special)
            open = false;
        }
        break;
      }
      case Token::Kind::folders: {
        bool open = false;
        for (std::size_t i = 0; i <= text.size(); ++i) {
          if (now[i]) {
            open = true;
            after[i] = 1;
          }
          if (open && i > 0 && text[i - 1] == '/') after[i] = 1;
        }
        break;
      }
      default:
        for (std::size_t i = 0; i < text.size(); ++i) {
          if (now[i] && accepts(token, text[i], style)) after[i + 1] = 1;
        }
    }
    now.swap(after);
  }
  return now[text.size()] != 0;
}

bool match(std::string_view pattern, std::string_view text, const Style& style) {
  const std::optional<std::vector<Token>> tokens = tokenize(pattern, style);
  return tokens && run(*tokens, text, style);
}

}  // namespace

bool has_wildcards(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\')
      ++i;
    else if (pattern[i] == '*' || pattern[i] == '?' || pattern[i] == '[')
      return true;
  }
  return false;
}
bool matches_path(std::string_view pattern, std::string_view path) {
  return match(pattern, path, {.deep = true});
}
bool is_valid_pattern(std::string_view pattern) {
  return tokenize(pattern, {}).has_value();
}
bool matches_name(std::string_view pattern, std::string_view name) {
  return match(pattern, name, {});
}
bool matches_shell(std::string_view pattern, std::string_view text) {
  return match(pattern, text, {.deep = false, .classes = false, .slash_is_special = false});
}

Result<void> IgnoreRules::add(std::string_view text) {
  Rule rule;
  std::string_view pattern = trim(text);
  if (pattern.starts_with('!')) {
    rule.negated = true;
    pattern = trim(pattern.substr(1));
    if (pattern.empty()) return Error{ErrorCode::bad_request, "illegal exclusion pattern: \"!\""};
  }
  rule.pattern = path_clean(pattern);
  if (rule.pattern.size() > 1 && rule.pattern[0] == '/') rule.pattern.erase(0, 1);
  if (!is_valid_pattern(rule.pattern))
    return Error{ErrorCode::bad_request, "\"" + std::string(text) + "\": syntax error in pattern"};
  brings_back_ |= rule.negated;
  rules_.push_back(std::move(rule));
  return {};
}

Result<IgnoreRules> IgnoreRules::parse(std::string_view text) {
  IgnoreRules out;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with('#')) continue;
    const std::string_view pattern = trim(line);
    if (pattern.empty()) continue;
    TRY(out.add(pattern));
  }
  return out;
}

Result<IgnoreRules> IgnoreRules::of(const std::vector<std::string>& patterns) {
  IgnoreRules out;
  for (const std::string& pattern : patterns) TRY(out.add(pattern));
  return out;
}

bool IgnoreRules::ignores(std::string_view path) const {
  const Style style{.deep = true};
  bool ignored = false;
  for (const Rule& rule : rules_) {
    if (rule.negated != ignored) continue;  // it would change nothing
    if (rule.pattern == ".") continue;
    bool hit = match(rule.pattern, path, style);
    for (std::size_t slash = path.find('/'); !hit && slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      hit = match(rule.pattern, path.substr(0, slash), style);
    }
    if (hit) ignored = !rule.negated;
  }
  return ignored;
}

}  // namespace caisson::build
