// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/remote/receiver.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::metrics {
namespace {

constexpr std::int64_t kFutureMaxMs = 10 * 60'000;

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::unsupported_media_type:
      return 415;
    case ErrorCode::too_large:
      return 413;
    case ErrorCode::too_many_requests:
      return 429;
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::internal:
      return 500;
    default:
      return 400;
  }
}

http::Response refused(const Error& error) {
  return {status_of(error.code), {{"Content-Type", "text/plain; charset=utf-8"}}, error.message + "\n"};
}

AppendCounts sum(const AppendCounts& a, const AppendCounts& b) {
  return {a.added + b.added, a.duplicate + b.duplicate, a.conflicting + b.conflicting, a.too_old + b.too_old,
          a.over_limit + b.over_limit};
}

std::string refusals(const AppendCounts& counts, std::size_t in_future, const std::string& series_limit) {
  std::string text;
  const auto say = [&](std::size_t count, std::string_view what) {
    if (count == 0) return;
    text += (text.empty() ? "" : "; ") + std::to_string(count) + (count == 1 ? " sample " : " samples ") +
            std::string(what);
  };
  say(counts.too_old, "out of bounds: older than the out-of-order window of the series");
  say(counts.conflicting, "duplicate sample for timestamp: another value is there already");
  say(counts.over_limit, "not stored: the limit of " + series_limit + " is reached");
  say(in_future, "out of bounds: more than 10 minutes in the future");
  return text;
}

}  // namespace

http::Response receive_write(Tsdb& storage, SideData& side, const http::Headers& headers, std::string_view body,
                             std::int64_t now_ms, const WriteGate& gate) {
  const auto protocol = write_protocol(headers.get("Content-Type"));
  if (!protocol.ok()) return refused(protocol.error());
  if (const auto encoding = to_lower(headers.get("Content-Encoding")); !encoding.empty() && encoding != "snappy")
    return refused({ErrorCode::unsupported_media_type,
                    encoding + " encoding (compression) is not accepted by this server; only snappy is acceptable"});
  auto request = read_write_request(*protocol, body);
  if (!request.ok()) return refused(request.error());
  WriteRequest taken = std::move(request).value();
  const std::size_t in_future =
      std::erase_if(taken.samples, [&](const NewSample& s) { return s.t > now_ms + kFutureMaxMs; });
  if (gate.admit)
    if (const auto admitted = gate.admit(taken.samples.size()); !admitted.ok()) return refused(admitted.error());
  // Floats and histograms apart, because 2.0 counts them apart.
  const auto histograms =
      std::stable_partition(taken.samples.begin(), taken.samples.end(), [](const NewSample& s) { return !s.h; });
  const auto floats_stored = storage.append({taken.samples.begin(), histograms});
  if (!floats_stored.ok()) return refused(floats_stored.error());
  const auto histograms_stored = storage.append({histograms, taken.samples.end()});
  if (!histograms_stored.ok()) return refused(histograms_stored.error());
  for (StoredExemplar& exemplar : taken.exemplars) side.add(std::move(exemplar));
  for (const MetricMetadata& metadata : taken.metadata) side.note(metadata);

  const std::string problems = refusals(sum(*floats_stored, *histograms_stored), in_future, gate.series_limit);
  http::Response response =
      problems.empty() ? http::Response{204, {}, ""} : refused({ErrorCode::bad_request, problems});
  if (*protocol == WriteProtocol::v2) {
    const auto written = [](const AppendCounts& counts) { return std::to_string(counts.added + counts.duplicate); };
    response.headers.set("X-Prometheus-Remote-Write-Samples-Written", written(*floats_stored));
    response.headers.set("X-Prometheus-Remote-Write-Histograms-Written", written(*histograms_stored));
    response.headers.set("X-Prometheus-Remote-Write-Exemplars-Written", std::to_string(taken.exemplars.size()));
  }
  return response;
}

}  // namespace caisson::metrics
