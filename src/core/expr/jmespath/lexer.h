// SPDX-License-Identifier: Apache-2.0
// Characters to tokens. Internal to this folder.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::jmespath {

enum class TokenKind : std::uint8_t {
  end,
  name,
  quoted_name,
  literal,
  number,
  dot,
  star,
  left_bracket,
  right_bracket,
  filter,
  flatten,
  left_paren,
  right_paren,
  left_brace,
  right_brace,
  comma,
  colon,
  pipe,
  either,
  both,
  negation,
  reference,
  current,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  // Of the community's grammar alone; its product is `star`.
  variable,  // $name; "$" has no text
  assign,
  plus,
  minus,
  divide,
  whole_divide,
  modulo,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t at = 0;  // byte offset in the expression
  std::string text;    // of a name
  Value value;         // of a literal
  std::int64_t number = 0;
};

inline Error syntax_error(std::string_view what, std::size_t at) {
  return {ErrorCode::bad_request, "syntax: " + std::string(what) + " at offset " + std::to_string(at)};
}

// Errors: syntax. The last token is `end`.
Result<std::vector<Token>> tokens_of(std::string_view text, Dialect dialect);

}  // namespace caisson::jmespath
