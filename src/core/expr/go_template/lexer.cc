// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/lexer.h"

#include <algorithm>
#include <array>

#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

constexpr std::string_view kLeft = "{{", kRight = "}}";
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::size_t kMarkerSize = 2;  // "- " or " -"

TokenType type_of_word(std::string_view word) {
  const auto is = [&](std::string_view keyword, TokenType type) {
    return word == keyword ? type : TokenType::identifier;
  };
  switch (word[0]) {
    case 'b':
      return word == "break" ? TokenType::break_ : is("block", TokenType::block);
    case 'c':
      return is("continue", TokenType::continue_);
    case 'd':
      return is("define", TokenType::define);
    case 'e':
      return word == "end" ? TokenType::end : is("else", TokenType::else_);
    case 'f':
      return is("false", TokenType::boolean);
    case 'i':
      return is("if", TokenType::if_);
    case 'n':
      return is("nil", TokenType::nil);
    case 'r':
      return is("range", TokenType::range);
    case 't':
      return word == "true" ? TokenType::boolean : is("template", TokenType::template_);
    case 'w':
      return is("with", TokenType::with);
    default:
      return TokenType::identifier;
  }
}

constexpr std::uint8_t kBlank = 1, kWord = 2, kTerminator = 4, kDigit = 8;  // what a byte is; from 0x80 on: nothing

constexpr std::array<std::uint8_t, 256> byte_classes() {
  std::array<std::uint8_t, 256> out{};
  for (const char c : kBlanks) out[static_cast<unsigned char>(c)] = kBlank | kTerminator;
  for (const char c : std::string_view(".,|:)(")) out[static_cast<unsigned char>(c)] = kTerminator;
  for (unsigned char c = 0; c < 26; ++c) out['a' + c] = out['A' + c] = kWord;
  for (unsigned char c = '0'; c <= '9'; ++c) out[c] = kWord | kDigit;
  out['_'] = kWord;
  return out;
}
constexpr std::array<std::uint8_t, 256> kClasses = byte_classes();

bool is_blank(std::uint32_t rune) {
  return rune < 0x80 && (kClasses[rune] & kBlank) != 0;
}

bool starts_word(char c) {
  return (kClasses[static_cast<unsigned char>(c)] & (kWord | kDigit)) == kWord;
}

bool is_word(std::uint32_t rune) {
  return rune < 0x80 ? (kClasses[rune] & kWord) != 0 : is_letter(rune) || is_digit(rune);
}

}  // namespace

std::string describe(const Token& token) {
  constexpr std::size_t kShownMax = 10;
  if (token.type == TokenType::eof) return "EOF";
  if (token.type == TokenType::error) return std::string(token.value);
  if (token.type > TokenType::keyword) return "<" + std::string(token.value) + ">";
  if (token.value.size() <= kShownMax) return quote(token.value);
  std::size_t size = 0;
  for (std::size_t i = 0; i < kShownMax && size < token.value.size(); ++i) {
    size += decode_rune(token.value.substr(size)).size;
  }
  return quote(token.value.substr(0, size)) + "...";
}

std::uint32_t Lexer::peek() const {
  return pos_ < text_.size() ? decode_rune(text_.substr(pos_)).code : kEnd;
}

std::uint32_t Lexer::take() {
  if (pos_ >= text_.size()) return kEnd;
  const Rune rune = decode_rune(text_.substr(pos_));
  pos_ += rune.size;
  return rune.code;
}

void Lexer::skip_word() {
  while (pos_ < text_.size()) {
    const auto byte = static_cast<unsigned char>(text_[pos_]);
    if (byte < 0x80) {
      if ((kClasses[byte] & kWord) == 0) return;
      ++pos_;
    } else {
      const Rune rune = decode_rune(text_.substr(pos_));
      if (!is_word(rune.code)) return;
      pos_ += rune.size;
    }
  }
}

bool Lexer::accept(std::string_view set) {
  if (pos_ >= text_.size() || set.find(text_[pos_]) == std::string_view::npos) return false;
  ++pos_;
  return true;
}

void Lexer::accept_run(std::string_view set) {
  while (accept(set)) {
  }
}

Token Lexer::make(TokenType type) {
  const Token token{type, static_cast<std::uint32_t>(start_), {text_.data() + start_, pos_ - start_}};
  start_ = pos_;
  return token;
}

Token Lexer::fail(std::string message) {
  message_ = std::move(message);
  failed_at_ = start_;
  text_ = {};
  pos_ = start_ = 0;
  return {TokenType::error, static_cast<std::uint32_t>(failed_at_), message_};
}

int Lexer::line_of(const Token& token) const {
  const bool after_error = token.type == TokenType::eof && !message_.empty();
  const auto end = whole_.begin() + static_cast<std::ptrdiff_t>(after_error ? failed_at_ : token.pos);
  return 1 + static_cast<int>(std::count(whole_.begin(), end, '\n'));
}

std::size_t Lexer::blanks_from(std::size_t pos) const {
  std::size_t end = pos;
  while (end < text_.size() && is_blank(static_cast<unsigned char>(text_[end]))) ++end;
  return end - pos;
}

bool Lexer::at_left_marker(std::size_t offset) const {
  return at(offset) == '-' && is_blank(static_cast<unsigned char>(at(offset + 1)));
}

bool Lexer::at_right_delim(bool& trims) const {
  trims = at(0) != '}' && at(1) == '-' && is_blank(static_cast<unsigned char>(at(0))) && at_pair(kRight, kMarkerSize);
  return trims || at_pair(kRight);
}

// May an identifier end here?
bool Lexer::at_terminator() const {
  if (pos_ >= text_.size()) return true;
  const auto byte = static_cast<unsigned char>(text_[pos_]);
  return (byte < 0x80 && (kClasses[byte] & kTerminator) != 0) || at_pair(kRight);
}

std::size_t Lexer::read(std::span<Token> out) {
  std::size_t count = 0;
  while (count < out.size()) {
    Token& token = out[count++];
    if (!lex_common(token)) token = next();
    if (token.type == TokenType::eof || token.type == TokenType::error) break;
  }
  return count;
}

// What actions mostly consist of: words, words behind a dot or "$", the blank between them, pipes, and their end.
// False, and nothing is taken, where it is something else or ends at something unusual.
bool Lexer::lex_common(Token& token) {
  if (!inside_action_ || text_.size() - pos_ < 2) return false;
  const char* const first = text_.data() + pos_;
  const char* const last = text_.data() + text_.size() - 1;  // has a byte before it, so that at[1] is one
  const auto is = [](char c, std::uint8_t what) { return (kClasses[static_cast<unsigned char>(c)] & what) != 0; };
  const auto take = [&](TokenType type, const char* end) {
    pos_ += static_cast<std::size_t>(end - first);
    token = make(type);
    return true;
  };
  if (*first == ' ') return !is(first[1], kBlank) && first[1] != '-' && take(TokenType::space, first + 1);
  if (*first == '|') return take(TokenType::pipe, first + 1);
  if (*first == '}' && first[1] == '}' && paren_depth_ == 0) {
    inside_action_ = false;
    return take(TokenType::right_delim, first + 2);
  }
  const char* at = first;
  if (*first == '.' || *first == '$') ++at;
  if (*first != '$' && !starts_word(*at)) return false;
  while (at < last && is(*at, kWord)) ++at;
  if (at == last || !(is(*at, kTerminator) || (at[0] == '}' && at[1] == '}'))) return false;
  if (*first == '.') return take(TokenType::field, at);
  if (*first == '$') return take(TokenType::variable, at);
  return take(type_of_word({first, static_cast<std::size_t>(at - first)}), at);
}

Token Lexer::next() {
  if (inside_action_) return lex_inside_action();
  Token token;
  while (!lex_text(token)) {
  }
  return token;
}

bool Lexer::lex_text(Token& token) {
  const std::size_t found = text_.find(kLeft, pos_);
  if (found == std::string_view::npos) {
    pos_ = text_.size();
    token = make(pos_ <= start_ ? TokenType::eof : TokenType::text);
    return true;
  }
  if (found > pos_) {
    pos_ = found;
    std::size_t trimmed = 0;
    if (at_left_marker(kLeft.size())) {
      const std::size_t last = text_.substr(start_, pos_ - start_).find_last_not_of(kBlanks);
      trimmed = pos_ - start_ - (last == std::string_view::npos ? 0 : last + 1);
    }
    pos_ -= trimmed;
    token = make(TokenType::text);
    pos_ += trimmed;
    ignore();
    if (!token.value.empty()) return true;
  }
  return lex_left_delim(token);
}

bool Lexer::lex_left_delim(Token& token) {
  pos_ += kLeft.size();
  const std::size_t marker = at_left_marker(0) ? kMarkerSize : 0;
  if (at_pair("/*", marker)) {
    pos_ += marker;
    ignore();
    return lex_comment(token);
  }
  token = make(TokenType::left_delim);
  inside_action_ = true;
  pos_ += marker;
  ignore();
  paren_depth_ = 0;
  return true;
}

bool Lexer::lex_comment(Token& token) {
  const std::size_t end = text_.find("*/", pos_ + 2);
  if (end == std::string_view::npos) {
    token = fail("unclosed comment");
    return true;
  }
  pos_ = end + 2;
  bool trims = false;
  if (!at_right_delim(trims)) {
    token = fail("comment ends before closing delimiter");
    return true;
  }
  ignore();
  pos_ += (trims ? kMarkerSize : 0) + kRight.size();
  if (trims) pos_ += blanks_from(pos_);
  ignore();
  return false;
}

Token Lexer::lex_right_delim() {
  bool trims = false;
  at_right_delim(trims);
  if (trims) {
    pos_ += kMarkerSize;
    ignore();
  }
  pos_ += kRight.size();
  const Token token = make(TokenType::right_delim);
  if (trims) {
    pos_ += blanks_from(pos_);
    ignore();
  }
  inside_action_ = false;
  return token;
}

Token Lexer::lex_inside_action() {
  if (starts_word(at(0))) return lex_identifier();  // most tokens are words, and words behind a dot
  if (at(0) == '.' && starts_word(at(1))) {
    ++pos_;
    return lex_path(TokenType::field);
  }
  bool trims = false;
  if (at_right_delim(trims)) return paren_depth_ == 0 ? lex_right_delim() : fail("unclosed left paren");
  const std::size_t before = pos_;
  const std::uint32_t rune = take();
  if (rune == kEnd) {
    // What failed is at its end from then on; a text that ends within an action says so once.
    return text_.empty() ? Token{TokenType::eof, 0, "EOF"} : fail("unclosed action");
  }
  if (is_blank(rune)) {
    pos_ = before;
    return lex_space();
  }
  switch (rune) {
    case '=':
      return make(TokenType::assign);
    case ':':
      return take() == '=' ? make(TokenType::declare) : fail("expected :=");
    case '|':
      return make(TokenType::pipe);
    case '"':
      return lex_quoted('"', TokenType::string, "quoted string");
    case '\'':
      return lex_quoted('\'', TokenType::char_constant, "character constant");
    case '`':
      return lex_raw_string();
    case '$':
      return lex_path(TokenType::variable);
    case '(':
      ++paren_depth_;
      return make(TokenType::left_paren);
    case ')':
      return --paren_depth_ < 0 ? fail("unexpected right paren") : make(TokenType::right_paren);
    default:
      break;
  }
  const bool is_number = (rune >= '0' && rune <= '9') || rune == '+' || rune == '-';
  if (rune == '.' && pos_ < text_.size() && (text_[pos_] < '0' || text_[pos_] > '9')) return lex_path(TokenType::field);
  if (is_number || rune == '.') {
    pos_ = before;
    return lex_number();
  }
  if (is_word(rune)) return lex_identifier();
  if (rune < 0x80 && is_printable(rune)) return make(TokenType::character);
  return fail("unrecognized character in action: " + describe_rune(rune));
}

// Blanks before a trimming "-}}" belong to it but for all before the last one.
Token Lexer::lex_space() {
  const std::size_t count = blanks_from(pos_);
  pos_ += count - 1;
  bool before_marker = false;
  at_right_delim(before_marker);
  if (before_marker && count == 1) return lex_right_delim();
  if (!before_marker) ++pos_;
  return make(TokenType::space);
}

Token Lexer::lex_identifier() {
  skip_word();
  const std::string_view word = text_.substr(start_, pos_ - start_);
  if (!at_terminator()) return fail("bad character " + describe_rune(peek()));
  return make(type_of_word(word));
}

Token Lexer::lex_path(TokenType type) {
  if (at_terminator()) return make(type == TokenType::variable ? type : TokenType::dot);
  skip_word();
  if (!at_terminator()) return fail("bad character " + describe_rune(peek()));
  return make(type);
}

Token Lexer::lex_quoted(char mark, TokenType type, std::string_view what) {
  for (; pos_ < text_.size() && text_[pos_] != '\n'; ++pos_) {
    if (text_[pos_] == mark) {
      ++pos_;
      return make(type);
    }
    if (text_[pos_] != '\\') continue;
    ++pos_;  // what is behind a backslash is no mark
    if (pos_ >= text_.size() || text_[pos_] == '\n') break;
  }
  return fail("unterminated " + std::string(what));
}

Token Lexer::lex_raw_string() {
  const std::size_t end = text_.find('`', pos_);
  if (end == std::string_view::npos) return fail("unterminated raw quoted string");
  pos_ = end + 1;
  return make(TokenType::raw_string);
}

Token Lexer::lex_number() {
  const auto bad = [&] { return fail("bad number syntax: " + quote(text_.substr(start_, pos_ - start_))); };
  if (!scan_number()) return bad();
  if (peek() != '+' && peek() != '-') return make(TokenType::number);
  if (!scan_number() || text_[pos_ - 1] != 'i') return bad();
  return make(TokenType::complex);
}

bool Lexer::scan_number() {
  accept("+-");
  std::string_view digits = "0123456789_";
  bool is_decimal = true, is_hex = false;
  if (accept("0")) {
    if (accept("xX")) {
      digits = "0123456789abcdefABCDEF_";
      is_decimal = false;
      is_hex = true;
    } else if (accept("oO")) {
      digits = "01234567_";
      is_decimal = false;
    } else if (accept("bB")) {
      digits = "01_";
      is_decimal = false;
    }
  }
  accept_run(digits);
  if (accept(".")) accept_run(digits);
  if ((is_decimal && accept("eE")) || (is_hex && accept("pP"))) {
    accept("+-");
    accept_run("0123456789_");
  }
  accept("i");
  if (!is_word(peek())) return true;
  take();
  return false;
}

}  // namespace caisson::go_template
