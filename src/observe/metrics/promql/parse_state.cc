// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/parse_state.h"

#include <cmath>

#include "observe/metrics/model/format.h"

namespace caisson::metrics::promql {
namespace {

constexpr double kSecondsMax = 9223372036.854775807;  // of a duration in nanoseconds

int duration_precedence(Tok op) {
  switch (op) {
    case Tok::add:
    case Tok::sub:
      return 1;
    case Tok::mul:
    case Tok::div:
    case Tok::mod:
      return 2;
    case Tok::pow:
      return 3;
    default:
      return 0;
  }
}

bool is_zero(const Expr& expr) {
  const auto* number = as<NumberLiteral>(&expr);
  return number && number->value == 0;
}

std::unique_ptr<DurationExpr> wrapped(ExprPtr expr, PositionRange at) {
  std::unique_ptr<DurationExpr> node;
  if (as<DurationExpr>(expr.get())) {
    node.reset(static_cast<DurationExpr*>(expr.release()));
  } else {
    node = std::make_unique<DurationExpr>();
    node->rhs = std::move(expr);
    node->at = at;
  }
  node->wrapped = true;
  return node;
}

ExprPtr negated(ExprPtr expr, std::int32_t start) {
  auto node = std::make_unique<DurationExpr>();
  node->op = Tok::sub;
  node->at = {start, expr->at.end};
  node->rhs = std::move(expr);
  return node;
}

}  // namespace

Error parse_error(std::string_view query, PositionRange at, std::string_view message) {
  return {ErrorCode::bad_request, line_and_column(query, at) + ": parse error: " + std::string(message)};
}

Token ParseState::take() {
  const Token token = peek();
  if (next_ < tokens_.size() - 1) ++next_;
  switch (token.type) {
    case Tok::right_brace:
    case Tok::right_paren:
    case Tok::right_bracket:
    case Tok::duration:
    case Tok::number:
      last_closing_ = range_of(token).end;
      break;
    default:
      break;
  }
  return token;
}

bool ParseState::accept(Tok type) {
  if (peek().type != type) return false;
  take();
  return true;
}

PositionRange ParseState::range_of(const Token& token) {
  const auto start = static_cast<std::int32_t>(token.position);
  return {start, token.type == Tok::error ? start : start + static_cast<std::int32_t>(token.text.size())};
}

Error ParseState::unexpected(std::string_view context, std::string_view expected) const {
  const Token& token = peek();
  if (token.type == Tok::error) return fail(range_of(token), token.text);
  std::string message = "unexpected " + describe(token);
  if (!context.empty()) message += " in " + std::string(context);
  if (!expected.empty()) message += ", expected " + std::string(expected);
  return fail(range_of(token), message);
}

Result<std::string> ParseState::unquoted(const Token& string) const {
  auto text = unquote(string.text);
  if (!text.ok())
    return fail(range_of(string), "error unquoting string " + quote(string.text) + ": " + text.error().message);
  return text;
}

Result<std::unique_ptr<NumberLiteral>> ParseState::number_literal() {
  const Token token = take();
  auto node = std::make_unique<NumberLiteral>();
  node->at = range_of(token);
  if (token.type == Tok::duration) {
    const auto ms = parse_duration(token.text);
    if (!ms.ok()) return fail(node->at, ms.error().message);
    node->value = static_cast<double>(*ms) / 1000;
    node->is_duration = true;
    return node;
  }
  const auto value = parse_number(token.text);
  if (!value)
    return fail(node->at,
                "error parsing number: strconv.ParseFloat: parsing " + quote(token.text) + ": invalid syntax");
  node->value = *value;
  return node;
}

bool ParseState::starts_duration() const {
  switch (peek().type) {
    case Tok::number:
    case Tok::duration:
    case Tok::step:
    case Tok::range:
    case Tok::max_of:
    case Tok::min_of:
    case Tok::left_paren:
    case Tok::add:
    case Tok::sub:
      return true;
    default:
      return false;
  }
}

Result<ExprPtr> ParseState::positive_duration() {
  ExprPtr expr = TRY(duration_expression(0, 0));
  const auto* number = as<NumberLiteral>(expr.get());
  if (number && number->value <= 0) return fail(number->at, "duration must be greater than 0");
  return expr;
}

Result<ExprPtr> ParseState::offset_duration() {
  return duration_operand(0);
}

Result<ExprPtr> ParseState::in_range(std::unique_ptr<NumberLiteral> literal) const {
  if (std::fabs(literal->value) > kSecondsMax || std::isnan(literal->value))
    return fail(literal->at, "duration out of range");
  return ExprPtr(std::move(literal));
}

Result<ExprPtr> ParseState::duration_expression(int precedence_min, int depth) {
  if (depth > options_.depth_max) return fail(range_of(peek()), "query is nested too deeply");
  ExprPtr lhs = TRY(duration_operand(depth + 1));
  while (true) {
    const Token op = peek();
    const int own = duration_precedence(op.type);
    if (own == 0 || own < precedence_min) return lhs;
    take();
    auto node = std::make_unique<DurationExpr>();
    node->op = op.type;
    node->rhs = TRY(duration_expression(op.type == Tok::pow ? own : own + 1, depth + 1));
    if (op.type == Tok::div && is_zero(*node->rhs)) return fail(range_of(op), "division by zero");
    if (op.type == Tok::mod && is_zero(*node->rhs)) return fail(range_of(op), "modulo by zero");
    node->at = {lhs->at.start, node->rhs->at.end};
    node->lhs = std::move(lhs);
    lhs = std::move(node);
  }
}

Result<ExprPtr> ParseState::duration_operand(int depth) {
  const Token token = peek();
  switch (token.type) {
    case Tok::number:
    case Tok::duration:
      return in_range(TRY(number_literal()));
    case Tok::add:
    case Tok::sub: {
      take();
      // A sign takes powers with it within brackets; behind offset the power belongs to the expression around.
      if (depth == 0 && (peek().type == Tok::add || peek().type == Tok::sub)) return unexpected();
      ExprPtr operand = depth == 0 ? TRY(duration_operand(0)) : TRY(duration_expression(3, depth + 1));
      if (auto* number = as<NumberLiteral>(operand.get())) {
        if (token.type == Tok::sub) number->value = -number->value;
        number->at.start = token.position;
        return operand;
      }
      return token.type == Tok::sub ? negated(std::move(operand), token.position) : std::move(operand);
    }
    case Tok::left_paren: {
      take();
      ExprPtr inner = TRY(duration_expression(0, depth + 1));
      if (!accept(Tok::right_paren)) return unexpected();
      return ExprPtr(wrapped(std::move(inner), {static_cast<std::int32_t>(token.position), last_closing_}));
    }
    case Tok::step:
    case Tok::range:
    case Tok::max_of:
    case Tok::min_of:
      break;
    default:
      return unexpected();
  }
  auto node = std::make_unique<DurationExpr>();
  node->op = take().type;
  if (!accept(Tok::left_paren)) return unexpected();
  if (node->op == Tok::max_of || node->op == Tok::min_of) {
    node->lhs = TRY(duration_expression(0, depth + 1));
    if (!accept(Tok::comma)) return unexpected();
    node->rhs = TRY(duration_expression(0, depth + 1));
  }
  if (!accept(Tok::right_paren)) return unexpected();
  node->at = {static_cast<std::int32_t>(token.position), last_closing_};
  return ExprPtr(std::move(node));
}

}  // namespace caisson::metrics::promql
