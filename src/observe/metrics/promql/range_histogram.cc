// SPDX-License-Identifier: Apache-2.0
// sum_over_time and avg_over_time of native histograms.
#include "observe/metrics/promql/range_function.h"

namespace caisson::metrics::promql {
namespace {

// What is said once, when all samples are seen.
class SeenHints {
 public:
  void see(const FloatHistogram& h) {
    reset_ |= h.hint == ResetHint::reset;
    not_reset_ |= h.hint == ResetHint::not_reset;
  }
  void see(const HistogramNotes& notes) { reconciled_ |= notes.bounds_reconciled; }
  void tell(const RangeInput& in) const {
    if (reset_ && not_reset_) in.notes->reset_collision("aggregation", in.at);
    if (reconciled_) in.notes->bounds_reconciled("aggregation", in.at);
  }

 private:
  bool reset_ = false, not_reset_ = false, reconciled_ = false;
};

}  // namespace

void sum_histograms(const RangeInput& in, RangeValue& out) {
  SeenHints seen;
  HistogramSum sum(*in.histograms[0].h);
  seen.see(sum.sum);
  for (const HistogramPoint& p : in.histograms.subspan(1)) {
    seen.see(*p.h);
    const auto notes = sum.add(*p.h);
    if (!notes.ok()) return in.notes->mixed_exponential_custom(in.metric, in.at);
    seen.see(*notes);
  }
  seen.tell(in);
  out.set(sum.value());
}

void average_histograms(const RangeInput& in, RangeValue& out) {
  SeenHints seen;
  HistogramSum total(*in.histograms[0].h);  // the sum; the mean once the sum overflows
  seen.see(total.sum);
  bool is_mean = false;
  double count = 1;
  for (const HistogramPoint& p : in.histograms.subspan(1)) {
    ++count;
    seen.see(*p.h);
    if (!is_mean) {
      HistogramSum next = total;
      const auto notes = next.add(*p.h);
      if (!notes.ok()) return in.notes->mixed_exponential_custom(in.metric, in.at);
      seen.see(*notes);
      if (!has_overflow(next.sum)) {
        total = std::move(next);
        continue;
      }
      is_mean = true;
      total.divide(count - 1);
    }
    total.scale((count - 1) / count);
    FloatHistogram part = *p.h;
    divide(part, count);
    const auto notes = total.add(part);
    if (!notes.ok()) return in.notes->mixed_exponential_custom(in.metric, in.at);
    seen.see(*notes);
  }
  seen.tell(in);
  if (!is_mean) total.divide(count);
  out.set(total.value());
}

}  // namespace caisson::metrics::promql
