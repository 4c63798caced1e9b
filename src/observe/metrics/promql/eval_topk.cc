// SPDX-License-Identifier: Apache-2.0
// Aggregations that pick series as they are: topk, bottomk, limitk, limit_ratio.
#include <algorithm>
#include <cmath>

#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/evaluator.h"

namespace caisson::metrics::promql {
namespace {

struct Extremes {
  double least = std::numeric_limits<double>::max();
  double greatest = -std::numeric_limits<double>::max();
  bool undefined = false;
};

Extremes extremes_of(const std::vector<double>& params) {
  Extremes e;
  for (const double p : params) {
    e.least = std::min(e.least, p);
    e.greatest = std::max(e.greatest, p);
    e.undefined |= std::isnan(p);
  }
  return e;
}

// NaN is the last choice of both.
bool better(double a, double b, bool top) {
  if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  return top ? a > b : a < b;
}

bool in_sample(const Labels& labels, double ratio) {
  const double offset = static_cast<double>(labels.hash()) / 18446744073709551615.0;
  return ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
}

}  // namespace

Result<Matrix> Evaluator::pick(const Aggregate& node, const Matrix& input,
                               const std::vector<std::vector<std::size_t>>& groups, const std::vector<double>& params,
                               const Window& window) {
  const Extremes extremes = extremes_of(params);
  const bool by_ratio = node.op == Tok::limit_ratio, top = node.op == Tok::topk, sorts = top || node.op == Tok::bottomk;
  if (by_ratio) {
    if (extremes.greatest == 0 && extremes.least == 0) return Matrix{};
    if (extremes.undefined) return Error{ErrorCode::bad_request, "Ratio value is NaN"};
    const auto warn = [&](double ratio, double cap) {
      notes_.warn("ratio value should be between -1 and 1, got " + format_general(ratio) + ", capping to " +
                      format_general(cap),
                  node.param->at);
    };
    if (extremes.greatest > 1) warn(extremes.greatest, 1);
    if (extremes.least < -1) warn(extremes.least, -1);
  } else {
    if (extremes.greatest < 1) return Matrix{};
    if (extremes.undefined) return Error{ErrorCode::bad_request, "Parameter value is NaN"};
    if (extremes.least <= -9.223372036854776e18)
      return Error{ErrorCode::bad_request, "Scalar value " + format_general(extremes.least) + " underflows int64"};
    if (extremes.greatest >= 9.223372036854775807e18)
      return Error{ErrorCode::bad_request, "Scalar value " + format_general(extremes.greatest) + " overflows int64"};
  }

  std::vector<std::size_t> group_of(input.size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const std::size_t i : groups[g]) group_of[i] = g;
  StepReader reader(input);
  std::vector<std::vector<StepReader::Sample>> candidates(groups.size());
  MatrixBuilder out;
  for (std::size_t step = 0; step < window.steps(); ++step) {
    TRY(tick());
    const std::int64_t t = window.time(step);
    for (auto& list : candidates) list.clear();
    const auto k =
        by_ratio ? 0 : static_cast<std::size_t>(std::clamp(params[step], 0.0, static_cast<double>(input.size())));
    for (const StepReader::Sample& sample : reader.at(t)) {
      if (sorts && sample.h) {
        if (k > 0) notes_.histograms_ignored_in_aggregation(spelling(node.op), node.at);
        continue;
      }
      auto& list = candidates[group_of[sample.series]];
      if (by_ratio ? in_sample(input[sample.series].labels, std::clamp(params[step], -1.0, 1.0)) && params[step] != 0
                   : sorts || list.size() < k)
        list.push_back(sample);
    }
    for (auto& list : candidates) {
      if (sorts) {
        const auto order = [&](const StepReader::Sample& a, const StepReader::Sample& b) {
          if (better(a.v, b.v, top)) return true;
          if (better(b.v, a.v, top)) return false;
          return a.series < b.series;
        };
        const std::size_t kept = std::min(k, list.size());
        std::partial_sort(list.begin(), list.begin() + kept, list.end(), order);
        list.resize(kept);
      }
      for (const StepReader::Sample& sample : list) {
        const Series& from = input[sample.series];
        TRY(out.append(out.series(from.labels, from.drop_name), t, sample.v, sample.h));
      }
      TRY(hold(list.size()));
    }
  }
  return out.take();
}

}  // namespace caisson::metrics::promql
