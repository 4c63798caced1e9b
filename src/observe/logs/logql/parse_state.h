// SPDX-License-Identifier: Apache-2.0
// The inside of the parser: recursive descent over upstream's grammar. parser.cc has expressions and aggregations,
// parse_pipeline.cc selectors and stages. One text, one thread.
#pragma once
#include <algorithm>
#include <utility>

#include "observe/logs/logql/ast.h"
#include "observe/logs/logql/printer.h"

namespace caisson::logs::logql {

// What is wrong with the meaning has no place: "parse error : …".
inline Error semantic(std::string message) {
  return to_error({std::move(message), 0, 0});
}

inline bool is_line_filter(Tok kind) {
  return kind == Tok::pipe_exact || kind == Tok::pipe_match || kind == Tok::pipe_pattern || kind == Tok::neq ||
         kind == Tok::nre || kind == Tok::npa;
}

class ParserState {
 public:
  explicit ParserState(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  Result<ExprPtr> whole();
  Result<Selector> log_selector() {
    Selector selector = TRY(parse_selector(true));
    if (peek().kind != Tok::end) return unexpected();
    return selector;
  }
  Result<std::vector<Matcher>> matchers_only();

 private:
  static constexpr int kDepthMax = 100;
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
    const auto line = peek().kind == Tok::range ? 0 : peek().line;  // as upstream, whose ranges are scanned apart
    return to_error({std::move(text), line, peek().column});
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
  Result<Matcher> matcher();
  Result<std::vector<Matcher>> braces();
  Result<Selector> parse_selector(bool with_stages);
  // --- pipelines
  // Stages up to what is none; `unwrap` takes | unwrap and the filters behind it where one may stand.
  Result<void> stages(std::vector<Stage>& into, std::optional<Unwrap>* unwrap);
  Result<LineFilter::One> line_operand();
  Result<Stage> line_filter();
  Result<Stage> stage();
  Result<Stage> text_parser(ParserKind kind);
  Result<Stage> extraction_parser(ParserKind kind);
  static Error stage_error(const auto& stage, const std::string& message) {
    return semantic("stage '" + print_stage(Stage(stage)) + "' : " + message);
  }
  Result<Stage> label_format();
  Result<Stage> named_matchers(bool drop);
  using FilterPtr = std::unique_ptr<LabelFilter>;
  Result<FilterPtr> label_filter_or();
  Result<FilterPtr> label_filter_and();
  static FilterPtr join(LabelFilter::Kind kind, FilterPtr left, FilterPtr right);
  Result<FilterPtr> label_filter_one();
  Result<Unwrap> parse_unwrap();
  // --- metrics
  Result<double> signed_number();
  static ExprPtr make(auto node) {
    auto out = std::make_unique<Expr>();
    out->node = std::move(node);
    return out;
  }
  Result<ExprPtr> expression(int least);
  Result<ExprPtr> binary(Binary node, ExprPtr left, ExprPtr right, const Token& op);
  Result<void> modifiers(Binary& node);
  Result<std::vector<std::string>> label_list();
  Result<std::optional<Grouping>> grouping() {
    if (peek().kind != Tok::by && peek().kind != Tok::without) return std::optional<Grouping>();
    const bool without = take().kind == Tok::without;
    auto labels = TRY(label_list());
    return std::optional<Grouping>(Grouping{without, std::move(labels)});
  }
  Result<ExprPtr> primary();
  // A selector with its range, wherever that stands: behind the selector, behind its stages, behind a parenthesis.
  Result<void> range_of(RangeAggregation& node, bool& has_range);
  Result<ExprPtr> range_aggregation();
  Result<ExprPtr> checked(RangeAggregation node, const std::string& param);
  Result<ExprPtr> vector_aggregation();
  Result<ExprPtr> label_replace();

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace caisson::logs::logql
