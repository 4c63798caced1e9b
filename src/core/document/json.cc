// SPDX-License-Identifier: Apache-2.0
#include "core/document/json.h"

#include <array>
#include <charconv>
#include <cstring>

#include "core/document/utf8.h"
#include "core/document/value_access.h"

namespace caisson::json {
namespace {

using document::MapEntry;
using document::ValueAccess;

// Which bytes of a string stand for themselves.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();
constexpr std::size_t kMembersAtFirst = 32;

// Recursive descent. Members and items wait on two stacks until their container ends, so that every container is
// allocated once, at its size. An error is a message and a place: the functions give false and the caller leaves.
class Parser {
 public:
  Parser(std::string_view text, const ParseLimits& limits) : text_(text), limits_(limits) {}

  Result<Value> parse() {
    if (text_.size() > limits_.size_bytes_max) {
      return Error{ErrorCode::too_large, "JSON of " + std::to_string(text_.size()) + " bytes is above the limit of " +
                                             std::to_string(limits_.size_bytes_max)};
    }
    Value value;
    skip_space();
    if (peek() == '{') entries_.reserve(kMembersAtFirst);
    if (!parse_value(value, 0)) return failure();
    skip_space();
    if (at_ != text_.size()) {
      fail("unexpected text after the document");
      return failure();
    }
    return value;
  }

 private:
  bool fail(const char* message) {
    if (message_ == nullptr) {
      message_ = message;
      failed_at_ = at_;
    }
    return false;
  }

  Error failure() const {
    std::size_t line = 1, line_start = 0;
    for (std::size_t i = 0; i < failed_at_ && i < text_.size(); ++i) {
      if (text_[i] != '\n') continue;
      ++line;
      line_start = i + 1;
    }
    std::string where = "line " + std::to_string(line) + ", column " + std::to_string(failed_at_ - line_start + 1);
    return Error{ErrorCode::bad_request, where + ": " + message_};
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
      ++at_;
    }
  }

  bool parse_value(Value& out, std::size_t depth) {
    if (at_ >= text_.size()) return fail("unexpected end");
    switch (text_[at_]) {
      case '{':
        return parse_map(out, depth + 1);
      case '[':
        return parse_list(out, depth + 1);
      case '"': {
        std::string_view text;
        if (!parse_string(text)) return false;
        out = Value(text);
        return true;
      }
      case 't':
        return parse_word("true", Value(true), out);
      case 'f':
        return parse_word("false", Value(false), out);
      case 'n':
        return parse_word("null", Value(), out);
      default:
        return parse_number(out);
    }
  }

  bool parse_word(std::string_view word, Value value, Value& out) {
    if (text_.substr(at_, word.size()) != word) return fail("unexpected character where a value was expected");
    at_ += word.size();
    out = std::move(value);
    return true;
  }

  bool parse_map(Value& out, std::size_t depth) {
    if (depth > limits_.depth_max) return fail("nested too deeply");
    ++at_;
    const std::size_t first = entries_.size();
    skip_space();
    if (peek() == '}') {
      ++at_;
      out = Value::map();
      return true;
    }
    while (true) {
      if (peek() != '"') return fail("expected a member's name in quotes");
      std::string_view key;
      if (!parse_string(key)) return false;
      const std::string_view interned = document::intern(key);
      skip_space();
      if (peek() != ':') return fail("expected ':' after a member's name");
      ++at_;
      skip_space();
      Value value;
      if (!parse_value(value, depth)) return false;
      entries_.push_back({interned, std::move(value)});
      skip_space();
      if (peek() == ',') {
        ++at_;
        skip_space();
        continue;
      }
      if (peek() != '}') return fail("expected ',' or '}' after a member");
      ++at_;
      break;
    }
    out = ValueAccess::map_from(entries_.data() + first, entries_.size() - first);
    entries_.resize(first);
    return true;
  }

  bool parse_list(Value& out, std::size_t depth) {
    if (depth > limits_.depth_max) return fail("nested too deeply");
    ++at_;
    const std::size_t first = items_.size();
    skip_space();
    if (peek() == ']') {
      ++at_;
      out = Value::list();
      return true;
    }
    while (true) {
      Value value;
      if (!parse_value(value, depth)) return false;
      items_.push_back(std::move(value));
      skip_space();
      if (peek() == ',') {
        ++at_;
        skip_space();
        continue;
      }
      if (peek() != ']') return fail("expected ',' or ']' after an item");
      ++at_;
      break;
    }
    out = ValueAccess::list_from(items_.data() + first, items_.size() - first);
    items_.resize(first);
    return true;
  }

  // Gives a view into the text, or into scratch_ when there were escapes; valid until the next string.
  bool parse_string(std::string_view& out) {
    const std::size_t start = ++at_;
    scratch_.clear();
    std::size_t copied = start;
    while (true) {
      while (at_ < text_.size() && kPlain[static_cast<unsigned char>(text_[at_])]) ++at_;
      if (at_ >= text_.size()) return fail("a string without its closing quote");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') break;
      if (c < 0x20) return fail("a control character in a string must be escaped");
      if (c >= 0x80) {
        const std::size_t length = utf8::sequence_length(text_, at_);
        if (length == 0) return fail("invalid UTF-8 in a string");
        at_ += length;
        continue;
      }
      scratch_.append(text_, copied, at_ - copied);
      ++at_;
      if (!parse_escape()) return false;
      copied = at_;
    }
    if (copied == start) {
      out = text_.substr(start, at_ - start);
    } else {
      scratch_.append(text_, copied, at_ - copied);
      out = scratch_;
    }
    ++at_;
    return true;
  }

  bool parse_escape() {
    switch (peek()) {
      case '"':
        scratch_ += '"';
        break;
      case '\\':
        scratch_ += '\\';
        break;
      case '/':
        scratch_ += '/';
        break;
      case 'b':
        scratch_ += '\b';
        break;
      case 'f':
        scratch_ += '\f';
        break;
      case 'n':
        scratch_ += '\n';
        break;
      case 'r':
        scratch_ += '\r';
        break;
      case 't':
        scratch_ += '\t';
        break;
      case 'u': {
        ++at_;
        std::uint32_t code = 0;
        if (!parse_hex4(code)) return false;
        if (code >= 0xD800 && code < 0xE000) code = parse_low_surrogate(code);
        utf8::append(scratch_, code);
        return true;
      }
      default:
        return fail("unknown escape in a string");
    }
    ++at_;
    return true;
  }

  // A surrogate without its other half reads as U+FFFD, as in Go.
  std::uint32_t parse_low_surrogate(std::uint32_t high) {
    const std::size_t back = at_;
    std::uint32_t low = 0;
    if (high < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      if (read_hex4(low) && low >= 0xDC00 && low < 0xE000) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    at_ = back;
    return 0xFFFD;
  }

  bool read_hex4(std::uint32_t& out) {
    if (at_ + 4 > text_.size()) return false;
    const char* first = text_.data() + at_;
    if (std::from_chars(first, first + 4, out, 16).ptr != first + 4) return false;
    at_ += 4;
    return true;
  }
  bool parse_hex4(std::uint32_t& out) {
    return read_hex4(out) || fail("\\u must be followed by four hexadecimal digits");
  }

  bool parse_digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ != start;
  }

  bool parse_number(Value& out) {
    const std::size_t start = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0') {
      ++at_;
      if (peek() >= '0' && peek() <= '9') return fail("a number with a leading zero");
    } else if (!parse_digits()) {
      return fail(at_ == start ? "unexpected character where a value was expected" : "a number without digits");
    }
    bool integral = true;
    if (peek() == '.') {
      integral = false;
      ++at_;
      if (!parse_digits()) return fail("a number without digits after its point");
    }
    if (peek() == 'e' || peek() == 'E') {
      integral = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!parse_digits()) return fail("a number without digits in its exponent");
    }
    const char* first = text_.data() + start;
    const char* last = text_.data() + at_;
    if (integral) {
      std::int64_t number = 0;
      if (std::from_chars(first, last, number).ec == std::errc()) {
        out = Value(number);
        return true;
      }
    }
    double number = 0;
    if (std::from_chars(first, last, number).ec != std::errc()) {
      // Out of range: too small reads as 0, too large is refused, as in Go.
      number = strtod_checked(std::string(first, last));
      if (number > 1 || number < -1) return fail("a number out of range");
    }
    out = Value(number);
    return true;
  }

  static double strtod_checked(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

  std::string_view text_;
  ParseLimits limits_;
  std::size_t at_ = 0;
  const char* message_ = nullptr;
  std::size_t failed_at_ = 0;
  std::string scratch_;
  std::vector<MapEntry> entries_;
  std::vector<Value> items_;
};

}  // namespace

Result<Value> parse(std::string_view text, const ParseLimits& limits) {
  return Parser(text, limits).parse();
}

}  // namespace caisson::json
