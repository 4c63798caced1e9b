// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/preprocess.h"

#include <algorithm>
#include <cmath>

#include "observe/metrics/promql/parser.h"

namespace caisson::metrics::promql {
namespace {

struct QueryTimes {
  std::int64_t start, end, step;
};

bool is_any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void fold_context(ExprPtr& expr, const QueryTimes& times) {
  if (const auto* call = as<Call>(expr.get()); call && call->args.empty()) {
    const std::string_view name = call->function->name;
    if (is_any_of(name, {"start", "end", "range", "step"})) {
      auto number = std::make_unique<NumberLiteral>();
      number->at = call->at;
      const std::int64_t ms = name == "start"            ? times.start
                              : name == "end"            ? times.end
                              : name == "range"          ? times.end - times.start
                              : times.start == times.end ? 0
                                                         : times.step;
      number->value = static_cast<double>(ms) / 1000;
      expr = std::move(number);
      return;
    }
  }
  for_each_child(*expr, [&](ExprPtr& child) { fold_context(child, times); });
}

// "5:9: what": byte offsets, as upstream shows them here.
Error duration_error(const Expr& expr, std::string_view what) {
  return {ErrorCode::bad_request,
          std::to_string(expr.at.start) + ":" + std::to_string(expr.at.end) + ": " + std::string(what)};
}

Result<double> seconds_of(const Expr& expr, const QueryTimes& times) {
  if (const auto* number = as<NumberLiteral>(&expr)) return number->value;
  const auto& node = static_cast<const DurationExpr&>(expr);
  const double left = node.lhs ? TRY(seconds_of(*node.lhs, times)) : 0;
  const double right = node.rhs ? TRY(seconds_of(*node.rhs, times)) : 0;
  switch (node.op) {
    case Tok::step:
      return static_cast<double>(times.step) / 1000;
    case Tok::range:
      return static_cast<double>(times.end - times.start) / 1000;
    case Tok::min_of:
      return std::fmin(left, right);
    case Tok::max_of:
      return std::fmax(left, right);
    case Tok::add:
      return left + right;
    case Tok::sub:
      return left - right;
    case Tok::mul:
      return left * right;
    case Tok::pow:
      return std::pow(left, right);
    case Tok::div:
      if (right == 0) return duration_error(expr, "division by zero");
      return left / right;
    default:
      if (right == 0) return duration_error(expr, "modulo by zero");
      return std::fmod(left, right);
  }
}

Result<void> resolve(const std::unique_ptr<DurationExpr>& expr, bool may_be_negative, const QueryTimes& times,
                     std::int64_t& ms) {
  if (!expr) return {};
  const double seconds = TRY(seconds_of(*expr, times));
  if (!std::isfinite(seconds)) return duration_error(*expr, "duration is NaN or infinite");
  if (seconds <= 0 && !may_be_negative) return duration_error(*expr, "duration must be greater than 0");
  if (std::fabs(seconds) > 9223372036.0) return duration_error(*expr, "duration is out of range");
  ms = static_cast<std::int64_t>(seconds * 1000);
  return {};
}

Result<void> resolve_durations(Expr& expr, const QueryTimes& times) {
  if (auto* node = as<VectorSelector>(&expr)) TRY(resolve(node->shift.offset_expr, true, times, node->shift.offset_ms));
  if (auto* node = as<MatrixSelector>(&expr)) TRY(resolve(node->range_expr, false, times, node->range_ms));
  if (auto* node = as<Subquery>(&expr)) {
    TRY(resolve(node->shift.offset_expr, true, times, node->shift.offset_ms));
    TRY(resolve(node->step_expr, false, times, node->step_ms));
    TRY(resolve(node->range_expr, false, times, node->range_ms));
  }
  Result<void> result;
  for_each_child(expr, [&](ExprPtr& child) {
    if (result.ok()) result = resolve_durations(*child, times);
  });
  return result;
}

void fix_timestamp(TimeShift& shift, const QueryTimes& times) {
  if (shift.preprocessor == Tok::start) shift.timestamp = times.start;
  if (shift.preprocessor == Tok::end_fn) shift.timestamp = times.end;
}

void unwrap_parens(ExprPtr& expr) {
  while (auto* paren = as<Paren>(expr.get())) expr = std::move(paren->expr);
}

void wrap(ExprPtr& expr) {
  auto node = std::make_unique<StepInvariant>();
  node->at = expr->at;
  node->expr = std::move(expr);
  expr = std::move(node);
}

struct Invariance {
  bool invariant = false;
  bool worth_wrapping = false;  // a number is invariant, but costs nothing
};

Invariance mark(Expr& expr, const QueryTimes& times);

Invariance mark_call(Call& call, const QueryTimes& times) {
  const std::string_view name = call.function->name;
  bool invariant =
      !is_any_of(name, {"days_in_month", "day_of_month", "day_of_week", "day_of_year", "end", "hour", "minute", "month",
                        "year", "predict_linear", "range", "start", "step", "time", "timestamp"});
  bool timestamp_of_selectors = name == "timestamp";
  std::vector<bool> wraps(call.args.size());
  for (std::size_t i = 0; i < call.args.size(); ++i) {
    unwrap_parens(call.args[i]);
    const Invariance arg = mark(*call.args[i], times);
    wraps[i] = arg.worth_wrapping;
    if (name == "info" && i == 1) {
      wraps[i] = false;
      continue;
    }
    invariant = invariant && arg.invariant;
    if (!arg.invariant || call.args[i]->kind != ExprKind::selector) timestamp_of_selectors = false;
  }
  if (name == "info") invariant = invariant && time_reference(*call.args[0]).uniform;
  if (invariant || timestamp_of_selectors) return {true, true};
  for (std::size_t i = 0; i < call.args.size(); ++i)
    if (wraps[i]) wrap(call.args[i]);
  return {};
}

Invariance mark(Expr& expr, const QueryTimes& times) {
  switch (expr.kind) {
    case ExprKind::number:
    case ExprKind::string:
      return {true, false};
    case ExprKind::selector: {
      TimeShift& shift = static_cast<VectorSelector&>(expr).shift;
      fix_timestamp(shift, times);
      return {shift.timestamp.has_value(), shift.timestamp.has_value()};
    }
    case ExprKind::matrix:
      return {mark(*static_cast<MatrixSelector&>(expr).selector, times).invariant, false};
    case ExprKind::subquery: {
      auto& node = static_cast<Subquery&>(expr);
      if (mark(*node.expr, times).invariant) wrap(node.expr);
      fix_timestamp(node.shift, times);
      return {node.shift.timestamp.has_value(), false};
    }
    case ExprKind::aggregate: {
      auto& node = static_cast<Aggregate&>(expr);
      unwrap_parens(node.expr);
      if (node.param) unwrap_parens(node.param);
      Invariance of = mark(*node.expr, times);
      if (!node.param) return of;
      const Invariance param = mark(*node.param, times);
      if (of.invariant && param.invariant) return of;
      if (of.worth_wrapping) wrap(node.expr);
      if (param.worth_wrapping) wrap(node.param);
      return {};
    }
    case ExprKind::binary: {
      auto& node = static_cast<Binary&>(expr);
      const Invariance left = mark(*node.lhs, times), right = mark(*node.rhs, times);
      if (left.invariant && right.invariant) return {true, true};
      if (left.worth_wrapping) wrap(node.lhs);
      if (right.worth_wrapping) wrap(node.rhs);
      return {};
    }
    case ExprKind::call:
      return mark_call(static_cast<Call&>(expr), times);
    case ExprKind::unary:
      return mark(*static_cast<Unary&>(expr).expr, times);
    case ExprKind::paren:
      return mark(*static_cast<Paren&>(expr).expr, times);
    default:
      return {};
  }
}

// What stands around a selector.
struct Around {
  bool reads_stats = false;    // histogram_count and the like
  bool needs_buckets = false;  // something that looks at buckets, or at histograms as a whole
};

void mark_stats(Expr& expr, Around around) {
  if (auto* selector = as<VectorSelector>(&expr)) selector->stats_only = around.reads_stats && !around.needs_buckets;
  if (expr.kind == ExprKind::subquery) around.needs_buckets = true;
  if (const auto* call = as<Call>(&expr)) {
    const std::string_view name = call->function->name;
    if (is_any_of(name, {"histogram_count", "histogram_sum", "histogram_avg", "timestamp", "absent"}))
      around.reads_stats = true;
    if (is_any_of(name, {"histogram_quantile", "histogram_quantiles", "histogram_fraction", "histogram_stddev",
                         "histogram_stdvar", "changes"}))
      around.needs_buckets = true;
  }
  if (const auto* node = as<Aggregate>(&expr)) around.needs_buckets |= node->op == Tok::count_values;
  if (const auto* node = as<Binary>(&expr))
    around.needs_buckets |=
        node->op == Tok::trim_upper || node->op == Tok::trim_lower || node->op == Tok::eq || node->op == Tok::ne;
  for_each_child(expr, [&](ExprPtr& child) { mark_stats(*child, around); });
}

class ReferenceFinder {
 public:
  // Whether `expr` has a selector; `path` holds the subqueries around it, outermost first.
  bool visit(Expr& expr) {
    if (type_of(expr) != ValueType::vector && type_of(expr) != ValueType::matrix) return false;
    if (const auto* selector = as<VectorSelector>(&expr)) {
      found(selector->shift);
      return true;
    }
    if (const auto* subquery = as<Subquery>(&expr)) path_.push_back(&subquery->shift);
    bool has_selector = false;
    if (auto* call = as<Call>(&expr); call && call->function->name == "info")
      has_selector = visit(*call->args[0]);
    else
      for_each_child(expr, [&](ExprPtr& child) { has_selector |= visit(*child); });
    if (expr.kind == ExprKind::subquery) path_.pop_back();
    if (!has_selector) without_selector_ = true;
    return has_selector;
  }

  TimeReference result() const {
    if (!first_) return {};
    TimeReference reference = *first_;
    reference.uniform = agree_ && !without_selector_;
    return reference;
  }

 private:
  void found(const TimeShift& shift) {
    TimeReference reference{shift.timestamp, shift.offset_ms, false};
    for (auto around = path_.rbegin(); !reference.timestamp && around != path_.rend(); ++around) {
      reference.offset_ms += (*around)->offset_ms;
      reference.timestamp = (*around)->timestamp;
    }
    if (!first_) {
      first_ = reference;
      return;
    }
    const bool both_fixed = first_->timestamp && reference.timestamp;
    const bool same = both_fixed
                          ? *first_->timestamp - first_->offset_ms == *reference.timestamp - reference.offset_ms
                          : !first_->timestamp && !reference.timestamp && first_->offset_ms == reference.offset_ms;
    if (!same) agree_ = false;
  }

  std::vector<const TimeShift*> path_;
  std::optional<TimeReference> first_;
  bool agree_ = true;
  bool without_selector_ = false;
};

}  // namespace

Result<void> preprocess(ExprPtr& expr, std::int64_t start, std::int64_t end, std::int64_t step) {
  const QueryTimes times{start, end, step};
  mark_stats(*expr, {});
  fold_context(expr, times);
  TRY(resolve_durations(*expr, times));
  if (mark(*expr, times).worth_wrapping) wrap(expr);
  return {};
}

TimeReference time_reference(Expr& expr) {
  ReferenceFinder finder;
  finder.visit(expr);
  return finder.result();
}

}  // namespace caisson::metrics::promql
