// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

std::uint64_t count_characters(std::string_view text) {
  std::uint64_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

}  // namespace

std::uint64_t actual_size(const Value& value) {
  switch (value.kind()) {
    case Kind::string:
      return count_characters(value.as_string());
    case Kind::bytes:
      return value.as_bytes().size();
    case Kind::list:
    case Kind::map:
      return value.size();
    case Kind::optional:
      return value.as_optional() == nullptr ? 1 : actual_size(*value.as_optional());
    case Kind::object:
      return value.as_object().size();
    default:
      return 1;
  }
}

std::uint64_t string_cost(std::uint64_t size, double factor) {
  return static_cast<std::uint64_t>(std::ceil(static_cast<double>(size) * factor));
}

std::uint64_t traversal_cost(const Value& value) {
  std::uint64_t cost = 0;
  switch (value.kind()) {
    case Kind::string:
      return static_cast<std::uint64_t>(static_cast<double>(value.as_string().size()) * 0.1);
    case Kind::bytes:
      return static_cast<std::uint64_t>(static_cast<double>(value.as_bytes().size()) * 0.1);
    case Kind::list:
      for (std::size_t i = 0; i < value.size(); ++i) cost += traversal_cost(value.item(i));
      return cost;
    case Kind::map:
      for (std::size_t i = 0; i < value.size(); ++i) {
        const auto [key, member] = value.entry(i);
        cost += traversal_cost(key) + traversal_cost(member);
      }
      return cost;
    default:
      return 1;
  }
}

std::uint64_t cost_of_first(std::span<const Value> arguments, const Value&) {
  return string_cost(actual_size(arguments[0]));
}
std::uint64_t cost_twice_first(std::span<const Value> arguments, const Value&) {
  return string_cost(actual_size(arguments[0]), 0.2);
}
std::uint64_t cost_of_regex(std::span<const Value> arguments, const Value&) {
  return string_cost(actual_size(arguments[0]) + 1) * string_cost(actual_size(arguments[1]), 0.25);
}

}  // namespace caisson::cel
