// SPDX-License-Identifier: Apache-2.0
// Range aggregations. A window is (step - range, step]. Counts are kept as differences between steps, so that a line
// costs the same however many windows it is in; what needs the values themselves keeps them.
#include <algorithm>
#include <unordered_map>

#include "observe/logs/logql/evaluator.h"

namespace caisson::logs::logql {
namespace {

bool is_counted(const RangeAggregation& node) {
  return !node.unwrap && (node.op == "count_over_time" || node.op == "rate" || node.op == "bytes_over_time" ||
                          node.op == "bytes_rate" || node.op == "absent_over_time");
}
bool counts_bytes(const RangeAggregation& node) {
  return node.op == "bytes_over_time" || node.op == "bytes_rate";
}

struct Group {
  Labels labels;
  std::vector<double> value, lines;  // changes from step to step; one more than steps
  std::vector<Sample> samples;
};

struct StepSpan {
  std::size_t first = 0, last = 0;  // the windows that a line is in, `last` not included
  bool operator==(const StepSpan&) const = default;
};

class RangeRun {
 public:
  RangeRun(const RangeAggregation& node, const Grouping* grouping, const Window& window, const EngineOptions& options,
           QueryStats& stats)
      : node_(node),
        grouping_(grouping),
        window_(window),
        options_(options),
        stats_(stats),
        counted_(is_counted(node)),
        bytes_(counts_bytes(node)) {}

  Result<void> compile() {
    pipeline_ = TRY(Pipeline::compile(node_.selector.stages));
    if (node_.unwrap)
      for (const auto& filter : node_.unwrap->filters) after_.push_back(TRY(make_label_filter(filter)));
    return {};
  }

  Result<void> stream(StreamBlocks& stream, std::int64_t mint, std::int64_t maxt, const Deadline& deadline) {
    labels_ = stream.labels;
    by_metadata_.clear();
    if (counted_ && pipeline_.empty()) TRY(take_whole_blocks(stream, mint, maxt));
    CursorOptions how{
        mint, maxt, Direction::forward, counted_ && pipeline_.empty() ? Columns::times_and_lengths : Columns::all, {}};
    if (!pipeline_.needles().empty())
      how.may_matter = [this](const BlockRef& block) { return block_may_match(block, pipeline_); };
    Cursor cursor(std::move(stream.blocks), std::move(how));
    for (;;) {
      TRY(deadline.check());
      const Run run = TRY(cursor.next());
      if (run.count == 0) break;
      if (counted_ && pipeline_.empty() && (run.lines->sets.size() == 1 || grouped_by_stream())) {
        TRY(same_lines(*run.lines, run.first, run.first + run.count));
        continue;
      }
      for (std::size_t i = 0; i < run.count; ++i) TRY(line(*run.lines, run.index(i)));
    }
    stats_.text_bytes += cursor.text_bytes();
    return {};
  }

  Matrix finish(const Matrix& empty);

 private:
  StepSpan span_of(std::int64_t t) const {
    const auto up = [&](std::int64_t distance) {  // the first step that is at least so far on
      return distance <= 0 ? std::int64_t{0} : (distance + window_.step - 1) / window_.step;
    };
    const auto steps = static_cast<std::int64_t>(window_.steps());
    const std::int64_t at = t + node_.offset - window_.start;
    return {static_cast<std::size_t>(std::min(up(at), steps)),
            static_cast<std::size_t>(std::min(up(at + node_.range), steps))};
  }

  // A block whose lines are all in the same windows is counted without being opened.
  Result<void> take_whole_blocks(StreamBlocks& stream, std::int64_t mint, std::int64_t maxt) {
    auto& blocks = stream.blocks;
    std::vector<BlockRef> left;
    std::int64_t before = INT64_MIN;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const BlockInfo& info = blocks[i].info;
      const bool alone = info.mint > before && (i + 1 == blocks.size() || blocks[i + 1].info.mint > info.maxt);
      before = std::max(before, info.maxt);
      const StepSpan span = span_of(info.mint);
      if (!alone || info.mint < mint || info.maxt > maxt || span != span_of(info.maxt) ||
          (info.has_metadata && !grouped_by_stream())) {
        left.push_back(std::move(blocks[i]));
        continue;
      }
      TRY(add_same(info.mint, span, static_cast<double>(bytes_ ? info.text_bytes : info.count), info.count));
      stats_.lines += info.count;
    }
    blocks = std::move(left);
    return {};
  }

  // Metadata does not matter: the labels that are grouped by are all the stream's.
  bool grouped_by_stream() const {
    return grouping_ && !grouping_->without &&
           std::all_of(grouping_->labels.begin(), grouping_->labels.end(),
                       [&](const std::string& name) { return !labels_.get(name).empty(); });
  }

  // Lines that differ in their times alone: those of the same windows are counted together.
  Result<void> same_lines(const Lines& lines, std::size_t from, std::size_t to) {
    stats_.lines += to - from;
    const auto at = [&](std::size_t i) { return lines.times.begin() + static_cast<std::ptrdiff_t>(i); };
    for (std::size_t next; from < to; from = next) {
      const StepSpan span = span_of(lines.times[from]);
      next = static_cast<std::size_t>(
          std::partition_point(at(from), at(to), [&](std::int64_t t) { return span_of(t) == span; }) - at(0));
      if (span.first >= span.last) continue;
      const auto count = static_cast<double>(next - from);
      const std::uint32_t begin = from == 0 ? 0 : lines.ends[from - 1];
      TRY(add_same(lines.times[from], span, bytes_ ? static_cast<double>(lines.ends[next - 1] - begin) : count, count));
    }
    return {};
  }

  // For lines of the stream with the labels of the stream alone.
  Result<void> add_same(std::int64_t t, const StepSpan& span, double value, double lines) {
    static const Labels none;
    state_.reset(t, {}, labels_, none);
    add(group_of(result_labels()), span, value, lines);
    return check_size();
  }

  Result<void> line(const Lines& lines, std::size_t i) {
    ++stats_.lines;
    const std::int64_t t = lines.times[i];
    const StepSpan span = span_of(t);
    if (span.first >= span.last) return {};
    const Labels& metadata = lines.metadata_of(i);
    const bool has_text = !lines.text.empty();
    state_.reset(t, has_text ? lines.line(i) : std::string_view(), labels_, metadata);
    if (!pipeline_.empty() && !pipeline_.apply(state_)) return {};
    double value = 1;
    if (bytes_) value = static_cast<double>(has_text ? state_.line().size() : lines.line_bytes(i));
    if (node_.unwrap) {
      const auto number = unwrapped(state_, *node_.unwrap);
      if (!number) return {};
      value = *number;
      for (const StepPtr& filter : after_)
        if (!filter->apply(state_)) return {};
    }
    if (state_.has_error()) return pipeline_error(state_);
    std::size_t group;
    if (!node_.unwrap && state_.is_plain()) {  // the same for all lines of a stream with the same metadata
      const auto [known, fresh] = by_metadata_.try_emplace(metadata, 0);
      if (fresh) known->second = group_of(result_labels());
      group = known->second;
    } else {
      group = group_of(result_labels());
    }
    TRY(check_size());
    if (counted_) {
      add(group, span, value, 1);
      return {};
    }
    if (++held_ > options_.samples_max)
      return Error{ErrorCode::too_large, "query holds more than " + std::to_string(options_.samples_max) + " samples"};
    groups_[group].samples.push_back({t + node_.offset, value});
    return {};
  }

  // A label explosion ends here: series times steps are held at once.
  Result<void> check_size() const {
    if (groups_.size() > options_.groups_max)
      return Error{ErrorCode::too_large,
                   "query makes more than " + std::to_string(options_.groups_max) + " series while it is evaluated"};
    if (groups_.size() * window_.steps() > options_.samples_max)
      return Error{ErrorCode::too_large, "query holds more than " + std::to_string(options_.samples_max) +
                                             " samples: " + std::to_string(groups_.size()) + " series of " +
                                             std::to_string(window_.steps()) + " steps"};
    return {};
  }

  Labels result_labels() const {
    const Grouping* grouping = node_.grouping ? &*node_.grouping : grouping_;
    std::vector<LabelView> out;
    if (grouping && !grouping->without) {
      for (const std::string& name : grouping->labels)
        if (const std::string_view value = state_.get(name); !value.empty()) out.push_back({name, value});
      return Labels::from_views(out);
    }
    if (!grouping && !node_.unwrap) return state_.labels();
    state_.each([&](std::string_view name, std::string_view value, Origin) {
      const bool left_out =
          (node_.unwrap && name == node_.unwrap->label) ||
          (grouping && std::find(grouping->labels.begin(), grouping->labels.end(), name) != grouping->labels.end());
      if (!left_out) out.push_back({name, value});
    });
    return Labels::from_views(out);
  }

  std::size_t group_of(const Labels& labels) {
    const auto [at, fresh] = index_.try_emplace(labels, groups_.size());
    if (!fresh) return at->second;
    Group& group = groups_.emplace_back();
    group.labels = labels;
    if (counted_) {
      group.value.assign(window_.steps() + 1, 0);
      group.lines.assign(window_.steps() + 1, 0);
    }
    return at->second;
  }

  void add(std::size_t index, const StepSpan& span, double value, double lines) {
    Group& group = groups_[index];
    group.value[span.first] += value;
    group.value[span.last] -= value;
    group.lines[span.first] += lines;
    group.lines[span.last] -= lines;
  }

  const RangeAggregation& node_;
  const Grouping* grouping_;
  const Window& window_;
  const EngineOptions& options_;
  QueryStats& stats_;
  const bool counted_, bytes_;
  Pipeline pipeline_;
  std::vector<StepPtr> after_;
  LineState state_;
  Labels labels_;
  std::unordered_map<Labels, std::size_t, LabelsHash> index_, by_metadata_;
  std::vector<Group> groups_;
  std::size_t held_ = 0;
};

Matrix RangeRun::finish(const Matrix& empty) {
  Matrix out;
  const double seconds = static_cast<double>(node_.range) / 1e9;
  const bool is_rate = node_.op == "rate" || node_.op == "bytes_rate";
  for (Group& group : groups_) {
    Series series = empty.series[0];
    series.labels = group.labels;
    if (counted_) {
      double value = 0, lines = 0;
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        value += group.value[i];
        lines += group.lines[i];
        series.present[i] = lines > 0;
        series.values[i] = is_rate ? value / seconds : value;
      }
    } else {
      auto& samples = group.samples;
      std::stable_sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.t < b.t; });
      std::size_t from = 0, to = 0;
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        const std::int64_t end = window_.time(i);
        while (to < samples.size() && samples[to].t <= end) ++to;
        while (from < to && samples[from].t <= end - node_.range) ++from;
        if (from == to || (node_.op == "rate_counter" && to - from < 2)) continue;
        series.present[i] = 1;
        series.values[i] = range_value(node_, {samples.data() + from, to - from});
      }
    }
    out.series.push_back(std::move(series));
  }
  std::sort(out.series.begin(), out.series.end(), [](const Series& a, const Series& b) { return a.labels < b.labels; });
  return out;
}

// 1 where nothing is, with the labels that the selector says.
Matrix absent(const RangeAggregation& node, const Matrix& found, Matrix constant_one) {
  std::vector<Label> labels;
  for (const Matcher& m : node.selector.matchers) {
    const bool twice = std::count_if(node.selector.matchers.begin(), node.selector.matchers.end(),
                                     [&](const Matcher& o) { return o.name == m.name; }) > 1;
    if (m.type == metrics::MatchType::equal && !twice) labels.push_back({m.name, m.value});
  }
  Series& out = constant_one.series[0];
  out.labels = Labels::from(std::move(labels));
  for (const Series& series : found.series)
    for (std::size_t i = 0; i < series.present.size(); ++i)
      if (series.present[i]) out.present[i] = 0;
  return constant_one;
}

}  // namespace

Result<Matrix> Evaluator::range(const RangeAggregation& node, const Grouping* wanted) {
  RangeRun run(node, wanted, window_, options_, stats_);
  TRY(run.compile());
  const std::int64_t mint = window_.start - node.range - node.offset + 1,
                     maxt = window_.time(window_.steps() - 1) - node.offset;
  auto streams = store_.select(node.selector.matchers, mint, maxt);
  stats_.streams += streams.size();
  for (StreamBlocks& stream : streams)
    TRY(run.stream(stream, std::max(mint, store_.horizon(stream.labels, now_)), maxt, deadline_));
  Matrix empty;
  empty.series.push_back(empty_series({}));
  Matrix out = run.finish(empty);
  if (node.op == "absent_over_time") return absent(node, out, constant(1));
  return out;
}

}  // namespace caisson::logs::logql
