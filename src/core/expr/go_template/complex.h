// SPDX-License-Identifier: Apache-2.0
// A complex128. Templates can write one and print it, and little more.
#pragma once
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

class Complex : public Node {
 public:
  Complex(double real_part, double imaginary_part) : real(real_part), imaginary(imaginary_part) {}
  const double real, imaginary;

  static Datum datum(double real, double imaginary);
};

}  // namespace caisson::go_template
