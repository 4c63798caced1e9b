// SPDX-License-Identifier: Apache-2.0
// Remote write's messages: prometheus.WriteRequest (Remote-Write 1.0) and io.prometheus.write.v2.Request (2.0), both as
// snappy blocks. Pure functions; any thread.
#pragma once
#include "observe/metrics/exposition/text.h"
#include "observe/metrics/scrape/side_data.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

enum class WriteProtocol : std::uint8_t { v1, v2 };

inline constexpr std::string_view kWriteV1 = "prometheus.WriteRequest", kWriteV2 = "io.prometheus.write.v2.Request";

// By a Content-Type: "application/x-protobuf;proto=…"; without proto it is 1.0. Errors: unsupported_media_type.
Result<WriteProtocol> write_protocol(std::string_view content_type);
std::string content_type_of(WriteProtocol protocol);

struct WriteRequest {
  std::vector<NewSample> samples;
  std::vector<StoredExemplar> exemplars;
  std::vector<MetricMetadata> metadata;
};

struct WriteLimits {
  std::size_t bytes_max = 32u << 20;  // of the message, unpacked
  std::size_t samples_max = 1'000'000;
  std::size_t labels_max = 200;  // of one series
  std::size_t label_bytes_max = 65'536;
};

// Errors: bad_request, which says what is wrong with the message; too_large, which names the limit.
Result<WriteRequest> read_write_request(WriteProtocol protocol, std::string_view snappy,
                                        const WriteLimits& limits = {});
// The body of a request.
std::string make_write_request(WriteProtocol protocol, std::span<const NewSample> samples);

}  // namespace caisson::metrics
