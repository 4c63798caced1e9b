// SPDX-License-Identifier: Apache-2.0
// Tokens of cel-spec 0.24, "Syntax". Any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/expr/cel/source.h"
#include "core/expr/cel/value.h"

namespace caisson::cel {

enum class TokenKind : std::uint8_t {
  end,
  identifier,
  escaped_identifier,  // `a-b`, a field's name
  integer,             // text is kept: the parser knows the sign
  unsigned_integer,
  floating,
  string,
  bytes,
  symbol,  // text: "(", "&&", …; also the word "in"
  wrong,   // reported already
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::uint32_t offset = 0;
  std::string_view text;  // as written; of an escaped identifier without its quotes
  std::string content;    // of strings and bytes, escapes resolved
};

class Lexer {
 public:
  Lexer(std::string_view text, Findings& findings) : text_(text), findings_(findings) {}
  Token next();

 private:
  void skip_blank();
  Token number();
  Token word();
  Token quoted(std::size_t prefix_end, bool raw, bool bytes);
  Token symbol();
  Token wrong(std::string message);
  bool escape(std::string& out, bool bytes);
  std::optional<std::uint32_t> digits(std::size_t count, unsigned base);
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  Token token(TokenKind kind, std::size_t begin) const {
    return {kind, static_cast<std::uint32_t>(begin), text_.substr(begin, at_ - begin), {}};
  }

  std::string_view text_;
  Findings& findings_;
  std::size_t at_ = 0;
};

}  // namespace caisson::cel
