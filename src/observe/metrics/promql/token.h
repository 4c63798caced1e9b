// SPDX-License-Identifier: Apache-2.0
// The words of PromQL. Source: Prometheus 3.16, querying/basics and querying/operators.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::metrics::promql {

enum class Tok : std::uint8_t {
  end,
  error,
  identifier,
  metric_identifier,
  string,
  number,
  duration,
  left_paren,
  right_paren,
  left_brace,
  right_brace,
  left_bracket,
  right_bracket,
  comma,
  assign,
  colon,
  // Operators.
  add,
  sub,
  mul,
  div,
  mod,
  pow,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  trim_upper,
  trim_lower,
  eq_regex,
  ne_regex,
  at,
  atan2,
  and_,
  or_,
  unless,
  // Aggregations.
  sum,
  avg,
  count,
  min,
  max,
  group,
  stddev,
  stdvar,
  topk,
  bottomk,
  count_values,
  quantile,
  limitk,
  limit_ratio,
  // Other keywords.
  offset,
  smoothed,
  anchored,
  by,
  without,
  on,
  ignoring,
  group_left,
  group_right,
  fill,
  fill_left,
  fill_right,
  bool_,
  start,
  end_fn,
  step,
  range,
  max_of,
  min_of,
};

struct Token {
  Tok type = Tok::end;
  std::uint32_t position = 0;  // byte offset
  std::string text;            // as written; of an error the message
};

std::string_view spelling(Tok type);  // "+", "sum"; "" when a token has no fixed one
bool is_aggregation(Tok type);
bool takes_parameter(Tok aggregation);
bool is_comparison(Tok type);
bool is_set_operator(Tok type);
bool is_binary_operator(Tok type);
bool is_keyword(Tok type);                 // may stand for a label or metric name
std::string describe(const Token& token);  // identifier "foo"; "+"; end of input: for error messages

// Never fails: the list ends with `end` or with `error`.
std::vector<Token> lex(std::string_view query);

}  // namespace caisson::metrics::promql
