// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/parser.h"

#include <algorithm>
#include <charconv>

#include "core/expr/cel/lexer.h"

namespace caisson::cel {
namespace {

constexpr int kTreeDepthMax = 1000;  // of chains: a.b.c…, a + b + c…; the evaluator recurses along them

constexpr std::string_view kReserved[] = {"as",        "break",  "const",  "continue", "else", "for",
                                          "function",  "if",     "import", "let",      "loop", "package",
                                          "namespace", "return", "var",    "void",     "while"};

class Parser {
 public:
  Parser(std::string_view text, const EnvironmentOptions& options, Findings& findings)
      : options_(options), findings_(findings), lexer_(text, findings) {
    token_ = lexer_.next();
  }

  NodePtr run() {
    NodePtr node = expression();
    if (node != nullptr && token_.kind != TokenKind::end) unexpected();
    return failed_ || !findings_.empty() ? nullptr : std::move(node);
  }

 private:
  void advance() { token_ = lexer_.next(); }
  bool at(std::string_view symbol) const { return token_.kind == TokenKind::symbol && token_.text == symbol; }
  bool take(std::string_view symbol) {
    if (!at(symbol)) return false;
    advance();
    return true;
  }
  NodePtr fail(std::uint32_t offset, std::string message) {
    if (!failed_) findings_.add(offset, std::move(message));
    failed_ = true;
    return nullptr;
  }
  NodePtr unexpected() {
    if (token_.kind == TokenKind::wrong) {
      failed_ = true;
      return nullptr;
    }
    const std::string shown = token_.kind == TokenKind::end ? "<EOF>" : std::string(token_.text);
    return fail(token_.offset, "Syntax error: mismatched input '" + shown + "'");
  }
  bool expect(std::string_view symbol) {
    if (take(symbol)) return true;
    if (token_.kind != TokenKind::wrong) {
      const std::string shown = token_.kind == TokenKind::end ? "<EOF>" : std::string(token_.text);
      fail(token_.offset, "Syntax error: mismatched input '" + shown + "' expecting '" + std::string(symbol) + "'");
    }
    failed_ = true;
    return false;
  }

  struct Depth {
    explicit Depth(int& depth) : depth_(depth) { ++depth_; }
    ~Depth() { --depth_; }
    int& depth_;
  };
  bool too_deep() {
    if (depth_ <= options_.depth_max) return false;
    fail(token_.offset, "expression recursion limit exceeded: " + std::to_string(options_.depth_max));
    return true;
  }
  NodePtr checked(NodePtr node) {
    if (node == nullptr || node->depth <= kTreeDepthMax) return node;
    return fail(node->offset, "expression is nested deeper than " + std::to_string(kTreeDepthMax));
  }

  NodePtr expression() {
    const Depth guard(depth_);
    if (too_deep()) return nullptr;
    NodePtr condition = logical("||", "_||_", &Parser::conjunction);
    if (condition == nullptr || !at("?")) return condition;
    const std::uint32_t offset = token_.offset;
    advance();
    NodePtr yes = logical("||", "_||_", &Parser::conjunction);
    if (yes == nullptr || !expect(":")) return nullptr;
    NodePtr no = expression();
    if (no == nullptr) return nullptr;
    std::vector<NodePtr> parts;
    parts.push_back(std::move(condition));
    parts.push_back(std::move(yes));
    parts.push_back(std::move(no));
    return make_call("_?_:_", std::move(parts), offset);
  }

  NodePtr conjunction() { return logical("&&", "_&&_", &Parser::relation); }

  NodePtr logical(std::string_view symbol, std::string_view function, NodePtr (Parser::*operand)()) {
    NodePtr first = (this->*operand)();
    if (first == nullptr || !at(symbol)) return first;
    const std::uint32_t offset = token_.offset;
    std::vector<NodePtr> terms;
    terms.push_back(std::move(first));
    while (take(symbol)) {
      NodePtr term = (this->*operand)();
      if (term == nullptr) return nullptr;
      terms.push_back(std::move(term));
    }
    return make_call(std::string(function), std::move(terms), offset);
  }

  // Left-associative binary operators of one level.
  template <std::size_t N>
  NodePtr binary(const std::pair<std::string_view, std::string_view> (&operators)[N], NodePtr (Parser::*operand)()) {
    NodePtr left = (this->*operand)();
    while (left != nullptr) {
      const auto found = std::find_if(std::begin(operators), std::end(operators),
                                      [&](const auto& candidate) { return at(candidate.first); });
      if (found == std::end(operators)) break;
      const std::uint32_t offset = token_.offset;
      advance();
      NodePtr right = (this->*operand)();
      if (right == nullptr) return nullptr;
      std::vector<NodePtr> arguments;
      arguments.push_back(std::move(left));
      arguments.push_back(std::move(right));
      left = checked(make_call(std::string(found->second), std::move(arguments), offset));
    }
    return left;
  }

  NodePtr relation() {
    static constexpr std::pair<std::string_view, std::string_view> kOperators[] = {
        {"<", "_<_"}, {"<=", "_<=_"}, {">=", "_>=_"}, {">", "_>_"}, {"==", "_==_"}, {"!=", "_!=_"}, {"in", "@in"}};
    return binary(kOperators, &Parser::sum);
  }
  NodePtr sum() {
    static constexpr std::pair<std::string_view, std::string_view> kOperators[] = {{"+", "_+_"}, {"-", "_-_"}};
    return binary(kOperators, &Parser::product);
  }
  NodePtr product() {
    static constexpr std::pair<std::string_view, std::string_view> kOperators[] = {
        {"*", "_*_"}, {"/", "_/_"}, {"%", "_%_"}};
    return binary(kOperators, &Parser::unary);
  }

  // An even number of '!' or '-' is none; the last '-' before a number belongs to it, so that the smallest int is one.
  NodePtr unary() {
    const std::string symbol = at("!") ? "!" : "-";
    if (!at(symbol)) return member(primary(false));
    const std::uint32_t offset = token_.offset;
    int count = 0;
    bool negative_literal = false;
    while (at(symbol)) {
      advance();
      ++count;
      if (symbol == "-" && (token_.kind == TokenKind::integer || token_.kind == TokenKind::floating)) {
        negative_literal = true;
        --count;
      }
    }
    NodePtr operand = member(primary(negative_literal));
    if (operand == nullptr || count % 2 == 0) return operand;
    std::vector<NodePtr> arguments;
    arguments.push_back(std::move(operand));
    return make_call(symbol == "!" ? "!_" : "-_", std::move(arguments), offset);
  }

  NodePtr member(NodePtr node) {
    while (node != nullptr) {
      const std::uint32_t offset = token_.offset;
      if (take(".")) {
        node = after_dot(std::move(node), offset);
      } else if (take("[")) {
        node = index(std::move(node), offset);
      } else if (at("{") && !node->parenthesized_chain && !qualified_name(*node).empty()) {
        node = message(std::move(node));
      } else {
        return node;
      }
      node = checked(std::move(node));
    }
    return node;
  }

  NodePtr after_dot(NodePtr operand, std::uint32_t dot) {
    const std::uint32_t question = token_.offset;
    const bool optional = take("?");
    if (optional && !has_optionals()) return fail(question, "unsupported syntax '.?'");
    if (token_.kind != TokenKind::identifier && token_.kind != TokenKind::escaped_identifier) return unexpected();
    const Token name = token_;
    advance();
    if (optional) {
      std::vector<NodePtr> arguments;
      arguments.push_back(std::move(operand));
      arguments.push_back(make_literal(Value::string(name.text), name.offset));
      return make_call("_?._", std::move(arguments), dot);
    }
    if (at("(") && name.kind == TokenKind::identifier) return member_call(std::move(operand), std::string(name.text));
    if (name.kind == TokenKind::identifier && is_keyword(name.text)) {
      token_ = name;
      return unexpected();
    }
    NodePtr select = make_node(NodeKind::select, dot);
    select->name = name.text;
    adopt(*select, std::move(operand));
    return select;
  }

  NodePtr member_call(NodePtr receiver, std::string name) {
    const std::uint32_t offset = token_.offset;
    std::vector<NodePtr> arguments;
    arguments.push_back(std::move(receiver));
    if (!call_arguments(arguments)) return nullptr;
    NodePtr call = make_call(std::move(name), std::move(arguments), offset);
    call->member = true;
    return expanded(std::move(call));
  }

  NodePtr index(NodePtr operand, std::uint32_t bracket) {
    const std::uint32_t question = token_.offset;
    const bool optional = take("?");
    if (optional && !has_optionals()) return fail(question, "unsupported syntax '[?'");
    NodePtr key = expression();
    if (key == nullptr || !expect("]")) return nullptr;
    std::vector<NodePtr> arguments;
    arguments.push_back(std::move(operand));
    arguments.push_back(std::move(key));
    return make_call(optional ? "_[?_]" : "_[_]", std::move(arguments), bracket);
  }

  bool call_arguments(std::vector<NodePtr>& out) {
    if (!expect("(")) return false;
    if (take(")")) return true;
    do {
      NodePtr argument = expression();
      if (argument == nullptr) return false;
      out.push_back(std::move(argument));
    } while (take(","));
    return expect(")");
  }

  NodePtr message(NodePtr type) {
    NodePtr node = make_node(NodeKind::message, token_.offset);
    node->name = qualified_name(*type);
    expect("{");
    while (!take("}")) {
      const std::uint32_t question = token_.offset;
      const bool optional = take("?");
      if (optional && !has_optionals()) return fail(question, "unsupported syntax '?'");
      if (token_.kind != TokenKind::identifier && token_.kind != TokenKind::escaped_identifier) return unexpected();
      node->fields.emplace_back(token_.text);
      node->optional.push_back(optional);
      advance();
      if (!expect(":")) return nullptr;
      NodePtr value = expression();
      if (value == nullptr) return nullptr;
      adopt(*node, std::move(value));
      if (!take(",") && !at("}")) return unexpected();
    }
    return node;
  }

  NodePtr primary(bool negative) {
    const Token token = token_;
    switch (token.kind) {
      case TokenKind::integer:
        return integer(negative);
      case TokenKind::unsigned_integer:
        return unsigned_integer();
      case TokenKind::floating:
        return floating(negative);
      case TokenKind::string:
        advance();
        return make_literal(Value::string(token.content), token.offset);
      case TokenKind::bytes:
        advance();
        return make_literal(Value::bytes(token.content), token.offset);
      case TokenKind::identifier:
        return identifier("");
      default:
        break;
    }
    if (at(".")) {
      advance();
      if (token_.kind != TokenKind::identifier) return unexpected();
      return identifier(".");
    }
    if (take("(")) {
      NodePtr node = expression();
      if (node == nullptr || !expect(")")) return nullptr;
      node->parenthesized_chain = true;
      return node;
    }
    if (at("[")) return list();
    if (at("{")) return map();
    return unexpected();
  }

  static bool is_keyword(std::string_view word) { return word == "true" || word == "false" || word == "null"; }

  NodePtr identifier(std::string prefix) {
    const Token token = token_;
    advance();
    if (prefix.empty() && token.text == "null") return make_literal(Value(), token.offset);
    if (prefix.empty() && is_keyword(token.text)) return make_literal(Value(token.text == "true"), token.offset);
    if (std::find(std::begin(kReserved), std::end(kReserved), token.text) != std::end(kReserved))
      return fail(token.offset, "reserved identifier: " + std::string(token.text));
    const std::string name = prefix + std::string(token.text);
    if (!at("(")) return make_identifier(name, token.offset);
    const std::uint32_t offset = token_.offset;
    std::vector<NodePtr> arguments;
    if (!call_arguments(arguments)) return nullptr;
    return expanded(make_call(name, std::move(arguments), offset));
  }

  NodePtr expanded(NodePtr call) {
    const bool clean = findings_.empty();
    NodePtr out = expand_macro(std::move(call), options_, findings_);
    if (clean && !findings_.empty()) failed_ = true;
    return failed_ ? nullptr : checked(std::move(out));
  }

  NodePtr integer(bool negative) {
    const Token token = token_;
    advance();
    const bool is_hex = token.text.starts_with("0x") || token.text.starts_with("0X");
    const std::string digits = (negative ? "-" : "") + std::string(is_hex ? token.text.substr(2) : token.text);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, is_hex ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size()) return fail(token.offset, "invalid int literal");
    return make_literal(Value(value), token.offset);
  }

  NodePtr unsigned_integer() {
    const Token token = token_;
    advance();
    const bool is_hex = token.text.starts_with("0x") || token.text.starts_with("0X");
    const std::string_view digits = token.text.substr(is_hex ? 2 : 0, token.text.size() - (is_hex ? 3 : 1));
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, is_hex ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size()) return fail(token.offset, "invalid uint literal");
    return make_literal(Value(value), token.offset);
  }

  NodePtr floating(bool negative) {
    const Token token = token_;
    advance();
    double value = 0;
    std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    return make_literal(Value(negative ? -value : value), token.offset);
  }

  NodePtr list() {
    NodePtr node = make_node(NodeKind::list, token_.offset);
    advance();
    while (!take("]")) {
      const std::uint32_t question = token_.offset;
      const bool optional = take("?");
      if (optional && !has_optionals()) return fail(question, "unsupported syntax '?'");
      NodePtr element = expression();
      if (element == nullptr) return nullptr;
      adopt(*node, std::move(element));
      node->optional.push_back(optional);
      if (!take(",") && !at("]")) return unexpected();
    }
    return node;
  }

  NodePtr map() {
    NodePtr node = make_node(NodeKind::map, token_.offset);
    advance();
    while (!take("}")) {
      const std::uint32_t question = token_.offset;
      const bool optional = take("?");
      if (optional && !has_optionals()) return fail(question, "unsupported syntax '?'");
      NodePtr key = expression();
      if (key == nullptr || !expect(":")) return nullptr;
      NodePtr value = expression();
      if (value == nullptr) return nullptr;
      adopt(*node, std::move(key));
      adopt(*node, std::move(value));
      node->optional.push_back(optional);
      if (!take(",") && !at("}")) return unexpected();
    }
    return node;
  }

  bool has_optionals() const { return (options_.libraries & static_cast<Libraries>(Library::optional_types)) != 0; }

  const EnvironmentOptions& options_;
  Findings& findings_;
  Lexer lexer_;
  Token token_;
  int depth_ = 0;
  bool failed_ = false;
};

CallKind call_kind(std::string_view function) {
  static constexpr std::pair<std::string_view, CallKind> kKinds[] = {
      {"_||_", CallKind::logical_or},
      {"_&&_", CallKind::logical_and},
      {"_?_:_", CallKind::conditional},
      {"_[_]", CallKind::index},
      {"_[?_]", CallKind::optional_index},
      {"_?._", CallKind::optional_select},
      {"_==_", CallKind::equal},
      {"_!=_", CallKind::not_equal},
      {"@not_strictly_false", CallKind::not_strictly_false},
      {"cel.@mapInsert", CallKind::map_insert}};
  for (const auto& [name, kind] : kKinds) {
    if (name == function) return kind;
  }
  return CallKind::function;
}

}  // namespace

std::string qualified_name(const Node& node) {
  if (node.kind == NodeKind::identifier) return node.name;
  if (node.kind != NodeKind::select || node.presence_test) return {};
  std::string operand = qualified_name(*node.children[0]);
  return operand.empty() ? operand : operand + "." + node.name;
}

NodePtr make_node(NodeKind kind, std::uint32_t offset) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  node->offset = offset;
  return node;
}

void adopt(Node& parent, NodePtr child) {
  parent.depth = std::max(parent.depth, child->depth + 1);
  parent.children.push_back(std::move(child));
}

NodePtr make_identifier(std::string name, std::uint32_t offset) {
  NodePtr node = make_node(NodeKind::identifier, offset);
  node->name = std::move(name);
  return node;
}

NodePtr make_literal(Value value, std::uint32_t offset) {
  NodePtr node = make_node(NodeKind::literal, offset);
  node->value = std::move(value);
  node->is_constant = true;
  return node;
}

NodePtr make_call(std::string function, std::vector<NodePtr> arguments, std::uint32_t offset) {
  NodePtr node = make_node(NodeKind::call, offset);
  node->call = call_kind(function);
  node->name = std::move(function);
  for (NodePtr& argument : arguments) adopt(*node, std::move(argument));
  return node;
}

NodePtr parse(std::string_view text, const EnvironmentOptions& options, Findings& findings) {
  if (text.size() > options.expression_bytes_max) {
    findings.add(0, "expression code point size exceeds limit: size: " + std::to_string(text.size()) + ", limit " +
                        std::to_string(options.expression_bytes_max));
    return nullptr;
  }
  return Parser(text, options, findings).run();
}

}  // namespace caisson::cel
