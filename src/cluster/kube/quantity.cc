// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/quantity.h"

#include "core/base/quantity.h"

namespace caisson::kube {
namespace {

Result<Quantity> parse(std::string_view text) {
  const auto quantity = Quantity::parse(text);
  if (!quantity) return Quantity::refusal(text);
  return *quantity;
}

}  // namespace

Result<std::int64_t> parse_quantity_milli(std::string_view text) {
  return TRY(parse(text)).milli();
}

Result<std::int64_t> parse_quantity(std::string_view text) {
  return TRY(parse(text)).units();
}

std::string format_quantity_milli(std::int64_t milli) {
  return Quantity::of_milli(milli).str();
}

std::string format_quantity_bytes(std::int64_t bytes) {
  const bool binary = bytes != 0 && bytes % 1024 == 0;
  return binary ? Quantity::of_integer(bytes, Quantity::Form::binary_si).str() : std::to_string(bytes);
}

Result<std::string> canonical_quantity(std::string_view text) {
  return TRY(parse(text)).str();
}

}  // namespace caisson::kube
