// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/codec.h"

#include <cstring>

namespace caisson::metrics {
namespace {

constexpr std::size_t kBucketsMax = 1u << 16;

Error ends_early() {
  return {ErrorCode::invalid, "record ends early"};
}

}  // namespace

void Writer::number(std::uint64_t value) {
  char bytes[10];
  std::size_t size = 0;
  for (; value >= 0x80; value >>= 7) bytes[size++] = static_cast<char>(value | 0x80);
  bytes[size++] = static_cast<char>(value);
  out_.append(bytes, size);
}

void Writer::real(double value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out_.append(bytes, sizeof bytes);
}

void Writer::text(std::string_view value) {
  number(value.size());
  out_ += value;
}

void Writer::labels(const Labels& value) {
  number(value.items().size());
  for (const LabelView label : value.items()) {
    text(label.name);
    text(label.value);
  }
}

void Writer::buckets(const HistogramBuckets& value) {
  number(value.size());
  std::int64_t last = 0;
  for (const HistogramBucket& b : value) {
    signed_number(b.index - last);
    last = b.index;
    real(b.count);
  }
}

void Writer::histogram(const FloatHistogram& value) {
  number(static_cast<std::uint64_t>(value.hint));
  signed_number(value.schema);
  for (const double part : {value.zero_threshold, value.zero_count, value.count, value.sum}) real(part);
  buckets(value.positive);
  buckets(value.negative);
  number(value.custom_bounds.size());
  for (const double bound : value.custom_bounds) real(bound);
}

Result<std::uint64_t> Reader::number() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return ends_early();
}

Result<std::int64_t> Reader::signed_number() {
  const std::uint64_t raw = TRY(number());
  return static_cast<std::int64_t>(raw >> 1 ^ (0 - (raw & 1)));
}

Result<double> Reader::real() {
  double value;
  if (rest_.size() < sizeof value) return ends_early();
  std::memcpy(&value, rest_.data(), sizeof value);
  rest_.remove_prefix(sizeof value);
  return value;
}

Result<std::string_view> Reader::text() {
  const std::uint64_t size = TRY(number());
  if (size > rest_.size()) return ends_early();
  const std::string_view value = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return value;
}

Result<Labels> Reader::labels() {
  const std::uint64_t count = TRY(number());
  std::vector<LabelView> list;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view name = TRY(text());
    const std::string_view value = TRY(text());
    list.push_back({name, value});
  }
  return Labels::from_views(list);
}

Result<void> Reader::skip_labels() {
  for (std::uint64_t count = TRY(number()); count > 0; --count) {
    TRY(text());
    TRY(text());
  }
  return {};
}

Result<HistogramBuckets> Reader::buckets() {
  const std::uint64_t count = TRY(number());
  if (count > kBucketsMax) return Error{ErrorCode::invalid, "histogram has too many buckets"};
  HistogramBuckets list;
  std::int64_t index = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    index += TRY(signed_number());
    const double value = TRY(real());
    list.push_back({static_cast<std::int32_t>(index), value});
  }
  return list;
}

Result<FloatHistogram> Reader::histogram() {
  FloatHistogram h;
  h.hint = static_cast<ResetHint>(TRY(number()) & 3);
  h.schema = static_cast<std::int32_t>(TRY(signed_number()));
  for (double* part : {&h.zero_threshold, &h.zero_count, &h.count, &h.sum}) *part = TRY(real());
  h.positive = TRY(buckets());
  h.negative = TRY(buckets());
  const std::uint64_t bounds = TRY(number());
  if (bounds > kBucketsMax) return Error{ErrorCode::invalid, "histogram has too many bounds"};
  for (std::uint64_t i = 0; i < bounds; ++i) h.custom_bounds.push_back(TRY(real()));
  return h;
}

}  // namespace caisson::metrics
