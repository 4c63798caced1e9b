// SPDX-License-Identifier: Apache-2.0
// Kubernetes quantities with exact arithmetic: "100m", "1.5Gi", "2e3". Follows apimachinery's resource.Quantity
// (v0.33): what is read is rounded away from zero to billionths and capped at 2^63-1 units; the form of the left
// operand is kept; results are written canonically. Any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson {

class Quantity {
 public:
  enum class Form : std::uint8_t { decimal_si, binary_si, decimal_exponent };

  static std::optional<Quantity> parse(std::string_view text);
  // Why `text` is no quantity, in apimachinery's words: bad_request.
  static Error refusal(std::string_view text);
  static std::optional<Quantity> of(double number);  // its shortest digits
  static Quantity of_integer(std::int64_t number, Form form = Form::decimal_si) { return {number, 0, form}; }
  static Quantity of_milli(std::int64_t thousandths) { return {thousandths, 3, Form::decimal_si}; }

  // Empty when the result has more than 38 digits.
  std::optional<Quantity> plus(const Quantity& other) const;
  std::optional<Quantity> minus(const Quantity& other) const;
  std::optional<Quantity> times(const Quantity& other) const;
  std::optional<Quantity> divided_by(const Quantity& other) const;  // cut off at the longer scale of both

  int compare(const Quantity& other) const;  // below 0, 0, above 0
  bool is_zero() const { return mantissa_ == 0; }
  bool is_capped() const;  // may have been a larger number
  double as_double() const;
  // Units, or thousandths of one: rounded away from zero, saturating.
  std::int64_t units() const { return scaled(0); }
  std::int64_t milli() const { return scaled(3); }
  // Written without a fraction and short enough for apimachinery's 64-bit form: "1000m" and "1.5Gi" are not.
  bool is_integer() const { return plain_; }
  Form form() const { return form_; }
  std::string str() const;  // canonical: "500m" of 0.5, "1Gi" of 1024Mi

 private:
  Quantity(__int128 mantissa, int scale, Form form) : mantissa_(mantissa), scale_(scale), form_(form) {
    plain_ = scale == 0;
  }
  std::int64_t scaled(int places) const;

  __int128 mantissa_;  // the value is mantissa / 10^scale
  int scale_;
  Form form_;
  bool plain_;
};

}  // namespace caisson
