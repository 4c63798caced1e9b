// SPDX-License-Identifier: Apache-2.0
// "expecting …" is written where upstream's parser has at most four tokens to expect, as it does.
#include "observe/logs/logql/parser.h"

#include <cmath>

#include "core/base/text.h"
#include "observe/logs/logql/fold.h"
#include "observe/logs/logql/parse_state.h"
#include "observe/logs/logql/regex.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

using metrics::MatchType;

constexpr std::size_t kTokensMax = 20'000;

int precedence(Tok op) {
  switch (op) {
    case Tok::or_op:
      return 1;
    case Tok::and_op:
    case Tok::unless_op:
      return 2;
    case Tok::cmp_eq:
    case Tok::neq:
    case Tok::lt:
    case Tok::lte:
    case Tok::gt:
    case Tok::gte:
      return 3;
    case Tok::add:
    case Tok::sub:
      return 4;
    case Tok::mul:
    case Tok::div:
    case Tok::mod:
      return 5;
    case Tok::pow:
      return 6;
    default:
      return 0;
  }
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

Result<ExprPtr> ParserState::whole() {
  if (tokens_.size() > kTokensMax) return semantic("query has too many words: limit " + std::to_string(kTokensMax));
  ExprPtr expr = TRY(expression(1));
  if (peek().kind != Tok::end) return unexpected();
  return expr;
}

Result<std::vector<Matcher>> ParserState::matchers_only() {
  auto matchers = TRY(braces());
  if (peek().kind != Tok::end) return unexpected();
  return matchers;
}

Result<double> ParserState::signed_number() {
  const double sign = accept(Tok::sub) ? -1 : 1;
  if (sign > 0) accept(Tok::add);
  const Token token = TRY(expect(Tok::number, "NUMBER"));
  const auto value = metrics::parse_number(token.text);
  if (!value) return semantic("unable to parse literal as a float: " + token.text);
  return sign * *value;
}

Result<ExprPtr> ParserState::expression(int least) {
  const Nested nested(depth_);
  TRY(too_deep());
  ExprPtr left = TRY(primary());
  for (;;) {
    const Token op = peek();
    const int level = precedence(op.kind);
    if (level < least || level == 0) return left;
    take();
    Binary node;
    node.op = op.kind;
    TRY(modifiers(node));
    ExprPtr right = TRY(expression(op.kind == Tok::pow ? level : level + 1));
    left = TRY(binary(std::move(node), std::move(left), std::move(right), op));
  }
}

Result<ExprPtr> ParserState::binary(Binary node, ExprPtr left, ExprPtr right, const Token& op) {
  for (const auto& [side, name] : {std::pair(left.get(), "left"), std::pair(right.get(), "right")})
    if (side->is_log())
      return semantic("unexpected type for " + std::string(name) + " leg of binary operation (" + op.text +
                      "): *syntax." +
                      (std::get<Selector>(side->node).stages.empty() ? "MatchersExpr" : "PipelineExpr"));
  const auto* a = std::get_if<Literal>(&left->node);
  const auto* b = std::get_if<Literal>(&right->node);
  if (precedence(node.op) <= 2) {
    char text[64];
    for (const auto& [side, name] : {std::pair(a, "left"), std::pair(b, "right")}) {
      if (!side) continue;
      std::snprintf(text, sizeof text, "%f", side->value);
      return semantic("unexpected literal for " + std::string(name) + " leg of logical/set binary operation (" +
                      op.text + "): " + text);
    }
  }
  if (a && b) return make(Literal{fold(node.op, a->value, b->value)});
  node.left = std::move(left);
  node.right = std::move(right);
  return make(std::move(node));
}

Result<void> ParserState::modifiers(Binary& node) {
  node.return_bool = accept(Tok::bool_word);
  if (peek().kind != Tok::on && peek().kind != Tok::ignoring) return {};
  node.matching.is_written = true;
  node.matching.on = take().kind == Tok::on;
  node.matching.labels = TRY(label_list());
  if (peek().kind != Tok::group_left && peek().kind != Tok::group_right) return {};
  node.matching.card = take().kind == Tok::group_left ? Cardinality::many_to_one : Cardinality::one_to_many;
  // A parenthesis may also begin the right side.
  const Tok first = peek(1).kind, second = peek(2).kind;
  const bool is_list =
      peek().kind == Tok::open_paren &&
      (first == Tok::close_paren || (first == Tok::identifier && (second == Tok::comma || second == Tok::close_paren)));
  if (is_list) node.matching.include = TRY(label_list());
  return {};
}

Result<std::vector<std::string>> ParserState::label_list() {
  TRY(expect(Tok::open_paren, "("));
  std::vector<std::string> labels;
  if (accept(Tok::close_paren)) return labels;
  do labels.push_back(TRY(expect(Tok::identifier, "IDENTIFIER")).text);
  while (accept(Tok::comma));
  TRY(expect(Tok::close_paren, ", or )"));
  return labels;
}

Result<ExprPtr> ParserState::primary() {
  switch (peek().kind) {
    case Tok::open_brace:
      return make(TRY(parse_selector(true)));
    case Tok::open_paren: {
      take();
      ExprPtr inner = TRY(expression(1));
      TRY(expect(Tok::close_paren, ""));
      return inner;
    }
    case Tok::range_op:
      return range_aggregation();
    case Tok::vector_op:
      return vector_aggregation();
    case Tok::label_replace:
      return label_replace();
    case Tok::vector: {
      take();
      TRY(expect(Tok::open_paren, "("));
      const Token number = TRY(expect(Tok::number, "NUMBER"));
      TRY(expect(Tok::close_paren, ")"));
      return make(VectorLiteral{metrics::parse_number(number.text).value_or(NAN)});
    }
    case Tok::number:
    case Tok::add:
    case Tok::sub:
      return make(Literal{TRY(signed_number())});
    case Tok::identifier:
      if (peek().text == "variants" && peek(1).kind == Tok::open_paren)
        return semantic("variants(…) of (…) is an experiment of Loki's that is not supported");
      return unexpected();
    default:
      return unexpected();
  }
}

Result<void> ParserState::range_of(RangeAggregation& node, bool& has_range) {
  const Nested nested(depth_);
  TRY(too_deep());
  if (accept(Tok::open_paren)) {
    TRY(range_of(node, has_range));
    TRY(expect(Tok::close_paren, ""));
  } else {
    if (peek().kind != Tok::open_brace) return unexpected();
    node.selector = TRY(parse_selector(false));
  }
  for (;;) {
    if (peek().kind == Tok::range && !has_range) {
      node.range = take().nanoseconds;
      has_range = true;
    } else if (has_range && node.offset == 0 && accept(Tok::offset)) {
      node.offset = TRY(expect(Tok::duration, "DURATION")).nanoseconds;
    } else if (!node.unwrap && (is_line_filter(peek().kind) || peek().kind == Tok::pipe)) {
      TRY(stages(node.selector.stages, &node.unwrap));
    } else {
      return {};
    }
  }
}

Result<ExprPtr> ParserState::range_aggregation() {
  RangeAggregation node;
  node.op = take().text;
  TRY(expect(Tok::open_paren, "("));
  std::string param;
  if (peek().kind == Tok::number) {
    param = take().text;
    node.param = metrics::parse_number(param).value_or(NAN);
    node.has_param = true;
    TRY(expect(Tok::comma, ","));
  }
  bool has_range = false;
  TRY(range_of(node, has_range));
  if (!has_range) return unexpected(node.unwrap ? "RANGE or |" : "");
  TRY(expect(Tok::close_paren, ""));
  node.grouping = TRY(grouping());
  return checked(std::move(node), param);
}

Result<ExprPtr> ParserState::checked(RangeAggregation node, const std::string& param) {
  const std::string& op = node.op;
  if (node.range <= 0) return semantic("range of " + op + " is not greater than 0");
  if (op == "quantile_over_time" && !node.has_param)
    return semantic("parameter required for operation quantile_over_time");
  if (op != "quantile_over_time" && node.has_param)
    return semantic("parameter " + param + " not supported for operation " + op);
  if (node.grouping && !is_one_of(op, {"avg_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time",
                                       "max_over_time", "min_over_time", "first_over_time", "last_over_time"}))
    return semantic("grouping not allowed for " + op + " aggregation");
  const bool counts = is_one_of(op, {"count_over_time", "bytes_over_time", "bytes_rate"});
  const bool either = is_one_of(op, {"rate", "absent_over_time"});
  if (node.unwrap && counts) return semantic("invalid aggregation " + op + " with unwrap");
  if (!node.unwrap && !counts && !either) return semantic("invalid aggregation " + op + " without unwrap");
  return make(std::move(node));
}

Result<ExprPtr> ParserState::vector_aggregation() {
  VectorAggregation node;
  node.op = take().text;
  auto by = TRY(grouping());
  TRY(expect(Tok::open_paren, "("));
  std::string param;
  if (peek().kind == Tok::number && peek(1).kind == Tok::comma) {
    param = take().text;
    take();
  }
  node.inner = TRY(expression(1));
  if (node.inner->is_log()) return unexpected();
  TRY(expect(Tok::close_paren, ""));
  if (!by) by = TRY(grouping());
  const bool takes_k = is_one_of(node.op, {"topk", "bottomk", "approx_topk"});
  if (takes_k && param.empty()) return semantic("parameter required for operation " + node.op);
  if (!takes_k && !param.empty()) return semantic("unsupported parameter for operation " + node.op + "(" + param + ",");
  if (takes_k) {
    const auto k = parse_int(param);
    if (!k) return semantic("invalid parameter " + node.op + "(" + param + ",");
    if (*k <= 0) return semantic("invalid parameter (must be greater than 0) " + node.op + "(" + param);
    node.k = *k;
  }
  if (by && node.op.starts_with("sort")) return semantic("sort and sort_desc doesn't allow grouping by ");
  if (by && node.op == "approx_topk") return semantic("grouping not allowed for approx_topk aggregation");
  node.has_grouping = by.has_value();
  if (by) node.grouping = std::move(*by);
  return make(std::move(node));
}

Result<ExprPtr> ParserState::label_replace() {
  LabelReplace node;
  take();
  TRY(expect(Tok::open_paren, "("));
  node.inner = TRY(expression(1));
  if (node.inner->is_log()) return unexpected();
  for (std::string* into : {&node.destination, &node.replacement, &node.source, &node.pattern}) {
    TRY(expect(Tok::comma, ","));
    *into = TRY(expect(Tok::string, "STRING")).text;
  }
  TRY(expect(Tok::close_paren, ")"));
  if (const auto regex = LineRegex::compile("^(?:" + node.pattern + ")$"); !regex.ok())
    return semantic("invalid regex in label_replace: " + regex.error().message);
  return make(std::move(node));
}

Result<ExprPtr> parse(std::string_view text) {
  return ParserState(TRY(scan(text))).whole();
}

Result<Selector> parse_log_selector(std::string_view text) {
  return ParserState(TRY(scan(text))).log_selector();
}

Result<std::vector<Matcher>> parse_matchers(std::string_view text) {
  return ParserState(TRY(scan(text))).matchers_only();
}

Result<metrics::Labels> parse_stream_labels(std::string_view text) {
  const auto matchers = TRY(parse_matchers(text));
  std::vector<metrics::Label> labels;
  for (const Matcher& m : matchers) {
    if (m.type != MatchType::equal) return semantic("a stream's labels are written NAME=\"VALUE\"");
    labels.push_back({m.name, m.value});
  }
  return metrics::Labels::from(std::move(labels));
}

}  // namespace caisson::logs::logql
