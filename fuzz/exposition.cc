// SPDX-License-Identifier: Apache-2.0
// Exposition formats: whatever a target sends ends in samples with names, or in an error.
#include "core/base/check.h"
#include "observe/metrics/exposition/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson::metrics;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool open_metrics : {false, true}) {
    const auto parsed = open_metrics ? parse_open_metrics(text) : parse_text(text);
    if (!parsed.ok()) continue;
    for (const ExposedSample& sample : parsed->samples) CHECK(!sample.labels.empty());
  }
  return 0;
}
