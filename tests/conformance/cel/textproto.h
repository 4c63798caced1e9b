// SPDX-License-Identifier: Apache-2.0
// Reads protocol buffers' text format into a tree without a schema; enough for the CEL conformance suite.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/document/utf8.h"

namespace caisson::conformance {

struct Proto {
  std::string text;  // of a scalar: as written, strings with escapes resolved
  bool is_string = false, is_message = false;
  std::vector<std::pair<std::string, Proto>> fields;  // "[type.googleapis.com/x]" for extensions and Any

  const Proto* find(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (key == name) return &value;
    }
    return nullptr;
  }
  std::string get(std::string_view name) const {
    const Proto* found = find(name);
    return found == nullptr ? "" : found->text;
  }
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view text) : text_(text) {}
  std::optional<Proto> run() {
    Proto out;
    out.is_message = true;
    return fields(out, '\0') ? std::optional(std::move(out)) : std::nullopt;
  }

 private:
  void skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#')
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      else if (c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ',' || c == ';')
        ++at_;
      else
        return;
    }
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  std::string word(std::string_view ends) {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() && ends.find(text_[at_]) == std::string_view::npos) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  bool fields(Proto& out, char end) {
    while (peek() != end) {
      if (at_ >= text_.size()) return end == '\0';
      std::string name;
      if (peek() == '[') {
        name = word("]");
        ++at_;
        name += "]";
      } else {
        name = word(" :{}\n\t\r<");
      }
      if (name.empty()) return false;
      take(':');
      if (take('[')) {
        while (!take(']')) {
          Proto item;
          if (!value(item)) return false;
          out.fields.emplace_back(name, std::move(item));
        }
        continue;
      }
      Proto item;
      if (!value(item)) return false;
      out.fields.emplace_back(std::move(name), std::move(item));
    }
    if (end != '\0') ++at_;
    return true;
  }

  bool value(Proto& out) {
    if (take('{')) {
      out.is_message = true;
      return fields(out, '}');
    }
    if (peek() == '"' || peek() == '\'') {
      out.is_string = true;
      while (peek() == '"' || peek() == '\'') {
        if (!string(out.text)) return false;
      }
      return true;
    }
    out.text = word(" ,;\n\t\r}]#");
    return !out.text.empty();
  }

  static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
  }
  std::uint32_t number(std::size_t most, int base) {
    std::uint32_t out = 0;
    for (std::size_t i = 0; i < most && at_ < text_.size() && digit(text_[at_]) < base; ++i)
      out = out * static_cast<std::uint32_t>(base) + static_cast<std::uint32_t>(digit(text_[at_++]));
    return out;
  }
  bool string(std::string& out) {
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] != '\\') {
        out += text_[at_++];
        continue;
      }
      const char c = text_[++at_];
      constexpr std::string_view kNames = "abfnrtv\\?\"'", kMeaning = "\a\b\f\n\r\t\v\\?\"'";
      if (const std::size_t at = kNames.find(c); at != std::string_view::npos) {
        out += kMeaning[at];
        ++at_;
      } else if (c == 'x' || c == 'X') {
        ++at_;
        out += static_cast<char>(number(2, 16));
      } else if (c == 'u' || c == 'U') {
        ++at_;
        utf8::append(out, number(c == 'u' ? 4 : 8, 16));
      } else {
        out += static_cast<char>(number(3, 8));
      }
    }
    return at_++ < text_.size();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace caisson::conformance
