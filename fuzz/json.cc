// SPDX-License-Identifier: Apache-2.0
// What parses is written and parses again to the same value.
#include "core/document/json.h"
#include "core/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value = caisson::json::parse({reinterpret_cast<const char*>(data), size});
  if (!value.ok()) return 0;
  const auto again = caisson::json::parse(caisson::json::write(*value));
  CHECK(again.ok());
  CHECK(*again == *value);
  return 0;
}
