// SPDX-License-Identifier: Apache-2.0
// Summation by Kahan and Neumaier: the lost low digits of a sum are kept beside it. Upstream adds in the same order
// with the same rule, so results agree to the last bit. Any thread.
#pragma once
#include <cmath>

namespace caisson::metrics {

// sum + lost is the value. `lost` is dropped once the sum is infinite.
struct KahanSum {
  double sum = 0;
  double lost = 0;

  void add(double value) {
    const double total = sum + value;
    if (std::isinf(total))
      lost = 0;
    else if (std::fabs(sum) >= std::fabs(value))
      lost += (sum - total) + value;
    else
      lost += (value - total) + sum;
    sum = total;
  }
  double value() const { return sum + lost; }
};

}  // namespace caisson::metrics
