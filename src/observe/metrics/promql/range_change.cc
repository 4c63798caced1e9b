// SPDX-License-Identifier: Apache-2.0
// resets and changes: a walk over both kinds of samples in the order of time.
#include <cmath>

#include "observe/metrics/promql/range_function.h"

namespace caisson::metrics::promql {
namespace {

struct Value {
  double v;
  const FloatHistogram* h;
};

template <class Counts>
void count_pairs(const RangeInput& in, RangeValue& out, Counts counts) {
  auto f = in.floats.begin();
  auto h = in.histograms.begin();
  const auto next_is_float = [&] { return f != in.floats.end() && (h == in.histograms.end() || f->t < h->t); };
  const auto next_time = [&] { return next_is_float() ? f->t : h->t; };
  const auto at_end = [&] { return f == in.floats.end() && h == in.histograms.end(); };
  const auto take = [&] { return next_is_float() ? Value{(f++)->v, nullptr} : Value{0, (h++)->h.get()}; };
  if (at_end()) return;
  Value previous = take();
  if (in.anchored) {  // begin with the last sample at or before the start
    std::int64_t previous_time = in.floats.begin() != f ? (f - 1)->t : (h - 1)->t;
    while (!at_end() && next_time() <= in.range_start) {
      previous_time = next_time();
      previous = take();
    }
    if (at_end() && previous_time <= in.range_start) return;
  }
  int count = 0;
  while (!at_end()) {
    const Value current = take();
    if (!previous.h != !current.h || counts(previous, current)) ++count;
    previous = current;
  }
  out.set(count);
}

}  // namespace

void range_resets(const RangeInput& in, RangeValue& out) {
  count_pairs(in, out, [](const Value& a, const Value& b) { return b.h ? detect_reset(*b.h, *a.h) : b.v < a.v; });
}

void range_changes(const RangeInput& in, RangeValue& out) {
  count_pairs(in, out, [](const Value& a, const Value& b) {
    return b.h ? !equals(*b.h, *a.h) : b.v != a.v && !(std::isnan(a.v) && std::isnan(b.v));
  });
}

}  // namespace caisson::metrics::promql
