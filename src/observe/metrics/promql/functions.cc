// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "observe/metrics/promql/parser.h"

namespace caisson::metrics::promql {
namespace {

constexpr auto V = ValueType::vector, M = ValueType::matrix, S = ValueType::scalar, T = ValueType::string;

// Ordered by name.
constexpr Function kFunctions[] = {
    {"abs", V, {V}, 1, 0, false},
    {"absent", V, {V}, 1, 0, false},
    {"absent_over_time", V, {M}, 1, 0, false},
    {"acos", V, {V}, 1, 0, false},
    {"acosh", V, {V}, 1, 0, false},
    {"asin", V, {V}, 1, 0, false},
    {"asinh", V, {V}, 1, 0, false},
    {"atan", V, {V}, 1, 0, false},
    {"atanh", V, {V}, 1, 0, false},
    {"avg_over_time", V, {M}, 1, 0, false},
    {"ceil", V, {V}, 1, 0, false},
    {"changes", V, {M}, 1, 0, false},
    {"clamp", V, {V, S, S}, 3, 0, false},
    {"clamp_max", V, {V, S}, 2, 0, false},
    {"clamp_min", V, {V, S}, 2, 0, false},
    {"cos", V, {V}, 1, 0, false},
    {"cosh", V, {V}, 1, 0, false},
    {"count_over_time", V, {M}, 1, 0, false},
    {"day_of_month", V, {V}, 1, 1, false},
    {"day_of_week", V, {V}, 1, 1, false},
    {"day_of_year", V, {V}, 1, 1, false},
    {"days_in_month", V, {V}, 1, 1, false},
    {"deg", V, {V}, 1, 0, false},
    {"delta", V, {M}, 1, 0, false},
    {"deriv", V, {M}, 1, 0, false},
    {"double_exponential_smoothing", V, {M, S, S}, 3, 0, true},
    {"end", S, {}, 0, 0, true},
    {"exp", V, {V}, 1, 0, false},
    {"first_over_time", V, {M}, 1, 0, false},
    {"floor", V, {V}, 1, 0, false},
    {"histogram_avg", V, {V}, 1, 0, false},
    {"histogram_count", V, {V}, 1, 0, false},
    {"histogram_fraction", V, {S, S, V}, 3, 0, false},
    {"histogram_quantile", V, {S, V}, 2, 0, false},
    {"histogram_quantiles", V, {V, T, S, S}, 4, 9, true},
    {"histogram_stddev", V, {V}, 1, 0, false},
    {"histogram_stdvar", V, {V}, 1, 0, false},
    {"histogram_sum", V, {V}, 1, 0, false},
    {"hour", V, {V}, 1, 1, false},
    {"idelta", V, {M}, 1, 0, false},
    {"increase", V, {M}, 1, 0, false},
    {"info", V, {V, V}, 2, 1, true},
    {"integral", V, {M, S}, 2, 1, true},
    {"irate", V, {M}, 1, 0, false},
    {"label_join", V, {V, T, T, T}, 4, -1, false},
    {"label_replace", V, {V, T, T, T, T}, 5, 0, false},
    {"last_over_time", V, {M}, 1, 0, false},
    {"ln", V, {V}, 1, 0, false},
    {"log10", V, {V}, 1, 0, false},
    {"log2", V, {V}, 1, 0, false},
    {"mad_over_time", V, {M}, 1, 0, true},
    {"max_of", S, {S, S}, 2, 0, true},
    {"max_over_time", V, {M}, 1, 0, false},
    {"min_of", S, {S, S}, 2, 0, true},
    {"min_over_time", V, {M}, 1, 0, false},
    {"minute", V, {V}, 1, 1, false},
    {"month", V, {V}, 1, 1, false},
    {"pi", S, {}, 0, 0, false},
    {"predict_linear", V, {M, S}, 2, 0, false},
    {"present_over_time", V, {M}, 1, 0, false},
    {"quantile_over_time", V, {S, M}, 2, 0, false},
    {"rad", V, {V}, 1, 0, false},
    {"range", S, {}, 0, 0, true},
    {"rate", V, {M}, 1, 0, false},
    {"resets", V, {M}, 1, 0, false},
    {"round", V, {V, S}, 2, 1, false},
    {"scalar", S, {V}, 1, 0, false},
    {"sgn", V, {V}, 1, 0, false},
    {"sin", V, {V}, 1, 0, false},
    {"sinh", V, {V}, 1, 0, false},
    {"sort", V, {V}, 1, 0, false},
    {"sort_by_label", V, {V, T}, 2, -1, true},
    {"sort_by_label_desc", V, {V, T}, 2, -1, true},
    {"sort_desc", V, {V}, 1, 0, false},
    {"sqrt", V, {V}, 1, 0, false},
    {"start", S, {}, 0, 0, true},
    {"start_timestamp", V, {V}, 1, 0, true},
    {"stddev_over_time", V, {M}, 1, 0, false},
    {"stdvar_over_time", V, {M}, 1, 0, false},
    {"step", S, {}, 0, 0, true},
    {"sum_over_time", V, {M}, 1, 0, false},
    {"tan", V, {V}, 1, 0, false},
    {"tanh", V, {V}, 1, 0, false},
    {"time", S, {}, 0, 0, false},
    {"timestamp", V, {V}, 1, 0, false},
    {"ts_of_first_over_time", V, {M}, 1, 0, true},
    {"ts_of_last_over_time", V, {M}, 1, 0, true},
    {"ts_of_max_over_time", V, {M}, 1, 0, true},
    {"ts_of_min_over_time", V, {M}, 1, 0, true},
    {"vector", V, {S}, 1, 0, false},
    {"year", V, {V}, 1, 1, false},
};

}  // namespace

const Function* find_function(std::string_view name) {
  const auto found = std::lower_bound(std::begin(kFunctions), std::end(kFunctions), name,
                                      [](const Function& f, std::string_view n) { return f.name < n; });
  return found != std::end(kFunctions) && found->name == name ? found : nullptr;
}

}  // namespace caisson::metrics::promql
