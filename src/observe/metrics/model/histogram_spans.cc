// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/histogram_spans.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kBucketsMax = 20'000;  // of one side: what no client makes, and no message may ask memory for

// A float64 lies within 2^18 buckets of the finest schema; beyond this an index means nothing, and sums of them overflow.
constexpr std::int64_t kIndexMax = 1 << 24;

void write_side(protobuf::Writer& out, const HistogramBuckets& buckets, std::uint32_t spans, std::uint32_t counts) {
  std::vector<double> values;
  std::int32_t next = 0;
  for (std::size_t i = 0; i < buckets.size();) {
    const std::size_t first = i;
    const std::int32_t offset = buckets[i].index - next;
    do {
      values.push_back(buckets[i].count);
      next = buckets[i].index + 1;
    } while (++i < buckets.size() && buckets[i].index == next);
    out.message(spans, protobuf::Writer().zigzag(1, offset).integer(2, i - first));
  }
  if (!values.empty()) out.packed_reals(counts, values);
}

}  // namespace

Result<void> HistogramReader::take_span(const protobuf::Reader& field, Side& side) {
  native_ = true;
  Span span;
  protobuf::Reader in(field.bytes());
  while (TRY(in.next())) {
    if (in.number() == 1) span.offset = static_cast<std::int32_t>(in.zigzag());
    if (in.number() == 2) span.length = static_cast<std::uint32_t>(in.integer());
  }
  side.spans.push_back(span);
  return {};
}

Result<void> HistogramReader::take(const protobuf::Reader& field) {
  const std::uint32_t number = field.number();
  if (number == fields_.count_int) {
    head_.count = static_cast<double>(field.integer());
  } else if (number == fields_.count_float) {
    head_.count = field.real();
    has_float_count_ = has_float_count_ || head_.count > 0;
  } else if (number == fields_.sum) {
    head_.sum = field.real();
  } else if (number == fields_.schema) {
    head_.schema = static_cast<std::int32_t>(field.zigzag());
  } else if (number == fields_.zero_threshold) {
    head_.zero_threshold = field.real();
    native_ = true;
  } else if (number == fields_.zero_count_int) {
    head_.zero_count = static_cast<double>(field.integer());
    native_ = true;
  } else if (number == fields_.zero_count_float) {
    head_.zero_count = field.real();
    native_ = true;
  } else if (number == fields_.negative_spans) {
    return take_span(field, negative_);
  } else if (number == fields_.positive_spans) {
    return take_span(field, positive_);
  } else if (number == fields_.negative_deltas) {
    return field.zigzags(negative_.deltas);
  } else if (number == fields_.positive_deltas) {
    return field.zigzags(positive_.deltas);
  } else if (number == fields_.negative_counts) {
    return field.reals(negative_.counts);
  } else if (number == fields_.positive_counts) {
    return field.reals(positive_.counts);
  } else if (fields_.custom_bounds != 0 && number == fields_.custom_bounds) {
    return field.reals(head_.custom_bounds);
  }
  return {};
}

Result<HistogramBuckets> HistogramReader::buckets(const Side& side, bool with_counts) {
  const std::size_t given = with_counts ? side.counts.size() : side.deltas.size();
  std::size_t spanned = 0;
  for (const Span& span : side.spans) spanned += span.length;
  if (spanned != given)
    return Error{ErrorCode::bad_request, "native histogram: spans need " + std::to_string(spanned) + " buckets, have " +
                                             std::to_string(given) + " buckets"};
  if (given > kBucketsMax)
    return Error{ErrorCode::bad_request, "native histogram: more than " + std::to_string(kBucketsMax) + " buckets"};
  HistogramBuckets out;
  out.reserve(given);
  std::int64_t index = 0;
  double count = 0;
  for (std::size_t s = 0; s < side.spans.size(); ++s) {
    if (s > 0 && side.spans[s].offset < 0)
      return Error{ErrorCode::bad_request, "native histogram: a span with a negative offset"};
    index += side.spans[s].offset;
    for (std::uint32_t i = 0; i < side.spans[s].length; ++i, ++index) {
      if (index < -kIndexMax || index > kIndexMax)
        return Error{ErrorCode::bad_request, "native histogram: a bucket's index is out of range"};
      count = with_counts ? side.counts[out.size()] : count + static_cast<double>(side.deltas[out.size()]);
      out.push_back({static_cast<std::int32_t>(index), count});
    }
  }
  return out;
}

Result<FloatHistogram> HistogramReader::histogram() const {
  FloatHistogram h = head_;
  const bool with_counts = has_float_count_ || !positive_.counts.empty() || !negative_.counts.empty();
  h.positive = TRY(buckets(positive_, with_counts));
  h.negative = TRY(buckets(negative_, with_counts));
  compact(h);
  TRY(validate(h));
  return h;
}

void write_histogram(protobuf::Writer& out, const FloatHistogram& h, const HistogramFields& fields) {
  out.real(fields.count_float, h.count).real(fields.sum, h.sum).zigzag(fields.schema, h.schema);
  out.real(fields.zero_threshold, h.zero_threshold).real(fields.zero_count_float, h.zero_count);
  write_side(out, h.negative, fields.negative_spans, fields.negative_counts);
  write_side(out, h.positive, fields.positive_spans, fields.positive_counts);
  if (fields.custom_bounds != 0 && !h.custom_bounds.empty()) out.packed_reals(fields.custom_bounds, h.custom_bounds);
}

}  // namespace caisson::metrics
