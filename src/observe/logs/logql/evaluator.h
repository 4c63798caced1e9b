// SPDX-License-Identifier: Apache-2.0
// The inside of the engine: a node is evaluated for all steps at once. One file for each kind of node. One thread.
#pragma once
#include "observe/logs/logql/engine.h"
#include "observe/logs/logql/pipeline.h"

namespace caisson::logs::logql {

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds timeout)
      : timeout_(timeout), end_(std::chrono::steady_clock::now() + timeout) {}
  Result<void> check() const;  // Errors: timeout

 private:
  std::chrono::milliseconds timeout_;
  std::chrono::steady_clock::time_point end_;
};

Error pipeline_error(const LineState& line);
// False: the block has surely no line that passes.
bool block_may_match(const BlockRef& block, const Pipeline& pipeline);

class Evaluator {
 public:
  Evaluator(const Store& store, const EngineOptions& options, const Window& window, std::int64_t now, QueryStats& stats)
      : store_(store), options_(options), window_(window), now_(now), stats_(stats), deadline_(options.timeout) {}
  Result<Matrix> eval(const Expr& expr);

 private:
  // range_eval.cc. `wanted`: what the aggregation around it groups by, so that fewer series are made.
  Result<Matrix> range(const RangeAggregation& node, const Grouping* wanted);
  // aggregate_eval.cc
  Result<Matrix> aggregate(const VectorAggregation& node);
  Result<Matrix> reduce(const VectorAggregation& node, const Matrix& inner) const;
  Result<Matrix> choose(const VectorAggregation& node, Matrix inner) const;
  // binary_eval.cc
  Result<Matrix> binary(const Binary& node);
  Result<Matrix> with_scalar(const Binary& node, Matrix vector, double scalar, bool scalar_left) const;
  Result<Matrix> matched(const Binary& node, const Matrix& left, const Matrix& right) const;
  Result<Matrix> set_operation(const Binary& node, Matrix left, Matrix right) const;
  Result<Matrix> label_replace(const LabelReplace& node);
  Matrix constant(double value) const;
  Series empty_series(Labels labels) const;

  const Store& store_;
  const EngineOptions& options_;
  const Window window_;
  const std::int64_t now_;
  QueryStats& stats_;
  const Deadline deadline_;
};

// --- range functions (range_functions.cc)

struct Sample {
  std::int64_t t;
  double v;
};
// A window's value: `samples` by time, not empty, of (end - range, end].
double range_value(const RangeAggregation& node, std::span<const Sample> samples);

}  // namespace caisson::logs::logql
