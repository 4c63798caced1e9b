// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/compare.h"

#include "core/expr/go_template/complex.h"
#include "core/expr/go_template/format.h"

namespace caisson::go_template {
namespace {

constexpr int kDepthMax = 1'000;

enum class Basic : std::uint8_t { none, boolean, complex, integer, floating, string, unsigned_ };

Basic basic(const Datum& datum) {
  if (datum.kind() == Kind::boolean) return Basic::boolean;
  if (datum.is_signed()) return Basic::integer;
  if (datum.is_unsigned()) return Basic::unsigned_;
  if (datum.is_float()) return Basic::floating;
  if (datum.kind() == Kind::complex128) return Basic::complex;
  return datum.is_string() ? Basic::string : Basic::none;
}

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

Error incompatible(const Datum& a, const Datum& b) {
  return invalid("incompatible types for comparison: " + std::string(a.type_name()) + " and " +
                 std::string(b.type_name()));
}

Datum unboxed(const Datum& datum) {
  return datum.kind() == Kind::interface ? Datum() : datum;
}

bool same_complex(const Datum& a, const Datum& b) {
  const auto& left = static_cast<const Complex&>(*a.node());
  const auto& right = static_cast<const Complex&>(*b.node());
  return left.real == right.real && left.imaginary == right.imaginary;
}

bool same_scalar(Basic kind, const Datum& a, const Datum& b) {
  switch (kind) {
    case Basic::boolean:
      return a.as_bool() == b.as_bool();
    case Basic::complex:
      return same_complex(a, b);
    case Basic::floating:
      return a.as_double() == b.as_double();
    case Basic::string:
      return a.as_string() == b.as_string();
    default:
      return a.as_int() == b.as_int();
  }
}

bool is_comparable(const Datum& datum) {
  return datum.kind() != Kind::slice && datum.kind() != Kind::map && datum.kind() != Kind::function;
}

// Go's complaints write a value with %s, whatever it is.
Result<std::string> shown(const Datum& datum) {
  return sprintf("%s", std::span(&datum, 1));
}

Result<bool> equals_other(const Datum& a, const Datum& b) {
  const bool same_kind = a.kind() == b.kind();
  if (!same_kind && a.is_valid() && b.is_valid()) {
    return invalid("non-comparable types " + TRY(shown(a)) + ": " + std::string(a.type_name()) + ", " +
                   std::string(b.type_name()) + ": " + TRY(to_text(b)));
  }
  if (a.is_nil() || b.is_nil()) return a.is_nil() == b.is_nil();
  if (!is_comparable(b)) return invalid("non-comparable type " + TRY(shown(b)) + ": " + std::string(b.type_name()));
  return same_interface(a, b);
}

Result<bool> equals(const Datum& a, const Datum& b) {
  const Basic left = basic(a), right = basic(b);
  if (left == right) {
    if (left == Basic::none) return equals_other(a, b);
    return same_scalar(left, a, b);
  }
  if (left == Basic::integer && right == Basic::unsigned_) return a.as_int() >= 0 && a.as_uint() == b.as_uint();
  if (left == Basic::unsigned_ && right == Basic::integer) return b.as_int() >= 0 && a.as_uint() == b.as_uint();
  if (a.is_valid() && b.is_valid()) return incompatible(a, b);
  return false;
}

bool deep_equal_at(const Datum& a, const Datum& b, int depth);

bool deep_equal_maps(const Datum& a, const Datum& b, int depth) {
  const Map *left = a.as_map(), *right = b.as_map();
  if (!left || !right) return left == right;
  if (left == right) return true;
  if (left->size() != right->size()) return false;
  for (const auto& [key, item] : left->entries()) {
    const auto other = right->find(key);
    if (!other || !deep_equal_at(item, *other, depth + 1)) return false;
  }
  return true;
}

bool deep_equal_lists(const Datum& a, const Datum& b, int depth) {
  if (a.is_nil() != b.is_nil() || a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!deep_equal_at(a.at(i), b.at(i), depth + 1)) return false;
  }
  return true;
}

bool deep_equal_at(const Datum& a, const Datum& b, int depth) {
  if (depth > kDepthMax) return true;  // both hold themselves: DeepEqual takes what it has met as equal
  const Datum left = unboxed(a), right = unboxed(b);
  if (left.type() != right.type()) return false;
  if (!left.is_valid()) return true;
  switch (left.kind()) {
    case Kind::map:
      return deep_equal_maps(left, right, depth);
    case Kind::slice:
    case Kind::array:
      return deep_equal_lists(left, right, depth);
    default:
      return same_interface(left, right);
  }
}

}  // namespace

bool same_interface(const Datum& a, const Datum& b) {
  if (a.type() != b.type()) return false;
  const Basic kind = basic(a);
  if (kind != Basic::none) return same_scalar(kind, a, b);
  const Object *left = a.as_object(), *right = b.as_object();
  if (left && right) return left->equals(*right);
  return a.node() == b.node();
}

Result<bool> equals_any(const Datum& a, std::span<const Datum> b) {
  if (b.empty()) return invalid("missing argument for comparison");
  const Datum left = unboxed(a);
  for (const Datum& other : b) {
    if (TRY(equals(left, unboxed(other)))) return true;
  }
  return false;
}

Result<bool> is_less(const Datum& a, const Datum& b) {
  const Datum left = unboxed(a), right = unboxed(b);
  const Basic kind = basic(left), other = basic(right);
  if (kind == Basic::none || other == Basic::none) return invalid("invalid type for comparison");
  if (kind == Basic::integer && other == Basic::unsigned_) return left.as_int() < 0 || left.as_uint() < right.as_uint();
  if (kind == Basic::unsigned_ && other == Basic::integer)
    return right.as_int() >= 0 && left.as_uint() < right.as_uint();
  if (kind != other) return incompatible(left, right);
  switch (kind) {
    case Basic::boolean:
    case Basic::complex:
      return invalid("invalid type for comparison");
    case Basic::floating:
      return left.as_double() < right.as_double();
    case Basic::string:
      return left.as_string() < right.as_string();
    case Basic::unsigned_:
      return left.as_uint() < right.as_uint();
    default:
      return left.as_int() < right.as_int();
  }
}

bool deep_equal(const Datum& a, const Datum& b) {
  return deep_equal_at(a, b, 0);
}

}  // namespace caisson::go_template
