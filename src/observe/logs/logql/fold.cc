// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/fold.h"

#include <cmath>

namespace caisson::logs::logql {

bool is_comparison(Tok op) {
  return op == Tok::cmp_eq || op == Tok::neq || op == Tok::lt || op == Tok::lte || op == Tok::gt || op == Tok::gte;
}

double fold(Tok op, double a, double b) {
  switch (op) {
    case Tok::add:
      return a + b;
    case Tok::sub:
      return a - b;
    case Tok::mul:
      return a * b;
    case Tok::div:
      return b == 0 ? NAN : a / b;
    case Tok::mod:
      return b == 0 ? NAN : std::fmod(a, b);
    case Tok::pow:
      return std::pow(a, b);
    case Tok::cmp_eq:
      return a == b;
    case Tok::neq:
      return a != b;
    case Tok::lt:
      return a < b;
    case Tok::lte:
      return a <= b;
    case Tok::gt:
      return a > b;
    case Tok::gte:
      return a >= b;
    default:
      return NAN;
  }
}

}  // namespace caisson::logs::logql
