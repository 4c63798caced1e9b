// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/histogram_spans.h"

#include <doctest/doctest.h>

#include <random>

namespace caisson::metrics {
namespace {

Result<FloatHistogram> read(std::string_view message, const HistogramFields& fields) {
  HistogramReader reader(fields);
  protobuf::Reader in(message);
  while (TRY(in.next())) TRY(reader.take(in));
  return reader.histogram();
}

std::string written(const FloatHistogram& h, const HistogramFields& fields) {
  protobuf::Writer out;
  write_histogram(out, h, fields);
  return out.str();
}

HistogramBuckets some_buckets(std::mt19937_64& random, std::int32_t index) {
  HistogramBuckets out;
  for (auto n = random() % 20; n > 0; --n) {
    index += static_cast<std::int32_t>(random() % 3 == 0 ? random() % 1000 + 1 : 1);
    out.push_back({index, static_cast<double>(random() % 1000 + 1) / 4});
  }
  return out;
}

FloatHistogram some_histogram(std::mt19937_64& random, bool custom) {
  FloatHistogram h;
  if (custom) {
    h.schema = kCustomBoundsSchema;
    for (int i = 0; i < 5; ++i) h.custom_bounds.push_back(i * 1.5 + 1);
    for (std::int32_t i = 0; i < 6; ++i)
      if (random() % 2 == 0) h.positive.push_back({i, static_cast<double>(random() % 9 + 1)});
  } else {
    h.schema = static_cast<std::int32_t>(random() % 13) - 4;
    h.zero_threshold = 1e-9;
    h.zero_count = static_cast<double>(random() % 7);
    h.positive = some_buckets(random, static_cast<std::int32_t>(random() % 400) - 200);
    h.negative = some_buckets(random, static_cast<std::int32_t>(random() % 400) - 200);
  }
  h.sum = static_cast<double>(random() % 10'000) - 5'000.25;
  h.count = h.zero_count + 1;
  for (const auto* side : {&h.positive, &h.negative})
    for (const HistogramBucket& b : *side) h.count += b.count;
  return h;
}

}  // namespace

TEST_CASE("a histogram that is written is read as it was, in both messages") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const FloatHistogram exponential = some_histogram(random, false), custom = some_histogram(random, true);
    for (const HistogramFields* fields : {&kRemoteHistogram, &kClientHistogram}) {
      const auto again = read(written(exponential, *fields), *fields);
      REQUIRE(again.ok());
      CHECK(equals(*again, exponential));
    }
    const auto again = read(written(custom, kRemoteHistogram), kRemoteHistogram);
    REQUIRE(again.ok());
    CHECK(equals(*again, custom));
    CHECK(again->custom_bounds == custom.custom_bounds);
  }
}

TEST_CASE("spans that do not fit their buckets, go back, or lead out of any range are refused") {
  const auto refusal = [](std::int64_t offset, std::uint64_t length, std::vector<double> counts) {
    protobuf::Writer out;
    out.message(kRemoteHistogram.positive_spans, protobuf::Writer().zigzag(1, 0).integer(2, 1));
    out.message(kRemoteHistogram.positive_spans, protobuf::Writer().zigzag(1, offset).integer(2, length));
    out.packed_reals(kRemoteHistogram.positive_counts, counts);
    const auto h = read(out.str(), kRemoteHistogram);
    return h.ok() ? std::string() : h.error().message;
  };
  CHECK(refusal(1, 1, {1}) == "native histogram: spans need 2 buckets, have 1 buckets");
  CHECK(refusal(-1, 1, {1, 1}) == "native histogram: a span with a negative offset");
  CHECK(refusal(INT32_MAX, 1, {1, 1}) == "native histogram: a bucket's index is out of range");
  CHECK(refusal(1, UINT32_MAX, {1, 1}).starts_with("native histogram: spans need"));
}

}  // namespace caisson::metrics
