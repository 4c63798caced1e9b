// SPDX-License-Identifier: Apache-2.0
// Words of LogQL (Loki 3.7). Pure functions.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::logs::logql {

enum class Tok : std::uint8_t {
  end,
  identifier,
  string,
  number,
  duration,
  bytes,
  range,
  flag,
  // punctuation
  comma,
  open_brace,
  close_brace,
  open_paren,
  close_paren,
  pipe,
  eq,
  re,
  nre,
  npa,
  pipe_match,
  pipe_exact,
  pipe_pattern,
  // operators
  or_op,
  and_op,
  unless_op,
  cmp_eq,
  neq,
  lt,
  lte,
  gt,
  gte,
  add,
  sub,
  mul,
  div,
  mod,
  pow,
  // words
  by,
  without,
  bool_word,
  on,
  ignoring,
  group_left,
  group_right,
  offset,
  json,
  logfmt,
  regexp,
  unpack,
  pattern,
  line_format,
  label_format,
  unwrap,
  decolorize,
  drop,
  keep,
  ip,
  label_replace,
  vector,
  // functions: words only when a parenthesis (or by, without) follows
  range_op,
  vector_op,
  conversion,
};

struct Token {
  Tok kind = Tok::end;
  std::string text;                    // of identifiers and functions the word; of strings the value
  std::int64_t nanoseconds = 0;        // of durations and ranges
  std::uint64_t size = 0;              // of bytes
  std::uint32_t line = 1, column = 1;  // from 1; columns count characters
};

// As upstream's messages name it: "IDENTIFIER", "$end", "|=", "json".
std::string token_name(const Token& token);

struct ParseError {
  std::string message;
  std::uint32_t line = 0, column = 0;
};
// "parse error at line 1, col 7: …"; without a place "parse error : …".
Error to_error(const ParseError& error);

// The whole text; ends with Tok::end. Errors: bad_request with the place.
Result<std::vector<Token>> scan(std::string_view text);

// Quantities in filters and values of labels. Pure.
Result<std::int64_t> parse_go_duration(std::string_view text);  // of labels; nanoseconds. Errors in Go's words
Result<std::uint64_t> parse_byte_size(std::string_view text);   // "2.5KiB", "1MB", "42"; Errors in go-humanize's words

}  // namespace caisson::logs::logql
