// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/federate.h"

#include <algorithm>

#include "observe/metrics/exposition/families.h"
#include "observe/metrics/promql/parser.h"

namespace caisson::metrics {
namespace {

constexpr std::int64_t kLookbackMs = 300'000;

Result<Exposition> newest(const Tsdb& storage, std::int64_t now_ms, const http::Query& parameters) {
  Exposition out;
  std::vector<Labels> seen;
  for (const auto& [name, value] : parameters) {
    if (name != "match[]") continue;
    const auto matchers = TRY(promql::parse_selector(value));
    for (const auto& series : TRY(storage.select(matchers, now_ms - kLookbackMs, now_ms))) {
      Samples samples;
      TRY(series->read(now_ms - kLookbackMs, now_ms, samples));
      if (samples.floats.empty() || is_stale_nan(samples.floats.back().v)) continue;
      out.samples.push_back({series->labels(), samples.floats.back().v, samples.floats.back().t, {}});
    }
  }
  std::sort(out.samples.begin(), out.samples.end(), [](const ExposedSample& a, const ExposedSample& b) {
    const auto left = a.labels.get(kMetricName), right = b.labels.get(kMetricName);
    return left == right ? a.labels < b.labels : left < right;
  });
  out.samples.erase(std::unique(out.samples.begin(), out.samples.end(),
                                [](const ExposedSample& a, const ExposedSample& b) { return a.labels == b.labels; }),
                    out.samples.end());
  for (const ExposedSample& sample : out.samples) {
    const std::string name(sample.labels.get(kMetricName));
    if (out.metadata.empty() || out.metadata.back().name != name) out.metadata.push_back({name, "untyped", "", ""});
  }
  return out;
}

}  // namespace

http::Response federate(const Tsdb& storage, std::int64_t now_ms, const http::Query& parameters) {
  const auto out = newest(storage, now_ms, parameters);
  if (!out.ok()) return {400, {{"Content-Type", "text/plain; charset=utf-8"}}, out.error().message + "\n"};
  return {200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, write_text(*out, "instance")};
}

}  // namespace caisson::metrics
