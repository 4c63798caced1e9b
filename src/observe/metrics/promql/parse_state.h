// SPDX-License-Identifier: Apache-2.0
// The words still to be read, errors with their place, and the parts of the language below expressions: literals and
// durations.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "observe/metrics/promql/parser.h"

namespace caisson::metrics::promql {

// 1:5: parse error: MESSAGE
Error parse_error(std::string_view query, PositionRange at, std::string_view message);

class ParseState {
 public:
  ParseState(std::string_view query, const ParseOptions& options)
      : query_(query), options_(options), tokens_(lex(query)) {}

 protected:
  const ParseOptions& options() const { return options_; }
  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }
  Token take();
  bool accept(Tok type);
  std::int32_t last_closing() const { return last_closing_; }  // where the last bracket, number or duration ended

  static PositionRange range_of(const Token& token);
  Error fail(PositionRange at, std::string_view message) const { return parse_error(query_, at, message); }
  // Complains about the next word; about what the lexer refused in the lexer's words.
  Error unexpected(std::string_view context = {}, std::string_view expected = {}) const;

  Result<std::string> unquoted(const Token& string) const;
  Result<std::unique_ptr<NumberLiteral>> number_literal();  // REQUIRES: the next word is a number or a duration
  bool starts_duration() const;
  Result<ExprPtr> positive_duration();  // within brackets
  Result<ExprPtr> offset_duration();    // behind offset: one operand, or anything in parentheses

 private:
  Result<ExprPtr> duration_expression(int precedence_min, int depth);
  Result<ExprPtr> duration_operand(int depth);
  Result<ExprPtr> in_range(std::unique_ptr<NumberLiteral> literal) const;

  std::string_view query_;
  ParseOptions options_;
  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  std::int32_t last_closing_ = 0;
};

}  // namespace caisson::metrics::promql
