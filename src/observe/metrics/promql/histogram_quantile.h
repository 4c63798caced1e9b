// SPDX-License-Identifier: Apache-2.0
// Quantiles and fractions of classic histograms (series by le) and of native ones. Pure functions.
#pragma once
#include <vector>

#include "observe/metrics/model/histogram.h"

namespace caisson::metrics::promql {

struct ClassicBucket {
  double upper;
  double count;  // cumulative
};

// Where counts went back from one bucket to the next and were raised.
struct Monotonicity {
  bool forced = false;
  double lowest = 0, highest = 0, difference = 0;
};

// Both sort and repair the buckets. NaN without a bucket for +Inf or without observations.
double classic_quantile(double q, std::vector<ClassicBucket>& buckets, Monotonicity& repaired);
double classic_fraction(double lower, double upper, std::vector<ClassicBucket>& buckets);

enum class NanNote { none, result_is_nan, skewed_higher, excluded };
double native_quantile(double q, const FloatHistogram& h, NanNote& note);
double native_fraction(double lower, double upper, const FloatHistogram& h, NanNote& note);

}  // namespace caisson::metrics::promql
