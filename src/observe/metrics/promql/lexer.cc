// SPDX-License-Identifier: Apache-2.0
// From characters to words. Within [ ] only durations, their arithmetic and the words step, range, max_of and min_of
// stand; within { } keywords are plain names.
#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/document/utf8.h"
#include "observe/metrics/model/characters.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/token.h"

namespace caisson::metrics::promql {
namespace {

bool is_word(char c) {
  return is_letter(c) || is_digit(c);
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    while (true) {
      skip_blanks();
      start_ = at_;
      if (failed_ || !next()) return std::move(tokens_);
    }
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool at_end() const { return at_ >= text_.size(); }

  void skip_blanks() {
    while (!at_end()) {
      if (is_blank(peek())) {
        ++at_;
      } else if (peek() == '#') {
        while (!at_end() && peek() != '\n' && peek() != '\r') ++at_;
      } else {
        return;
      }
    }
  }

  bool emit(Tok type, std::size_t length = 0) {
    at_ += length;
    tokens_.push_back({type, static_cast<std::uint32_t>(start_), std::string(text_.substr(start_, at_ - start_))});
    return true;
  }

  bool fail(std::string message) {
    tokens_.push_back({Tok::error, static_cast<std::uint32_t>(start_), std::move(message)});
    failed_ = true;
    return false;
  }

  // The character at `at`, in quotes as Go's %q writes a rune.
  std::string shown(std::size_t at) const {
    if (at >= text_.size()) return "'\\uffff'";
    const std::size_t length = utf8::sequence_length(text_, at);
    if (length == 0) return "'\\ufffd'";
    const std::string_view character = text_.substr(at, length);
    if (character == "'") return "'\\''";
    if (character == "\"") return "'\"'";
    std::string quoted = quote(character);
    quoted.front() = quoted.back() = '\'';
    return quoted;
  }

  bool next() {
    if (at_end()) {
      if (in_braces_) return fail("unexpected end of input inside braces");
      if (in_brackets_ && tokens_.back().type != Tok::left_bracket && parens_ == 0)
        return fail("unclosed left bracket");
      if (parens_ != 0) return fail("unclosed left parenthesis");
      if (in_brackets_) return fail("unexpected end of input in duration expression");
      emit(Tok::end);
      return false;
    }
    if (in_braces_) return next_in_braces();
    if (in_brackets_) return next_in_brackets();
    const char c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number_or_duration();
    if (c == '"' || c == '\'' || c == '`') return string_literal();
    if (is_letter(c) || c == ':') return word();
    return sign();
  }

  bool sign() {
    switch (peek()) {
      case ',':
        return emit(Tok::comma, 1);
      case '@':
        return emit(Tok::at, 1);
      case '{':
        in_braces_ = true;
        return emit(Tok::left_brace, 1);
      case '[':
        in_brackets_ = true;
        colon_seen_ = duration_seen_ = false;
        return emit(Tok::left_bracket, 1);
      case ']':
        return fail("unexpected right bracket ']'");
      case '(':
      case ')':
        return paren();
      case '=':
        if (peek(1) == '=') return emit(Tok::eq, 2);
        if (peek(1) == '~') return fail("unexpected character after '=': '~'");
        return emit(Tok::assign, 1);
      case '!':
        return peek(1) == '=' ? emit(Tok::ne, 2) : fail("unexpected character after '!': " + shown(at_ + 1));
      case '<':
        return peek(1) == '=' ? emit(Tok::le, 2) : peek(1) == '/' ? emit(Tok::trim_upper, 2) : emit(Tok::lt, 1);
      case '>':
        return peek(1) == '=' ? emit(Tok::ge, 2) : peek(1) == '/' ? emit(Tok::trim_lower, 2) : emit(Tok::gt, 1);
      default:
        if (const auto type = arithmetic()) return emit(*type, 1);
        return fail("unexpected character: " + shown(at_));
    }
  }

  std::optional<Tok> arithmetic() const {
    switch (peek()) {
      case '+':
        return Tok::add;
      case '-':
        return Tok::sub;
      case '*':
        return Tok::mul;
      case '/':
        return Tok::div;
      case '%':
        return Tok::mod;
      case '^':
        return Tok::pow;
      default:
        return std::nullopt;
    }
  }

  bool paren() {
    if (peek() == '(') {
      ++parens_;
      return emit(Tok::left_paren, 1);
    }
    if (--parens_ < 0) return fail("unexpected right parenthesis ')'");
    return emit(Tok::right_paren, 1);
  }

  bool next_in_braces() {
    const char c = peek();
    if (is_letter(c)) {
      while (is_word(peek())) ++at_;
      return emit(Tok::identifier);
    }
    switch (c) {
      case ',':
        return emit(Tok::comma, 1);
      case '"':
      case '\'':
      case '`':
        return string_literal();
      case '=':
        return peek(1) == '~' ? emit(Tok::eq_regex, 2) : emit(Tok::assign, 1);
      case '!':
        if (peek(1) == '~') return emit(Tok::ne_regex, 2);
        if (peek(1) == '=') return emit(Tok::ne, 2);
        return fail("unexpected character after '!' inside braces: " + shown(at_ + 1));
      case '{':
        return fail("unexpected left brace '{'");
      case '}':
        in_braces_ = false;
        return emit(Tok::right_brace, 1);
      default:
        return fail("unexpected character inside braces: " + shown(at_));
    }
  }

  bool next_in_brackets() {
    const char c = peek();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      duration_seen_ = true;
      return number_or_duration();
    }
    switch (c) {
      case ']':
        in_brackets_ = false;
        return emit(Tok::right_bracket, 1);
      case '[':
        return fail("unexpected left bracket '['");
      case ',':
        return emit(Tok::comma, 1);
      case '(':
      case ')':
        return paren();
      case ':':
        if (!duration_seen_) return fail("unexpected colon before duration in duration expression");
        if (colon_seen_) return fail("unexpected colon ':'");
        colon_seen_ = true;
        return emit(Tok::colon, 1);
      default:
        break;
    }
    if (const auto type = arithmetic()) return emit(*type, 1);
    while (is_letter(peek())) ++at_;
    const std::string name = to_lower(text_.substr(start_, at_ - start_));
    for (const Tok type : {Tok::step, Tok::range, Tok::max_of, Tok::min_of}) {
      if (name != spelling(type)) continue;
      duration_seen_ = true;
      return emit(type);
    }
    return fail("unexpected character in duration expression: " + shown(start_));
  }

  bool word() {
    while (is_word(peek()) || peek() == ':') ++at_;
    const std::string name = to_lower(text_.substr(start_, at_ - start_));
    if (name == "inf" || name == "nan") return emit(Tok::number);
    for (int i = static_cast<int>(Tok::atan2); i <= static_cast<int>(Tok::min_of); ++i) {
      const Tok type = static_cast<Tok>(i);
      if (spelling(type) != name) continue;
      const bool is_fill = type == Tok::fill || type == Tok::fill_left || type == Tok::fill_right;
      return emit(is_fill && !before_paren() ? Tok::identifier : type);
    }
    return emit(name.find(':') == std::string::npos ? Tok::identifier : Tok::metric_identifier);
  }

  bool before_paren() const {
    std::size_t at = at_;
    while (at < text_.size() && is_blank(text_[at])) ++at;
    return at < text_.size() && text_[at] == '(';
  }

  bool string_literal() {
    const char quote_char = peek();
    ++at_;
    while (true) {
      if (at_end() || (peek() == '\n' && quote_char != '`'))
        return fail(quote_char == '`' ? "unterminated raw string" : "unterminated quoted string");
      const std::size_t length = utf8::sequence_length(text_, at_);
      if (length == 0) return fail("invalid UTF-8 rune");
      if (peek() == quote_char) return emit(Tok::string, 1);
      if (peek() == '\\' && quote_char != '`') {
        ++at_;
        if (at_end()) return fail("escape sequence not terminated");
        if (std::string_view("abfnrtv\\01234567xuU").find(peek()) == std::string_view::npos && peek() != quote_char)
          return fail("unknown escape sequence " + unicode_name(at_));
        ++at_;
      } else {
        at_ += length;
      }
    }
  }

  std::string unicode_name(std::size_t at) const {  // U+0078 'x'
    char buffer[16];
    const bool whole = utf8::sequence_length(text_, at) > 0;
    std::snprintf(buffer, sizeof buffer, "U+%04X ", whole ? utf8::decode(text_, at) : 0xFFFDu);
    return buffer + shown(at);
  }

  bool number_or_duration() {
    if (scan_number()) return emit(Tok::number);
    if (scan_duration()) return emit(Tok::duration);
    if (!at_end()) ++at_;
    return fail("bad number or duration syntax: " + quote(text_.substr(start_, at_ - start_)));
  }

  // Leaves at_ behind the digits also when it is no number, where the unit of a duration may follow.
  bool scan_number() {
    const bool is_hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
    if (is_hex) at_ += 2;
    const auto is_number_digit = [&](char c) {
      return is_digit(c) || (is_hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
    };
    bool dot = false, exponent = false;
    while (!at_end()) {
      const char c = peek();
      if (is_number_digit(c)) {
        ++at_;
      } else if (c == '.') {
        ++at_;
        if (dot || is_hex || peek() == '_' || peek() == '.') return false;
        dot = true;
      } else if ((c == 'e' || c == 'E') && !is_hex) {
        ++at_;
        if (exponent) return false;
        exponent = true;
        if (peek() == '+' || peek() == '-') ++at_;
        if (at_end() || std::string_view("._eE").find(peek()) != std::string_view::npos) return false;
      } else if (c == '_') {
        ++at_;
        if (at_end() || std::string_view("._eE").find(peek()) != std::string_view::npos) return false;
      } else {
        break;
      }
    }
    return at_ > start_ && !is_word(peek());
  }

  bool scan_duration() {
    const auto unit = [&](std::string_view units) {
      if (at_end() || units.find(peek()) == std::string_view::npos) return false;
      ++at_;
      if (peek() == 's') ++at_;  // milliseconds; other pairs are refused when the duration is read
      return true;
    };
    if (!unit("smhdwy")) return false;
    while (is_digit(peek())) {
      while (is_digit(peek())) ++at_;
      if (!unit("smhdw")) return false;
    }
    return !is_word(peek());
  }

  std::string_view text_;
  std::size_t at_ = 0, start_ = 0;
  std::vector<Token> tokens_;
  int parens_ = 0;
  bool in_braces_ = false, in_brackets_ = false, colon_seen_ = false, duration_seen_ = false, failed_ = false;
};

}  // namespace

std::vector<Token> lex(std::string_view query) {
  return Lexer(query).run();
}

}  // namespace caisson::metrics::promql
