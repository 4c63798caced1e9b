// SPDX-License-Identifier: Apache-2.0
// What parses is printed in a form that parses and prints to itself; it is split over lines without failing; a query
// ends within its limits.
#include "core/base/check.h"
#include "observe/metrics/promql/engine.h"
#include "observe/metrics/promql/series_description.h"
#include "observe/metrics/storage/memory.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson::metrics;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto series = promql::parse_series(text); series.ok()) CHECK(series->values.size() <= promql::kSequenceMax);
  const auto expr = promql::parse(text);
  if (!expr.ok()) return 0;
  const std::string printed = promql::print(**expr);
  const auto again = promql::parse(printed);
  CHECK(again.ok());
  CHECK(promql::print(**again) == printed);
  CHECK(!promql::pretty(**expr).empty());
  MemoryStorage storage;
  storage.append(Labels::from({{"__name__", "a"}, {"le", "1"}}), 0, 1);
  promql::EngineOptions options;
  options.samples_max = 10'000;
  options.steps_max = 1'000;
  options.timeout = std::chrono::milliseconds(200);
  (void)promql::query_instant(storage, options, text, 1000).ok();
  (void)promql::query_range(storage, options, text, 0, 10'000, 1000).ok();
  return 0;
}
