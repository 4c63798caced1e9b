// SPDX-License-Identifier: Apache-2.0
// Kubernetes' quantities in CEL (apimachinery/pkg/api/resource): whole nano-units in 128 bits.
#include <optional>

#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

using Arguments = std::span<const Value>;
__extension__ typedef __int128 Nanos;
constexpr Nanos kOne = 1'000'000'000;

// Kubernetes keeps a quantity as a 64-bit number with a decimal exponent where it can, and only that form with no
// negative exponent counts as an integer: "1000m" and "1.5Gi" do not.
struct Parsed {
  Nanos value = 0;
  bool is_integer = false;
};

class Quantity : public Object {
 public:
  explicit Quantity(Parsed parsed) : value_(parsed.value), is_integer_(parsed.is_integer) {}
  Type type() const override { return Type::opaque("kubernetes.Quantity"); }
  bool equals(const Object& other) const override {
    const auto* quantity = dynamic_cast<const Quantity*>(&other);
    return quantity != nullptr && quantity->value_ == value_;
  }
  Nanos value() const { return value_; }
  bool is_integer() const { return is_integer_; }

 private:
  Nanos value_;
  bool is_integer_;
};

Nanos value_of(const Value& v) {
  return static_cast<const Quantity&>(v.as_object()).value();
}
bool is_integer_form(const Value& v) {
  return static_cast<const Quantity&>(v.as_object()).is_integer();
}

struct Scale {
  Nanos times = kOne;  // of a whole unit, in nanos
  Nanos divide = 1;
  int exponent = 0;  // of 10, or of 2 when binary
  bool is_binary = false;
};

std::optional<Nanos> power(Nanos base, int exponent) {
  Nanos out = 1;
  for (int i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(out, base, &out)) return std::nullopt;
  }
  return out;
}

std::optional<Scale> decimal_scale(int exponent) {
  if (exponent < -9) {
    const auto divide = power(10, -9 - exponent);
    return divide ? std::optional(Scale{1, *divide, exponent, false}) : std::nullopt;
  }
  const auto times = power(10, 9 + exponent);
  return times ? std::optional(Scale{*times, 1, exponent, false}) : std::nullopt;
}

std::optional<Scale> suffix_scale(std::string_view suffix) {
  constexpr std::string_view kDecimal = "numkMGTPE";
  constexpr int kExponents[] = {-9, -6, -3, 3, 6, 9, 12, 15, 18};
  constexpr std::string_view kBinary = "KMGTPE";
  if (suffix.empty()) return Scale{};
  if (suffix.size() == 1) {
    const std::size_t at = kDecimal.find(suffix[0]);
    return at == std::string_view::npos ? std::nullopt : decimal_scale(kExponents[at]);
  }
  if (suffix.size() == 2 && suffix[1] == 'i') {
    const std::size_t at = kBinary.find(suffix[0]);
    if (at == std::string_view::npos) return std::nullopt;
    return Scale{kOne * *power(1024, static_cast<int>(at) + 1), 1, 10 * (static_cast<int>(at) + 1), true};
  }
  if (suffix[0] != 'e' && suffix[0] != 'E') return std::nullopt;
  std::size_t at = 1;
  const bool negative = suffix[at] == '-';
  if (negative || suffix[at] == '+') ++at;
  int exponent = 0;
  if (at >= suffix.size() || suffix.size() - at > 2) return std::nullopt;
  for (; at < suffix.size(); ++at) {
    if (suffix[at] < '0' || suffix[at] > '9') return std::nullopt;
    exponent = exponent * 10 + (suffix[at] - '0');
  }
  return decimal_scale(negative ? -exponent : exponent);
}

bool keeps_integer_form(std::string_view number, const Scale& scale) {
  const std::size_t dot = number.find('.');
  const int fraction = dot == number.npos ? 0 : static_cast<int>(number.size() - dot - 1);
  const int whole = static_cast<int>(number.size()) - fraction - (dot == number.npos ? 0 : 1);
  if (scale.is_binary) return fraction == 0 && 15 - whole - scale.exponent * 3 / 10 - 1 >= 0;
  return scale.exponent - fraction >= 0 && whole + fraction <= 18;
}

// Rounds away from zero below a nano-unit, as Kubernetes does. Nothing when malformed or beyond 128 bits.
std::optional<Parsed> parse(std::string_view text) {
  std::size_t at = 0;
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) at = 1;
  const std::size_t number_end = std::min(text.find_first_not_of("0123456789.", at), text.size());
  const std::string_view number = text.substr(at, number_end - at);
  const auto scale = suffix_scale(text.substr(number_end));
  if (!scale || number.empty() || number == "." || number.find('.') != number.rfind('.')) return std::nullopt;
  Nanos digits = 0, fraction_scale = 1;
  bool in_fraction = false, rest = false;
  for (const char c : number) {
    if (c == '.') {
      in_fraction = true;
      continue;
    }
    if (in_fraction && fraction_scale >= Nanos{1'000'000'000'000'000}) {
      rest = rest || c != '0';
      continue;
    }
    if (__builtin_mul_overflow(digits, Nanos{10}, &digits)) return std::nullopt;
    digits += c - '0';
    if (in_fraction) fraction_scale *= 10;
  }
  Nanos scaled = 0;
  if (__builtin_mul_overflow(digits, scale->times, &scaled)) return std::nullopt;
  const Nanos divisor = fraction_scale * scale->divide;
  Nanos out = scaled / divisor;
  if (scaled % divisor != 0 || rest) ++out;
  return Parsed{negative ? -out : out, keeps_integer_form(number, *scale)};
}

Value make(Parsed value) {
  return Value(std::make_shared<const Quantity>(value));
}

Result<Value> quantity(Arguments a) {
  const auto value = parse(a[0].as_string());
  if (!value) return bad("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  return make(*value);
}
Result<Value> is_quantity(Arguments a) {
  return Value(parse(a[0].as_string()).has_value());
}
std::int64_t order(Nanos a, Nanos b) {
  return a < b ? -1 : a > b;
}
Result<Value> sign(Arguments a) {
  return Value(order(value_of(a[0]), 0));
}
Result<Value> greater(Arguments a) {
  return Value(value_of(a[0]) > value_of(a[1]));
}
Result<Value> less(Arguments a) {
  return Value(value_of(a[0]) < value_of(a[1]));
}
Result<Value> compare_to(Arguments a) {
  return Value(order(value_of(a[0]), value_of(a[1])));
}
Result<Value> approximate(Arguments a) {
  return Value(static_cast<double>(value_of(a[0])) / 1e9);
}
bool is_whole(const Value& v) {
  const Nanos value = value_of(v);
  return is_integer_form(v) && value % kOne == 0 && value / kOne <= INT64_MAX && value / kOne >= INT64_MIN;
}
Result<Value> is_integer(Arguments a) {
  return Value(is_whole(a[0]));
}
Result<Value> as_integer(Arguments a) {
  if (!is_whole(a[0])) return bad("cannot convert value to integer");
  return Value(static_cast<std::int64_t>(value_of(a[0]) / kOne));
}

template <int Sign>
Result<Value> add(Arguments a) {
  const Nanos other = a[1].is(Kind::integer) ? a[1].as_int() * kOne : value_of(a[1]);
  Nanos out = 0;
  if (__builtin_add_overflow(value_of(a[0]), Sign * other, &out)) return bad("quantity overflow");
  return make({out, is_integer_form(a[0]) && (a[1].is(Kind::integer) || is_integer_form(a[1]))});
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
    {"(" Q ").add(" Q "): " Q, add<1>},
    {"(" Q ").add(int): " Q, add<1>},
    {"(" Q ").sub(" Q "): " Q, add<-1>},
    {"(" Q ").sub(int): " Q, add<-1>},
};
#undef Q

}  // namespace

std::span<const Declaration> quantity_functions() {
  return kFunctions;
}

}  // namespace caisson::cel
