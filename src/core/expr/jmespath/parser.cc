// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/parser.h"

#include <re2/re2.h>

#include <algorithm>

#include "core/expr/jmespath/functions.h"
#include "core/expr/jmespath/lexer.h"

namespace caisson::jmespath {
namespace {

// How tightly a token binds what stands left of it. Below kProjectionEnd a projection ends.
constexpr int kProjectionEnd = 10;
int standard_power(TokenKind kind) {
  switch (kind) {
    case TokenKind::pipe:
      return 1;
    case TokenKind::either:
      return 2;
    case TokenKind::both:
      return 3;
    case TokenKind::equal:
    case TokenKind::not_equal:
    case TokenKind::less:
    case TokenKind::less_equal:
    case TokenKind::greater:
    case TokenKind::greater_equal:
      return 5;
    case TokenKind::plus:
    case TokenKind::minus:
      return 6;
    case TokenKind::divide:
    case TokenKind::whole_divide:
    case TokenKind::modulo:
      return 7;
    case TokenKind::flatten:
      return 9;
    case TokenKind::star:
      return 20;
    case TokenKind::filter:
      return 21;
    case TokenKind::dot:
      return 40;
    case TokenKind::negation:
      return 45;
    case TokenKind::left_brace:
      return 50;
    case TokenKind::left_bracket:
      return 55;
    case TokenKind::left_paren:
      return 60;
    default:
      return 0;
  }
}

Arithmetic arithmetic_of(TokenKind kind) {
  switch (kind) {
    case TokenKind::minus:
      return Arithmetic::minus;
    case TokenKind::star:
      return Arithmetic::times;
    case TokenKind::divide:
      return Arithmetic::divided;
    case TokenKind::whole_divide:
      return Arithmetic::whole_divided;
    case TokenKind::modulo:
      return Arithmetic::modulo;
    default:
      return Arithmetic::plus;
  }
}

Comparator comparator_of(TokenKind kind) {
  switch (kind) {
    case TokenKind::not_equal:
      return Comparator::not_equal;
    case TokenKind::less:
      return Comparator::less;
    case TokenKind::less_equal:
      return Comparator::less_equal;
    case TokenKind::greater:
      return Comparator::greater;
    case TokenKind::greater_equal:
      return Comparator::greater_equal;
    default:
      return Comparator::equal;
  }
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, Dialect dialect) : tokens_(std::move(tokens)), dialect_(dialect) {}

  Result<Tree> run() {
    tree_.root = TRY(expression(0));
    if (peek() != TokenKind::end) return unexpected();
    return std::move(tree_);
  }

 private:
  using Index = std::uint32_t;

  // Of the token that comes next: behind an operand, the community's star multiplies.
  int next_power() const {
    if (peek() == TokenKind::star && dialect_ == Dialect::community) return standard_power(TokenKind::divide);
    return standard_power(peek());
  }

  TokenKind peek(std::size_t ahead = 0) const {
    const std::size_t at = at_ + ahead;
    return at < tokens_.size() ? tokens_[at].kind : TokenKind::end;
  }
  const Token& take() { return tokens_[std::min(at_++, tokens_.size() - 1)]; }
  bool accept(TokenKind kind) {
    if (peek() != kind) return false;
    ++at_;
    return true;
  }
  Result<void> expect(TokenKind kind) {
    if (!accept(kind)) return unexpected();
    return {};
  }
  Error unexpected() const {
    const Token& token = tokens_[std::min(at_, tokens_.size() - 1)];
    return syntax_error(token.kind == TokenKind::end ? "unexpected end" : "unexpected token", token.at);
  }

  Result<Index> add(Node node) {
    std::uint32_t depth = 0;
    const auto deepen = [&](Index child) { depth = std::max(depth, tree_.nodes[child].depth); };
    if (!tree_.nodes.empty()) {  // an unused child is 0, a node that exists: harmless for a bound
      deepen(node.a);
      deepen(node.b);
      deepen(node.c);
    }
    for (const Index child : node.children) deepen(child);
    node.depth = depth + 1;
    if (node.depth > kDepthMax) return syntax_error("the expression is nested too deeply", tokens_[at_ - 1].at);
    tree_.nodes.push_back(std::move(node));
    return static_cast<Index>(tree_.nodes.size() - 1);
  }
  Result<Index> leaf(NodeKind kind) { return add({.kind = kind}); }
  Result<Index> pair(NodeKind kind, Index a, Index b) { return add({.kind = kind, .a = a, .b = b}); }

  Result<Index> expression(int power) {
    if (++nesting_ > kDepthMax) return syntax_error("the expression is nested too deeply", tokens_[at_].at);
    Index left = TRY(prefix());
    while (power < next_power()) left = TRY(infix(left));
    --nesting_;
    return left;
  }

  Result<Index> prefix() {
    const Token& token = take();
    switch (token.kind) {
      case TokenKind::literal:
        return add({.kind = NodeKind::literal, .value = token.value});
      case TokenKind::name: {
        if (peek() == TokenKind::left_paren) return call(token);
        if (token.text == "let" && peek() == TokenKind::variable) return let();
        return add({.kind = NodeKind::field, .text = token.text});
      }
      case TokenKind::quoted_name:
        if (peek() == TokenKind::left_paren) return syntax_error("a quoted name is no function", token.at);
        return add({.kind = NodeKind::field, .text = token.text});
      case TokenKind::current:
        return leaf(NodeKind::identity);
      case TokenKind::star: {
        const Index left = TRY(leaf(NodeKind::identity));
        return values_of(left);
      }
      case TokenKind::filter: {
        const Index left = TRY(leaf(NodeKind::identity));
        return filter(left);
      }
      case TokenKind::flatten: {
        const Index left = TRY(leaf(NodeKind::identity));
        return flatten(left);
      }
      case TokenKind::left_brace:
        return multi_hash();
      case TokenKind::left_bracket:
        return bracket_prefix();
      case TokenKind::negation: {
        const Index inner = TRY(expression(standard_power(TokenKind::negation)));
        return add({.kind = NodeKind::negation, .a = inner});
      }
      case TokenKind::left_paren: {
        const Index inner = TRY(expression(0));
        TRY(expect(TokenKind::right_paren));
        return inner;
      }
      case TokenKind::reference:
        return syntax_error("& stands only before an argument", token.at);
      case TokenKind::variable:
        return add({.kind = token.text.empty() ? NodeKind::root : NodeKind::variable, .text = token.text});
      case TokenKind::plus:
      case TokenKind::minus: {
        const Arithmetic sign = arithmetic_of(token.kind);
        const Index zero = TRY(add({.kind = NodeKind::literal, .value = Value(0)}));
        const Index inner = TRY(expression(standard_power(TokenKind::negation)));
        return add({.kind = NodeKind::arithmetic, .arithmetic = sign, .a = zero, .b = inner});
      }
      default:
        --at_;
        return unexpected();
    }
  }

  // let $a = x, $b = y in z: the values are those of the scope around it.
  Result<Index> let() {
    Node node{.kind = NodeKind::let};
    do {
      if (peek() != TokenKind::variable || tokens_[at_].text.empty()) return unexpected();
      node.keys.push_back(take().text);
      TRY(expect(TokenKind::assign));
      node.children.push_back(TRY(expression(0)));
    } while (accept(TokenKind::comma));
    if (peek() != TokenKind::name || tokens_[at_].text != "in") return unexpected();
    ++at_;
    node.children.push_back(TRY(expression(0)));
    return add(std::move(node));
  }

  Result<Index> bracket_prefix() {
    const Index left = TRY(leaf(NodeKind::identity));
    if (peek() == TokenKind::number || peek() == TokenKind::colon) return index_or_slice(left);
    if (peek() == TokenKind::star && peek(1) == TokenKind::right_bracket) {
      at_ += 2;
      const Index right = TRY(projected(TokenKind::star));
      return pair(NodeKind::projection, left, right);
    }
    return multi_list();
  }

  Result<Index> infix(Index left) {
    const Token& token = take();
    switch (token.kind) {
      case TokenKind::dot: {
        if (accept(TokenKind::star)) return values_of(left);
        const Index right = TRY(after_dot(standard_power(TokenKind::dot)));
        return pair(NodeKind::subexpression, left, right);
      }
      case TokenKind::pipe:
        return binary(NodeKind::pipe, left, token.kind);
      case TokenKind::either:
        return binary(NodeKind::either, left, token.kind);
      case TokenKind::both:
        return binary(NodeKind::both, left, token.kind);
      case TokenKind::filter:
        return filter(left);
      case TokenKind::flatten:
        return flatten(left);
      case TokenKind::equal:
      case TokenKind::not_equal:
      case TokenKind::less:
      case TokenKind::less_equal:
      case TokenKind::greater:
      case TokenKind::greater_equal: {
        const Comparator comparator = comparator_of(token.kind);
        const Index right = TRY(expression(standard_power(token.kind)));
        return add({.kind = NodeKind::comparison, .comparator = comparator, .a = left, .b = right});
      }
      case TokenKind::star:
      case TokenKind::plus:
      case TokenKind::minus:
      case TokenKind::divide:
      case TokenKind::whole_divide:
      case TokenKind::modulo: {
        if (token.kind == TokenKind::star && dialect_ != Dialect::community) {
          --at_;
          return unexpected();
        }
        const TokenKind power = token.kind == TokenKind::star ? TokenKind::divide : token.kind;
        const Arithmetic operation = arithmetic_of(token.kind);
        const Index right = TRY(expression(standard_power(power)));
        return add({.kind = NodeKind::arithmetic, .arithmetic = operation, .a = left, .b = right});
      }
      case TokenKind::left_bracket:
        if (peek() == TokenKind::number || peek() == TokenKind::colon) return index_or_slice(left);
        if (accept(TokenKind::star)) {
          TRY(expect(TokenKind::right_bracket));
          const Index right = TRY(projected(TokenKind::star));
          return pair(NodeKind::projection, left, right);
        }
        return unexpected();
      default:
        --at_;
        return unexpected();
    }
  }

  Result<Index> binary(NodeKind kind, Index left, TokenKind token) {
    const Index right = TRY(expression(standard_power(token)));
    return pair(kind, left, right);
  }

  Result<Index> values_of(Index left) {
    const Index right = TRY(projected(TokenKind::star));
    return pair(NodeKind::value_projection, left, right);
  }

  Result<Index> filter(Index left) {
    const Index condition = TRY(expression(0));
    TRY(expect(TokenKind::right_bracket));
    Index right = 0;
    if (peek() == TokenKind::flatten)
      right = TRY(leaf(NodeKind::identity));
    else
      right = TRY(projected(TokenKind::filter));
    return add({.kind = NodeKind::filter_projection, .a = left, .b = right, .c = condition});
  }

  Result<Index> flatten(Index left) {
    const Index flat = TRY(add({.kind = NodeKind::flatten, .a = left}));
    const Index right = TRY(projected(TokenKind::flatten));
    return pair(NodeKind::projection, flat, right);
  }

  // What a projection does to each item: everything up to a token that ends it, or that binds no tighter than the
  // projection's own token ("a[?b].c[?d]" filters the list of c, not each c).
  Result<Index> projected(TokenKind by) {
    const int power = standard_power(by);
    if (next_power() < kProjectionEnd) return leaf(NodeKind::identity);
    if (peek() == TokenKind::left_bracket || peek() == TokenKind::filter) return expression(power);
    if (accept(TokenKind::dot)) return after_dot(power);
    return unexpected();
  }

  Result<Index> after_dot(int power) {
    switch (peek()) {
      case TokenKind::name:
      case TokenKind::quoted_name:
      case TokenKind::star:
        return expression(power);
      case TokenKind::left_bracket:
        ++at_;
        return multi_list();
      case TokenKind::left_brace:
        ++at_;
        return multi_hash();
      default:
        return unexpected();
    }
  }

  Result<Index> index_or_slice(Index left) {
    if (peek() == TokenKind::number && peek(1) != TokenKind::colon) {
      const std::int64_t number = take().number;
      TRY(expect(TokenKind::right_bracket));
      const Index index = TRY(add({.kind = NodeKind::index, .number = number}));
      return pair(NodeKind::subexpression, left, index);
    }
    Node slice{.kind = NodeKind::slice};
    std::optional<std::int64_t>* const parts[] = {&slice.from, &slice.to, &slice.step};
    std::size_t part = 0;
    while (peek() != TokenKind::right_bracket) {
      if (peek() == TokenKind::colon) {
        if (++part > 2) return unexpected();
        ++at_;
      } else if (peek() == TokenKind::number && !*parts[part]) {
        *parts[part] = take().number;
      } else {
        return unexpected();
      }
    }
    ++at_;
    const Index sliced = TRY(add(std::move(slice)));
    const Index whole = TRY(pair(NodeKind::subexpression, left, sliced));
    const Index right = TRY(projected(TokenKind::star));
    return pair(NodeKind::projection, whole, right);
  }

  Result<Index> multi_list() {
    Node node{.kind = NodeKind::multi_list};
    do {
      node.children.push_back(TRY(expression(0)));
    } while (accept(TokenKind::comma));
    TRY(expect(TokenKind::right_bracket));
    return add(std::move(node));
  }

  Result<Index> multi_hash() {
    Node node{.kind = NodeKind::multi_hash};
    do {
      if (peek() != TokenKind::name && peek() != TokenKind::quoted_name) return unexpected();
      node.keys.push_back(take().text);
      TRY(expect(TokenKind::colon));
      node.children.push_back(TRY(expression(0)));
    } while (accept(TokenKind::comma));
    TRY(expect(TokenKind::right_brace));
    return add(std::move(node));
  }

  Result<Index> argument() {
    if (!accept(TokenKind::reference)) return expression(0);
    const Index inner = TRY(expression(0));
    return add({.kind = NodeKind::reference, .a = inner});
  }

  Result<Index> call(const Token& name) {
    Node node{.kind = NodeKind::call, .text = name.text};
    ++at_;  // the parenthesis
    if (!accept(TokenKind::right_paren)) {
      do {
        node.children.push_back(TRY(argument()));
      } while (accept(TokenKind::comma));
      TRY(expect(TokenKind::right_paren));
    }
    node.function = find_function(node.text, dialect_);
    if (node.function == nullptr)
      return Error{ErrorCode::bad_request, "unknown-function: there is no function " + node.text};
    TRY(check_arity(*node.function, node.children.size()));
    TRY(compile_pattern(node));
    return add(std::move(node));
  }

  // A pattern that is written out is compiled here, once.
  Result<void> compile_pattern(Node& node) {
    if (!node.text.starts_with("regex_") || node.children.empty()) return {};
    const Node& first = tree_.nodes[node.children[0]];
    if (first.kind != NodeKind::literal || !first.value.is_string()) return {};
    node.regex = TRY(compile_regex(node.text, first.value.as_string()));
    return {};
  }

  std::vector<Token> tokens_;
  Dialect dialect_;
  std::size_t at_ = 0;
  std::uint32_t nesting_ = 0;
  Tree tree_;
};

}  // namespace

Result<Tree> parse(std::string_view text, Dialect dialect) {
  if (text.size() > kExpressionBytesMax) return syntax_error("the expression is too long", kExpressionBytesMax);
  return Parser(TRY(tokens_of(text, dialect)), dialect).run();
}

}  // namespace caisson::jmespath
