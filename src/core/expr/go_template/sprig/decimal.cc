// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/sprig/decimal.h"

#include <openssl/bn.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "core/base/check.h"
#include "core/expr/go_template/numbers.h"

namespace caisson::go_template::sprig {
namespace {

constexpr int kDecimals = 16;  // of a quotient

struct Context {
  BN_CTX* const value = BN_CTX_new();
  ~Context() { BN_CTX_free(value); }
};

std::shared_ptr<BIGNUM> make_number() {
  return {BN_new(), BN_free};
}

std::shared_ptr<BIGNUM> power_of_ten(int exponent) {
  const Context context;
  auto ten = make_number(), power = make_number(), out = make_number();
  BN_set_word(ten.get(), 10);
  BN_set_word(power.get(), static_cast<BN_ULONG>(exponent));
  CHECK(BN_exp(out.get(), ten.get(), power.get(), context.value) == 1);
  return out;
}

}  // namespace

Result<Decimal> Decimal::from(double value) {
  if (!std::isfinite(value)) {
    return Error{ErrorCode::invalid, "Cannot create a Decimal from " + format_float(value)};
  }
  std::string text = format_float(value, 'e');
  const std::size_t e = text.find('e');
  int exponent = static_cast<int>(parse_int(std::string_view(text).substr(e + 1)).value);
  text.resize(e);
  if (const std::size_t point = text.find('.'); point != std::string::npos) {
    exponent -= static_cast<int>(text.size() - point - 1);
    text.erase(point, 1);
  }
  BIGNUM* number = nullptr;
  CHECK(BN_dec2bn(&number, text.c_str()) > 0);
  return Decimal(Number(number, BN_free), exponent);
}

Decimal::Number Decimal::scaled_to(int exponent) const {
  if (exponent == exponent_) return digits_;
  const Context context;
  auto out = make_number();
  CHECK(BN_mul(out.get(), digits_.get(), power_of_ten(exponent_ - exponent).get(), context.value) == 1);
  return out;
}

Decimal Decimal::add(const Decimal& other) const {
  const int exponent = std::min(exponent_, other.exponent_);
  auto out = make_number();
  CHECK(BN_add(out.get(), scaled_to(exponent).get(), other.scaled_to(exponent).get()) == 1);
  return Decimal(out, exponent);
}

Decimal Decimal::subtract(const Decimal& other) const {
  const int exponent = std::min(exponent_, other.exponent_);
  auto out = make_number();
  CHECK(BN_sub(out.get(), scaled_to(exponent).get(), other.scaled_to(exponent).get()) == 1);
  return Decimal(out, exponent);
}

Decimal Decimal::multiply(const Decimal& other) const {
  const Context context;
  auto out = make_number();
  CHECK(BN_mul(out.get(), digits_.get(), other.digits_.get(), context.value) == 1);
  return Decimal(out, exponent_ + other.exponent_);
}

Result<Decimal> Decimal::divide(const Decimal& other) const {
  if (BN_is_zero(other.digits_.get())) return Error{ErrorCode::invalid, "decimal division by 0"};
  const Context context;
  // a·10^x / b·10^y to 16 decimals is a·10^(x - y + 16) / b, as an integer.
  const int shift = exponent_ - other.exponent_ + kDecimals;
  auto above = make_number(), below = make_number(), quotient = make_number(), rest = make_number();
  BN_copy(above.get(), shift > 0 ? Decimal(digits_, shift).scaled_to(0).get() : digits_.get());
  BN_copy(below.get(), shift < 0 ? Decimal(other.digits_, -shift).scaled_to(0).get() : other.digits_.get());
  const bool negative = BN_is_negative(above.get()) != BN_is_negative(below.get());
  BN_set_negative(above.get(), 0);
  BN_set_negative(below.get(), 0);
  CHECK(BN_div(quotient.get(), rest.get(), above.get(), below.get(), context.value) == 1);
  CHECK(BN_lshift1(rest.get(), rest.get()) == 1);
  if (BN_ucmp(rest.get(), below.get()) >= 0) CHECK(BN_add_word(quotient.get(), 1) == 1);
  BN_set_negative(quotient.get(), negative ? 1 : 0);
  return Decimal(quotient, -kDecimals);
}

double Decimal::to_double() const {
  char* text = BN_bn2dec(digits_.get());
  CHECK(text != nullptr);
  const std::string digits = text;
  OPENSSL_free(text);
  return parse_float(digits + "e" + std::to_string(exponent_)).value;
}

}  // namespace caisson::go_template::sprig
