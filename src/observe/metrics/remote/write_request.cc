// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/remote/write_request.h"

#include <snappy-c.h>

#include "core/base/text.h"
#include "observe/metrics/model/histogram_spans.h"

namespace caisson::metrics {
namespace {

using protobuf::Reader;
using protobuf::Writer;

constexpr const char* kTypes[] = {"unknown",        "counter", "gauge", "histogram",
                                  "gaugehistogram", "summary", "info",  "stateset"};
constexpr ResetHint kHints[] = {ResetHint::unknown, ResetHint::reset, ResetHint::not_reset, ResetHint::gauge};

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

Result<std::string> unpack(std::string_view packed, std::size_t bytes_max) {
  std::size_t size = 0;
  if (snappy_uncompressed_length(packed.data(), packed.size(), &size) != SNAPPY_OK) return bad("snappy: corrupt input");
  if (size > bytes_max)
    return Error{ErrorCode::too_large, "the message has more than " + std::to_string(bytes_max) + " bytes"};
  std::string out(size, '\0');
  if (snappy_uncompress(packed.data(), packed.size(), out.data(), &size) != SNAPPY_OK)
    return bad("snappy: corrupt input");
  return out;
}

std::string pack(std::string_view message) {
  std::size_t size = snappy_max_compressed_length(message.size());
  std::string out(size, '\0');
  snappy_compress(message.data(), message.size(), out.data(), &size);  // fails only when the room is too small
  out.resize(size);
  return out;
}

std::string metric_type(std::uint64_t type) {
  return type < std::size(kTypes) ? kTypes[type] : "unknown";
}

// Both versions keep samples, histograms and labels in the same way but for numbers of fields and the table of symbols.
class RequestReader {
 public:
  RequestReader(WriteProtocol protocol, const WriteLimits& limits)
      : v2_(protocol == WriteProtocol::v2), limits_(limits) {}

  Result<WriteRequest> run(std::string_view message) {
    std::vector<std::string_view> series;
    Reader in(message);
    while (TRY(in.next())) {
      if (v2_ && in.number() == 4) symbols_.push_back(in.bytes());
      if (in.number() == (v2_ ? 5u : 1u)) series.push_back(in.bytes());
      if (!v2_ && in.number() == 3) TRY(metadata_v1(in.bytes()));
    }
    if (v2_ && !symbols_.empty() && !symbols_[0].empty())
      return bad("the first of the symbols is not the empty string");
    for (const std::string_view one : series) TRY(time_series(one));
    return std::move(out_);
  }

 private:
  Result<void> metadata_v1(std::string_view message) {
    MetricMetadata metadata;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) metadata.type = metric_type(in.integer());
      if (in.number() == 2) metadata.name = in.bytes();
      if (in.number() == 4) metadata.help = in.bytes();
      if (in.number() == 5) metadata.unit = in.bytes();
    }
    out_.metadata.push_back(std::move(metadata));
    return {};
  }

  Result<std::string_view> symbol(std::uint64_t reference) const {
    if (reference >= symbols_.size())
      return bad("symbol " + std::to_string(reference) + " of " + std::to_string(symbols_.size()));
    return symbols_[reference];
  }

  Result<void> metadata_v2(std::string_view message, std::string_view name) {
    MetricMetadata metadata{std::string(name), "unknown", "", ""};
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) metadata.type = metric_type(in.integer());
      if (in.number() == 3) metadata.help = TRY(symbol(in.integer()));
      if (in.number() == 4) metadata.unit = TRY(symbol(in.integer()));
    }
    out_.metadata.push_back(std::move(metadata));
    return {};
  }

  // One `labels` or `labels_refs` field.
  Result<void> take_labels(const Reader& field, std::vector<LabelView>& labels) const {
    if (v2_) {
      std::vector<std::uint64_t> references;
      TRY(field.integers(references));
      if (references.size() % 2 != 0) return bad("labels_refs has an odd number of entries");
      for (std::size_t i = 0; i < references.size(); i += 2) {
        const std::string_view name = TRY(symbol(references[i]));
        const std::string_view value = TRY(symbol(references[i + 1]));
        labels.push_back({name, value});
      }
    } else {
      LabelView label;
      Reader in(field.bytes());
      while (TRY(in.next())) {
        if (in.number() == 1) label.name = in.bytes();
        if (in.number() == 2) label.value = in.bytes();
      }
      labels.push_back(label);
    }
    if (labels.size() > limits_.labels_max)
      return Error{ErrorCode::too_large, "series has more than " + std::to_string(limits_.labels_max) + " labels"};
    return {};
  }

  Result<Labels> series_labels(std::span<LabelView> labels) const {
    std::sort(labels.begin(), labels.end());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i].name.empty()) return bad("a label without a name");
      if (i > 0 && labels[i].name == labels[i - 1].name)
        return bad("label " + std::string(labels[i].name) + " stands twice");
      if (labels[i].name.size() > limits_.label_bytes_max || labels[i].value.size() > limits_.label_bytes_max)
        return Error{ErrorCode::too_large,
                     "label is longer than " + std::to_string(limits_.label_bytes_max) + " bytes"};
      if (!is_valid_utf8(labels[i].name) || !is_valid_utf8(labels[i].value)) return bad("a label is not UTF-8");
    }
    Labels made = Labels::from_views(labels);
    if (made.get(kMetricName).empty()) return bad("series " + made.str() + " without a metric name");
    return made;
  }

  Result<void> time_series(std::string_view message) {
    labels_.clear();
    samples_.clear();
    histograms_.clear();
    exemplars_.clear();
    std::string_view metadata;
    Reader in(message);
    while (TRY(in.next())) {
      const std::uint32_t number = in.number();
      if (number == 1) TRY(take_labels(in, labels_));
      if (number == 2) samples_.push_back(in.bytes());
      if (number == (v2_ ? 3u : 4u)) histograms_.push_back(in.bytes());
      if (number == (v2_ ? 4u : 3u)) exemplars_.push_back(in.bytes());
      if (v2_ && number == 5) metadata = in.bytes();
    }
    const Labels series = TRY(series_labels(labels_));
    if (out_.samples.size() + samples_.size() + histograms_.size() > limits_.samples_max)
      return Error{ErrorCode::too_large, "more than " + std::to_string(limits_.samples_max) + " samples"};
    for (const std::string_view one : samples_) TRY(sample(one, series));
    for (const std::string_view one : histograms_) TRY(histogram(one, series));
    for (const std::string_view one : exemplars_) TRY(exemplar(one, series));
    if (!metadata.empty()) TRY(metadata_v2(metadata, series.get(kMetricName)));
    return {};
  }

  Result<void> sample(std::string_view message, const Labels& series) {
    NewSample sample{series};
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) sample.v = in.real();
      if (in.number() == 2) sample.t = static_cast<std::int64_t>(in.integer());
    }
    out_.samples.push_back(std::move(sample));
    return {};
  }

  Result<void> histogram(std::string_view message, const Labels& series) {
    NewSample sample{series};
    HistogramReader reader(kRemoteHistogram);
    ResetHint hint = ResetHint::unknown;
    Reader in(message);
    while (TRY(in.next())) {
      TRY(reader.take(in));
      if (in.number() == 14 && in.integer() < std::size(kHints)) hint = kHints[in.integer()];
      if (in.number() == 15) sample.t = static_cast<std::int64_t>(in.integer());
    }
    FloatHistogram h = TRY(reader.histogram().in("series " + series.str()));
    h.hint = hint;
    sample.h = std::make_shared<const FloatHistogram>(std::move(h));
    out_.samples.push_back(std::move(sample));
    return {};
  }

  Result<void> exemplar(std::string_view message, const Labels& series) {
    StoredExemplar exemplar{series};
    std::vector<LabelView> labels;
    Reader in(message);
    while (TRY(in.next())) {
      if (in.number() == 1) TRY(take_labels(in, labels));
      if (in.number() == 2) exemplar.v = in.real();
      if (in.number() == 3) exemplar.t = static_cast<std::int64_t>(in.integer());
    }
    exemplar.labels = Labels::from_views(labels);
    out_.exemplars.push_back(std::move(exemplar));
    return {};
  }

  const bool v2_;
  const WriteLimits& limits_;
  std::vector<std::string_view> symbols_;
  std::vector<LabelView> labels_;  // of the series that is read, as the three below
  std::vector<std::string_view> samples_, histograms_, exemplars_;
  WriteRequest out_;
};

// Every string once; references are places in the table, whose first is the empty one.
class Symbols {
 public:
  Symbols() { reference(""); }
  // `text` stays as long as the table.
  std::uint64_t reference(std::string_view text) {
    const auto [at, is_new] = places_.try_emplace(text, places_.size());
    if (is_new) table_.bytes(4, text);
    return at->second;
  }
  const std::string& table() const { return table_.str(); }

 private:
  std::unordered_map<std::string_view, std::uint64_t> places_;
  Writer table_;
};

Writer sample_message(const NewSample& sample) {
  return Writer().real(1, sample.v).integer(2, static_cast<std::uint64_t>(sample.t));
}

Writer histogram_message(const NewSample& sample) {
  Writer out;
  write_histogram(out, *sample.h, kRemoteHistogram);
  for (std::size_t i = 0; i < std::size(kHints); ++i)
    if (kHints[i] == sample.h->hint && i > 0) out.integer(14, i);
  out.integer(15, static_cast<std::uint64_t>(sample.t));
  return out;
}

}  // namespace

Result<WriteProtocol> write_protocol(std::string_view content_type) {
  const auto parts = split(content_type, ';');
  if (parts.empty() || to_lower(caisson::trim(parts[0])) != "application/x-protobuf")
    return Error{ErrorCode::unsupported_media_type,
                 "expected application/x-protobuf, got " + std::string(content_type)};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string_view parameter = caisson::trim(parts[i]);
    if (!parameter.starts_with("proto=")) continue;
    const std::string_view message = parameter.substr(6);
    if (message == kWriteV2) return WriteProtocol::v2;
    if (message != kWriteV1)
      return Error{ErrorCode::unsupported_media_type,
                   "got unknown remote write protobuf message " + std::string(message)};
  }
  return WriteProtocol::v1;
}

std::string content_type_of(WriteProtocol protocol) {
  return protocol == WriteProtocol::v1 ? "application/x-protobuf"
                                       : "application/x-protobuf;proto=" + std::string(kWriteV2);
}

Result<WriteRequest> read_write_request(WriteProtocol protocol, std::string_view snappy, const WriteLimits& limits) {
  const std::string message = TRY(unpack(snappy, limits.bytes_max));
  return RequestReader(protocol, limits).run(message);
}

std::string make_write_request(WriteProtocol protocol, std::span<const NewSample> samples) {
  // Samples of one series stand together, in the order given.
  std::unordered_map<Labels, std::size_t, LabelsHash> places;
  std::vector<std::pair<const Labels*, std::vector<const NewSample*>>> series;
  for (const NewSample& sample : samples) {
    const auto [at, is_new] = places.try_emplace(sample.labels, series.size());
    if (is_new) series.push_back({&sample.labels, {}});
    series[at->second].second.push_back(&sample);
  }
  const bool v2 = protocol == WriteProtocol::v2;
  Symbols symbols;
  Writer all;
  for (const auto& [labels, points] : series) {
    Writer one;
    std::vector<std::uint64_t> references;
    for (const LabelView label : labels->items()) {
      if (v2)
        references.insert(references.end(), {symbols.reference(label.name), symbols.reference(label.value)});
      else
        one.message(1, Writer().bytes(1, label.name).bytes(2, label.value));
    }
    if (v2) one.packed(1, references);
    for (const NewSample* point : points) {
      if (point->h)
        one.message(v2 ? 3 : 4, histogram_message(*point));
      else
        one.message(2, sample_message(*point));
    }
    all.message(v2 ? 5 : 1, one);
  }
  return pack(v2 ? symbols.table() + all.str() : all.str());
}

}  // namespace caisson::metrics
