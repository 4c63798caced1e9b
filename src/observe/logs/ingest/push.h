// SPDX-License-Identifier: Apache-2.0
// Bodies of pushes, as streams: Loki's JSON and protobuf (pkg/push of Loki 3.7), and OpenTelemetry's logs (OTLP 1.x,
// with Loki's mapping of attributes to labels). Sizes are bounded. Pure functions; any thread.
#pragma once
#include <deque>

#include "core/document/value.h"
#include "observe/logs/store/store.h"

namespace caisson::logs {

inline constexpr std::size_t kBodyBytesMax = 32u << 20;  // as sent
inline constexpr std::size_t kUnpackedBytesMax = 128u << 20;

// Lines point into what the batch keeps: it may be moved, not copied.
struct Batch {
  std::vector<NewStream> streams;
  Batch() = default;
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;
  std::unique_ptr<std::string> body;
  std::unique_ptr<Value> document;
  std::unique_ptr<std::deque<std::string>> texts;
};

// By Content-Encoding: "", gzip, deflate, snappy. Errors: bad_request, too_large, unsupported_media_type.
Result<std::string> unpack_body(std::string body, std::string_view encoding);
// A snappy block (format description of google/snappy). Errors: bad_request; too_large.
Result<std::string> unsnappy(std::string_view bytes, std::size_t size_bytes_max);

// Errors: bad_request, which says what is wrong with the body.
Result<Batch> read_push_json(std::string body);
Result<Batch> read_push_protobuf(std::string body);  // without snappy
Result<Batch> read_otlp_json(std::string body, std::int64_t now);
Result<Batch> read_otlp_protobuf(std::string body, std::int64_t now);

}  // namespace caisson::logs
