// SPDX-License-Identifier: Apache-2.0
// Upstream scans with Go's text/scanner: identifiers are letters, digits and '_', numbers are Go's, strings "…" and
// `…`.
#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "core/document/utf8.h"
#include "observe/logs/logql/token.h"
#include "observe/metrics/model/characters.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

constexpr std::size_t kTextBytesMax = 128u << 10;

struct Word {
  std::string_view text;
  Tok kind;
};
constexpr Word kWords[] = {{"by", Tok::by},
                           {"without", Tok::without},
                           {"bool", Tok::bool_word},
                           {"on", Tok::on},
                           {"ignoring", Tok::ignoring},
                           {"group_left", Tok::group_left},
                           {"group_right", Tok::group_right},
                           {"offset", Tok::offset},
                           {"or", Tok::or_op},
                           {"and", Tok::and_op},
                           {"unless", Tok::unless_op},
                           {"json", Tok::json},
                           {"logfmt", Tok::logfmt},
                           {"regexp", Tok::regexp},
                           {"unpack", Tok::unpack},
                           {"pattern", Tok::pattern},
                           {"line_format", Tok::line_format},
                           {"label_format", Tok::label_format},
                           {"unwrap", Tok::unwrap},
                           {"decolorize", Tok::decolorize},
                           {"drop", Tok::drop},
                           {"keep", Tok::keep}};
// Longer ones first.
constexpr Word kSigns[] = {{"|=", Tok::pipe_exact}, {"|~", Tok::pipe_match}, {"|>", Tok::pipe_pattern},
                           {"=~", Tok::re},         {"!~", Tok::nre},        {"!>", Tok::npa},
                           {"!=", Tok::neq},        {"==", Tok::cmp_eq},     {">=", Tok::gte},
                           {"<=", Tok::lte},        {",", Tok::comma},       {"{", Tok::open_brace},
                           {"}", Tok::close_brace}, {"(", Tok::open_paren},  {")", Tok::close_paren},
                           {"|", Tok::pipe},        {"=", Tok::eq},          {">", Tok::gt},
                           {"<", Tok::lt},          {"+", Tok::add},         {"-", Tok::sub},
                           {"*", Tok::mul},         {"/", Tok::div},         {"%", Tok::mod},
                           {"^", Tok::pow}};
constexpr std::string_view kRangeOps[] = {"rate",
                                          "rate_counter",
                                          "count_over_time",
                                          "bytes_rate",
                                          "bytes_over_time",
                                          "avg_over_time",
                                          "sum_over_time",
                                          "min_over_time",
                                          "max_over_time",
                                          "stdvar_over_time",
                                          "stddev_over_time",
                                          "quantile_over_time",
                                          "first_over_time",
                                          "last_over_time",
                                          "absent_over_time"};
constexpr std::string_view kVectorOps[] = {"sum",    "avg",     "max",  "min",  "count",     "stddev",
                                           "stdvar", "bottomk", "topk", "sort", "sort_desc", "approx_topk"};
constexpr std::string_view kConversions[] = {"bytes", "duration", "duration_seconds"};

template <std::size_t N>
bool is_one_of(const std::string_view (&list)[N], std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

using metrics::is_blank;
using metrics::is_digit;
bool is_letter(char c) {  // Go's text/scanner takes those of every script
  return metrics::is_letter(c) || static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    if (text_.size() > kTextBytesMax)
      return Error{ErrorCode::bad_request, "query is too long: " + std::to_string(text_.size()) + " bytes, limit " +
                                               std::to_string(kTextBytesMax)};
    if (!is_valid_utf8(text_)) return fail("invalid UTF-8 encoding");  // Go's text/scanner
    std::vector<Token> out;
    for (;;) {
      skip();
      token_ = Token{};
      place(token_.line, token_.column);
      if (at_ >= text_.size()) {
        out.push_back(token_);
        return out;
      }
      TRY(one());
      out.push_back(std::move(token_));
    }
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void skip() {
    for (;;) {
      while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
      if (peek() != '#') return;
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    }
  }

  // Goes on from the place that was asked for last: queries are read once from front to end.
  void place(std::uint32_t& line, std::uint32_t& column) {
    for (; counted_ < at_; ++counted_) {
      const char c = text_[counted_];
      if (c == '\n')
        ++line_, column_ = 1;
      else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80)
        ++column_;
    }
    line = line_;
    column = column_;
  }

  Error fail(std::string message) const { return to_error({std::move(message), token_.line, token_.column}); }

  Result<void> one() {
    const char c = peek();
    if (c == '"' || c == '`' || c == '\'') return string(c);
    if (c == '[') return range();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number(at_);
    if (c == '-' && peek(1) == '-') {
      std::size_t end = at_ + 2;
      while (end < text_.size() && (is_letter(text_[end]) || text_[end] == '-')) ++end;
      const std::string_view flag = text_.substr(at_, end - at_);
      if (flag == "--strict" || flag == "--keep-empty") {
        token_.kind = Tok::flag;
        token_.text = flag;
        at_ = end;
        return {};
      }
    }
    if (c == '-' && is_digit(peek(1))) {  // a negative duration; a negative number is the parser's
      const std::size_t begin = at_;
      ++at_;
      if (quantity(begin)) return {};
      at_ = begin;
    }
    if (is_letter(c)) return word();
    for (const Word& sign : kSigns)
      if (text_.substr(at_).starts_with(sign.text)) {
        token_.kind = sign.kind;
        token_.text = sign.text;
        at_ += sign.text.size();
        return {};
      }
    const std::size_t length = std::max<std::size_t>(1, utf8::sequence_length(text_, at_));
    token_.kind = Tok::identifier;  // as upstream: what is unknown is an identifier where none is wanted
    token_.text = text_.substr(at_, length);
    at_ += length;
    return {};
  }

  Result<void> string(char quote) {
    const std::size_t begin = at_++;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (quote == '`') continue;
      if (text_[at_] == '\n') return fail("literal not terminated");
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ >= text_.size()) return fail("literal not terminated");
    ++at_;
    const std::string_view literal = text_.substr(begin, at_ - begin);
    if (!is_valid_utf8(literal)) return fail("invalid UTF-8 encoding");
    auto value = metrics::unquote(literal);
    if (!value.ok()) return fail("invalid syntax");
    token_.kind = Tok::string;
    token_.text = std::move(value).value();
    return {};
  }

  Result<void> range() {
    const std::size_t close = text_.find(']', at_);
    if (close == std::string_view::npos) return to_error({"missing closing ']' in duration", 0, token_.column});
    const std::string_view inside = text_.substr(at_ + 1, close - at_ - 1);
    const auto ms = metrics::parse_duration(inside);
    if (!ms.ok()) return to_error({ms.error().message, 0, token_.column});
    token_.kind = Tok::range;
    token_.text = text_.substr(at_, close + 1 - at_);
    token_.nanoseconds = *ms * 1'000'000;
    at_ = close + 1;
    return {};
  }

  // From `begin`, with the digits before at_ taken: a duration or a size, when it is one.
  bool quantity(std::size_t begin) {
    const auto extent = [&](auto takes) {
      std::size_t end = at_;
      while (end < text_.size() && (is_digit(text_[end]) || text_[end] == '.' || takes(end))) ++end;
      return end;
    };
    const std::size_t duration_end = extent([&](std::size_t i) {
      return std::string_view("numshdwy").find(text_[i]) != std::string_view::npos || text_[i] == '\xC2' ||
             text_[i] == '\xB5';
    });
    if (duration_end > at_ && !is_letter_at(duration_end)) {
      const std::string_view written = text_.substr(begin, duration_end - begin);
      const auto days = metrics::parse_duration(written);  // Prometheus' units first, then Go's
      const auto parsed = days.ok() ? Result<std::int64_t>(*days * 1'000'000) : parse_go_duration(written);
      if (parsed.ok()) {
        token_.kind = Tok::duration;
        token_.nanoseconds = *parsed;
        token_.text = text_.substr(begin, duration_end - begin);
        at_ = duration_end;
        return true;
      }
    }
    const std::size_t size_end =
        extent([&](std::size_t i) { return std::string_view("BikKMGTP").find(text_[i]) != std::string_view::npos; });
    if (size_end == at_) return false;
    const auto parsed = parse_byte_size(text_.substr(begin, size_end - begin));
    if (!parsed.ok()) return false;
    token_.kind = Tok::bytes;
    token_.size = *parsed;
    token_.text = text_.substr(begin, size_end - begin);
    at_ = size_end;
    return true;
  }
  bool is_letter_at(std::size_t at) const { return at < text_.size() && is_letter(text_[at]); }

  Result<void> number(std::size_t begin) {
    const auto digits = [&] {
      while (is_digit(peek()) || peek() == '_') ++at_;
    };
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X')) {
      at_ += 2;
      while (std::isxdigit(static_cast<unsigned char>(peek())) || peek() == '_') ++at_;
    } else {
      digits();
      if (peek() == '.') ++at_, digits();
      const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
      if ((peek() == 'e' || peek() == 'E') && is_digit(peek(sign))) at_ += sign, digits();
    }
    if (quantity(begin)) return {};
    token_.kind = Tok::number;
    token_.text = text_.substr(begin, at_ - begin);
    return {};
  }

  // Whether a parenthesis comes, perhaps with by or without before it.
  bool is_function(std::size_t at) const {
    const auto blank = [&] {
      while (at < text_.size() && is_blank(text_[at])) ++at;
    };
    blank();
    for (const std::string_view word : {"by", "without"}) {
      if (to_lower(text_.substr(at, word.size())) != word) continue;
      at += word.size();
      blank();
      break;
    }
    return at < text_.size() && text_[at] == '(';
  }

  Result<void> word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    token_.text = text_.substr(begin, at_ - begin);
    token_.kind = Tok::identifier;
    const std::string lower = to_lower(token_.text);
    const bool range_op = is_one_of(kRangeOps, lower), vector_op = is_one_of(kVectorOps, lower),
               conversion = is_one_of(kConversions, lower);
    if (range_op || vector_op || conversion || lower == "vector" || lower == "ip" || lower == "label_replace") {
      if (!is_function(at_)) return {};
      token_.text = lower;
      token_.kind = range_op            ? Tok::range_op
                    : vector_op         ? Tok::vector_op
                    : conversion        ? Tok::conversion
                    : lower == "vector" ? Tok::vector
                    : lower == "ip"     ? Tok::ip
                                        : Tok::label_replace;
      return {};
    }
    for (const Word& one : kWords)
      if (one.text == lower) token_.kind = one.kind;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0, counted_ = 0;
  std::uint32_t line_ = 1, column_ = 1;
  Token token_;
};

}  // namespace

std::string token_name(const Token& token) {
  switch (token.kind) {
    case Tok::end:
      return "$end";
    case Tok::identifier:
      return "IDENTIFIER";
    case Tok::string:
      return "STRING";
    case Tok::number:
      return "NUMBER";
    case Tok::duration:
      return "DURATION";
    case Tok::bytes:
      return "BYTES";
    case Tok::range:
      return "RANGE";
    case Tok::flag:
      return "FUNCTION_FLAG";
    default:
      return to_lower(token.text);
  }
}

Error to_error(const ParseError& error) {
  const std::string place = error.line == 0 && error.column == 0
                                ? " "
                                : " at line " + std::to_string(error.line) + ", col " + std::to_string(error.column);
  return {ErrorCode::bad_request, "parse error" + place + ": " + error.message};
}

Result<std::vector<Token>> scan(std::string_view text) {
  return Lexer(text).run();
}

}  // namespace caisson::logs::logql
