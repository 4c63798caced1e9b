// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/lexer.h"

#include "core/document/utf8.h"

namespace caisson::cel {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
bool is_quote(char c) {
  return c == '"' || c == '\'';
}

constexpr std::string_view kSymbols[] = {"==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*",
                                         "/",  "%",  "?",  ":",  ".",  ",",  "(", ")", "[", "]", "{", "}"};

}  // namespace

Token Lexer::wrong(std::string message) {
  findings_.add(static_cast<std::uint32_t>(at_), std::move(message));
  const std::size_t begin = at_;
  at_ = text_.size();
  return token(TokenKind::wrong, begin);
}

void Lexer::skip_blank() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
      ++at_;
    } else if (c == '/' && peek(1) == '/') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else {
      return;
    }
  }
}

Token Lexer::next() {
  skip_blank();
  if (at_ >= text_.size()) return token(TokenKind::end, text_.size());
  const char c = text_[at_];
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
  if (is_quote(c)) return quoted(at_, false, false);
  if (is_letter(c)) return word();
  if (c == '`') {
    const std::size_t begin = at_++;
    while (is_letter(peek()) || is_digit(peek()) || peek() == '.' || peek() == '-' || peek() == '/' || peek() == ' ')
      ++at_;
    if (peek() != '`' || at_ == begin + 1) return wrong("Syntax error: token recognition error at: '`'");
    Token out = token(TokenKind::escaped_identifier, begin + 1);
    out.offset = static_cast<std::uint32_t>(begin);
    ++at_;
    return out;
  }
  return symbol();
}

Token Lexer::symbol() {
  for (const std::string_view symbol : kSymbols) {
    if (!text_.substr(at_).starts_with(symbol)) continue;
    const std::size_t begin = at_;
    at_ += symbol.size();
    return token(TokenKind::symbol, begin);
  }
  const std::size_t length = std::max<std::size_t>(1, utf8::sequence_length(text_, at_));
  return wrong("Syntax error: token recognition error at: '" + std::string(text_.substr(at_, length)) + "'");
}

Token Lexer::number() {
  const std::size_t begin = at_;
  if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && hex_digit(peek(2)) >= 0) {
    at_ += 2;
    while (hex_digit(peek()) >= 0) ++at_;
    if (peek() != 'u' && peek() != 'U') return token(TokenKind::integer, begin);
    ++at_;
    return token(TokenKind::unsigned_integer, begin);
  }
  bool floating = false;
  while (is_digit(peek())) ++at_;
  if (peek() == '.' && is_digit(peek(1))) {
    floating = true;
    ++at_;
    while (is_digit(peek())) ++at_;
  }
  const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
  if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
    floating = true;
    at_ += 1 + sign;
    while (is_digit(peek())) ++at_;
  }
  if (floating) return token(TokenKind::floating, begin);
  if (peek() != 'u' && peek() != 'U') return token(TokenKind::integer, begin);
  ++at_;
  return token(TokenKind::unsigned_integer, begin);
}

Token Lexer::word() {
  bool raw = false, bytes = false;
  std::size_t ahead = 0;
  for (; ahead < 2; ++ahead) {
    const char c = peek(ahead);
    if ((c == 'r' || c == 'R') && !raw)
      raw = true;
    else if ((c == 'b' || c == 'B') && !bytes)
      bytes = true;
    else
      break;
  }
  if (ahead > 0 && is_quote(peek(ahead))) return quoted(at_ + ahead, raw, bytes);
  const std::size_t begin = at_;
  while (is_letter(peek()) || is_digit(peek())) ++at_;
  Token out = token(TokenKind::identifier, begin);
  if (out.text == "in") out.kind = TokenKind::symbol;
  return out;
}

Token Lexer::quoted(std::size_t prefix_end, bool raw, bool bytes) {
  const std::size_t begin = at_;
  const auto unterminated = [&] {
    at_ = begin;
    return wrong("Syntax error: token recognition error at: '" + std::string(text_.substr(begin)) + "'");
  };
  at_ = prefix_end;
  const char quote = text_[at_];
  const bool triple = peek(1) == quote && peek(2) == quote;
  at_ += triple ? 3 : 1;
  std::string content;
  for (;;) {
    if (at_ >= text_.size()) return unterminated();
    const char c = text_[at_];
    if (c == quote && (!triple || (peek(1) == quote && peek(2) == quote))) break;
    if (!triple && (c == '\n' || c == '\r')) return unterminated();
    if (c != '\\') {
      const std::size_t length = utf8::sequence_length(text_, at_);
      if (length == 0) return wrong("Syntax error: the text is not UTF-8");
      content += text_.substr(at_, length);
      at_ += length;
    } else if (raw) {
      content += c;
      ++at_;
      if (at_ < text_.size()) content += text_[at_++];
    } else if (!escape(content, bytes)) {
      return wrong("Syntax error: invalid escape sequence");
    }
  }
  at_ += triple ? 3 : 1;
  Token out = token(bytes ? TokenKind::bytes : TokenKind::string, begin);
  out.content = std::move(content);
  return out;
}

std::optional<std::uint32_t> Lexer::digits(std::size_t count, unsigned base) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int digit = hex_digit(peek());
    if (digit < 0 || static_cast<unsigned>(digit) >= base) return std::nullopt;
    out = out * base + static_cast<unsigned>(digit);
    ++at_;
  }
  return out;
}

// At a backslash. In bytes, \x and octal escapes are bytes; in strings they are characters.
bool Lexer::escape(std::string& out, bool bytes) {
  ++at_;
  const char c = peek();
  constexpr std::string_view kPlain = "abfnrtv\\?\"'`", kMeaning = "\a\b\f\n\r\t\v\\?\"'`";
  if (const std::size_t at = kPlain.find(c); c != '\0' && at != std::string_view::npos) {
    out += kMeaning[at];
    ++at_;
    return true;
  }
  std::optional<std::uint32_t> code;
  if (c == 'x' || c == 'X') {
    ++at_;
    code = digits(2, 16);
  } else if (c >= '0' && c <= '3') {
    code = digits(3, 8);
  } else if ((c == 'u' || c == 'U') && !bytes) {
    ++at_;
    code = digits(c == 'u' ? 4 : 8, 16);
  }
  if (!code || *code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)) return false;
  if (bytes)
    out += static_cast<char>(*code);
  else
    utf8::append(out, *code);
  return true;
}

}  // namespace caisson::cel
