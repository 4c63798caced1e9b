// SPDX-License-Identifier: Apache-2.0
// Decimal numbers of any size, for addf, subf, mulf and divf, which Sprig computes with shopspring/decimal 1.4: floats
// are taken by their shortest digits, so that 0.1 + 0.2 is 0.3. Any thread.
#pragma once
#include <memory>

#include "core/base/result.h"

struct bignum_st;

namespace caisson::go_template::sprig {

class Decimal {
 public:
  static Result<Decimal> from(double value);  // invalid for NaN and infinities

  Decimal add(const Decimal& other) const;
  Decimal subtract(const Decimal& other) const;
  Decimal multiply(const Decimal& other) const;
  Result<Decimal> divide(const Decimal& other) const;  // rounded to 16 decimals, halves away from zero
  double to_double() const;                            // the nearest

 private:
  using Number = std::shared_ptr<const bignum_st>;
  Decimal(Number digits, int exponent) : digits_(std::move(digits)), exponent_(exponent) {}
  Number scaled_to(int exponent) const;

  Number digits_;  // with its sign
  int exponent_;   // × 10^exponent
};

}  // namespace caisson::go_template::sprig
