// SPDX-License-Identifier: Apache-2.0
// The language of upstream's PromQL test scripts (promql/promqltest/README.md): load, clear, eval with expectations.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "observe/metrics/promql/series_description.h"

namespace caisson::conformance {

struct Expectation {
  std::string type;     // fail, warn, no_warn, info, no_info, ordered
  std::string pattern;  // regular expression, or the text itself
  bool is_text = false;
  bool any = true;
};

struct ScriptStep {
  enum class Kind { load, clear, eval } kind = Kind::clear;
  std::size_t line = 0;
  // load
  bool with_custom_buckets = false;
  std::int64_t interval_ms = 0;
  // eval
  std::string expr;
  bool is_range = false;
  std::int64_t start_ms = 0, end_ms = 0, step_ms = 0;
  std::vector<Expectation> expectations;
  std::optional<std::string> text;  // expect string
  std::optional<double> scalar;
  std::optional<std::string> vector_times;  // expect range vector from … to … step …
  // both
  std::vector<metrics::promql::SeriesDescription> series;

  bool expects(std::string_view type) const;
};

Result<std::vector<ScriptStep>> parse_script(std::string_view text);

}  // namespace caisson::conformance
