// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/check.h"

#include <algorithm>

#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parse_state.h"

namespace caisson::metrics::promql {
namespace {

std::string quoted(Tok op) {
  return quote(spelling(op));
}
std::string documented(ValueType type) {
  return std::string(documented_type(type));
}

class Checker {
 public:
  explicit Checker(std::string_view query) : query_(query) {}

  Result<void> visit(Expr& expr) {
    switch (expr.kind) {
      case ExprKind::aggregate:
        return aggregate(static_cast<Aggregate&>(expr));
      case ExprKind::binary:
        return binary(static_cast<Binary&>(expr));
      case ExprKind::call:
        return call(static_cast<Call&>(expr));
      case ExprKind::unary:
        return unary(static_cast<Unary&>(expr));
      case ExprKind::subquery:
        return subquery(static_cast<Subquery&>(expr));
      case ExprKind::selector:
        return selector(static_cast<VectorSelector&>(expr));
      case ExprKind::matrix:
        return visit(*static_cast<MatrixSelector&>(expr).selector);
      case ExprKind::paren:
        return visit(*static_cast<Paren&>(expr).expr);
      default:
        return {};
    }
  }

 private:
  Error fail(PositionRange at, const std::string& message) const { return parse_error(query_, at, message); }

  Result<void> expect(Expr& expr, ValueType wanted, const std::string& context) {
    TRY(visit(expr));
    if (type_of(expr) == wanted) return {};
    return fail(expr.at,
                "expected type " + documented(wanted) + " in " + context + ", got " + documented(type_of(expr)));
  }

  Result<void> aggregate(Aggregate& node) {
    TRY(expect(*node.expr, ValueType::vector, "aggregation expression"));
    if (!node.param) return {};
    return expect(*node.param, node.op == Tok::count_values ? ValueType::string : ValueType::scalar,
                  "aggregation parameter");
  }

  // The operator alone, without the blanks around it.
  PositionRange operator_range(const Binary& node) const {
    PositionRange at{node.lhs->at.end, node.rhs->at.start};
    const auto is_blank = [&](std::int32_t i) {
      return std::string_view(" \t\r\n").find(query_[i]) != std::string_view::npos;
    };
    while (at.start < at.end && is_blank(at.start)) ++at.start;
    while (at.end > at.start && is_blank(at.end - 1)) --at.end;
    return at;
  }

  Result<void> binary(Binary& node) {
    TRY(visit(*node.lhs));
    TRY(visit(*node.rhs));
    const ValueType left = type_of(*node.lhs), right = type_of(*node.rhs);
    Matching& m = node.matching;
    if (node.return_bool && !is_comparison(node.op))
      return fail(operator_range(node), "bool modifier can only be used on comparison operators");
    if (is_comparison(node.op) && !node.return_bool && left == ValueType::scalar && right == ValueType::scalar)
      return fail(operator_range(node), "comparisons between scalars must use BOOL modifier");
    if (is_set_operator(node.op) && m.card == Cardinality::one_to_one) m.card = Cardinality::many_to_many;
    for (const std::string& label : m.labels)
      if (m.on && std::find(m.include.begin(), m.include.end(), label) != m.include.end())
        return fail(operator_range(node), "label " + quote(label) + " must not occur in ON and GROUP clause at once");
    for (const Expr* side : {node.lhs.get(), node.rhs.get()})
      if (type_of(*side) != ValueType::scalar && type_of(*side) != ValueType::vector)
        return fail(side->at, "binary expression must contain only scalar and instant vector types");
    return left == ValueType::vector && right == ValueType::vector ? vectors(node) : with_scalar(node);
  }

  Result<void> vectors(const Binary& node) {
    const Matching& m = node.matching;
    if (!is_set_operator(node.op)) return {};
    if (m.card != Cardinality::many_to_many)
      return fail(node.at, "no grouping allowed for " + quoted(node.op) + " operation");
    if (m.fill_left || m.fill_right) return fail(node.at, "filling in missing series not allowed for set operators");
    return {};
  }

  Result<void> with_scalar(Binary& node) {
    const Matching& m = node.matching;
    if (!m.labels.empty()) return fail(node.at, "vector matching only allowed between instant vectors");
    if (m.fill_left || m.fill_right)
      return fail(node.at, "filling in missing series only allowed between instant vectors");
    if (is_set_operator(node.op))
      return fail(node.at, "set operator " + quoted(node.op) + " not allowed in binary scalar expression");
    node.matches_vectors = false;
    return {};
  }

  Result<void> argument_count(const Call& node) {
    const Function& f = *node.function;
    const std::size_t given = node.args.size(), least = f.variadic == 0 ? f.arg_count : f.arg_count - 1;
    const auto wrong = [&](std::string_view how, std::size_t wanted) {
      return fail(node.at, "expected " + std::string(how) + std::to_string(wanted) + " argument(s) in call to " +
                               quote(f.name) + ", got " + std::to_string(given));
    };
    if (f.variadic == 0) return given == least ? Result<void>() : wrong("", least);
    if (given < least) return wrong("at least ", least);
    const std::size_t most = least + static_cast<std::size_t>(std::max<int>(f.variadic, 0));
    if (f.variadic > 0 && given > most) return wrong("at most ", most);
    return {};
  }

  Result<void> info_selector(Call& node) {
    Expr& arg = *node.args[1];
    if (type_of(arg) != ValueType::vector)
      return fail(node.at,
                  "expected type instant vector in call to function \"info\", got " + documented(type_of(arg)));
    auto* selector = as<VectorSelector>(&arg);
    if (!selector) return fail(arg.at, "expected label selectors only");
    if (!selector->name.empty()) return fail(arg.at, "expected label selectors only, got vector selector instead");
    selector->may_be_empty = true;
    return {};
  }

  Result<void> call(Call& node) {
    const Function& f = *node.function;
    TRY(argument_count(node));
    if (f.name == "info" && node.args.size() > 1) TRY(info_selector(node));
    for (std::size_t i = 0; i < node.args.size(); ++i)
      TRY(expect(*node.args[i], f.args[std::min<std::size_t>(i, f.arg_count - 1)],
                 "call to function " + quote(f.name)));
    return {};
  }

  Result<void> unary(Unary& node) {
    TRY(visit(*node.expr));
    const ValueType type = type_of(*node.expr);
    if (type == ValueType::scalar || type == ValueType::vector) return {};
    return fail(node.at, "unary expression only allowed on expressions of type scalar or instant vector, got " +
                             quote(documented(type)));
  }

  Result<void> subquery(Subquery& node) {
    TRY(visit(*node.expr));
    const ValueType type = type_of(*node.expr);
    if (type == ValueType::vector) return {};
    return fail(node.at, "subquery is only allowed on instant vector, got " + std::string(api_type(type)) + " instead");
  }

  Result<void> selector(const VectorSelector& node) {
    if (!node.name.empty()) {
      for (std::size_t i = 0; i + 1 < node.matchers.size(); ++i)
        if (node.matchers[i].name == kMetricName)
          return fail(node.at, "metric name must not be set twice: " + quote(node.name) + " or " +
                                   quote(node.matchers[i].value));
      return {};
    }
    const bool selects =
        std::any_of(node.matchers.begin(), node.matchers.end(), [](const Matcher& m) { return !m.matches(""); });
    if (node.may_be_empty || selects) return {};
    return fail(node.at, "vector selector must contain at least one non-empty matcher");
  }

  std::string_view query_;
};

}  // namespace

Result<void> check(Expr& expr, std::string_view query) {
  return Checker(query).visit(expr);
}

std::string_view documented_type(ValueType type) {
  return type == ValueType::vector ? "instant vector" : type == ValueType::matrix ? "range vector" : api_type(type);
}

std::string_view api_type(ValueType type) {
  static constexpr std::string_view kNames[] = {"none", "scalar", "vector", "matrix", "string"};
  return kNames[static_cast<int>(type)];
}

ValueType type_of(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::number:
      return ValueType::scalar;
    case ExprKind::string:
      return ValueType::string;
    case ExprKind::duration:
      return ValueType::scalar;
    case ExprKind::selector:
    case ExprKind::aggregate:
      return ValueType::vector;
    case ExprKind::matrix:
    case ExprKind::subquery:
      return ValueType::matrix;
    case ExprKind::call:
      return static_cast<const Call&>(expr).function->result;
    case ExprKind::unary:
      return type_of(*static_cast<const Unary&>(expr).expr);
    case ExprKind::paren:
      return type_of(*static_cast<const Paren&>(expr).expr);
    case ExprKind::step_invariant:
      return type_of(*static_cast<const StepInvariant&>(expr).expr);
    case ExprKind::binary:
      break;
  }
  const auto& binary = static_cast<const Binary&>(expr);
  const bool scalars = type_of(*binary.lhs) == ValueType::scalar && type_of(*binary.rhs) == ValueType::scalar;
  return scalars ? ValueType::scalar : ValueType::vector;
}

std::string line_and_column(std::string_view query, PositionRange at) {
  if (query.empty()) return "unknown position";
  if (at.start < 0 || static_cast<std::size_t>(at.start) > query.size()) return "invalid position";
  const std::string_view before = query.substr(0, at.start);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return std::to_string(line) + ":" + std::to_string(at.start - line_start + 1);
}

}  // namespace caisson::metrics::promql
