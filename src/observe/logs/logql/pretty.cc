// SPDX-License-Identifier: Apache-2.0
// A query on several lines, as upstream's Pretty() methods lay one out: what is longer than a line is taken apart, with
// two blanks for each level.
#include "core/base/text.h"
#include "observe/logs/logql/parser.h"
#include "observe/logs/logql/printer.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

constexpr std::size_t kLineMax = 100;

std::string indent(int level) {
  return std::string(static_cast<std::size_t>(level) * 2, ' ');
}

std::string layout(const Expr& expr, int level);

// Line filters that follow each other are one stage of upstream's.
std::string stages_text(const std::vector<Stage>& stages, int level) {
  std::string out;
  for (std::size_t i = 0; i < stages.size();) {
    std::vector<std::string> filters;
    for (; i < stages.size() && std::holds_alternative<LineFilter>(stages[i]); ++i)
      filters.push_back(print_stage(stages[i]));
    if (!filters.empty()) {
      const std::string joined = join(filters, " ");
      const std::string between = joined.size() > kLineMax ? "\n" + indent(level) : " ";
      out += "\n" + indent(level) + join(filters, between);
      continue;
    }
    // Upstream does not indent this one.
    out += "\n" + (std::holds_alternative<Decolorize>(stages[i]) ? "" : indent(level)) + print_stage(stages[i]);
    ++i;
  }
  return out;
}

std::string selector_text(const Selector& selector, int level) {
  const std::string whole = print(selector);
  if (selector.stages.empty() || whole.size() <= kLineMax) return indent(level) + whole;
  return indent(level) + print(Selector{selector.matchers, {}}) + stages_text(selector.stages, level + 1);
}

std::string grouping_text(const Grouping& grouping) {
  if (grouping.labels.empty()) return grouping.without ? " without" : "";
  return std::string(grouping.without ? " without (" : " by (") + join(grouping.labels, ", ") + ")";
}

std::string unwrap_text(const Unwrap& unwrap, int level) {
  std::string out = "\n" + indent(level) + "| unwrap ";
  out += unwrap.conversion.empty() ? unwrap.label : unwrap.conversion + "(" + unwrap.label + ")";
  for (const auto& filter : unwrap.filters) out += "\n" + indent(level) + "| " + print(*filter);
  return out;
}

std::string matching_text(const Binary& binary) {
  std::string out(operator_text(binary.op));
  if (binary.return_bool) out += " bool";
  const Matching& m = binary.matching;
  if (m.labels.empty()) return out;
  out += std::string(m.on ? " on (" : " ignoring (") + join(m.labels, ", ") + ") ";
  if (m.card != Cardinality::one_to_one) out += m.card == Cardinality::many_to_one ? "group_left" : "group_right";
  if (!m.include.empty()) out += " (" + join(m.include, ", ") + ")";
  return out;
}

// Of what does not fit on a line.
struct Layout {
  int level;
  std::string call(const std::string& head, const std::vector<std::string>& arguments) const {
    return indent(level) + head + "(\n" + join(arguments, ",\n") + "\n" + indent(level) + ")";
  }
  std::string operator()(const Selector& selector) const { return selector_text(selector, level); }
  std::string operator()(const RangeAggregation& range) const {
    std::string inner = selector_text(range.selector, level + 1);
    if (range.unwrap) inner += unwrap_text(*range.unwrap, level + 2);
    inner += " [" + duration_text(range.range) + "]";
    if (range.offset != 0) inner += " offset " + duration_text(range.offset);
    std::vector<std::string> arguments{std::move(inner)};
    if (range.has_param) arguments.insert(arguments.begin(), indent(level + 1) + metrics::format_general(range.param));
    return call(range.op, arguments) + (range.grouping ? grouping_text(*range.grouping) : "");
  }
  std::string operator()(const VectorAggregation& aggregation) const {
    std::vector<std::string> arguments{layout(*aggregation.inner, level + 1)};
    if (aggregation.k > 0) arguments.insert(arguments.begin(), indent(level + 1) + std::to_string(aggregation.k));
    return call(aggregation.op + (aggregation.has_grouping ? grouping_text(aggregation.grouping) : ""), arguments);
  }
  std::string operator()(const Binary& binary) const {
    return layout(*binary.left, level + 1) + "\n" + indent(level) + matching_text(binary) + "\n" +
           layout(*binary.right, level + 1);
  }
  std::string operator()(const LabelReplace& replace) const {
    std::vector<std::string> arguments{layout(*replace.inner, level + 1)};
    for (const std::string* text : {&replace.destination, &replace.replacement, &replace.source, &replace.pattern})
      arguments.push_back(indent(level + 1) + metrics::quote(*text));
    return call("label_replace", arguments);
  }
  std::string operator()(const auto& literal) const { return indent(level) + print(Expr{literal}); }
};

std::string layout(const Expr& expr, int level) {
  const std::string whole = print(expr);
  return whole.size() <= kLineMax ? indent(level) + whole : std::visit(Layout{level}, expr.node);
}

}  // namespace

std::string pretty(const Expr& expr) {
  return layout(expr, 0);
}

}  // namespace caisson::logs::logql
