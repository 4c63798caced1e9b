// SPDX-License-Identifier: Apache-2.0
// Kubernetes quantities with exact arithmetic: "100m", "1.5Gi", "2e3". Follows apimachinery's resource.Quantity: the
// form of the left operand is kept, results are written canonically. Numbers have up to 38 digits. Any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace caisson::jmespath {

class Quantity {
 public:
  enum class Form : std::uint8_t { decimal_si, binary_si, decimal_exponent };

  static std::optional<Quantity> parse(std::string_view text);
  static std::optional<Quantity> of(double number);
  static Quantity of_integer(std::int64_t number, Form form) { return {number, 0, form}; }

  // Empty when the result has too many digits.
  std::optional<Quantity> plus(const Quantity& other) const;
  std::optional<Quantity> minus(const Quantity& other) const;
  std::optional<Quantity> times(const Quantity& other) const;
  std::optional<Quantity> divided_by(const Quantity& other) const;  // cut off at the longer scale of both

  int compare(const Quantity& other) const;  // below 0, 0, above 0
  bool is_zero() const { return mantissa_ == 0; }
  double as_double() const;
  Form form() const { return form_; }
  std::string str() const;

 private:
  Quantity(__int128 mantissa, int scale, Form form) : mantissa_(mantissa), scale_(scale), form_(form) {}
  __int128 mantissa_;  // the value is mantissa / 10^scale
  int scale_;
  Form form_;
};

}  // namespace caisson::jmespath
