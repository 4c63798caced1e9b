// SPDX-License-Identifier: Apache-2.0
// The tree of a parsed query. Times and durations are milliseconds. A tree is changed only by the parser and by
// preprocess().
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "observe/metrics/model/labels.h"
#include "observe/metrics/promql/token.h"

namespace caisson::metrics::promql {

enum class ValueType : std::uint8_t { none, scalar, vector, matrix, string };
std::string_view documented_type(ValueType type);  // "instant vector"
std::string_view api_type(ValueType type);         // "vector"

struct PositionRange {
  std::int32_t start = 0;  // byte offsets
  std::int32_t end = 0;
};
// "1:5": line and column of the start.
std::string line_and_column(std::string_view query, PositionRange at);

enum class ExprKind : std::uint8_t {
  number,
  string,
  duration,
  selector,
  matrix,
  subquery,
  call,
  aggregate,
  binary,
  unary,
  paren,
  step_invariant
};

struct Expr {
  explicit Expr(ExprKind k) : kind(k) {}
  virtual ~Expr() = default;
  const ExprKind kind;
  PositionRange at;
};
using ExprPtr = std::unique_ptr<Expr>;

// The node as T when it is one, else null.
template <class T>
T* as(Expr* expr) {
  return expr && expr->kind == T::kKind ? static_cast<T*>(expr) : nullptr;
}
template <class T>
const T* as(const Expr* expr) {
  return expr && expr->kind == T::kKind ? static_cast<const T*>(expr) : nullptr;
}

template <ExprKind K>
struct ExprOf : Expr {
  static constexpr ExprKind kKind = K;
  ExprOf() : Expr(K) {}
};

struct NumberLiteral : ExprOf<ExprKind::number> {
  double value = 0;
  bool is_duration = false;  // written as one: 5m
};

struct StringLiteral : ExprOf<ExprKind::string> {
  std::string value;
};

// Arithmetic on durations within [ ] and behind offset. Operands are DurationExpr or NumberLiteral (seconds).
struct DurationExpr : ExprOf<ExprKind::duration> {
  Tok op = Tok::add;  // + - * / % ^, step, range, max_of, min_of
  ExprPtr lhs;        // null: unary
  ExprPtr rhs;
  bool wrapped = false;  // in parentheses
};

// offset and @, which selectors and subqueries share.
struct TimeShift {
  std::int64_t offset_ms = 0;
  std::unique_ptr<DurationExpr> offset_expr;
  std::optional<std::int64_t> timestamp;  // of @
  Tok preprocessor = Tok::end;            // @ start() and @ end(), until preprocess() makes it a timestamp
};

struct VectorSelector : ExprOf<ExprKind::selector> {
  std::string name;  // when it stands before the braces
  std::vector<Matcher> matchers;
  TimeShift shift;
  bool anchored = false;
  bool smoothed = false;
  bool may_be_empty = false;  // the label selector of info()
  bool stats_only = false;    // of native histograms only count and sum are looked at; set by preprocess()
};

struct MatrixSelector : ExprOf<ExprKind::matrix> {
  ExprPtr selector;  // a VectorSelector once checked
  std::int64_t range_ms = 0;
  std::unique_ptr<DurationExpr> range_expr;
};

struct Subquery : ExprOf<ExprKind::subquery> {
  ExprPtr expr;
  std::int64_t range_ms = 0;
  std::int64_t step_ms = 0;  // 0: the default
  std::unique_ptr<DurationExpr> range_expr;
  std::unique_ptr<DurationExpr> step_expr;
  TimeShift shift;
};

struct Function;

struct Call : ExprOf<ExprKind::call> {
  const Function* function = nullptr;
  std::vector<ExprPtr> args;
};

struct Aggregate : ExprOf<ExprKind::aggregate> {
  Tok op = Tok::sum;
  ExprPtr expr;
  ExprPtr param;  // of topk, quantile …
  std::vector<std::string> grouping;
  bool without = false;
};

enum class Cardinality : std::uint8_t { one_to_one, many_to_one, one_to_many, many_to_many };

struct Matching {
  Cardinality card = Cardinality::one_to_one;
  std::vector<std::string> labels;
  bool on = false;
  std::vector<std::string> include;  // of group_left, group_right
  std::optional<double> fill_left, fill_right;
};

struct Binary : ExprOf<ExprKind::binary> {
  Tok op = Tok::add;
  ExprPtr lhs;
  ExprPtr rhs;
  bool return_bool = false;
  Matching matching;
  bool matches_vectors = true;  // both sides are vectors: `matching` has a meaning
};

struct Unary : ExprOf<ExprKind::unary> {
  Tok op = Tok::sub;
  ExprPtr expr;
};

struct Paren : ExprOf<ExprKind::paren> {
  ExprPtr expr;
};

// Gives the same at every step: evaluated once. Made by preprocess().
struct StepInvariant : ExprOf<ExprKind::step_invariant> {
  ExprPtr expr;
};

ValueType type_of(const Expr& expr);

// Every child, in order. `visit` is called with a reference to the owning pointer, so it may replace it.
template <class Visit>
void for_each_child(Expr& expr, Visit visit) {
  const auto one = [&](ExprPtr& child) {
    if (child) visit(child);
  };
  switch (expr.kind) {
    case ExprKind::matrix:
      return one(static_cast<MatrixSelector&>(expr).selector);
    case ExprKind::subquery:
      return one(static_cast<Subquery&>(expr).expr);
    case ExprKind::call:
      for (ExprPtr& arg : static_cast<Call&>(expr).args) one(arg);
      return;
    case ExprKind::aggregate:
      one(static_cast<Aggregate&>(expr).expr);
      return one(static_cast<Aggregate&>(expr).param);
    case ExprKind::binary:
      one(static_cast<Binary&>(expr).lhs);
      return one(static_cast<Binary&>(expr).rhs);
    case ExprKind::unary:
      return one(static_cast<Unary&>(expr).expr);
    case ExprKind::paren:
      return one(static_cast<Paren&>(expr).expr);
    case ExprKind::step_invariant:
      return one(static_cast<StepInvariant&>(expr).expr);
    default:
      return;
  }
}

}  // namespace caisson::metrics::promql
