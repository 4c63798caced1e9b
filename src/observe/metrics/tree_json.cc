// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/tree_json.h"

#include "observe/metrics/api/response.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"

namespace caisson::metrics {
namespace {

using namespace promql;  // the nodes

Value texts(const std::vector<std::string>& list) {
  return list.empty() ? Value::list() : Value::list_of(list);
}

Value child(const Expr* expr) {
  return expr ? tree_value(*expr) : Value();
}

// Within durations a number says whether it was written as one.
Value duration_value(const Expr* expr) {
  if (!expr) return Value();
  if (const auto* node = as<DurationExpr>(expr))
    return Value{{"lhs", duration_value(node->lhs.get())},
                 {"op", spelling(node->op)},
                 {"rhs", duration_value(node->rhs.get())},
                 {"type", "durationExpr"},
                 {"wrapped", node->wrapped}};
  if (const auto* number = as<NumberLiteral>(expr))
    return Value{{"duration", number->is_duration}, {"type", "numberLiteral"}, {"val", format_fixed(number->value)}};
  return tree_value(*expr);
}

std::string_view sign(MatchType type) {
  switch (type) {
    case MatchType::equal:
      return "=";
    case MatchType::not_equal:
      return "!=";
    case MatchType::regex:
      return "=~";
    default:
      return "!~";
  }
}

Value matchers_value(const std::vector<Matcher>& matchers) {
  Value out = Value::list();
  for (const Matcher& one : matchers)
    out.push_back(Value{{"name", one.name}, {"type", sign(one.type)}, {"value", one.value}});
  return out;
}

void set_shift(Value& out, const TimeShift& shift) {
  out.set("offset", shift.offset_ms);
  out.set("offsetExpr", duration_value(shift.offset_expr.get()));
  out.set("startOrEnd", shift.preprocessor == Tok::end ? Value() : Value(spelling(shift.preprocessor)));
  out.set("timestamp", shift.timestamp ? Value(*shift.timestamp) : Value());
}

Value selector_value(const VectorSelector& node, std::string_view type) {
  Value out{{"type", type}, {"name", node.name}, {"matchers", matchers_value(node.matchers)}};
  set_shift(out, node.shift);
  out.set("anchored", node.anchored);
  out.set("smoothed", node.smoothed);
  return out;
}

Value matching_value(const Matching& matching) {
  constexpr std::string_view kCards[] = {"one-to-one", "many-to-one", "one-to-many", "many-to-many"};
  const auto fill = [](const std::optional<double>& value) { return value ? Value(*value) : Value(); };
  return Value{{"card", kCards[static_cast<std::size_t>(matching.card)]},
               {"fillValues", Value{{"lhs", fill(matching.fill_left)}, {"rhs", fill(matching.fill_right)}}},
               {"include", texts(matching.include)},
               {"labels", texts(matching.labels)},
               {"on", matching.on}};
}

Value function_value(const promql::Function& function) {
  Value types = Value::list();
  for (std::size_t i = 0; i < function.arg_count; ++i) types.push_back(Value(api_type(function.args[i])));
  return Value{{"argTypes", types},
               {"name", function.name},
               {"returnType", api_type(function.result)},
               {"variadic", static_cast<std::int64_t>(function.variadic)}};
}

Value call_value(const Call& node) {
  Value args = Value::list();
  for (const ExprPtr& arg : node.args) args.push_back(tree_value(*arg));
  return Value{{"type", "call"}, {"func", function_value(*node.function)}, {"args", args}};
}

Value subquery_value(const Subquery& node) {
  Value out{{"type", "subquery"},     {"expr", tree_value(*node.expr)},
            {"range", node.range_ms}, {"rangeExpr", duration_value(node.range_expr.get())},
            {"step", node.step_ms},   {"stepExpr", duration_value(node.step_expr.get())}};
  set_shift(out, node.shift);
  return out;
}

Value matrix_value(const MatrixSelector& node) {
  Value out = selector_value(*as<VectorSelector>(node.selector.get()), "matrixSelector");
  out.set("range", node.range_ms);
  out.set("rangeExpr", duration_value(node.range_expr.get()));
  return out;
}

}  // namespace

Value tree_value(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::number:
      return Value{{"type", "numberLiteral"}, {"val", format_fixed(as<NumberLiteral>(&expr)->value)}};
    case ExprKind::string:
      return Value{{"type", "stringLiteral"}, {"val", as<StringLiteral>(&expr)->value}};
    case ExprKind::duration:
      return duration_value(&expr);
    case ExprKind::selector:
      return selector_value(*as<VectorSelector>(&expr), "vectorSelector");
    case ExprKind::matrix:
      return matrix_value(*as<MatrixSelector>(&expr));
    case ExprKind::subquery:
      return subquery_value(*as<Subquery>(&expr));
    case ExprKind::call:
      return call_value(*as<Call>(&expr));
    case ExprKind::aggregate: {
      const auto& node = *as<Aggregate>(&expr);
      return Value{{"type", "aggregation"},
                   {"op", spelling(node.op)},
                   {"expr", child(node.expr.get())},
                   {"param", child(node.param.get())},
                   {"grouping", texts(node.grouping)},
                   {"without", node.without}};
    }
    case ExprKind::binary: {
      const auto& node = *as<Binary>(&expr);
      return Value{{"type", "binaryExpr"},
                   {"op", spelling(node.op)},
                   {"lhs", child(node.lhs.get())},
                   {"rhs", child(node.rhs.get())},
                   {"matching", node.matches_vectors ? matching_value(node.matching) : Value()},
                   {"bool", node.return_bool}};
    }
    case ExprKind::unary: {
      const auto& node = *as<Unary>(&expr);
      return Value{{"type", "unaryExpr"}, {"op", spelling(node.op)}, {"expr", child(node.expr.get())}};
    }
    case ExprKind::paren:
      return Value{{"type", "parenExpr"}, {"expr", child(as<Paren>(&expr)->expr.get())}};
    case ExprKind::step_invariant:  // made when a query is run, not by the parser
      return child(as<StepInvariant>(&expr)->expr.get());
  }
  return Value();
}

http::Response answer_parse_query(const http::Query& parameters) {
  const auto expr = promql::parse(http::query_get(parameters, "query"));
  if (expr.ok()) return data_response(tree_value(**expr));
  return error_response({ErrorCode::bad_request, "invalid parameter \"query\": " + expr.error().message});
}

}  // namespace caisson::metrics
