// SPDX-License-Identifier: Apache-2.0
// Answers have tens of thousands of points, so a point is written by hand: most times differ from the one before in
// their last digits, and most values are whole or have few digits.
#include "observe/metrics/api/result_json.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/document/json.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

using promql::Series;
using promql::ValueType;

constexpr std::uint64_t kGroup = 10'000;  // four digits are written at once

// "00" to "99".
constexpr auto kPairs = [] {
  std::array<char, 200> digits{};
  for (std::size_t i = 0; i < 100; ++i) {
    digits[2 * i] = static_cast<char>('0' + i / 10);
    digits[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return digits;
}();

char* put_group(char* at, std::uint64_t number) {
  std::memcpy(at, kPairs.data() + 2 * (number / 100), 2);
  std::memcpy(at + 2, kPairs.data() + 2 * (number % 100), 2);
  return at + 4;
}

// The first group of a number: without its zeros, but for one that stands alone.
char* put_first_group(char* at, std::uint64_t number) {
  static_assert(std::endian::native == std::endian::little);
  char digits[4];
  put_group(digits, number);
  std::uint32_t word;
  std::memcpy(&word, digits, sizeof word);
  const unsigned zeros = number >= 1000 ? 0 : number >= 100 ? 1 : number >= 10 ? 2 : 3;
  word >>= 8 * zeros;
  std::memcpy(at, &word, sizeof word);  // what is too much is written over
  return at + (4 - zeros);
}

// REQUIRES: below 10^16. Writes up to 3 bytes beyond what it returns.
char* put_whole(char* at, std::uint64_t number) {
  constexpr std::uint64_t kTwo = kGroup * kGroup;
  if (number < kGroup) return put_first_group(at, number);
  if (number < kTwo) return put_group(put_first_group(at, number / kGroup), number % kGroup);
  const std::uint64_t high = number / kTwo, low = number % kTwo;
  at = high < kGroup ? put_first_group(at, high) : put_group(put_first_group(at, high / kGroup), high % kGroup);
  return put_group(put_group(at, low / kGroup), low % kGroup);
}

// ".5", ".05", ".005"; nothing for 0. REQUIRES: below 1000.
char* put_thousandths(char* at, std::uint64_t part) {
  if (part == 0) return at;
  put_group(at, part);
  *at = '.';
  return at + (part % 10 != 0 ? 4 : part % 100 != 0 ? 3 : 2);
}

constexpr std::size_t kPointBytesMax = 128;  // of "[time,"value"]," with all that is written beyond

// Text is gathered in a small buffer, which stays in the cache, and appended piece by piece.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  ~Writer() { flush(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void point(const FloatPoint& p) {
    room();
    *at_++ = '[';
    time(p.t);
    *at_++ = ',';
    value(p.v);
    *at_++ = ']';
  }
  void comma() { *at_++ = ','; }  // behind a point, whose room has a place for it

  // REQUIRES of both: room().
  void time(std::int64_t ms) {
    if (ms < 0 || ms >= kTimesMax) return text(format_time(ms));
    const auto seconds = static_cast<std::uint64_t>(ms) / 1000, first = seconds / kGroup;
    if (first == 0) {
      at_ = put_whole(at_, seconds);
    } else {
      if (first != time_) {
        time_ = first;
        time_size_ = static_cast<std::size_t>(put_whole(time_text_, first) - time_text_);
      }
      std::memcpy(at_, time_text_, sizeof time_text_);
      at_ = put_group(at_ + time_size_, seconds % kGroup);
    }
    at_ = put_thousandths(at_, static_cast<std::uint64_t>(ms) % 1000);
  }
  void value(double v) {
    // Numbers of at most 15 digits are each a double of their own, so these digits are the shortest that v has.
    constexpr double kExactMax = 1e15;
    const double size = std::fabs(v), thousands = size * 1000;
    *at_++ = '"';
    if (size < kExactMax && size == std::trunc(size) && (v != 0 || !std::signbit(v))) {
      if (v < 0) *at_++ = '-';
      at_ = put_whole(at_, static_cast<std::uint64_t>(size));
    } else if (thousands < kExactMax && std::nearbyint(thousands) / 1000 == size && size != 0) {
      if (v < 0) *at_++ = '-';
      const auto number = static_cast<std::uint64_t>(std::nearbyint(thousands));
      at_ = put_thousandths(put_whole(at_, number / 1000), number % 1000);
    } else {
      text(format_sample(v));
    }
    *at_++ = '"';
  }
  void raw(std::string_view bytes) {
    flush();
    out_ += bytes;
  }
  void room() {
    if (static_cast<std::size_t>(buffer_ + sizeof buffer_ - at_) < kPointBytesMax) flush();
  }
  void flush() {
    out_.append(buffer_, at_);
    at_ = buffer_;
  }

 private:
  static constexpr std::int64_t kTimesMax = 10'000'000'000'000'000;

  static std::string format_time(std::int64_t ms) {
    const std::int64_t part = std::abs(ms % 1000);
    char digits[8];
    std::string out = ms < 0 && ms > -1000 ? "-0" : std::to_string(ms / 1000);
    return out.append(digits, put_thousandths(digits, static_cast<std::uint64_t>(part)));
  }
  void text(std::string_view bytes) {
    std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  std::string& out_;
  char buffer_[4096];
  char* at_ = buffer_;
  std::uint64_t time_ = 0;  // what time_text_ says; 0: nothing yet
  char time_text_[20] = {};
  std::size_t time_size_ = 0;
};

void append_value(std::string& out, double v) {
  Writer writer(out);
  writer.value(v);
}

// A bucket is [rule, lower, upper, count]; the rule says which bounds belong to it: 0 the upper, 1 the lower, 3 both.
void append_histogram(std::string& out, const HistogramPoint& p) {
  out += '[';
  Writer(out).time(p.t);
  out += ",{\"count\":";
  append_value(out, p.h->count);
  out += ",\"sum\":";
  append_value(out, p.h->sum);
  bool any = false;
  for (const BucketRange& b : buckets_ascending(*p.h)) {
    if (b.count == 0) continue;
    out += any ? "," : ",\"buckets\":[";
    any = true;
    const int rule = b.lower < 0 && b.upper > 0 ? 3 : b.upper <= 0 && !p.h->has_custom_bounds() ? 1 : 0;
    out += '[' + std::to_string(rule) + ',';
    append_value(out, b.lower);
    out += ',';
    append_value(out, b.upper);
    out += ',';
    append_value(out, b.count);
    out += ']';
  }
  if (any) out += ']';
  out += "}]";
}

void append_floats(std::string& out, const std::vector<FloatPoint>& points) {
  if (points.empty()) return;
  out += ",\"values\":[";
  Writer writer(out);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i > 0) writer.comma();
    writer.point(points[i]);
  }
  writer.raw("]");
}

void append_histograms(std::string& out, const std::vector<HistogramPoint>& points) {
  if (points.empty()) return;
  out += ",\"histograms\":[";
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i > 0) out += ',';
    append_histogram(out, points[i]);
  }
  out += ']';
}

void append_series(std::string& out, const Series& series, bool instant) {
  out += "{\"metric\":";
  append_json(out, series.labels);
  if (!instant) {
    append_floats(out, series.floats);
    append_histograms(out, series.histograms);
  } else if (!series.floats.empty()) {
    out += ",\"value\":";
    Writer(out).point(series.floats[0]);
  } else if (!series.histograms.empty()) {
    out += ",\"histogram\":";
    append_histogram(out, series.histograms[0]);
  }
  out += '}';
}

// About, and rather more: pages that are not written cost nothing, and a long text that grows is copied.
std::size_t size_of(const promql::Matrix& matrix) {
  constexpr std::size_t kPointBytes = 40, kSeriesBytes = 512, kHistogramBytes = 512;
  std::size_t bytes = 0;
  for (const Series& series : matrix)
    bytes += kSeriesBytes + series.floats.size() * kPointBytes + series.histograms.size() * kHistogramBytes;
  return bytes;
}

}  // namespace

void append_json(std::string& out, const Labels& labels) {
  out += '{';
  bool first = true;
  for (const LabelView label : labels.items()) {
    if (!first) out += ',';
    first = false;
    json::append_string(out, label.name);
    out += ':';
    json::append_string(out, label.value);
  }
  out += '}';
}

void append_json(std::string& out, const promql::QueryResult& result, std::int64_t t) {
  out.reserve(out.size() + 64 + size_of(result.matrix));
  ((out += "{\"resultType\":\"") += promql::api_type(result.type)) += "\",\"result\":";
  if (result.type == ValueType::string) {
    out += '[';
    Writer(out).time(t);
    out += ',';
    json::append_string(out, result.text);
    out += ']';
  } else if (result.type == ValueType::scalar) {
    Writer(out).point(result.matrix[0].floats[0]);
  } else {
    out += '[';
    for (std::size_t i = 0; i < result.matrix.size(); ++i) {
      if (i > 0) out += ',';
      append_series(out, result.matrix[i], result.type == ValueType::vector);
    }
    out += ']';
  }
  out += '}';
}

}  // namespace caisson::metrics
