// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/number_literal.h"

#include <cmath>

#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

Error bad(std::string message) {
  return Error{ErrorCode::bad_request, std::move(message)};
}

// Go's conversion of a float that does not fit is the processor's; what matters is that it does not compare equal.
bool is_int64(double value) {
  return value >= -0x1p63 && value < 0x1p63 && std::trunc(value) == value;
}
bool is_uint64(double value) {
  return value >= 0 && value < 0x1p64 && std::trunc(value) == value;
}

void take_integers_of_float(NumberNode& node) {
  if (!node.is_int && is_int64(node.float_value)) {
    node.is_int = true;
    node.int_value = static_cast<std::int64_t>(node.float_value);
  }
  if (!node.is_uint && is_uint64(node.float_value)) {
    node.is_uint = true;
    node.uint_value = static_cast<std::uint64_t>(node.float_value);
  }
}

void set_complex(NumberNode& node, double real, double imaginary) {
  node.is_complex = true;
  node.float_value = real;
  node.imaginary = imaginary;
  node.is_float = imaginary == 0;
  if (node.is_float) take_integers_of_float(node);
}

Result<void> read_character(std::string_view text, NumberNode& node) {
  std::string character;
  if (!unquote(text, character)) {
    // strconv.UnquoteChar reads one character; what is left over is another complaint than what it can't read.
    std::string as_text;
    const bool is_readable =
        text.size() > 3 && unquote("\"" + std::string(text.substr(1, text.size() - 2)) + "\"", as_text);
    return bad(is_readable ? "malformed character constant: " + std::string(text) : "invalid syntax");
  }
  const std::uint32_t code = decode_rune(character).code;
  node.is_int = node.is_uint = node.is_float = true;
  node.int_value = code;
  node.uint_value = code;
  node.float_value = code;
  return {};
}

// "1+2i": the sign that parts the two is not one of an exponent.
Result<void> read_complex(std::string_view text, NumberNode& node) {
  std::size_t split = std::string_view::npos;
  const bool is_hex = text.find_first_of("xX") != std::string_view::npos;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char before = static_cast<char>(text[i - 1] | 0x20);
    const bool is_exponent = before == 'p' || (!is_hex && before == 'e');
    if ((text[i] == '+' || text[i] == '-') && !is_exponent) split = i;
  }
  if (split == std::string_view::npos) return bad("syntax error scanning complex number");
  const auto real = parse_float(text.substr(0, split));
  const auto imaginary = parse_float(text.substr(split, text.size() - split - 1));
  if (!real.ok()) return bad(number_error("ParseFloat", text.substr(0, split), real.error));
  if (!imaginary.ok()) return bad("syntax error scanning complex number");
  set_complex(node, real.value, imaginary.value);
  return {};
}

Result<void> read_plain(std::string_view text, NumberNode& node) {
  const auto as_uint = parse_uint(text, 0);
  if (as_uint.ok()) {
    node.is_uint = true;
    node.uint_value = as_uint.value;
  }
  const auto as_int = parse_int(text, 0);
  if (as_int.ok()) {
    node.is_int = true;
    node.int_value = as_int.value;
    if (as_int.value == 0) node.is_uint = true;  // -0
  }
  if (node.is_int || node.is_uint) {
    node.is_float = true;
    node.float_value = node.is_int ? static_cast<double>(node.int_value) : static_cast<double>(node.uint_value);
    return {};
  }
  const auto as_float = parse_float(text);
  if (!as_float.ok()) return bad("illegal number syntax: " + quote(text));
  if (text.find_first_of(".eEpP") == std::string_view::npos) return bad("integer overflow: " + quote(text));
  node.is_float = true;
  node.float_value = as_float.value;
  take_integers_of_float(node);
  return {};
}

}  // namespace

Result<void> read_number(const Token& token, NumberNode& node) {
  node.text = token.value;
  if (token.type == TokenType::char_constant) return read_character(token.value, node);
  if (token.type == TokenType::complex) return read_complex(token.value, node);
  if (token.value.ends_with('i')) {
    const auto imaginary = parse_float(token.value.substr(0, token.value.size() - 1));
    if (imaginary.ok()) {
      set_complex(node, 0, imaginary.value);
      return {};
    }
  }
  return read_plain(token.value, node);
}

}  // namespace caisson::go_template
