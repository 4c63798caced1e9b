// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "observe/logs/logql/fold.h"
#include "observe/logs/logql/ip.h"
#include "observe/logs/logql/pattern.h"
#include "observe/logs/logql/pipeline.h"
#include "observe/logs/logql/regex.h"

namespace caisson::logs::logql {
namespace {

bool contains(std::string_view text, std::string_view needle) {
  return needle.empty() || ::memmem(text.data(), text.size(), needle.data(), needle.size()) != nullptr;
}

// What one operand of a line filter looks for.
struct Operand {
  std::string literal;
  std::optional<LineRegex> regex;
  std::optional<Pattern> pattern;
  std::optional<IpRange> range;

  bool matches(std::string_view line) const {
    if (regex) return regex->matches(line);
    if (pattern) return pattern->matches_whole(line);
    if (range) return contains_address(line, *range);
    return contains(line, literal);
  }
};

class LineFilterStep : public Step {
 public:
  LineFilterStep(std::vector<Operand> any, bool negated) : any_(std::move(any)), negated_(negated) {}
  bool apply(LineState& line) override {
    for (const Operand& one : any_)
      if (one.matches(line.line())) return !negated_;
    return negated_;
  }

 private:
  const std::vector<Operand> any_;
  const bool negated_;
};

Result<Operand> make_operand(LineMatch match, const LineFilter::One& one) {
  Operand out;
  if (one.is_ip) {
    if (match != LineMatch::equal && match != LineMatch::not_equal)
      return Error{ErrorCode::bad_request, "ip: invalid operation"};
    out.range = TRY(IpRange::parse(one.text));
  } else if (match == LineMatch::regex || match == LineMatch::not_regex) {
    auto regex = TRY(LineRegex::compile(one.text));
    if (regex.is_literal())
      out.literal = one.text;
    else
      out.regex = std::move(regex);
  } else if (match == LineMatch::pattern || match == LineMatch::not_pattern) {
    out.pattern = TRY(Pattern::parse(one.text, Pattern::Use::filter));
  } else {
    out.literal = one.text;
  }
  return out;
}

Result<std::vector<Operand>> operands(const LineFilter& filter) {
  std::vector<Operand> out;
  for (const LineFilter::One& one : filter.any) out.push_back(TRY(make_operand(filter.match, one)));
  return out;
}

}  // namespace

Result<void> check_line_filter(const LineFilter& filter) {
  TRY(operands(filter));
  return {};
}

Result<StepPtr> make_line_filter(const LineFilter& filter) {
  const bool negated = filter.match == LineMatch::not_equal || filter.match == LineMatch::not_regex ||
                       filter.match == LineMatch::not_pattern;
  return StepPtr(std::make_unique<LineFilterStep>(TRY(operands(filter)), negated));
}

}  // namespace caisson::logs::logql
