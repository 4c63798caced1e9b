// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/lexer.h"

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::jmespath {
namespace {

bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Lexer {
 public:
  Lexer(std::string_view text, Dialect dialect) : text_(text), dialect_(dialect) {}

  Result<std::vector<Token>> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
        continue;
      }
      TRY(next(c));
    }
    tokens_.push_back({TokenKind::end, at_, {}, {}, 0});
    return std::move(tokens_);
  }

 private:
  Result<void> next(char c) {
    if (begins_name(c)) {
      name();
      return {};
    }
    if (is_digit(c) || (c == '-' && (dialect_ != Dialect::community || is_sign()))) return number();
    if (c == '"') return quoted_name();
    if (c == '\'') return raw_string();
    if (c == '`') return literal();
    if (c == '$' && dialect_ == Dialect::community) return variable();
    if (dialect_ == Dialect::community && std::string_view("+-/%").find(c) != std::string_view::npos)
      return operation(c);
    return symbol(c);
  }

  bool is_sign() const { return at_ + 1 < text_.size() && is_digit(text_[at_ + 1]); }

  Result<void> variable() {
    const std::size_t from = at_++;
    const std::size_t begin = at_;
    while (at_ < text_.size() && (begins_name(text_[at_]) || is_digit(text_[at_]))) ++at_;
    tokens_.push_back({TokenKind::variable, from, std::string(text_.substr(begin, at_ - begin)), {}, 0});
    return {};
  }

  Result<void> operation(char c) {
    if (c == '+') return add(TokenKind::plus, 1);
    if (c == '-') return add(TokenKind::minus, 1);
    if (c == '%') return add(TokenKind::modulo, 1);
    const bool whole = at_ + 1 < text_.size() && text_[at_ + 1] == '/';
    return whole ? add(TokenKind::whole_divide, 2) : add(TokenKind::divide, 1);
  }

  void name() {
    const std::size_t from = at_;
    while (at_ < text_.size() && (begins_name(text_[at_]) || is_digit(text_[at_]))) ++at_;
    tokens_.push_back({TokenKind::name, from, std::string(text_.substr(from, at_ - from)), {}, 0});
  }

  Result<void> number() {
    const std::size_t from = at_++;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    const auto value = parse_int(text_.substr(from, at_ - from));
    if (!value) return syntax_error("a number must be an integer", from);
    tokens_.push_back({TokenKind::number, from, {}, {}, *value});
    return {};
  }

  // Up to the next `quote` that no backslash precedes; at_ stands behind it afterwards.
  Result<std::string_view> delimited(char quote) {
    const std::size_t from = ++at_;
    while (at_ < text_.size() && text_[at_] != quote) at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return syntax_error("unclosed delimiter", from - 1);
    return text_.substr(from, at_++ - from);
  }

  Result<void> quoted_name() {
    const std::size_t from = at_;
    const std::string_view inner = TRY(delimited('"'));
    const auto value = json::parse("\"" + std::string(inner) + "\"");
    if (!value.ok()) return syntax_error("a quoted name is not a JSON string", from);
    tokens_.push_back({TokenKind::quoted_name, from, value->str(), {}, 0});
    return {};
  }

  Result<void> raw_string() {
    const std::size_t from = at_;
    const std::string_view inner = TRY(delimited('\''));
    std::string text;
    for (std::size_t i = 0; i < inner.size(); ++i) {
      // Only the quote itself can be escaped; every other backslash stands for itself.
      if (inner[i] == '\\' && i + 1 < inner.size() && inner[i + 1] == '\'') ++i;
      text += inner[i];
    }
    tokens_.push_back({TokenKind::literal, from, {}, Value(text), 0});
    return {};
  }

  Result<void> literal() {
    const std::size_t from = at_;
    const std::string_view inner = TRY(delimited('`'));
    const std::string text = replace_all(std::string(trim(inner)), "\\`", "`");
    auto value = json::parse(text);
    // Expressions from before the raw strings of JEP-12 write `foo` for a string.
    if (!value.ok() && !text.empty() && std::string_view("[{\"").find(text[0]) == std::string_view::npos)
      value = json::parse("\"" + text + "\"");
    if (!value.ok()) return syntax_error("a literal is not JSON", from);
    tokens_.push_back({TokenKind::literal, from, {}, *value, 0});
    return {};
  }

  Result<void> symbol(char c) {
    const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    switch (c) {
      case '.':
        return add(TokenKind::dot, 1);
      case '*':
        return add(TokenKind::star, 1);
      case ',':
        return add(TokenKind::comma, 1);
      case ':':
        return add(TokenKind::colon, 1);
      case '{':
        return add(TokenKind::left_brace, 1);
      case '}':
        return add(TokenKind::right_brace, 1);
      case ']':
        return add(TokenKind::right_bracket, 1);
      case '(':
        return add(TokenKind::left_paren, 1);
      case ')':
        return add(TokenKind::right_paren, 1);
      case '@':
        return add(TokenKind::current, 1);
      case '[':
        if (next == '?') return add(TokenKind::filter, 2);
        return next == ']' ? add(TokenKind::flatten, 2) : add(TokenKind::left_bracket, 1);
      case '|':
        return next == '|' ? add(TokenKind::either, 2) : add(TokenKind::pipe, 1);
      case '&':
        return next == '&' ? add(TokenKind::both, 2) : add(TokenKind::reference, 1);
      case '!':
        return next == '=' ? add(TokenKind::not_equal, 2) : add(TokenKind::negation, 1);
      case '<':
        return next == '=' ? add(TokenKind::less_equal, 2) : add(TokenKind::less, 1);
      case '>':
        return next == '=' ? add(TokenKind::greater_equal, 2) : add(TokenKind::greater, 1);
      case '=':
        if (next == '=') return add(TokenKind::equal, 2);
        if (dialect_ == Dialect::community) return add(TokenKind::assign, 1);
        break;
      default:
        break;
    }
    return syntax_error("unknown character '" + std::string(1, c) + "'", at_);
  }

  Result<void> add(TokenKind kind, std::size_t length) {
    tokens_.push_back({kind, at_, {}, {}, 0});
    at_ += length;
    return {};
  }

  std::string_view text_;
  Dialect dialect_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokens_of(std::string_view text, Dialect dialect) {
  return Lexer(text, dialect).run();
}

}  // namespace caisson::jmespath
