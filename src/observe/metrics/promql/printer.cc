// SPDX-License-Identifier: Apache-2.0
// A tree as text: on one line, and split over lines where it would be longer than 100 characters (format_query).
#include <algorithm>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"

namespace caisson::metrics::promql {
namespace {

constexpr std::size_t kLineMax = 100;

std::string label_list(const std::vector<std::string>& labels) {
  std::vector<std::string> shown;
  for (const std::string& label : labels) shown.push_back(is_plain_label_name(label) ? label : quote(label));
  return " (" + join(shown, ", ") + ")";
}

std::string literal_duration(double seconds) {
  const std::string text = format_duration(static_cast<std::int64_t>(std::abs(seconds) * 1e9) / 1'000'000);
  return seconds < 0 ? "-" + text : text;
}

std::string duration_text(std::int64_t ms, const std::unique_ptr<DurationExpr>& expr) {
  return expr ? print(*expr) : format_duration(ms);
}

std::string offset_text(const TimeShift& shift) {
  if (!shift.offset_expr && shift.offset_ms == 0) return {};
  return " offset " + duration_text(shift.offset_ms, shift.offset_expr);
}

std::string at_text(const TimeShift& shift) {
  if (shift.timestamp) {
    char buffer[48];
    std::snprintf(buffer, sizeof buffer, " @ %.3f", static_cast<double>(*shift.timestamp) / 1000);
    return buffer;
  }
  if (shift.preprocessor == Tok::end) return {};
  return shift.preprocessor == Tok::start ? " @ start()" : " @ end()";
}

std::string extension_text(const VectorSelector& selector) {
  return selector.anchored ? " anchored" : selector.smoothed ? " smoothed" : "";
}

std::string selector_text(const VectorSelector& node) {
  std::vector<std::string> matchers;
  for (const Matcher& m : node.matchers) {
    const bool is_name =
        m.name == kMetricName && m.type == MatchType::equal && m.value == node.name && !m.value.empty();
    if (!is_name) matchers.push_back(m.str());
  }
  std::sort(matchers.begin(), matchers.end());
  return matchers.empty() ? node.name : node.name + "{" + join(matchers, ",") + "}";
}

std::string matrix_text(const MatrixSelector& node) {
  const auto& selector = static_cast<const VectorSelector&>(*node.selector);
  return selector_text(selector) + "[" + duration_text(node.range_ms, node.range_expr) + "]" +
         extension_text(selector) + at_text(selector.shift) + offset_text(selector.shift);
}

std::string subquery_suffix(const Subquery& node) {
  const bool has_step = node.step_expr || node.step_ms != 0;
  return "[" + duration_text(node.range_ms, node.range_expr) + ":" +
         (has_step ? duration_text(node.step_ms, node.step_expr) : "") + "]" + at_text(node.shift) +
         offset_text(node.shift);
}

std::string operator_text(const Binary& node) {
  std::string out(spelling(node.op));
  if (node.return_bool) out += " bool";
  const Matching& m = node.matching;
  const bool grouped = m.card == Cardinality::many_to_one || m.card == Cardinality::one_to_many;
  if (!node.matches_vectors) return out;
  if (!m.labels.empty() || m.on || grouped) out += (m.on ? " on" : " ignoring") + label_list(m.labels);
  if (grouped) out += (m.card == Cardinality::many_to_one ? " group_left" : " group_right") + label_list(m.include);
  const auto fill = [](std::string_view word, double value) {
    return std::string(word) + " (" + format_general(value) + ")";
  };
  if (m.fill_left && m.fill_right && *m.fill_left == *m.fill_right) return out + fill(" fill", *m.fill_left);
  if (m.fill_left) out += fill(" fill_left", *m.fill_left);
  if (m.fill_right) out += fill(" fill_right", *m.fill_right);
  return out;
}

std::string aggregation_text(const Aggregate& node) {
  std::string out(spelling(node.op));
  if (node.without) return out + " without" + label_list(node.grouping) + " ";
  if (!node.grouping.empty()) out += " by" + label_list(node.grouping) + " ";
  return out;
}

std::string duration_expr_text(const DurationExpr& node) {
  std::string out;
  if (node.op == Tok::step || node.op == Tok::range)
    out = std::string(spelling(node.op)) + "()";
  else if (node.op == Tok::max_of || node.op == Tok::min_of)
    out = std::string(spelling(node.op)) + "(" + print(*node.lhs) + ", " + print(*node.rhs) + ")";
  else if (!node.lhs)
    out = (node.op == Tok::sub ? "-" : "") + print(*node.rhs);
  else
    out = print(*node.lhs) + " " + std::string(spelling(node.op)) + " " + print(*node.rhs);
  return node.wrapped ? "(" + out + ")" : out;
}

std::string argument_list(const std::vector<ExprPtr>& args) {
  std::vector<std::string> shown;
  for (const ExprPtr& arg : args) shown.push_back(print(*arg));
  return join(shown, ", ");
}

std::string indent(int level) {
  return std::string(2 * level, ' ');
}

std::string split_text(const Expr& expr, int level);

std::string aggregate_split(const Aggregate& node, int level) {
  std::string out = indent(level) + aggregation_text(node) + "(\n";
  if (node.param) out += split_text(*node.param, level + 1) + ",\n";
  return out + split_text(*node.expr, level + 1) + "\n" + indent(level) + ")";
}

std::string call_split(const Call& node, int level) {
  std::vector<std::string> args;
  for (const ExprPtr& arg : node.args) args.push_back(split_text(*arg, level + 1));
  return indent(level) + std::string(node.function->name) + "(\n" + join(args, ",\n") + "\n" + indent(level) + ")";
}

std::string split_text(const Expr& expr, int level) {
  const std::string whole = print(expr);
  if (const auto* node = as<StepInvariant>(&expr)) return split_text(*node->expr, level);
  if (const auto* node = as<Unary>(&expr))
    return indent(level) + std::string(spelling(node->op)) + std::string(trim(split_text(*node->expr, level)));
  if (const auto* node = as<Subquery>(&expr); node && whole.size() > kLineMax)
    return split_text(*node->expr, level) + subquery_suffix(*node);
  if (expr.kind == ExprKind::subquery) return whole;
  if (whole.size() > kLineMax) {
    if (const auto* node = as<Aggregate>(&expr)) return aggregate_split(*node, level);
    if (const auto* node = as<Call>(&expr)) return call_split(*node, level);
    if (const auto* node = as<Paren>(&expr))
      return indent(level) + "(\n" + split_text(*node->expr, level + 1) + "\n" + indent(level) + ")";
    if (const auto* node = as<Binary>(&expr))
      return split_text(*node->lhs, level + 1) + "\n" + indent(level) + operator_text(*node) + "\n" +
             split_text(*node->rhs, level + 1);
  }
  return indent(level) + whole;
}

}  // namespace

std::string print(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::number: {
      const auto& node = static_cast<const NumberLiteral&>(expr);
      return node.is_duration ? literal_duration(node.value) : format_fixed(node.value);
    }
    case ExprKind::string:
      return quote(static_cast<const StringLiteral&>(expr).value);
    case ExprKind::duration:
      return duration_expr_text(static_cast<const DurationExpr&>(expr));
    case ExprKind::selector: {
      const auto& node = static_cast<const VectorSelector&>(expr);
      return selector_text(node) + at_text(node.shift) + extension_text(node) + offset_text(node.shift);
    }
    case ExprKind::matrix:
      return matrix_text(static_cast<const MatrixSelector&>(expr));
    case ExprKind::subquery: {
      const auto& node = static_cast<const Subquery&>(expr);
      return print(*node.expr) + subquery_suffix(node);
    }
    case ExprKind::call: {
      const auto& node = static_cast<const Call&>(expr);
      return std::string(node.function->name) + "(" + argument_list(node.args) + ")";
    }
    case ExprKind::aggregate: {
      const auto& node = static_cast<const Aggregate&>(expr);
      return aggregation_text(node) + "(" + (node.param ? print(*node.param) + ", " : "") + print(*node.expr) + ")";
    }
    case ExprKind::binary: {
      const auto& node = static_cast<const Binary&>(expr);
      return print(*node.lhs) + " " + operator_text(node) + " " + print(*node.rhs);
    }
    case ExprKind::unary: {
      const auto& node = static_cast<const Unary&>(expr);
      return std::string(spelling(node.op)) + print(*node.expr);
    }
    case ExprKind::paren:
      return "(" + print(*static_cast<const Paren&>(expr).expr) + ")";
    case ExprKind::step_invariant:
      return print(*static_cast<const StepInvariant&>(expr).expr);
  }
  return {};
}

std::string pretty(const Expr& expr) {
  return split_text(expr, 0);
}

}  // namespace caisson::metrics::promql
