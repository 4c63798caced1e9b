// SPDX-License-Identifier: Apache-2.0
// Recursive descent over upstream's grammar. "expecting …" is written where upstream's parser has at most four tokens to
// expect, as it does.
#include "observe/logs/logql/parser.h"

#include <algorithm>
#include <cmath>

#include "core/base/text.h"
#include "observe/logs/logql/fold.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

using metrics::MatchType;

constexpr int kDepthMax = 100;
constexpr std::size_t kTokensMax = 20'000;

Error semantic(std::string message) {
  return to_error({std::move(message), 0, 0});
}

int precedence(Tok op) {
  switch (op) {
    case Tok::or_op: return 1;
    case Tok::and_op: case Tok::unless_op: return 2;
    case Tok::cmp_eq: case Tok::neq: case Tok::lt: case Tok::lte: case Tok::gt: case Tok::gte: return 3;
    case Tok::add: case Tok::sub: return 4;
    case Tok::mul: case Tok::div: case Tok::mod: return 5;
    case Tok::pow: return 6;
    default: return 0;
  }
}

bool is_line_filter(Tok kind) {
  return kind == Tok::pipe_exact || kind == Tok::pipe_match || kind == Tok::pipe_pattern || kind == Tok::neq || kind == Tok::nre || kind == Tok::npa;
}

LineMatch line_match(Tok kind) {
  switch (kind) {
    case Tok::pipe_exact: return LineMatch::equal;
    case Tok::neq: return LineMatch::not_equal;
    case Tok::pipe_match: return LineMatch::regex;
    case Tok::nre: return LineMatch::not_regex;
    case Tok::pipe_pattern: return LineMatch::pattern;
    default: return LineMatch::not_pattern;
  }
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

class ParserState {
 public:
  explicit ParserState(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<ExprPtr> whole() {
    if (tokens_.size() > kTokensMax) return semantic("query has too many words: limit " + std::to_string(kTokensMax));
    ExprPtr expr = TRY(expression(1));
    if (peek().kind != Tok::end) return unexpected();
    return expr;
  }
  Result<Selector> log_selector() {
    Selector selector = TRY(parse_selector(true));
    if (peek().kind != Tok::end) return unexpected();
    return selector;
  }
  Result<std::vector<Matcher>> matchers_only() {
    auto matchers = TRY(braces());
    if (peek().kind != Tok::end) return unexpected();
    return matchers;
  }

 private:
  struct Nested {
    explicit Nested(int& d) : depth(d) { ++depth; }
    ~Nested() { --depth; }
    int& depth;
  };

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool accept(Tok kind) {
    if (peek().kind != kind) return false;
    take();
    return true;
  }
  Error unexpected(std::string_view expecting = {}) const {
    std::string text = "syntax error: unexpected " + token_name(peek());
    if (!expecting.empty()) text += ", expecting " + std::string(expecting);
    return to_error({std::move(text), peek().line, peek().column});
  }
  Result<Token> expect(Tok kind, std::string_view name) {
    if (peek().kind != kind) return unexpected(name);
    return take();
  }
  Result<void> too_deep() const {
    if (depth_ > kDepthMax) return semantic("query is nested too deeply: limit " + std::to_string(kDepthMax));
    return {};
  }

  // --- selectors

  Result<Matcher> matcher() {
    const Token name = TRY(expect(Tok::identifier, "IDENTIFIER"));
    MatchType type;
    switch (peek().kind) {
      case Tok::eq: type = MatchType::equal; break;
      case Tok::neq: type = MatchType::not_equal; break;
      case Tok::re: type = MatchType::regex; break;
      case Tok::nre: type = MatchType::not_regex; break;
      default: return unexpected("= or =~ or !~ or !=");
    }
    take();
    const Token value = TRY(expect(Tok::string, "STRING"));
    auto made = Matcher::make(type, name.text, value.text);
    if (!made.ok()) return semantic(made.error().message);
    return made;
  }

  Result<std::vector<Matcher>> braces() {
    TRY(expect(Tok::open_brace, "{"));
    std::vector<Matcher> matchers;
    if (accept(Tok::close_brace)) return matchers;
    if (peek().kind != Tok::identifier) return unexpected("IDENTIFIER or }");
    matchers.push_back(TRY(matcher()));
    while (accept(Tok::comma)) matchers.push_back(TRY(matcher()));
    TRY(expect(Tok::close_brace, "} or ,"));
    return matchers;
  }

  Result<Selector> parse_selector(bool with_stages) {
    const Nested nested(depth_);
    TRY(too_deep());
    if (accept(Tok::open_paren)) {
      Selector inner = TRY(parse_selector(with_stages));
      TRY(expect(Tok::close_paren, ")"));
      return inner;
    }
    Selector selector;
    selector.matchers = TRY(braces());
    const bool selects = std::any_of(selector.matchers.begin(), selector.matchers.end(), [](const Matcher& m) { return !m.matches(""); });
    if (!selects)
      return semantic("queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet "
                      "this requirement, but app=~\".+\" will");
    if (with_stages) TRY(stages(selector.stages, nullptr));
    return selector;
  }

  // --- pipelines

  // Stages up to what is none; `unwrap` takes | unwrap and the filters behind it where one may stand.
  Result<void> stages(std::vector<Stage>& into, std::optional<Unwrap>* unwrap) {
    for (;;) {
      if (is_line_filter(peek().kind)) {
        into.push_back(TRY(line_filter()));
      } else if (peek().kind == Tok::pipe && peek(1).kind == Tok::unwrap) {
        if (!unwrap) {
          take();
          return unexpected();
        }
        take();
        take();
        *unwrap = TRY(parse_unwrap());
        return {};
      } else if (accept(Tok::pipe)) {
        into.push_back(TRY(stage()));
      } else {
        return {};
      }
    }
  }

  Result<LineFilter::One> line_operand() {
    if (accept(Tok::ip)) {
      TRY(expect(Tok::open_paren, "("));
      const Token text = TRY(expect(Tok::string, "STRING"));
      TRY(expect(Tok::close_paren, ")"));
      return LineFilter::One{text.text, true};
    }
    const Token text = TRY(expect(Tok::string, "STRING or ip"));
    return LineFilter::One{text.text, false};
  }

  Result<Stage> line_filter() {
    LineFilter filter;
    filter.match = line_match(take().kind);
    filter.any.push_back(TRY(line_operand()));
    while (accept(Tok::or_op)) filter.any.push_back(TRY(line_operand()));
    if (auto valid = check_line_filter(filter); !valid.ok()) return semantic(valid.error().message);
    return Stage(std::move(filter));
  }

  Result<Stage> stage() {
    switch (peek().kind) {
      case Tok::json: take(); return extraction_parser(ParserKind::json);
      case Tok::logfmt: take(); return extraction_parser(ParserKind::logfmt);
      case Tok::unpack: take(); return Stage(Parser{ParserKind::unpack, "", {}});
      case Tok::regexp: take(); return text_parser(ParserKind::regexp);
      case Tok::pattern: take(); return text_parser(ParserKind::pattern);
      case Tok::decolorize: take(); return Stage(Decolorize{});
      case Tok::line_format: {
        take();
        LineFormat format{TRY(expect(Tok::string, "STRING")).text};
        if (auto valid = check_template(format.text); !valid.ok()) return semantic("invalid line template: " + valid.error().message);
        return Stage(std::move(format));
      }
      case Tok::label_format: take(); return label_format();
      case Tok::drop: take(); return named_matchers(true);
      case Tok::keep: take(); return named_matchers(false);
      default: break;
    }
    if (peek().kind != Tok::identifier && peek().kind != Tok::open_paren) return unexpected();
    return Stage(std::shared_ptr<const LabelFilter>(TRY(label_filter_or())));
  }

  Result<Stage> text_parser(ParserKind kind) {
    Parser parser{kind, TRY(expect(Tok::string, "STRING")).text, {}};
    if (auto valid = check_parser(parser); !valid.ok()) return semantic(valid.error().message);
    return Stage(std::move(parser));
  }

  Result<Stage> extraction_parser(ParserKind kind) {
    Parser parser{kind, "", {}};
    while (kind == ParserKind::logfmt && peek().kind == Tok::flag) (take().text == "--strict" ? parser.strict : parser.keep_empty) = true;
    if (peek().kind == Tok::identifier) {
      do {
        const Token label = TRY(expect(Tok::identifier, "IDENTIFIER"));
        Extraction one{label.text, label.text};
        if (accept(Tok::eq)) one.path = TRY(expect(Tok::string, "STRING")).text;
        parser.extractions.push_back(std::move(one));
      } while (accept(Tok::comma));
    }
    if (auto valid = check_parser(parser); !valid.ok()) return semantic(valid.error().message);
    return Stage(std::move(parser));
  }

  Result<Stage> label_format() {
    LabelFormat format;
    do {
      const Token label = TRY(expect(Tok::identifier, "IDENTIFIER"));
      TRY(expect(Tok::eq, "="));
      if (peek().kind != Tok::identifier && peek().kind != Tok::string) return unexpected("IDENTIFIER or STRING");
      const Token value = take();
      if (label.text == "__error__") return semantic("__error__ cannot be formatted");
      for (const LabelFormat::One& one : format.all)
        if (one.label == label.text) return semantic("multiple label name '" + label.text + "' not allowed in a single format operation");
      format.all.push_back({label.text, value.text, value.kind == Tok::identifier});
      if (value.kind == Tok::string)
        if (auto valid = check_template(value.text); !valid.ok()) return semantic("invalid template for label '" + label.text + "': " + valid.error().message);
    } while (accept(Tok::comma));
    return Stage(std::move(format));
  }

  Result<Stage> named_matchers(bool drop) {
    DropKeep out{drop, {}};
    do {
      const Tok next = peek(1).kind;
      if (peek().kind == Tok::identifier && (next == Tok::eq || next == Tok::neq || next == Tok::re || next == Tok::nre)) {
        Matcher one = TRY(matcher());
        out.names.push_back({one.name, std::move(one)});
      } else {
        out.names.push_back({TRY(expect(Tok::identifier, "IDENTIFIER")).text, {}});
      }
    } while (accept(Tok::comma));
    return Stage(std::move(out));
  }

  using FilterPtr = std::unique_ptr<LabelFilter>;

  Result<FilterPtr> label_filter_or() {
    const Nested nested(depth_);
    TRY(too_deep());
    FilterPtr left = TRY(label_filter_and());
    while (accept(Tok::or_op)) left = join(LabelFilter::Kind::either, std::move(left), TRY(label_filter_and()));
    return left;
  }
  Result<FilterPtr> label_filter_and() {
    FilterPtr left = TRY(label_filter_one());
    while (accept(Tok::and_op) || accept(Tok::comma) || peek().kind == Tok::identifier || peek().kind == Tok::open_paren)
      left = join(LabelFilter::Kind::both, std::move(left), TRY(label_filter_one()));
    return left;
  }
  static FilterPtr join(LabelFilter::Kind kind, FilterPtr left, FilterPtr right) {
    auto out = std::make_unique<LabelFilter>();
    out->kind = kind;
    out->left = std::move(left);
    out->right = std::move(right);
    return out;
  }

  Result<FilterPtr> label_filter_one() {
    if (accept(Tok::open_paren)) {
      FilterPtr inner = TRY(label_filter_or());
      TRY(expect(Tok::close_paren, ")"));
      return inner;
    }
    if (peek().kind != Tok::identifier) return unexpected();
    auto out = std::make_unique<LabelFilter>();
    const Tok op = peek(1).kind, value = peek(2).kind;
    if (value == Tok::string && (op == Tok::eq || op == Tok::neq || op == Tok::re || op == Tok::nre)) {
      out->matcher = TRY(matcher());
      return out;
    }
    out->label = take().text;
    switch (op) {
      case Tok::eq: case Tok::cmp_eq: out->compare = Compare::eq; break;
      case Tok::neq: out->compare = Compare::ne; break;
      case Tok::lt: out->compare = Compare::lt; break;
      case Tok::lte: out->compare = Compare::le; break;
      case Tok::gt: out->compare = Compare::gt; break;
      case Tok::gte: out->compare = Compare::ge; break;
      case Tok::re: case Tok::nre: take(); return unexpected("STRING");
      default: return unexpected();
    }
    take();
    if ((op == Tok::eq || op == Tok::neq) && accept(Tok::ip)) {
      TRY(expect(Tok::open_paren, "("));
      out->kind = LabelFilter::Kind::ip;
      out->text = TRY(expect(Tok::string, "STRING")).text;
      TRY(expect(Tok::close_paren, ")"));
      if (auto valid = check_ip(out->text); !valid.ok()) return semantic(valid.error().message);
      return out;
    }
    if (peek().kind == Tok::duration) {
      out->kind = LabelFilter::Kind::duration;
      out->number = static_cast<double>(peek().nanoseconds);
      out->number_text = take().text;
    } else if (peek().kind == Tok::bytes) {
      out->kind = LabelFilter::Kind::bytes;
      out->number = static_cast<double>(peek().size);
      out->number_text = take().text;
    } else {
      out->kind = LabelFilter::Kind::number;
      out->number = TRY(signed_number());
      out->number_text = metrics::format_general(out->number);
    }
    return out;
  }

  Result<Unwrap> parse_unwrap() {
    Unwrap unwrap;
    if (peek().kind == Tok::conversion) {
      unwrap.conversion = take().text;
      TRY(expect(Tok::open_paren, "("));
      unwrap.label = TRY(expect(Tok::identifier, "IDENTIFIER")).text;
      TRY(expect(Tok::close_paren, ")"));
    } else {
      unwrap.label = TRY(expect(Tok::identifier, "IDENTIFIER or bytes or duration or duration_seconds")).text;
    }
    while (accept(Tok::pipe)) unwrap.filters.emplace_back(TRY(label_filter_or()));
    return unwrap;
  }

  // --- metrics

  Result<double> signed_number() {
    const double sign = accept(Tok::sub) ? -1 : 1;
    if (sign > 0) accept(Tok::add);
    const Token token = TRY(expect(Tok::number, "NUMBER"));
    const auto value = metrics::parse_number(token.text);
    if (!value) return semantic("unable to parse literal as a float: " + token.text);
    return sign * *value;
  }

  static ExprPtr make(auto node) {
    auto out = std::make_unique<Expr>();
    out->node = std::move(node);
    return out;
  }

  Result<ExprPtr> expression(int least) {
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

  Result<ExprPtr> binary(Binary node, ExprPtr left, ExprPtr right, const Token& op) {
    for (const auto& [side, name] : {std::pair(left.get(), "left"), std::pair(right.get(), "right")})
      if (side->is_log()) return semantic("unexpected type for " + std::string(name) + " leg of binary operation (" + op.text + "): *syntax." + (std::get<Selector>(side->node).stages.empty() ? "MatchersExpr" : "PipelineExpr"));
    const auto* a = std::get_if<Literal>(&left->node);
    const auto* b = std::get_if<Literal>(&right->node);
    if (precedence(node.op) <= 2) {
      char text[64];
      for (const auto& [side, name] : {std::pair(a, "left"), std::pair(b, "right")}) {
        if (!side) continue;
        std::snprintf(text, sizeof text, "%f", side->value);
        return semantic("unexpected literal for " + std::string(name) + " side of logical/set binary operation (" + op.text + "): " + text);
      }
    }
    if (a && b) return make(Literal{fold(node.op, a->value, b->value)});
    node.left = std::move(left);
    node.right = std::move(right);
    return make(std::move(node));
  }

  Result<void> modifiers(Binary& node) {
    node.return_bool = accept(Tok::bool_word);
    if (peek().kind != Tok::on && peek().kind != Tok::ignoring) return {};
    node.matching.is_written = true;
    node.matching.on = take().kind == Tok::on;
    node.matching.labels = TRY(label_list());
    if (peek().kind != Tok::group_left && peek().kind != Tok::group_right) return {};
    node.matching.card = take().kind == Tok::group_left ? Cardinality::many_to_one : Cardinality::one_to_many;
    // A parenthesis may also begin the right side.
    const Tok first = peek(1).kind, second = peek(2).kind;
    const bool is_list = peek().kind == Tok::open_paren && (first == Tok::close_paren || (first == Tok::identifier && (second == Tok::comma || second == Tok::close_paren)));
    if (is_list) node.matching.include = TRY(label_list());
    return {};
  }

  Result<std::vector<std::string>> label_list() {
    TRY(expect(Tok::open_paren, "("));
    std::vector<std::string> labels;
    if (accept(Tok::close_paren)) return labels;
    do labels.push_back(TRY(expect(Tok::identifier, "IDENTIFIER")).text);
    while (accept(Tok::comma));
    TRY(expect(Tok::close_paren, ", or )"));
    return labels;
  }

  Result<std::optional<Grouping>> grouping() {
    if (peek().kind != Tok::by && peek().kind != Tok::without) return std::optional<Grouping>();
    const bool without = take().kind == Tok::without;
    return std::optional<Grouping>(Grouping{without, TRY(label_list())});
  }

  Result<ExprPtr> primary() {
    switch (peek().kind) {
      case Tok::open_brace: return make(TRY(parse_selector(true)));
      case Tok::open_paren: {
        take();
        ExprPtr inner = TRY(expression(1));
        TRY(expect(Tok::close_paren, ""));
        return inner;
      }
      case Tok::range_op: return range_aggregation();
      case Tok::vector_op: return vector_aggregation();
      case Tok::label_replace: return label_replace();
      case Tok::vector: {
        take();
        TRY(expect(Tok::open_paren, "("));
        const Token number = TRY(expect(Tok::number, "NUMBER"));
        TRY(expect(Tok::close_paren, ")"));
        return make(VectorLiteral{metrics::parse_number(number.text).value_or(NAN)});
      }
      case Tok::number: case Tok::add: case Tok::sub: return make(Literal{TRY(signed_number())});
      default: return unexpected();
    }
  }

  // A selector with its range, wherever that stands: behind the selector, behind its stages, behind a parenthesis.
  Result<void> range_of(RangeAggregation& node, bool& has_range) {
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

  Result<ExprPtr> range_aggregation() {
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
    if (!has_range) return unexpected();
    TRY(expect(Tok::close_paren, ""));
    node.grouping = TRY(grouping());
    return checked(std::move(node), param);
  }

  Result<ExprPtr> checked(RangeAggregation node, const std::string& param) {
    const std::string& op = node.op;
    if (node.range <= 0) return semantic("range of " + op + " is not greater than 0");
    if (op == "quantile_over_time" && !node.has_param) return semantic("parameter required for operation quantile_over_time");
    if (op != "quantile_over_time" && node.has_param) return semantic("parameter " + param + " not supported for operation " + op);
    if (node.grouping && !is_one_of(op, {"avg_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time", "max_over_time", "min_over_time", "first_over_time", "last_over_time"}))
      return semantic("grouping not allowed for " + op + " aggregation");
    const bool counts = is_one_of(op, {"count_over_time", "bytes_over_time", "bytes_rate"});
    const bool either = is_one_of(op, {"rate", "absent_over_time"});
    if (node.unwrap && counts) return semantic("invalid aggregation " + op + " with unwrap");
    if (!node.unwrap && !counts && !either) return semantic("invalid aggregation " + op + " without unwrap");
    return make(std::move(node));
  }

  Result<ExprPtr> vector_aggregation() {
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
      if (*k <= 0) return semantic("invalid parameter (must be greater than 0) " + node.op + "(" + param + ",");
      node.k = *k;
    }
    if (by && is_one_of(node.op, {"approx_topk", "sort", "sort_desc"})) return semantic("grouping not allowed for " + node.op + " aggregation");
    node.has_grouping = by.has_value();
    if (by) node.grouping = std::move(*by);
    return make(std::move(node));
  }

  Result<ExprPtr> label_replace() {
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
    if (const auto regex = metrics::Regex::compile(node.pattern); !regex.ok()) return semantic("invalid regex in label_replace: " + regex.error().message);
    return make(std::move(node));
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

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
