// SPDX-License-Identifier: Apache-2.0
// Exposition formats and remote write: whatever comes from outside ends in samples with names, or in an error.
#include "core/base/check.h"
#include "observe/metrics/exposition/protobuf.h"
#include "observe/metrics/remote/write_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace caisson::metrics;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& parsed : {parse_open_metrics(text), parse_text(text), parse_protobuf(text, {}, true)}) {
    if (!parsed.ok()) continue;
    for (const ExposedSample& sample : parsed->samples) CHECK(!sample.labels.empty());
  }
  for (const WriteProtocol protocol : {WriteProtocol::v1, WriteProtocol::v2}) {
    const auto request = read_write_request(protocol, text, {.bytes_max = 1u << 20});
    if (!request.ok()) continue;
    for (const NewSample& sample : request->samples) CHECK(!sample.labels.get(kMetricName).empty());
  }
  return 0;
}
