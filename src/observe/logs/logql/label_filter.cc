// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "observe/logs/logql/ip.h"
#include "observe/logs/logql/pipeline.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

constexpr std::string_view kFailed = "LabelFilterErr";

bool holds(Compare compare, double a, double b) {
  switch (compare) {
    case Compare::eq:
      return a == b;
    case Compare::ne:
      return a != b;
    case Compare::lt:
      return a < b;
    case Compare::le:
      return a <= b;
    case Compare::gt:
      return a > b;
    case Compare::ge:
      return a >= b;
  }
  return false;
}

Result<double> value_of(LabelFilter::Kind kind, std::string_view text) {
  if (kind == LabelFilter::Kind::duration) return static_cast<double>(TRY(parse_go_duration(text)));
  if (kind == LabelFilter::Kind::bytes) return static_cast<double>(TRY(parse_byte_size(text)));
  const auto number = metrics::parse_float(text);
  if (!number)
    return Error{ErrorCode::bad_request, "strconv.ParseFloat: parsing " + metrics::quote(text) + ": invalid syntax"};
  return *number;
}

class LabelFilterStep : public Step {
 public:
  explicit LabelFilterStep(std::shared_ptr<const LabelFilter> filter) : filter_(std::move(filter)) {}
  bool apply(LineState& line) override { return test(*filter_, line); }

 private:
  bool test(const LabelFilter& filter, LineState& line) const {
    using Kind = LabelFilter::Kind;
    switch (filter.kind) {
      case Kind::both:
        return test(*filter.left, line) && test(*filter.right, line);
      case Kind::either:
        return test(*filter.left, line) || test(*filter.right, line);
      case Kind::matcher:
        return filter.matcher.matches(line.get(filter.matcher.name));
      case Kind::ip: {
        if (line.has_error()) return true;
        if (!line.has(filter.label)) return false;
        const auto address = parse_ip(line.get(filter.label));
        const auto range = IpRange::parse(filter.text);
        const bool within = address ? range.ok() && range->holds(*address)
                                    : range.ok() && contains_address(line.get(filter.label), *range);
        return within == (filter.compare == Compare::eq);
      }
      default:
        break;
    }
    if (!line.has(filter.label)) return false;
    const auto value = value_of(filter.kind, line.get(filter.label));
    if (!value.ok()) {
      if (!line.has_error()) line.fail(kFailed, value.error().message);  // the first error tells more
      return true;
    }
    return holds(filter.compare, *value, filter.number);
  }

  const std::shared_ptr<const LabelFilter> filter_;
};

}  // namespace

Result<StepPtr> make_label_filter(std::shared_ptr<const LabelFilter> filter) {
  return StepPtr(std::make_unique<LabelFilterStep>(std::move(filter)));
}

}  // namespace caisson::logs::logql
