// SPDX-License-Identifier: Apache-2.0
// How package fmt writes values: the verbs (printer.cc) and the formats that ask for them (format.cc). For format.cc.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

struct PrintFlags {
  bool has_width = false, has_precision = false;
  bool minus = false, plus = false, sharp = false, space = false, zero = false;
  bool plus_v = false, sharp_v = false;  // %+v and %#v
  int width = 0, precision = 0;
};

class Printer {
 public:
  void printf(std::string_view format, std::span<const Datum> arguments);
  void print(std::span<const Datum> arguments);
  void println(std::span<const Datum> arguments);
  void print_argument(const Datum& argument, char32_t verb);
  void write(std::string_view text) { out_ += text; }

  Result<std::string> finish() && {
    if (is_too_deep_) return Error{ErrorCode::invalid, "can't print data that is nested too deeply"};
    return std::move(out_);
  }

 private:
  struct Scan;  // where printf stands in its format and arguments

  void verb(Scan& scan);
  void flags(Scan& scan);
  void width(Scan& scan);
  void precision(Scan& scan);
  void index(Scan& scan);
  void print_extra(const Scan& scan);

  void pad(std::string_view text);
  void pad_without_zeros(std::string_view text);
  void write_padding(int width);
  std::string_view truncated(std::string_view text) const;

  void bad_verb(const Datum& datum, char32_t verb);
  void print_bool(const Datum& datum, char32_t verb);
  void print_integer(const Datum& datum, std::uint64_t value, bool is_signed, char32_t verb);
  void integer(std::uint64_t value, unsigned base, bool is_signed, char32_t verb, std::string_view digits);
  void hex_0x(std::uint64_t value, bool leading_0x);
  void unicode(std::uint64_t value);
  void print_float(const Datum& datum, double value, int bits, char32_t verb);
  void floating(double value, int bits, char verb, int precision);
  std::string with_point(std::string number, char verb, int precision) const;
  void print_complex(const Datum& datum, char32_t verb);
  void print_string(const Datum& datum, std::string_view text, char32_t verb);
  void quoted(std::string_view text);
  void hex_bytes(std::string_view bytes, std::string_view digits);
  void print_bytes(const Datum& datum, char32_t verb, std::string_view type_name);
  void print_pointer(const Datum& datum, char32_t verb);
  void print_map(const Datum& datum, char32_t verb, int depth);
  void print_list(const Datum& datum, char32_t verb, int depth);
  void print_struct(const Datum& datum, char32_t verb, int depth);
  bool handle_methods(const Datum& datum, char32_t verb);
  void print_value(const Datum& datum, char32_t verb, int depth);

  std::string out_;
  PrintFlags f_;
  bool is_erroring_ = false;
  bool is_too_deep_ = false;
};

}  // namespace caisson::go_template
