// SPDX-License-Identifier: Apache-2.0
// Recursive descent with precedence climbing. The first error ends it.
#include "observe/metrics/promql/parser.h"

#include <algorithm>
#include <cmath>

#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/check.h"
#include "observe/metrics/promql/parse_state.h"

namespace caisson::metrics::promql {
namespace {

int precedence(Tok op) {
  switch (op) {
    case Tok::or_:
      return 1;
    case Tok::and_:
    case Tok::unless:
      return 2;
    case Tok::eq:
    case Tok::ne:
    case Tok::lt:
    case Tok::le:
    case Tok::gt:
    case Tok::ge:
    case Tok::trim_upper:
    case Tok::trim_lower:
      return 3;
    case Tok::add:
    case Tok::sub:
      return 4;
    case Tok::mul:
    case Tok::div:
    case Tok::mod:
    case Tok::atan2:
      return 5;
    case Tok::pow:
      return 6;
    default:
      return 0;
  }
}
constexpr int kUnaryPrecedence = 5;  // that of a product, as in mathematics: -2^2 is -(2^2)

PositionRange span_of(const Expr& first, const Expr& last) {
  return {first.at.start, last.at.end};
}

class Parser : ParseState {
 public:
  Parser(std::string_view query, const ParseOptions& options) : ParseState(query, options) {}

  Result<ExprPtr> whole() {
    if (peek().type == Tok::end) return fail({0, 0}, "no expression found in input");
    ExprPtr expr = TRY(expression(0));
    if (peek().type != Tok::end) return unexpected();
    return expr;
  }

  Result<ExprPtr> whole_selector() {
    const bool named = is_metric_name(peek().type);
    if (!named && peek().type != Tok::left_brace) return unexpected();
    const Token name = named ? take() : peek();
    ExprPtr expr = TRY(selector(named ? &name : nullptr));
    if (peek().type != Tok::end) return unexpected();
    return expr;
  }

 private:
  Result<ExprPtr> expression(int precedence_min) {
    if (++depth_ > options().depth_max) return fail(range_of(peek()), "query is nested too deeply");
    ExprPtr lhs = TRY(unary());
    while (true) {
      const Tok op = peek().type;
      const int own = precedence(op);
      if (own == 0 || own < precedence_min) break;
      take();
      lhs = TRY(binary(std::move(lhs), op, own));
    }
    --depth_;
    return lhs;
  }

  Result<ExprPtr> binary(ExprPtr lhs, Tok op, int own) {
    auto node = std::make_unique<Binary>();
    node->op = op;
    TRY(matching(*node));
    const bool right_associative = op == Tok::pow;
    node->rhs = TRY(expression(right_associative ? own : own + 1));
    node->lhs = std::move(lhs);
    node->at = span_of(*node->lhs, *node->rhs);
    return ExprPtr(std::move(node));
  }

  Result<void> matching(Binary& node) {
    node.return_bool = accept(Tok::bool_);
    Matching& m = node.matching;
    if (peek().type == Tok::on || peek().type == Tok::ignoring) {
      m.on = take().type == Tok::on;
      m.labels = TRY(grouping());
      if (peek().type == Tok::group_left || peek().type == Tok::group_right) {
        m.card = take().type == Tok::group_left ? Cardinality::many_to_one : Cardinality::one_to_many;
        if (peek().type == Tok::left_paren) m.include = TRY(grouping());
      }
    }
    if (accept(Tok::fill)) {
      m.fill_left = m.fill_right = TRY(fill_value());
      return {};
    }
    while ((peek().type == Tok::fill_left && !m.fill_left) || (peek().type == Tok::fill_right && !m.fill_right)) {
      const Tok side = take().type;
      (side == Tok::fill_left ? m.fill_left : m.fill_right) = TRY(fill_value());
    }
    return {};
  }

  Result<double> fill_value() {
    if (!accept(Tok::left_paren)) return unexpected();
    const bool negative = peek().type == Tok::sub;
    if (peek().type == Tok::sub || peek().type == Tok::add) take();
    if (peek().type != Tok::number && peek().type != Tok::duration) return unexpected();
    const auto literal = TRY(number_literal());
    if (!accept(Tok::right_paren)) return unexpected();
    return negative ? -literal->value : literal->value;
  }

  Result<ExprPtr> unary() {
    if (peek().type != Tok::add && peek().type != Tok::sub) return postfix();
    const Token op = take();
    ExprPtr operand = TRY(expression(kUnaryPrecedence + 1));
    if (auto* number = as<NumberLiteral>(operand.get())) {
      if (op.type == Tok::sub) number->value = -number->value;
      number->at.start = op.position;
      return operand;
    }
    auto node = std::make_unique<Unary>();
    node->op = op.type;
    node->at = {static_cast<std::int32_t>(op.position), operand->at.end};
    node->expr = std::move(operand);
    return ExprPtr(std::move(node));
  }

  Result<ExprPtr> postfix() {
    ExprPtr expr = TRY(primary());
    while (true) {
      switch (peek().type) {
        case Tok::left_bracket:
          expr = TRY(bracketed(std::move(expr)));
          break;
        case Tok::offset:
          take();
          TRY(offset(*expr));
          break;
        case Tok::at:
          take();
          TRY(at_modifier(*expr));
          break;
        case Tok::anchored:
        case Tok::smoothed:
          TRY(extended(*expr, take()));
          break;
        default:
          return expr;
      }
    }
  }

  Result<ExprPtr> primary() {
    const Token& token = peek();
    switch (token.type) {
      case Tok::number:
      case Tok::duration:
        return ExprPtr(TRY(number_literal()));
      case Tok::string: {
        auto node = std::make_unique<StringLiteral>();
        node->at = range_of(token);
        node->value = TRY(unquoted(take()));
        return ExprPtr(std::move(node));
      }
      case Tok::left_paren:
        return paren();
      case Tok::left_brace:
        return selector(nullptr);
      default:
        break;
    }
    if (is_aggregation(token.type) && is_aggregation_call()) return aggregation();
    const bool may_call = token.type == Tok::identifier || token.type >= Tok::start;
    if (may_call && peek(1).type == Tok::left_paren) return call();
    if (is_metric_name(token.type)) {
      const Token name = take();
      return selector(&name);
    }
    return unexpected();
  }

  // Every word that names an operation may name a metric too; these have no other meaning where an operand stands.
  static bool is_metric_name(Tok type) {
    if (type == Tok::identifier || type == Tok::metric_identifier) return true;
    return is_keyword(type) && type != Tok::bool_ && type != Tok::on && type != Tok::ignoring &&
           type != Tok::group_left && type != Tok::group_right && type != Tok::atan2;
  }

  bool is_aggregation_call() const {
    const Tok next = peek(1).type;
    return next == Tok::left_paren || next == Tok::by || next == Tok::without;
  }

  Result<ExprPtr> paren() {
    auto node = std::make_unique<Paren>();
    const Token open = take();
    node->expr = TRY(expression(0));
    if (peek().type != Tok::right_paren) return unexpected();
    node->at = {static_cast<std::int32_t>(open.position), range_of(take()).end};
    return ExprPtr(std::move(node));
  }

  Result<std::vector<ExprPtr>> arguments() {
    if (!accept(Tok::left_paren)) return unexpected();
    std::vector<ExprPtr> args;
    if (accept(Tok::right_paren)) return args;
    while (true) {
      args.push_back(TRY(expression(0)));
      const Token separator = peek();
      if (accept(Tok::right_paren)) return args;
      if (!accept(Tok::comma)) return unexpected();
      if (peek().type == Tok::right_paren)
        return fail(range_of(separator), "trailing commas not allowed in function call args");
    }
  }

  Result<ExprPtr> call() {
    const Token name = take();
    auto node = std::make_unique<Call>();
    node->args = TRY(arguments());
    node->at = {static_cast<std::int32_t>(name.position), last_closing()};
    node->function = find_function(name.text);
    if (!node->function) return fail(range_of(name), "unknown function with name " + quote(name.text));
    return ExprPtr(std::move(node));
  }

  Result<ExprPtr> aggregation() {
    const Token op = take();
    auto node = std::make_unique<Aggregate>();
    node->op = op.type;
    const auto modifier = [&]() -> Result<void> {
      if (peek().type != Tok::by && peek().type != Tok::without) return {};
      node->without = take().type == Tok::without;
      node->grouping = TRY(grouping());
      return {};
    };
    const bool before = peek().type != Tok::left_paren;
    TRY(modifier());
    if (peek().type != Tok::left_paren) return unexpected("aggregation");
    std::vector<ExprPtr> args = TRY(arguments());
    if (!before) TRY(modifier());
    node->at = {static_cast<std::int32_t>(op.position), last_closing()};
    const std::size_t wanted = takes_parameter(op.type) ? 2 : 1;
    if (args.empty()) return fail(node->at, "no arguments for aggregate expression provided");
    if (args.size() != wanted)
      return fail(node->at, "wrong number of arguments for aggregate expression provided, expected " +
                                std::to_string(wanted) + ", got " + std::to_string(args.size()));
    node->expr = std::move(args.back());
    if (wanted == 2) node->param = std::move(args.front());
    return ExprPtr(std::move(node));
  }

  Result<std::vector<std::string>> grouping() {
    if (!accept(Tok::left_paren)) return unexpected("grouping opts", "\"(\"");
    std::vector<std::string> labels;
    if (accept(Tok::right_paren)) return labels;
    while (true) {
      const Token& label = peek();
      if (label.type == Tok::string) {
        const Token token = take();
        labels.push_back(TRY(unquoted(token)));
        if (labels.back().empty()) return fail(range_of(token), "invalid label name for grouping: \"\"");
      } else if (label.type == Tok::identifier || label.type == Tok::metric_identifier || is_keyword(label.type)) {
        labels.push_back(take().text);
      } else {
        return unexpected("grouping opts", "label");
      }
      if (accept(Tok::right_paren)) return labels;
      if (!accept(Tok::comma)) return unexpected("grouping opts", "\",\" or \")\"");
      if (accept(Tok::right_paren)) return labels;
    }
  }

  Result<ExprPtr> selector(const Token* name) {
    auto node = std::make_unique<VectorSelector>();
    node->at = name ? range_of(*name) : range_of(peek());
    if (name) node->name = name->text;
    if (peek().type == Tok::left_brace) {
      node->matchers = TRY(matchers());
      node->at.end = last_closing();
    }
    if (name) node->matchers.push_back(TRY(Matcher::make(MatchType::equal, std::string(kMetricName), name->text)));
    return ExprPtr(std::move(node));
  }

  Result<std::vector<Matcher>> matchers() {
    take();
    std::vector<Matcher> list;
    while (!accept(Tok::right_brace)) {
      list.push_back(TRY(matcher()));
      if (accept(Tok::right_brace)) break;
      if (!accept(Tok::comma)) return unexpected("label matching", "\",\" or \"}\"");
    }
    return list;
  }

  Result<Matcher> matcher() {
    const Token name = peek();
    if (name.type != Tok::identifier && name.type != Tok::string)
      return unexpected("label matching", "identifier or \"}\"");
    take();
    const std::string label = name.type == Tok::string ? TRY(unquoted(name)) : name.text;
    const auto type = match_type(peek().type);
    if (!type) {
      if (name.type == Tok::string) return Matcher::make(MatchType::equal, std::string(kMetricName), label);
      return unexpected("label matching", "label matching operator");
    }
    take();
    if (peek().type != Tok::string) return unexpected("label matching", "string");
    const Token value = take();
    auto matcher = Matcher::make(*type, label, TRY(unquoted(value)));
    if (!matcher.ok()) return fail({range_of(name).start, range_of(value).end}, matcher.error().message);
    return matcher;
  }

  static std::optional<MatchType> match_type(Tok type) {
    switch (type) {
      case Tok::assign:
        return MatchType::equal;
      case Tok::ne:
        return MatchType::not_equal;
      case Tok::eq_regex:
        return MatchType::regex;
      case Tok::ne_regex:
        return MatchType::not_regex;
      default:
        return std::nullopt;
    }
  }

  Result<ExprPtr> bracketed(ExprPtr expr);
  Result<void> offset(Expr& expr);
  Result<void> at_modifier(Expr& expr);
  Result<void> extended(Expr& expr, const Token& modifier);
  Result<TimeShift*> shift_of(Expr& expr, std::string_view error);

  int depth_ = 0;
};

// What stands between brackets or behind offset: milliseconds when it is a number, else an expression.
struct DurationValue {
  std::int64_t ms = 0;
  std::unique_ptr<DurationExpr> expr;
};

DurationValue duration_value(ExprPtr expr) {
  if (const auto* number = as<NumberLiteral>(expr.get()))
    return {static_cast<std::int64_t>(std::round(number->value * 1e9)) / 1'000'000, nullptr};
  return {0, std::unique_ptr<DurationExpr>(static_cast<DurationExpr*>(expr.release()))};
}

Result<ExprPtr> Parser::bracketed(ExprPtr expr) {
  constexpr std::string_view kOperand = "number, duration, step(), or range()";
  const Token open = take();
  if (!starts_duration()) return unexpected("subquery or range selector", kOperand);
  DurationValue range = duration_value(TRY(positive_duration()));
  if (accept(Tok::right_bracket)) {
    const PositionRange brackets{static_cast<std::int32_t>(open.position), last_closing()};
    const auto* selector = as<VectorSelector>(expr.get());
    if (!selector) return fail(brackets, "ranges only allowed for vector selectors");
    if (selector->shift.offset_ms != 0 || selector->shift.offset_expr)
      return fail(brackets, "no offset modifiers allowed before range");
    if (selector->shift.timestamp || selector->shift.preprocessor != Tok::end)
      return fail(brackets, "no @ modifiers allowed before range");
    auto node = std::make_unique<MatrixSelector>();
    node->at = {expr->at.start, last_closing()};
    node->selector = std::move(expr);
    node->range_ms = range.ms;
    node->range_expr = std::move(range.expr);
    return ExprPtr(std::move(node));
  }
  if (!accept(Tok::colon)) return unexpected("subquery or range", "\":\" or \"]\"");
  auto node = std::make_unique<Subquery>();
  node->range_ms = range.ms;
  node->range_expr = std::move(range.expr);
  if (peek().type != Tok::right_bracket) {
    if (!starts_duration()) return unexpected("subquery selector", "number, duration, step(), range(), or \"]\"");
    DurationValue step = duration_value(TRY(positive_duration()));
    node->step_ms = step.ms;
    node->step_expr = std::move(step.expr);
  }
  if (!accept(Tok::right_bracket)) return unexpected("subquery selector", "\"]\"");
  node->at = {expr->at.start, last_closing()};
  node->expr = std::move(expr);
  return ExprPtr(std::move(node));
}

Result<TimeShift*> Parser::shift_of(Expr& expr, std::string_view error) {
  if (auto* selector = as<VectorSelector>(&expr)) return &selector->shift;
  if (auto* matrix = as<MatrixSelector>(&expr)) return &static_cast<VectorSelector&>(*matrix->selector).shift;
  if (auto* subquery = as<Subquery>(&expr)) return &subquery->shift;
  return fail(expr.at, std::string(error) +
                           " must be preceded by an instant vector selector or range vector selector or a subquery");
}

Result<void> Parser::offset(Expr& expr) {
  if (!starts_duration()) return unexpected("offset", "number, duration, step(), or range()");
  DurationValue value = duration_value(TRY(offset_duration()));
  TimeShift* shift = TRY(shift_of(expr, "offset modifier"));
  if (shift->offset_ms != 0 || shift->offset_expr) return fail(expr.at, "offset may not be set multiple times");
  shift->offset_ms = value.ms;
  shift->offset_expr = std::move(value.expr);
  expr.at.end = last_closing();
  return {};
}

Result<void> Parser::at_modifier(Expr& expr) {
  constexpr std::string_view kTwice = "@ <timestamp> may not be set multiple times";
  const auto is_set = [](const TimeShift& s) { return s.timestamp || s.preprocessor != Tok::end; };
  if (peek().type == Tok::start || peek().type == Tok::end_fn) {
    const Tok which = take().type;
    if (!accept(Tok::left_paren) || !accept(Tok::right_paren)) return unexpected("@", "timestamp");
    TimeShift* shift = TRY(shift_of(expr, "@ modifier"));
    if (is_set(*shift)) return fail(expr.at, std::string(kTwice));
    shift->preprocessor = which;
  } else {
    const bool negative = peek().type == Tok::sub;
    if (negative || peek().type == Tok::add) take();
    if (peek().type != Tok::number && peek().type != Tok::duration) return unexpected("@", "timestamp");
    double seconds = TRY(number_literal())->value;
    if (negative) seconds = -seconds;
    if (!std::isfinite(seconds) || std::fabs(seconds) >= 9.2e15)  // in milliseconds it has 64 bits
      return fail(expr.at, "timestamp out of bounds for @ modifier: " + format_fixed(seconds));
    TimeShift* shift = TRY(shift_of(expr, "@ modifier"));
    if (is_set(*shift)) return fail(expr.at, std::string(kTwice));
    shift->timestamp = static_cast<std::int64_t>(std::round(seconds * 1000));
  }
  expr.at.end = last_closing();
  return {};
}

Result<void> Parser::extended(Expr& expr, const Token& modifier) {
  const bool anchored = modifier.type == Tok::anchored;
  if (as<Subquery>(&expr)) return fail(expr.at, modifier.text + " modifier is not supported for subqueries");
  auto* selector = as<VectorSelector>(&expr);
  if (auto* matrix = as<MatrixSelector>(&expr)) selector = as<VectorSelector>(matrix->selector.get());
  if (!selector) return fail(expr.at, modifier.text + " modifier not implemented");
  (anchored ? selector->anchored : selector->smoothed) = true;
  if (selector->anchored && selector->smoothed)
    return fail(expr.at, "anchored and smoothed modifiers cannot be used together");
  return {};
}

}  // namespace

Result<ExprPtr> parse(std::string_view query, const ParseOptions& options) {
  if (query.size() > options.size_bytes_max)
    return Error{ErrorCode::too_large, "query is longer than " + std::to_string(options.size_bytes_max) + " bytes"};
  ExprPtr expr = TRY(Parser(query, options).whole());
  TRY(check(*expr, query));
  return expr;
}

Result<std::vector<Matcher>> parse_selector(std::string_view text) {
  ExprPtr expr = TRY(Parser(text, {}).whole_selector());
  auto& selector = static_cast<VectorSelector&>(*expr);
  selector.may_be_empty = true;
  TRY(check(*expr, text));
  return std::move(selector.matchers);
}

}  // namespace caisson::metrics::promql
