// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/json_text.h"

#include "core/document/json.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

constexpr int kDepthMax = 1'000;  // Go's is 10,000

// Goes over a text to find the first thing that Go complains about.
class Checker {
 public:
  explicit Checker(std::string_view text) : text_(text) {}

  Result<void> run() {
    TRY(value(0));
    skip_blanks();
    if (at_ < text_.size()) return bad("after top-level value");
    return {};
  }

 private:
  Error bad(std::string_view where) const {
    if (at_ >= text_.size()) return Error{ErrorCode::invalid, "unexpected end of JSON input"};
    const char c = text_[at_];
    std::string shown;
    if (c == '\'') {
      shown = "'\\''";
    } else if (c == '"') {
      shown = "'\"'";
    } else {
      std::string character;
      append_rune(character, static_cast<unsigned char>(c));
      shown = quote(character);
      shown.front() = shown.back() = '\'';
    }
    return Error{ErrorCode::invalid, "invalid character " + shown + " " + std::string(where)};
  }

  bool here(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool digit_here() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  void skip_blanks() {
    while (here(' ') || here('\t') || here('\r') || here('\n')) ++at_;
  }
  void skip_digits() {
    while (digit_here()) ++at_;
  }

  Result<void> value(int depth) {
    if (depth > kDepthMax) return Error{ErrorCode::invalid, "exceeded max depth"};
    skip_blanks();
    if (here('{')) return object(depth);
    if (here('[')) return array(depth);
    if (here('"')) return string();
    if (here('-') || digit_here()) return number();
    for (const std::string_view word : {"true", "false", "null"}) {
      if (here(word[0])) return literal(word);
    }
    return bad("looking for beginning of value");
  }

  Result<void> literal(std::string_view word) {
    for (std::size_t i = 0; i < word.size(); ++i, ++at_) {
      if (here(word[i])) continue;
      return bad("in literal " + std::string(word) + " (expecting '" + word[i] + "')");
    }
    return {};
  }

  Result<void> object(int depth) {
    ++at_;
    skip_blanks();
    if (here('}')) return ++at_, Result<void>();
    while (true) {
      skip_blanks();
      if (!here('"')) return bad("looking for beginning of object key string");
      TRY(string());
      skip_blanks();
      if (!here(':')) return bad("after object key");
      ++at_;
      TRY(value(depth + 1));
      skip_blanks();
      if (here('}')) return ++at_, Result<void>();
      if (!here(',')) return bad("after object key:value pair");
      ++at_;
    }
  }

  Result<void> array(int depth) {
    ++at_;
    skip_blanks();
    if (here(']')) return ++at_, Result<void>();
    while (true) {
      TRY(value(depth + 1));
      skip_blanks();
      if (here(']')) return ++at_, Result<void>();
      if (!here(',')) return bad("after array element");
      ++at_;
    }
  }

  Result<void> string() {
    for (++at_; !here('"'); ++at_) {
      if (at_ >= text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) return bad("in string literal");
      if (!here('\\')) continue;
      ++at_;
      if (at_ >= text_.size() || std::string_view("bfnrt\\/\"u").find(text_[at_]) == std::string_view::npos) {
        return bad("in string escape code");
      }
      if (!here('u')) continue;
      for (int i = 0; i < 4; ++i) {
        ++at_;
        const char c = at_ < text_.size() ? static_cast<char>(text_[at_] | 0x20) : 0;
        if (!digit_here() && (c < 'a' || c > 'f')) return bad("in \\u hexadecimal character escape");
      }
    }
    ++at_;
    return {};
  }

  Result<void> number() {
    if (here('-')) ++at_;
    if (!digit_here()) return bad("in numeric literal");
    if (here('0')) {
      ++at_;
    } else {
      skip_digits();
    }
    if (here('.')) {
      ++at_;
      if (!digit_here()) return bad("after decimal point in numeric literal");
      skip_digits();
    }
    if (here('e') || here('E')) {
      ++at_;
      if (here('+') || here('-')) ++at_;
      if (!digit_here()) return bad("in exponent of numeric literal");
      skip_digits();
    }
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<std::string> json_text(const Datum& datum, JsonStyle style) {
  const Value value = TRY(datum.to_value());
  return json::write(
      value, {.indent = style == JsonStyle::pretty ? 2 : 0, .escape_html = style != JsonStyle::raw, .sort_keys = true});
}

Result<Value> parse_json(std::string_view text) {
  TRY(Checker(text).run());
  auto value = json::parse(text, {.depth_max = kDepthMax + 2});
  if (!value.ok()) return Error{ErrorCode::invalid, value.error().message};
  return with_json_numbers(*value);
}

}  // namespace caisson::go_template
