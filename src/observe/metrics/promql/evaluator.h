// SPDX-License-Identifier: Apache-2.0
// The inside of the engine. Every node is evaluated for all steps of its window at once and gives a matrix; most work
// runs series by series over plain arrays. Only what compares series with each other (vector matching, topk, sort) goes
// step by step.
#pragma once
#include <chrono>
#include <unordered_map>

#include "observe/metrics/promql/annotations.h"
#include "observe/metrics/promql/engine.h"
#include "observe/metrics/promql/range_function.h"

namespace caisson::metrics::promql {

struct Window {
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::int64_t step = 1;  // > 0
  std::size_t steps() const { return end < start ? 0 : static_cast<std::size_t>((end - start) / step) + 1; }
  std::size_t index(std::int64_t t) const { return static_cast<std::size_t>((t - start) / step); }
  std::int64_t time(std::size_t i) const { return start + static_cast<std::int64_t>(i) * step; }
  std::int64_t last() const { return time(steps() - 1); }
};

// Collects output series by their labels.
class MatrixBuilder {
 public:
  std::size_t series(const Labels& labels, bool drop_name);
  // Errors: bad_request when the series has a sample at `t` already.
  Result<void> append(std::size_t series, std::int64_t t, double v, const HistogramPtr& h);
  Matrix take() { return std::move(matrix_); }

 private:
  Matrix matrix_;
  std::unordered_map<Labels, std::size_t, LabelsHash> index_;
};

// Goes through a matrix step by step. `present` are the series that have a sample at the current step.
class StepReader {
 public:
  explicit StepReader(const Matrix& matrix) : matrix_(matrix), float_at_(matrix.size()), histogram_at_(matrix.size()) {}
  struct Sample {
    std::size_t series;
    double v;
    HistogramPtr h;
  };
  const std::vector<Sample>& at(std::int64_t t);  // ascending t

 private:
  const Matrix& matrix_;
  std::vector<std::size_t> float_at_, histogram_at_;
  std::vector<Sample> present_;
};

// Leaves count and sum of native histograms. Resets are found first, as they cannot be told afterwards.
void keep_stats(Samples& samples);

Error same_labelset();
Result<Matrix> merge_same_labels(Matrix matrix);

class Evaluator {
 public:
  Evaluator(const Queryable& storage, const EngineOptions& options, Annotations& notes)
      : storage_(storage),
        options_(options),
        notes_(notes),
        deadline_(std::chrono::steady_clock::now() + options.timeout) {}

  Result<Matrix> eval(Expr& expr, const Window& window);
  Result<Matrix> range_vector(Expr& expr, std::int64_t t);  // a matrix selector or subquery as the result itself

 private:
  // evaluator.cc
  Result<Matrix> unary(Unary& node, const Window& window);
  Result<Matrix> step_invariant(StepInvariant& node, const Window& window);
  Result<Matrix> constant(double value, const Window& window) const;
  Result<std::vector<double>> scalar_arg(Expr& expr, const Window& window);
  Result<void> hold(std::size_t samples);  // counts what is held; too_large beyond the limit
  Result<void> tick();                     // timeout

  // eval_selector.cc
  using StoredList = std::vector<std::shared_ptr<const StoredSeries>>;
  Result<StoredList> select(std::span<const Matcher> matchers, std::int64_t mint, std::int64_t maxt);
  Result<Matrix> selector(const VectorSelector& node, const Window& window, bool sample_times = false);
  Result<Matrix> instant_values(const StoredList& stored, const TimeShift& shift, const Window& window,
                                bool sample_times, bool stats_only = false);
  Result<Matrix> smoothed(const VectorSelector& node, const Window& window);
  Result<Matrix> subquery(Subquery& node, const Window& window);

  // eval_range.cc
  struct RangeSource;
  Result<RangeSource> range_source(Expr& arg, const Window& window);
  Result<Matrix> range_call(Call& node, std::size_t matrix_arg, const Window& window);
  void range_series(Call& node, const RangeKernel& kernel, const RangeSource& source, const Samples& samples,
                    const Labels& labels, std::span<const std::vector<double>> scalars, const Window& window,
                    Series& out);
  void range_steps(Call& node, RangeFunction function, const RangeSource& source, const Samples& samples,
                   const Labels& labels, std::span<const std::vector<double>> scalars, const Window& window,
                   Series& out);
  Result<Matrix> absent_over_time(const Expr& arg, const Matrix& values, const Window& window) const;

  // eval_call.cc
  Result<Matrix> call(Call& node, const Window& window);
  Result<Matrix> special_call(Call& node, const Window& window);
  Result<Matrix> clamp(Call& node, const Window& window);
  Result<Matrix> round(Call& node, const Window& window);
  Result<Matrix> dates(Call& node, const Window& window);
  Result<Matrix> scalar(Call& node, const Window& window);
  Result<Matrix> absent(Call& node, const Window& window);
  Result<Matrix> sorted(Call& node, const Window& window);
  Result<Matrix> label_replace(Call& node, const Window& window);
  Result<Matrix> label_join(Call& node, const Window& window);

  // eval_histogram.cc
  Result<Matrix> histogram_call(Call& node, const Window& window);

  // eval_info.cc
  Result<Matrix> info(Call& node, const Window& window);

  // eval_aggregate.cc, eval_topk.cc
  Result<Matrix> aggregate(Aggregate& node, const Window& window);
  Result<Matrix> count_values(Aggregate& node, const Window& window);
  Result<Matrix> pick(const Aggregate& node, const Matrix& input, const std::vector<std::vector<std::size_t>>& groups,
                      const std::vector<double>& params, const Window& window);

  // eval_binary.cc
  Result<Matrix> binary(Binary& node, const Window& window);
  Result<Matrix> scalar_scalar(Binary& node, const Window& window);
  Result<Matrix> vector_scalar(Binary& node, const Window& window, bool scalar_left);
  Result<Matrix> set_operation(Binary& node, const Window& window);
  Result<Matrix> vector_vector(Binary& node, const Window& window);

  const Queryable& storage_;
  const EngineOptions& options_;
  Annotations& notes_;
  std::chrono::steady_clock::time_point deadline_;
  std::size_t held_ = 0;
  int depth_ = 0;
};

}  // namespace caisson::metrics::promql
