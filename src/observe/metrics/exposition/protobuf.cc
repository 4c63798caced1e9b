// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/exposition/protobuf.h"

#include <cmath>
#include <limits>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/model/histogram_spans.h"

namespace caisson::metrics {
namespace {

using protobuf::Reader;

enum class MetricType { counter = 0, gauge = 1, summary = 2, untyped = 3, histogram = 4, gauge_histogram = 5 };

const char* type_name(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::summary:
      return "summary";
    case MetricType::histogram:
      return "histogram";
    case MetricType::gauge_histogram:
      return "gaugehistogram";
    case MetricType::untyped:
      break;
  }
  return "unknown";
}

Result<Label> label_pair(std::string_view message, const ExpositionLimits& limits) {
  Label label;
  Reader in(message);
  while (TRY(in.next())) {
    if (in.number() == 1) label.name = in.bytes();
    if (in.number() == 2) label.value = in.bytes();
  }
  if (label.name.size() > limits.label_bytes_max || label.value.size() > limits.label_bytes_max)
    return Error{ErrorCode::too_large, "label is longer than " + std::to_string(limits.label_bytes_max) + " bytes"};
  if (!is_valid_utf8(label.name) || !is_valid_utf8(label.value))
    return Error{ErrorCode::bad_request, "label is not UTF-8"};
  return label;
}

// One family: reads its metrics into `out`.
class FamilyReader {
 public:
  FamilyReader(const ExpositionLimits& limits, bool classic_too, Exposition& out)
      : limits_(limits), classic_too_(classic_too), out_(out) {}

  Result<void> read(std::string_view message) {
    std::vector<std::string_view> metrics;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) metadata_.name = in.bytes();
      if (in.number() == 2) metadata_.help = in.bytes();
      if (in.number() == 3) type_ = static_cast<MetricType>(in.integer());
      if (in.number() == 4) metrics.push_back(in.bytes());
      if (in.number() == 5) metadata_.unit = in.bytes();
    }
    if (metadata_.name.empty()) return Error{ErrorCode::bad_request, "metric family without a name"};
    metadata_.type = type_name(type_);
    out_.metadata.push_back(metadata_);
    for (const std::string_view each : metrics) {
      auto read = metric(each);
      if (!read.ok()) return std::move(read).error().in("metric family " + metadata_.name);
    }
    return {};
  }

 private:
  Result<void> metric(std::string_view message) {
    labels_.clear();
    t_.reset();
    std::string_view value;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) labels_.push_back(TRY(label_pair(in.bytes(), limits_)));
      if ((in.number() >= 2 && in.number() <= 5) || in.number() == 7) value = in.bytes();
      if (in.number() == 6 && in.integer() != 0) t_ = static_cast<std::int64_t>(in.integer());
    }
    if (labels_.size() > limits_.labels_max)
      return Error{ErrorCode::too_large, "sample has more than " + std::to_string(limits_.labels_max) + " labels"};
    switch (type_) {
      case MetricType::summary:
        return summary(value);
      case MetricType::histogram:
      case MetricType::gauge_histogram:
        return histogram(value);
      default:
        return simple(value);
    }
  }

  Result<ExposedSample*> add(std::string_view suffix, double v, std::string_view bound_label = "", double bound = 0) {
    if (out_.samples.size() >= limits_.samples_max)
      return Error{ErrorCode::too_large, "more than " + std::to_string(limits_.samples_max) + " samples"};
    std::vector<Label> labels = labels_;
    labels.push_back({std::string(kMetricName), metadata_.name + std::string(suffix)});
    if (!bound_label.empty()) labels.push_back({std::string(bound_label), format_open_metrics(bound)});
    out_.samples.push_back({Labels::from(std::move(labels)), v, t_, {}, nullptr});
    return &out_.samples.back();
  }

  // Counter, Gauge and Untyped: value = 1; Counter: exemplar = 2.
  Result<void> simple(std::string_view message) {
    double v = 0;
    std::optional<ExposedExemplar> found;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) v = in.real();
      if (in.number() == 2 && type_ == MetricType::counter) found = TRY(exemplar(in.bytes()));
    }
    TRY(add("", v))->exemplar = std::move(found);
    return {};
  }

  Result<void> summary(std::string_view message) {
    double count = 0, sum = 0;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) count = static_cast<double>(in.integer());
      if (in.number() == 2) sum = in.real();
      if (in.number() != 3) continue;
      double quantile = 0, v = 0;
      Reader pair(in.bytes());
      while (TRY(pair.next())) {
        if (pair.number() == 1) quantile = pair.real();
        if (pair.number() == 2) v = pair.real();
      }
      TRY(add("", v, "quantile", quantile));
    }
    TRY(add("_sum", sum));
    TRY(add("_count", count));
    return {};
  }

  struct Bucket {
    double count = 0, upper = 0;
    std::optional<ExposedExemplar> exemplar;
  };

  Result<Bucket> bucket(std::string_view message) const {
    Bucket bucket;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) bucket.count = static_cast<double>(in.integer());
      if (in.number() == 4 && in.real() > 0) bucket.count = in.real();
      if (in.number() == 2) bucket.upper = in.real();
      if (in.number() == 3) bucket.exemplar = TRY(exemplar(in.bytes()));
    }
    return bucket;
  }

  Result<void> histogram(std::string_view message) {
    HistogramReader native(kClientHistogram);
    std::vector<Bucket> buckets;
    std::optional<ExposedExemplar> newest;
    double count = 0, sum = 0;
    Reader in(message);
    while (TRY(in.next())) {
      TRY(native.take(in));
      if (in.number() == 1) count = static_cast<double>(in.integer());
      if (in.number() == 4 && in.real() > 0) count = in.real();
      if (in.number() == 2) sum = in.real();
      if (in.number() == 3) buckets.push_back(TRY(bucket(in.bytes())));
      if (in.number() == 16) newest = TRY(exemplar(in.bytes()));
    }
    if (native.is_native()) {
      FloatHistogram h = TRY(native.histogram());
      if (type_ == MetricType::gauge_histogram) h.hint = ResetHint::gauge;
      ExposedSample* sample = TRY(add("", 0));
      sample->h = std::make_shared<const FloatHistogram>(std::move(h));
      sample->exemplar = std::move(newest);
      if (!classic_too_) return {};
    }
    bool has_infinity = false;
    for (Bucket& bucket : buckets) {
      has_infinity = has_infinity || std::isinf(bucket.upper);
      TRY(add("_bucket", bucket.count, "le", bucket.upper))->exemplar = std::move(bucket.exemplar);
    }
    if (!has_infinity) TRY(add("_bucket", count, "le", std::numeric_limits<double>::infinity()));
    TRY(add("_sum", sum));
    TRY(add("_count", count));
    return {};
  }

  Result<ExposedExemplar> exemplar(std::string_view message) const {
    ExposedExemplar out;
    std::vector<Label> labels;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) labels.push_back(TRY(label_pair(in.bytes(), limits_)));
      if (in.number() == 2) out.v = in.real();
      if (in.number() != 3) continue;
      std::int64_t seconds = 0, nanos = 0;
      Reader time(in.bytes());
      while (TRY(time.next())) {
        if (time.number() == 1) seconds = static_cast<std::int64_t>(time.integer());
        if (time.number() == 2) nanos = static_cast<std::int64_t>(time.integer());
      }
      if (seconds >= 0 && seconds < INT64_MAX / 2000) out.t = seconds * 1000 + nanos / 1'000'000;
    }
    out.labels = Labels::from(std::move(labels));
    return out;
  }

  const ExpositionLimits& limits_;
  const bool classic_too_;
  Exposition& out_;
  MetricMetadata metadata_;
  MetricType type_ = MetricType::counter;
  std::vector<Label> labels_;  // of the metric that is read
  std::optional<std::int64_t> t_;
};

}  // namespace

Result<Exposition> parse_protobuf(std::string_view bytes, const ExpositionLimits& limits, bool classic_too) {
  Exposition out;
  while (!bytes.empty()) {
    const std::string_view family = TRY(protobuf::take_delimited(bytes));
    TRY(FamilyReader(limits, classic_too, out).read(family));
  }
  return out;
}

}  // namespace caisson::metrics
