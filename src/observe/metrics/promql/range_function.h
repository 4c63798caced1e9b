// SPDX-License-Identifier: Apache-2.0
// Functions of a range vector: each maps the samples of one window of one series to at most one sample. Pure but for
// the notes.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "observe/metrics/model/sample.h"
#include "observe/metrics/promql/annotations.h"

namespace caisson::metrics::promql {

struct RangeInput {
  std::span<const FloatPoint> floats;  // within (range_start, range_end]; anchored and smoothed selectors see beyond
  std::span<const HistogramPoint> histograms;
  std::int64_t t;  // of the step
  std::int64_t range_start;
  std::int64_t range_end;
  double range_seconds;
  bool anchored;
  bool smoothed;
  std::span<const double> scalars;  // the other arguments, at this step
  std::string_view metric;          // name, for notes
  PositionRange at;                 // of the first argument
  PositionRange scalar_at;          // of the first scalar argument
  Annotations* notes;
  // Sums of whole numbers of the series, looked at once for all steps: of what is before each of `floats`, and before
  // what follows them. Null: not exact, or not asked for.
  const double* sums = nullptr;
};

// The sums of all floats before each, and of all, where `function` makes use of them and they are exact; else empty.
std::vector<double> exact_sums(std::string_view function, std::span<const FloatPoint> floats);

struct RangeValue {
  bool present = false;
  double v = 0;
  HistogramPtr h;

  void set(double value) {
    present = true;
    v = value;
  }
  void set(FloatHistogram histogram) {
    present = true;
    h = std::make_shared<const FloatHistogram>(std::move(histogram));
  }
};

using RangeFunction = void (*)(const RangeInput& in, RangeValue& out);

// The windows of all steps of a query: step i is at time + i * step, and its window is the range_ms that end at
// end + i * end_step.
struct RangeSteps {
  std::int64_t time = 0, step = 0;
  std::size_t count = 0;
  std::int64_t end = 0, end_step = 0;  // end_step: 0 when @ fixes the window
  std::int64_t range_ms = 0;
};

// Two forms of one function. `floats` does all steps of a series that has floats alone, where that is less work than
// step by step; it appends what `step` would give, bit for bit. Null: there is none.
struct RangeKernel {
  RangeFunction step = nullptr;
  void (*floats)(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out) = nullptr;
};
RangeKernel find_range_kernel(std::string_view name);  // without `step` when there is none

// range_rate.cc
void range_rate(const RangeInput& in, RangeValue& out);
void range_increase(const RangeInput& in, RangeValue& out);
void range_delta(const RangeInput& in, RangeValue& out);
void rate_of_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out);
void increase_of_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out);
void delta_of_floats(std::span<const FloatPoint> floats, const RangeSteps& steps, std::vector<FloatPoint>& out);
void range_irate(const RangeInput& in, RangeValue& out);
void range_idelta(const RangeInput& in, RangeValue& out);
// range_extended.cc
void extended_rate(const RangeInput& in, bool is_counter, bool is_rate, RangeValue& out);
std::vector<FloatPoint> extended_floats(std::span<const FloatPoint> floats, std::int64_t start, std::int64_t end,
                                        bool smoothed);
double interpolated(const FloatPoint& a, const FloatPoint& b, std::int64_t t, bool is_counter);
Result<FloatHistogram> interpolated(const HistogramPoint& a, const HistogramPoint& b, std::int64_t t, bool is_counter,
                                    Annotations& notes, PositionRange at);
// range_histogram.cc
void sum_histograms(const RangeInput& in, RangeValue& out);
void average_histograms(const RangeInput& in, RangeValue& out);
// range_change.cc
void range_resets(const RangeInput& in, RangeValue& out);
void range_changes(const RangeInput& in, RangeValue& out);

double quantile(double q, std::vector<double>& values);  // sorts them

}  // namespace caisson::metrics::promql
