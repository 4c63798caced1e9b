// SPDX-License-Identifier: Apache-2.0
// info(): adds the labels of info metrics (target_info, …_info) to series of the same instance and job.
#include <algorithm>
#include <map>

#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/evaluator.h"
#include "observe/metrics/promql/preprocess.h"

namespace caisson::metrics::promql {
namespace {

const std::vector<std::string>& identifying_labels() {
  static const std::vector<std::string> names{"instance", "job"};
  return names;
}

// The second argument, taken apart.
struct InfoSelector {
  std::vector<Matcher> names;  // of info metrics; all must match
  std::vector<Matcher> data;   // of the labels to add

  bool wants(std::string_view label) const {
    return data.empty() || std::any_of(data.begin(), data.end(), [&](const Matcher& m) { return m.name == label; });
  }
  bool accepts_none() const {
    return std::all_of(data.begin(), data.end(), [](const Matcher& m) { return m.matches(""); });
  }
};

Result<InfoSelector> info_selector(const Call& node) {
  InfoSelector selector;
  if (node.args.size() > 1)
    for (const Matcher& m : static_cast<const VectorSelector&>(*node.args[1]).matchers)
      (m.name == kMetricName ? selector.names : selector.data).push_back(m);
  const std::string name(kMetricName);
  const bool positive = std::any_of(selector.names.begin(), selector.names.end(), [](const Matcher& m) {
    return m.type == MatchType::equal || m.type == MatchType::regex;
  });
  if (positive) return selector;
  selector.names.insert(selector.names.begin(), selector.names.empty()
                                                    ? TRY(Matcher::make(MatchType::equal, name, "target_info"))
                                                    : TRY(Matcher::make(MatchType::regex, name, ".+_info")));
  return selector;
}

struct InfoSample {
  std::size_t series;
  std::int64_t time;  // of the sample itself: the newest of conflicting ones counts
};

class Enrichment {
 public:
  Enrichment(const Matrix& base, const Matrix& info, const InfoSelector& selector)
      : base_(base), info_(info), selector_(selector) {
    for (const Series& series : base) {
      const std::string_view name = series.labels.get(kMetricName);
      is_info_.push_back(
          std::all_of(selector.names.begin(), selector.names.end(), [&](const Matcher& m) { return m.matches(name); }));
      key_.push_back(series.labels.key_of(identifying_labels()));
    }
    for (const Series& series : info) info_key_.push_back(series.labels.key_of(identifying_labels()));
  }

  Result<void> step(const std::vector<StepReader::Sample>& base, const std::vector<StepReader::Sample>& info,
                    std::int64_t t) {
    by_key_.clear();
    for (const StepReader::Sample& sample : info) TRY(choose({sample.series, static_cast<std::int64_t>(sample.v)}));
    for (const StepReader::Sample& sample : base) {
      const Series& series = base_[sample.series];
      Labels labels = series.labels;
      if (!is_info_[sample.series]) {
        const auto found = by_key_.find(key_[sample.series]);
        if (found == by_key_.end() && !selector_.accepts_none()) continue;
        if (found != by_key_.end()) labels = TRY(enriched(labels, found->second));
      }
      TRY(out_.append(out_.series(labels, series.drop_name), t, sample.v, sample.h));
    }
    return {};
  }

  Matrix take() { return out_.take(); }

 private:
  using ByName = std::map<std::string_view, InfoSample>;

  Result<void> choose(InfoSample sample) {
    const Labels& labels = info_[sample.series].labels;
    const auto [at, added] = by_key_[info_key_[sample.series]].try_emplace(labels.get(kMetricName), sample);
    if (added || at->second.time > sample.time) return {};
    if (at->second.time == sample.time)
      return Error{ErrorCode::bad_request,
                   "found duplicate series for info metric: existing " + info_[at->second.series].labels.str() + " @ " +
                       std::to_string(sample.time) + ", new " + labels.str() + " @ " + std::to_string(sample.time)};
    at->second = sample;
    return {};
  }

  Result<Labels> enriched(const Labels& base, const ByName& infos) const {
    LabelsBuilder added;
    for (const auto& [name, sample] : infos)
      for (const LabelView label : info_[sample.series].labels.items()) {
        if (is_metadata_label(label.name) || !selector_.wants(label.name)) continue;
        const std::string_view present = added.get(label.name);
        if (!present.empty() && present != label.value)
          return Error{ErrorCode::bad_request, "conflicting label: " + std::string(label.name)};
        if (base.get(label.name).empty()) added.set(label.name, label.value);
      }
    LabelsBuilder labels(base);
    for (const Label& label : added.items()) labels.set(label.name, label.value);
    return labels.labels();
  }

  const Matrix &base_, &info_;
  const InfoSelector& selector_;
  std::vector<bool> is_info_;
  std::vector<std::string> key_, info_key_;
  std::unordered_map<std::string, ByName> by_key_;  // of the current step
  MatrixBuilder out_;
};

}  // namespace

Result<Matrix> Evaluator::info(Call& node, const Window& window) {
  const InfoSelector selector = TRY(info_selector(node));
  const TimeReference reference = time_reference(*node.args[0]);
  const Matrix base = TRY(eval(*node.args[0], window));
  TimeShift shift;
  if (reference.uniform) {
    shift.timestamp = reference.timestamp;
    shift.offset_ms = reference.offset_ms;
  }
  std::vector<Matcher> matchers = selector.names;
  matchers.insert(matchers.end(), selector.data.begin(), selector.data.end());
  const std::int64_t first = (shift.timestamp ? *shift.timestamp : window.start) - shift.offset_ms;
  const std::int64_t last = (shift.timestamp ? *shift.timestamp : window.last()) - shift.offset_ms;
  StoredList stored = TRY(select(matchers, first - options_.lookback_ms + 1, last));

  std::unordered_map<std::string, bool> wanted;  // instance and job of what is to be enriched
  for (const Series& series : base) {
    const std::string key = series.labels.key_of(identifying_labels());
    if (!key.empty() && !matches_all(selector.names, series.labels)) wanted[key] = true;
  }
  std::erase_if(stored,
                [&](const auto& series) { return !wanted.contains(series->labels().key_of(identifying_labels())); });
  for (const auto& series : stored) {
    Samples samples;
    TRY(series->read(first - options_.lookback_ms + 1, last, samples));
    if (!samples.histograms.empty())
      return Error{ErrorCode::bad_request,
                   "this should be an info metric, with float samples: " + series->labels().str()};
  }
  const Matrix infos = TRY(instant_values(stored, shift, window, true));
  Enrichment enrichment(base, infos, selector);
  StepReader base_reader(base), info_reader(infos);
  for (std::size_t i = 0; i < window.steps(); ++i) {
    TRY(tick());
    const std::int64_t t = window.time(i);
    TRY(enrichment.step(base_reader.at(t), info_reader.at(t), t));
  }
  return enrichment.take();
}

}  // namespace caisson::metrics::promql
