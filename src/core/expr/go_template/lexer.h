// SPDX-License-Identifier: Apache-2.0
// Tokens of a template's text. Follows text/template/parse of Go 1.26, its messages included.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace caisson::go_template {

enum class TokenType : std::uint8_t {
  error,  // `value` is the message
  boolean,
  character,
  char_constant,
  complex,
  assign,
  declare,
  eof,
  field,
  identifier,
  left_delim,
  left_paren,
  number,
  pipe,
  raw_string,
  right_delim,
  right_paren,
  space,
  string,
  text,
  variable,
  keyword,  // what follows is one
  block,
  break_,
  continue_,
  dot,
  define,
  else_,
  end,
  if_,
  nil,
  range,
  template_,
  with,
};

struct Token {
  TokenType type = TokenType::error;
  std::uint32_t pos = 0;   // of its first byte
  std::string_view value;  // within the text, or a constant, or Lexer's own message
};

// As messages show it: `"{{"`, `<end>`, `EOF`.
std::string describe(const Token& token);

class Lexer {
 public:
  // `text` must outlive the tokens. REQUIRES: text.size() < 4 GiB
  explicit Lexer(std::string_view text) : text_(text), whole_(text) {}
  Lexer(const Lexer&) = delete;
  Lexer& operator=(const Lexer&) = delete;

  // The next tokens: as many as there is room for, or up to an error or the end of file, behind which there is only the
  // end of file. REQUIRES: !out.empty()
  std::size_t read(std::span<Token> out);
  int line_of(const Token& token) const;  // from 1; counted when asked for, which only messages do

 private:
  static constexpr std::uint32_t kEnd = 0xFFFFFFFF;

  Token next();
  bool lex_common(Token& token);
  std::uint32_t take();
  std::uint32_t peek() const;
  void skip_word();
  bool accept(std::string_view set);
  void accept_run(std::string_view set);
  char at(std::size_t offset) const { return pos_ + offset < text_.size() ? text_[pos_ + offset] : '\0'; }
  bool at_pair(std::string_view pair, std::size_t offset = 0) const {
    return at(offset) == pair[0] && at(offset + 1) == pair[1];
  }
  Token make(TokenType type);
  Token fail(std::string message);
  void ignore() { start_ = pos_; }
  bool at_left_marker(std::size_t offset) const;
  bool at_right_delim(bool& trims) const;
  bool at_terminator() const;
  std::size_t blanks_from(std::size_t pos) const;

  bool lex_text(Token& token);  // false: a comment was passed, go on
  bool lex_left_delim(Token& token);
  bool lex_comment(Token& token);
  Token lex_right_delim();
  Token lex_inside_action();
  Token lex_space();
  Token lex_identifier();
  Token lex_path(TokenType type);
  Token lex_quoted(char mark, TokenType type, std::string_view what);
  Token lex_raw_string();
  Token lex_number();
  bool scan_number();

  std::string_view text_;   // empty after an error
  std::string_view whole_;  // the same, always
  std::string message_;
  std::size_t pos_ = 0, start_ = 0;
  std::size_t failed_at_ = 0;
  int paren_depth_ = 0;
  bool inside_action_ = false;
};

}  // namespace caisson::go_template
