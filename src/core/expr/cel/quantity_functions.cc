// SPDX-License-Identifier: Apache-2.0
// Kubernetes' quantities in CEL.
#include <optional>

#include "core/base/quantity.h"
#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;

class QuantityObject : public Object {
 public:
  explicit QuantityObject(const Quantity& quantity) : quantity_(quantity) {}
  Type type() const override { return Type::opaque("kubernetes.Quantity"); }
  bool equals(const Object& other) const override {
    const auto* quantity = dynamic_cast<const QuantityObject*>(&other);
    return quantity != nullptr && quantity->quantity_.compare(quantity_) == 0;
  }
  const Quantity& quantity() const { return quantity_; }

 private:
  Quantity quantity_;
};

const Quantity& of(const Value& v) {
  return static_cast<const QuantityObject&>(v.as_object()).quantity();
}
Value make(const Quantity& quantity) {
  return Value(std::make_shared<const QuantityObject>(quantity));
}

Result<Value> quantity(Arguments a) {
  const auto value = Quantity::parse(a[0].as_string());
  if (!value) return bad("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  return make(*value);
}
Result<Value> is_quantity(Arguments a) {
  return Value(Quantity::parse(a[0].as_string()).has_value());
}
std::int64_t order(const Quantity& a, const Quantity& b) {
  const int compared = a.compare(b);
  return compared < 0 ? -1 : compared > 0;
}
Result<Value> sign(Arguments a) {
  return Value(order(of(a[0]), Quantity::of_integer(0)));
}
Result<Value> greater(Arguments a) {
  return Value(order(of(a[0]), of(a[1])) > 0);
}
Result<Value> less(Arguments a) {
  return Value(order(of(a[0]), of(a[1])) < 0);
}
Result<Value> compare_to(Arguments a) {
  return Value(order(of(a[0]), of(a[1])));
}
Result<Value> approximate(Arguments a) {
  return Value(of(a[0]).as_double());
}
Result<Value> is_integer(Arguments a) {
  return Value(of(a[0]).is_integer());
}
Result<Value> as_integer(Arguments a) {
  if (!of(a[0]).is_integer()) return bad("cannot convert value to integer");
  return Value(of(a[0]).units());
}

Quantity operand(const Value& v) {
  return v.is(Kind::integer) ? Quantity::of_integer(v.as_int()) : of(v);
}
Result<Value> combined(const std::optional<Quantity>& quantity) {
  if (!quantity) return bad("quantity overflow");
  return make(*quantity);
}
Result<Value> add(Arguments a) {
  return combined(of(a[0]).plus(operand(a[1])));
}
Result<Value> subtract(Arguments a) {
  return combined(of(a[0]).minus(operand(a[1])));
}

#define Q "kubernetes.Quantity"
constexpr Declaration kFunctions[] = {
    {"quantity(string): " Q, quantity, cost_of_first},
    {"isQuantity(string): bool", is_quantity, cost_of_first},
    {"sign(" Q "): int", sign},
    {"(" Q ").sign(): int", sign},
    {"(" Q ").isGreaterThan(" Q "): bool", greater},
    {"(" Q ").isLessThan(" Q "): bool", less},
    {"(" Q ").compareTo(" Q "): int", compare_to},
    {"(" Q ").asApproximateFloat(): double", approximate},
    {"(" Q ").asInteger(): int", as_integer},
    {"(" Q ").isInteger(): bool", is_integer},
    {"(" Q ").add(" Q "): " Q, add},
    {"(" Q ").add(int): " Q, add},
    {"(" Q ").sub(" Q "): " Q, subtract},
    {"(" Q ").sub(int): " Q, subtract},
};
#undef Q

}  // namespace

std::span<const Declaration> quantity_functions() {
  return kFunctions;
}

}  // namespace caisson::cel
