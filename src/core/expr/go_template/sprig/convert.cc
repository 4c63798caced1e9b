// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/sprig/convert.h"

#include <cmath>
#include <limits>

#include "core/expr/go_template/complex.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/numbers.h"

namespace caisson::go_template::sprig {
namespace {

// "10.00" is 10, but "10." and "1.50" are not numbers that ParseInt takes.
std::string_view without_zero_decimals(std::string_view text) {
  const std::size_t last = text.find_last_not_of('0');
  const bool has_zeros = last != std::string_view::npos && last + 1 < text.size();
  return has_zeros && text[last] == '.' ? text.substr(0, last) : text;
}

std::int64_t truncated(double value) {
  // What does not fit is what the processor makes of it.
  if (!(value >= -0x1p63 && value < 0x1p63)) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(value);
}

bool has_own_type(const Datum& datum) {  // cast's type switches know only Go's own types
  static const Type* const known[] = {&kBool,  &kInt,    &kInt8,   &kInt16,  &kInt32,   &kInt64,   &kUint,
                                      &kUint8, &kUint16, &kUint32, &kUint64, &kFloat32, &kFloat64, &kString};
  for (const Type* type : known) {
    if (datum.type() == type) return true;
  }
  return false;
}

}  // namespace

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

Error nil_dereference() {
  return invalid("runtime error: invalid memory address or nil pointer dereference");
}

std::int64_t to_int64(const Datum& datum) {
  if (!datum.is_valid() || !has_own_type(datum)) return 0;
  if (datum.kind() == Kind::boolean) return datum.as_bool();
  if (datum.is_float()) return truncated(datum.as_double());
  if (!datum.is_string()) return datum.as_int();
  const auto parsed = parse_int(without_zero_decimals(datum.as_string()), 0);
  return parsed.ok() ? parsed.value : 0;
}

double to_double(const Datum& datum) {
  if (!datum.is_valid() || !has_own_type(datum)) return 0;
  if (datum.kind() == Kind::boolean) return datum.as_bool();
  if (datum.is_float()) return datum.as_double();
  if (datum.is_unsigned()) return static_cast<double>(datum.as_uint());
  if (!datum.is_string()) return static_cast<double>(datum.as_int());
  const auto parsed = parse_float(datum.as_string());
  return parsed.ok() ? parsed.value : 0;
}

Result<std::string> to_string(const Datum& datum) {
  if (datum.type() == &kString || datum.type() == &kBytes) return datum.str();
  return to_text(datum);
}

Result<std::vector<std::string>> to_strings(const Datum& datum) {
  std::vector<std::string> out;
  if (is_nil(datum)) return out;
  if (!is_list(datum)) {
    out.push_back(TRY(to_string(datum)));
    return out;
  }
  for (std::size_t i = 0; i < datum.size(); ++i) {
    const Datum item = datum.at(i);
    if (!is_nil(item)) out.push_back(TRY(to_string(item)));
  }
  return out;
}

bool is_empty(const Datum& datum) {
  switch (datum.kind()) {
    case Kind::boolean:
      return !datum.as_bool();
    case Kind::string:
    case Kind::slice:
    case Kind::array:
    case Kind::map:
      return datum.size() == 0;
    case Kind::structure:
      return false;
    case Kind::float32:
    case Kind::float64:
      return datum.as_double() == 0;
    case Kind::complex128: {
      const auto& number = static_cast<const Complex&>(*datum.node());
      return number.real == 0 && number.imaginary == 0;
    }
    case Kind::invalid:
    case Kind::interface:
    case Kind::pointer:
    case Kind::function:
      return datum.is_nil();
    default:
      return datum.as_int() == 0;
  }
}

bool is_nil(const Datum& datum) {
  return !datum.is_valid() || datum.kind() == Kind::interface;
}

bool is_list(const Datum& datum) {
  return datum.kind() == Kind::slice || datum.kind() == Kind::array;
}

Result<std::vector<Datum>> items_of(const Datum& datum, std::string_view does) {
  if (is_nil(datum)) return nil_dereference();
  if (!is_list(datum)) return invalid("Cannot " + std::string(does) + " type " + std::string(kind_name(datum.kind())));
  std::vector<Datum> items;
  items.reserve(datum.size());
  for (std::size_t i = 0; i < datum.size(); ++i) items.push_back(datum.at(i));
  return items;
}

Datum list(std::vector<Datum> items) {
  return Datum(make<List>(std::move(items)));
}
Datum nil_list() {
  return Datum::nil_of(kList);
}

}  // namespace caisson::go_template::sprig
