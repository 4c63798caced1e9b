// SPDX-License-Identifier: Apache-2.0
// Bytes of the log and of snapshots: numbers as LEB128 (signed ones zigzag), doubles as they are, texts with their
// length. Any thread.
#pragma once
#include <string>
#include <string_view>

#include "observe/metrics/model/sample.h"

namespace caisson::metrics {

class Writer {
 public:
  void number(std::uint64_t value);
  void signed_number(std::int64_t value) {
    number(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
  }
  void real(double value);
  void text(std::string_view value);
  void labels(const Labels& value);
  void histogram(const FloatHistogram& value);
  const std::string& bytes() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void buckets(const HistogramBuckets& value);
  std::string out_;
};

// Every reading fails with invalid where the bytes end early.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool at_end() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }
  Result<std::uint64_t> number();
  Result<std::int64_t> signed_number();
  Result<double> real();
  Result<std::string_view> text();
  Result<Labels> labels();
  Result<void> skip_labels();
  Result<FloatHistogram> histogram();

 private:
  Result<HistogramBuckets> buckets();
  std::string_view rest_;
};

}  // namespace caisson::metrics
