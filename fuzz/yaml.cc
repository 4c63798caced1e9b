// SPDX-License-Identifier: Apache-2.0
// Both modes end on any input; what Go's mode reads is written and reads again to the same value.
#include "core/document/yaml.h"
#include "core/base/check.h"
#include "core/document/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(yaml::read_all(text, {.mode = yaml::Mode::specification, .expanded_nodes_max = 10'000}));
  const auto documents = yaml::read_all(text, {.expanded_nodes_max = 10'000});
  if (!documents.ok()) return 0;
  for (const Value& value : *documents) {
    const auto again = yaml::read(yaml::write(value));
    CHECK(again.ok());
    // -0 as a float is written "-0" and reads as the integer, as in Go; NaN is not equal to itself.
    CHECK(*again == value || json::write(*again) == json::write(value));
  }
  return 0;
}
