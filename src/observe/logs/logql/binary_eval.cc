// SPDX-License-Identifier: Apache-2.0
// Binary operations. Which series match may differ from step to step, so vectors are matched step by step; signatures
// are made once.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "observe/logs/logql/evaluator.h"
#include "observe/logs/logql/fold.h"

namespace caisson::logs::logql {
namespace {

std::vector<std::string> signatures(const Matching& matching, const Matrix& matrix) {
  std::vector<std::string> out;
  for (const Series& series : matrix.series)
    out.push_back(matching.on ? series.labels.key_of(matching.labels) : series.labels.key_without(matching.labels));
  return out;
}

Labels result_labels(const Matching& matching, const Labels& many, const Labels& one) {
  if (matching.card == Cardinality::one_to_one)
    return matching.on ? many.keep(matching.labels) : many.drop(matching.labels);
  metrics::LabelsBuilder builder(many);
  for (const std::string& name : matching.include) builder.set(name, one.get(name));
  return builder.labels();
}

// Series of one result, by their labels.
class Collector {
 public:
  explicit Collector(Series empty) : empty_(std::move(empty)) {}
  // Errors: bad_request when the series has a value at the step already.
  Result<void> set(const Labels& labels, std::size_t step, double value) {
    const auto [at, fresh] = index_.try_emplace(labels, matrix_.series.size());
    if (fresh) {
      matrix_.series.push_back(empty_);
      matrix_.series.back().labels = labels;
    }
    Series& series = matrix_.series[at->second];
    if (series.present[step])
      return Error{ErrorCode::bad_request, "multiple matches for labels: grouping labels must ensure unique matches"};
    series.present[step] = 1;
    series.values[step] = value;
    return {};
  }
  Matrix take() {
    std::sort(matrix_.series.begin(), matrix_.series.end(),
              [](const Series& a, const Series& b) { return a.labels < b.labels; });
    return std::move(matrix_);
  }

 private:
  const Series empty_;
  Matrix matrix_;
  std::unordered_map<Labels, std::size_t, LabelsHash> index_;
};

}  // namespace

Result<Matrix> Evaluator::binary(const Binary& node) {
  Matrix left = TRY(eval(*node.left));
  Matrix right = TRY(eval(*node.right));
  if (left.is_scalar && right.is_scalar) {
    for (std::size_t i = 0; i < window_.steps(); ++i)
      left.series[0].values[i] = fold(node.op, left.series[0].values[i], right.series[0].values[i]);
    return left;
  }
  if (left.is_scalar) return with_scalar(node, std::move(right), left.series[0].values[0], true);
  if (right.is_scalar) return with_scalar(node, std::move(left), right.series[0].values[0], false);
  if (node.op == Tok::and_op || node.op == Tok::or_op || node.op == Tok::unless_op)
    return set_operation(node, std::move(left), std::move(right));
  return matched(node, left, right);
}

Result<Matrix> Evaluator::with_scalar(const Binary& node, Matrix vector, double scalar, bool scalar_left) const {
  const bool filters = is_comparison(node.op) && !node.return_bool;
  for (Series& series : vector.series)
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!series.present[i]) continue;
      const double result =
          scalar_left ? fold(node.op, scalar, series.values[i]) : fold(node.op, series.values[i], scalar);
      if (filters)
        series.present[i] = result != 0;
      else
        series.values[i] = result;
    }
  vector.is_ordered = false;
  return vector;
}

Result<Matrix> Evaluator::matched(const Binary& node, const Matrix& left, const Matrix& right) const {
  const Matching& how = node.matching;
  const bool swapped = how.card == Cardinality::one_to_many;
  const Matrix& many = swapped ? right : left;
  const Matrix& one = swapped ? left : right;
  const auto many_keys = signatures(how, many), one_keys = signatures(how, one);
  const bool filters = is_comparison(node.op) && !node.return_bool;
  Collector out(empty_series({}));
  for (std::size_t i = 0; i < window_.steps(); ++i) {
    TRY(deadline_.check());
    std::unordered_map<std::string_view, const Series*> by_key;
    for (std::size_t n = 0; n < one.series.size(); ++n)
      if (one.series[n].present[i] && !by_key.emplace(one_keys[n], &one.series[n]).second)
        return Error{ErrorCode::bad_request,
                     std::string("found duplicate series on the ") + (swapped ? "left" : "right") +
                         " hand-side;many-to-many matching not allowed: matching labels must be unique on one side"};
    std::unordered_set<std::string_view> used;
    for (std::size_t n = 0; n < many.series.size(); ++n) {
      if (!many.series[n].present[i]) continue;
      const auto found = by_key.find(many_keys[n]);
      if (found == by_key.end()) continue;
      if (how.card == Cardinality::one_to_one && !used.insert(many_keys[n]).second)
        return Error{ErrorCode::bad_request,
                     "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"};
      const double a = many.series[n].values[i], b = found->second->values[i];
      const double result = swapped ? fold(node.op, b, a) : fold(node.op, a, b);
      if (filters && result == 0) continue;
      TRY(out.set(result_labels(how, many.series[n].labels, found->second->labels), i,
                  filters ? (swapped ? b : a) : result));
    }
  }
  return out.take();
}

Result<Matrix> Evaluator::set_operation(const Binary& node, Matrix left, Matrix right) const {
  const auto left_keys = signatures(node.matching, left), right_keys = signatures(node.matching, right);
  for (std::size_t i = 0; i < window_.steps(); ++i) {
    TRY(deadline_.check());
    std::unordered_set<std::string_view> keys;
    const Matrix& deciding = node.op == Tok::or_op ? left : right;
    const auto& deciding_keys = node.op == Tok::or_op ? left_keys : right_keys;
    for (std::size_t n = 0; n < deciding.series.size(); ++n)
      if (deciding.series[n].present[i]) keys.insert(deciding_keys[n]);
    Matrix& changed = node.op == Tok::or_op ? right : left;
    const auto& changed_keys = node.op == Tok::or_op ? right_keys : left_keys;
    for (std::size_t n = 0; n < changed.series.size(); ++n)
      if (changed.series[n].present[i] && (keys.count(changed_keys[n]) > 0) != (node.op == Tok::and_op))
        changed.series[n].present[i] = 0;
  }
  if (node.op != Tok::or_op) return left;
  // A label set may be on both sides at different steps: one series then.
  Collector out(empty_series({}));
  for (const Matrix* side : {&left, &right})
    for (const Series& series : side->series)
      for (std::size_t i = 0; i < series.values.size(); ++i)
        if (series.present[i]) TRY(out.set(series.labels, i, series.values[i]));
  return out.take();
}

Result<Matrix> Evaluator::label_replace(const LabelReplace& node) {
  Matrix inner = TRY(eval(*node.inner));
  const auto regex = TRY(metrics::Regex::compile(node.pattern));
  Collector out(empty_series({}));
  for (Series& series : inner.series) {
    std::string value;
    if (regex.expand(series.labels.get(node.source), node.replacement, value)) {
      metrics::LabelsBuilder builder(series.labels);
      builder.set(node.destination, value);
      series.labels = builder.labels();
    }
    for (std::size_t i = 0; i < series.values.size(); ++i)
      if (series.present[i]) TRY(out.set(series.labels, i, series.values[i]));
  }
  return out.take();
}

}  // namespace caisson::logs::logql
