// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/parser.h"

#include <algorithm>

#include "core/expr/go_template/number_literal.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

// What all parsers of one text share: a parser for the text and one for each template that it defines.
struct Source {
  std::shared_ptr<const std::string> text;
  std::string parse_name;
  Lexer lexer;
  const Set& set;
  std::size_t depth_max;
  std::size_t depth = 0;  // of structures and parentheses that are open
  Trees trees;
};

class DepthGuard {
 public:
  explicit DepthGuard(Source& source) : source_(source) { ++source_.depth; }
  ~DepthGuard() { --source_.depth; }

 private:
  Source& source_;
};

class Parser {
 public:
  explicit Parser(Source& source) : source_(source) {}

  Result<void> parse_all(std::string_view name);

 private:
  Token next();
  Token peek();
  void backup() { ++peek_count_; }
  void backup2(const Token& first);
  void backup3(const Token& second, const Token& first);
  Token next_non_space();
  Token peek_non_space();

  Error fail(std::string_view message) const;
  Error unexpected(const Token& token, std::string_view context) const;
  Result<Token> expect(TokenType type, std::string_view context);
  Result<void> enter();

  Result<void> parse_definition();
  Result<void> add(std::string name, std::unique_ptr<ListNode> root);
  Result<std::unique_ptr<ListNode>> item_list(NodePtr& end);
  Result<NodePtr> text_or_action();
  Result<NodePtr> action();
  Result<NodePtr> jump(const Token& word);
  Result<NodePtr> branch(NodeType type, std::string_view context);
  Result<std::unique_ptr<ListNode>> else_list(NodeType type, const TreeNode& else_node);
  Result<NodePtr> else_control();
  Result<NodePtr> block();
  Result<NodePtr> template_control();
  Result<std::string> template_name(const Token& token, std::string_view context);
  Result<std::unique_ptr<PipeNode>> pipeline(std::string_view context, TokenType end);
  Result<void> declarations(PipeNode& pipe, std::string_view context);
  Result<void> check(const PipeNode& pipe, std::string_view context) const;
  Result<std::unique_ptr<CommandNode>> command();
  Result<NodePtr> operand();
  Result<NodePtr> term();
  Result<NodePtr> identifier(const Token& token);
  Result<NodePtr> variable(const Token& token);
  Result<NodePtr> number(const Token& token);
  Result<NodePtr> string(const Token& token);
  Result<NodePtr> parenthesized();

  Source& source_;
  Token token_[3];
  int peek_count_ = 0;
  std::vector<std::string> variables_{"$"};  // declared at this point
  int action_line_ = 0;                      // of the action that is open; 0: none
  int range_depth_ = 0;
};

std::vector<std::string> path_names(std::string_view path) {
  std::vector<std::string> names;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t dot = std::min(path.find('.', start), path.size());
    names.emplace_back(path.substr(start, dot - start));
    start = dot + 1;
  }
  return names;
}

Token Parser::next() {
  if (peek_count_ > 0) {
    --peek_count_;
  } else {
    token_[0] = source_.lexer.next();
  }
  return token_[peek_count_];
}

Token Parser::peek() {
  if (peek_count_ > 0) return token_[peek_count_ - 1];
  peek_count_ = 1;
  token_[0] = source_.lexer.next();
  return token_[0];
}

void Parser::backup2(const Token& first) {
  token_[1] = first;
  peek_count_ = 2;
}

void Parser::backup3(const Token& second, const Token& first) {
  token_[1] = first;
  token_[2] = second;
  peek_count_ = 3;
}

Token Parser::next_non_space() {
  Token token = next();
  while (token.type == TokenType::space) token = next();
  return token;
}

Token Parser::peek_non_space() {
  const Token token = next_non_space();
  backup();
  return token;
}

Error Parser::fail(std::string_view message) const {
  return Error{ErrorCode::bad_request,
               "template: " + source_.parse_name + ":" + std::to_string(token_[0].line) + ": " + std::string(message)};
}

Error Parser::unexpected(const Token& token, std::string_view context) const {
  if (token.type != TokenType::error) return fail("unexpected " + describe(token) + " in " + std::string(context));
  std::string extra;
  if (action_line_ != 0 && action_line_ != token.line) {
    extra = token.value.ends_with(" action") ? "" : " in action";
    extra += " started at " + source_.parse_name + ":" + std::to_string(action_line_);
  }
  return fail(std::string(token.value) + extra);
}

Result<Token> Parser::expect(TokenType type, std::string_view context) {
  const Token token = next_non_space();
  if (token.type != type) return unexpected(token, context);
  return token;
}

Result<void> Parser::enter() {
  if (source_.depth > source_.depth_max) return fail("max expression depth exceeded");
  return {};
}

Result<void> Parser::parse_all(std::string_view name) {
  auto root = std::make_unique<ListNode>(peek().pos);
  while (peek().type != TokenType::eof) {
    if (peek().type == TokenType::left_delim) {
      const Token delim = next();
      if (next_non_space().type == TokenType::define) {
        TRY(Parser(source_).parse_definition());
        continue;
      }
      backup2(delim);
    }
    NodePtr node = TRY(text_or_action());
    if (node->type == NodeType::end || node->type == NodeType::else_) return fail("unexpected " + to_text(*node));
    root->nodes.push_back(std::move(node));
  }
  return add(std::string(name), std::move(root));
}

Result<void> Parser::parse_definition() {
  constexpr std::string_view kContext = "define clause";
  const DepthGuard guard(source_);
  TRY(enter());
  const Token token = next_non_space();
  std::string name = TRY(template_name(token, kContext));
  TRY(expect(TokenType::right_delim, kContext));
  NodePtr end;
  auto root = TRY(item_list(end));
  if (end->type != NodeType::end) return fail("unexpected " + to_text(*end) + " in " + std::string(kContext));
  return add(std::move(name), std::move(root));
}

Result<void> Parser::add(std::string name, std::unique_ptr<ListNode> root) {
  const auto found = source_.trees.find(name);
  if (found != source_.trees.end() && !is_empty(*found->second->root)) {
    if (is_empty(*root)) return {};
    return fail("template: multiple definition of template " + quote(name));
  }
  auto tree = std::make_unique<Tree>();
  tree->name = name;
  tree->parse_name = source_.parse_name;
  tree->text = source_.text;
  tree->root = std::move(root);
  source_.trees.insert_or_assign(std::move(name), std::move(tree));
  return {};
}

// Up to {{end}} or {{else}}, which is given in `end`.
Result<std::unique_ptr<ListNode>> Parser::item_list(NodePtr& end) {
  auto list = std::make_unique<ListNode>(peek_non_space().pos);
  while (peek_non_space().type != TokenType::eof) {
    NodePtr node = TRY(text_or_action());
    if (node->type == NodeType::end || node->type == NodeType::else_) {
      end = std::move(node);
      return list;
    }
    list->nodes.push_back(std::move(node));
  }
  return fail("unexpected EOF");
}

Result<NodePtr> Parser::text_or_action() {
  const Token token = next_non_space();
  if (token.type == TokenType::text) return NodePtr(std::make_unique<TextNode>(token.pos, token.value));
  if (token.type != TokenType::left_delim) return unexpected(token, "input");
  action_line_ = token.line;
  auto node = action();
  action_line_ = 0;
  return node;
}

Result<NodePtr> Parser::action() {
  const Token word = next_non_space();
  switch (word.type) {
    case TokenType::block:
      return block();
    case TokenType::break_:
    case TokenType::continue_:
      return jump(word);
    case TokenType::else_:
      return else_control();
    case TokenType::end:
      return NodePtr(std::make_unique<TreeNode>(NodeType::end, TRY(expect(TokenType::right_delim, "end")).pos));
    case TokenType::if_:
      return branch(NodeType::if_, "if");
    case TokenType::range:
      return branch(NodeType::range, "range");
    case TokenType::template_:
      return template_control();
    case TokenType::with:
      return branch(NodeType::with, "with");
    default:
      break;
  }
  backup();
  auto node = std::make_unique<ActionNode>(peek().pos);
  node->pipe = TRY(pipeline("command", TokenType::right_delim));
  return NodePtr(std::move(node));
}

Result<NodePtr> Parser::jump(const Token& word) {
  const std::string shown = "{{" + std::string(word.value) + "}}";
  const Token token = next_non_space();
  if (token.type != TokenType::right_delim) return unexpected(token, shown);
  if (range_depth_ == 0) return fail(shown + " outside {{range}}");
  const bool is_break = word.type == TokenType::break_;
  return NodePtr(std::make_unique<TreeNode>(is_break ? NodeType::break_ : NodeType::continue_, word.pos));
}

Result<NodePtr> Parser::branch(NodeType type, std::string_view context) {
  const DepthGuard guard(source_);
  TRY(enter());
  const std::size_t declared = variables_.size();
  auto pipe = TRY(pipeline(context, TokenType::right_delim));
  auto node = std::make_unique<BranchNode>(type, pipe->pos);
  node->pipe = std::move(pipe);
  range_depth_ += type == NodeType::range;
  NodePtr end;
  node->list = TRY(item_list(end));
  range_depth_ -= type == NodeType::range;
  if (end->type == NodeType::else_) node->else_list = TRY(else_list(type, *end));
  variables_.resize(declared);
  return NodePtr(std::move(node));
}

// {{else if x}}…{{end}} is {{else}}{{if x}}…{{end}}{{end}}, its one {{end}} taken by the inner "if".
Result<std::unique_ptr<ListNode>> Parser::else_list(NodeType type, const TreeNode& else_node) {
  const bool chains_if = type == NodeType::if_ && peek().type == TokenType::if_;
  const bool chains_with = type == NodeType::with && peek().type == TokenType::with;
  if (chains_if || chains_with) {
    next();
    auto list = std::make_unique<ListNode>(else_node.pos);
    list->nodes.push_back(TRY(branch(type, chains_if ? "if" : "with")));
    return list;
  }
  NodePtr end;
  auto list = TRY(item_list(end));
  if (end->type != NodeType::end) return fail("expected end; found " + to_text(*end));
  return list;
}

Result<NodePtr> Parser::else_control() {
  const Token ahead = peek_non_space();
  if (ahead.type == TokenType::if_ || ahead.type == TokenType::with) {
    return NodePtr(std::make_unique<TreeNode>(NodeType::else_, ahead.pos));
  }
  return NodePtr(std::make_unique<TreeNode>(NodeType::else_, TRY(expect(TokenType::right_delim, "else")).pos));
}

Result<NodePtr> Parser::block() {
  constexpr std::string_view kContext = "block clause";
  const DepthGuard guard(source_);
  TRY(enter());
  const Token token = next_non_space();
  auto node = std::make_unique<TemplateNode>(token.pos);
  node->name = TRY(template_name(token, kContext));
  node->pipe = TRY(pipeline(kContext, TokenType::right_delim));
  Parser body(source_);
  NodePtr end;
  auto root = TRY(body.item_list(end));
  if (end->type != NodeType::end) return fail("unexpected " + to_text(*end) + " in " + std::string(kContext));
  TRY(body.add(node->name, std::move(root)));
  return NodePtr(std::move(node));
}

Result<NodePtr> Parser::template_control() {
  constexpr std::string_view kContext = "template clause";
  const Token token = next_non_space();
  auto node = std::make_unique<TemplateNode>(token.pos);
  node->name = TRY(template_name(token, kContext));
  if (next_non_space().type != TokenType::right_delim) {
    backup();
    node->pipe = TRY(pipeline(kContext, TokenType::right_delim));
  }
  return NodePtr(std::move(node));
}

Result<std::string> Parser::template_name(const Token& token, std::string_view context) {
  if (token.type != TokenType::string && token.type != TokenType::raw_string) return unexpected(token, context);
  std::string name;
  if (!unquote(token.value, name)) return fail("invalid syntax");
  return name;
}

Result<void> Parser::declarations(PipeNode& pipe, std::string_view context) {
  const auto declare = [&](const Token& token) {
    next_non_space();
    pipe.variables.emplace_back(token.value);
    variables_.emplace_back(token.value);
  };
  while (true) {
    const Token variable = peek_non_space();
    if (variable.type != TokenType::variable) return {};
    next();
    // "$x foo" needs three tokens of look-ahead to be told from "$x := foo".
    const Token after = peek();
    const Token ahead = peek_non_space();
    if (ahead.type == TokenType::assign || ahead.type == TokenType::declare) {
      pipe.is_assign = ahead.type == TokenType::assign;
      declare(variable);
      return {};
    }
    if (ahead.type == TokenType::character && ahead.value == ",") {
      declare(variable);
      if (context != "range" || pipe.variables.size() >= 2) {
        return fail("too many declarations in " + std::string(context));
      }
      const TokenType following = peek_non_space().type;
      if (following == TokenType::variable || following == TokenType::right_delim ||
          following == TokenType::right_paren) {
        continue;
      }
      return fail("range can only initialize variables");
    }
    if (after.type == TokenType::space) {
      backup3(variable, after);
    } else {
      backup2(variable);
    }
    return {};
  }
}

Result<std::unique_ptr<PipeNode>> Parser::pipeline(std::string_view context, TokenType end) {
  auto pipe = std::make_unique<PipeNode>(peek_non_space().pos);
  TRY(declarations(*pipe, context));
  while (true) {
    const Token token = next_non_space();
    if (token.type == end) {
      TRY(check(*pipe, context));
      return pipe;
    }
    switch (token.type) {
      case TokenType::boolean:
      case TokenType::char_constant:
      case TokenType::complex:
      case TokenType::dot:
      case TokenType::field:
      case TokenType::identifier:
      case TokenType::number:
      case TokenType::nil:
      case TokenType::raw_string:
      case TokenType::string:
      case TokenType::variable:
      case TokenType::left_paren:
        backup();
        pipe->commands.push_back(TRY(command()));
        break;
      default:
        return unexpected(token, context);
    }
  }
}

Result<void> Parser::check(const PipeNode& pipe, std::string_view context) const {
  if (pipe.commands.empty()) return fail("missing value for " + std::string(context));
  for (std::size_t i = 1; i < pipe.commands.size(); ++i) {
    const NodeType type = pipe.commands[i]->args[0]->type;
    const bool is_constant = type == NodeType::boolean || type == NodeType::dot || type == NodeType::nil ||
                             type == NodeType::number || type == NodeType::string;
    if (is_constant) return fail("non executable command in pipeline stage " + std::to_string(i + 1));
  }
  return {};
}

Result<std::unique_ptr<CommandNode>> Parser::command() {
  auto command = std::make_unique<CommandNode>(peek_non_space().pos);
  while (true) {
    peek_non_space();
    NodePtr node = TRY(operand());
    if (node) command->args.push_back(std::move(node));
    const Token token = next();
    if (token.type == TokenType::space) continue;
    if (token.type == TokenType::right_delim || token.type == TokenType::right_paren) {
      backup();
    } else if (token.type != TokenType::pipe) {
      return unexpected(token, "operand");
    }
    break;
  }
  if (command->args.empty()) return fail("empty command");
  return command;
}

// A term and the fields behind it; null when there is none.
Result<NodePtr> Parser::operand() {
  NodePtr node = TRY(term());
  if (!node || peek().type != TokenType::field) return node;
  auto chain = std::make_unique<ChainNode>(peek().pos);
  while (peek().type == TokenType::field) chain->fields.emplace_back(next().value.substr(1));
  switch (node->type) {
    case NodeType::field:
    case NodeType::variable: {
      auto& path = static_cast<PathNode&>(*node);
      path.pos = chain->pos;
      std::move(chain->fields.begin(), chain->fields.end(), std::back_inserter(path.names));
      return node;
    }
    case NodeType::boolean:
    case NodeType::string:
    case NodeType::number:
    case NodeType::nil:
    case NodeType::dot:
      return fail("unexpected . after term " + quote(to_text(*node)));
    default:
      chain->node = std::move(node);
      return NodePtr(std::move(chain));
  }
}

Result<NodePtr> Parser::term() {
  const Token token = next_non_space();
  switch (token.type) {
    case TokenType::identifier:
      return identifier(token);
    case TokenType::dot:
      return NodePtr(std::make_unique<TreeNode>(NodeType::dot, token.pos));
    case TokenType::nil:
      return NodePtr(std::make_unique<TreeNode>(NodeType::nil, token.pos));
    case TokenType::variable:
      return variable(token);
    case TokenType::field: {
      auto node = std::make_unique<PathNode>(NodeType::field, token.pos);
      node->names = path_names(token.value.substr(1));
      return NodePtr(std::move(node));
    }
    case TokenType::boolean: {
      auto node = std::make_unique<BoolNode>(token.pos);
      node->value = token.value == "true";
      return NodePtr(std::move(node));
    }
    case TokenType::char_constant:
    case TokenType::complex:
    case TokenType::number:
      return number(token);
    case TokenType::left_paren:
      return parenthesized();
    case TokenType::string:
    case TokenType::raw_string:
      return string(token);
    default:
      backup();
      return NodePtr();
  }
}

Result<NodePtr> Parser::identifier(const Token& token) {
  auto node = std::make_unique<IdentifierNode>(token.pos);
  node->name = std::string(token.value);
  node->function = source_.set.find_function(token.value);
  if (!node->function) return fail("function " + quote(token.value) + " not defined");
  return NodePtr(std::move(node));
}

Result<NodePtr> Parser::variable(const Token& token) {
  auto node = std::make_unique<PathNode>(NodeType::variable, token.pos);
  node->names = path_names(token.value);
  const bool is_declared = std::find(variables_.begin(), variables_.end(), node->names[0]) != variables_.end();
  if (!is_declared) return fail("undefined variable " + quote(node->names[0]));
  return NodePtr(std::move(node));
}

Result<NodePtr> Parser::number(const Token& token) {
  auto node = std::make_unique<NumberNode>(token.pos);
  const auto read = read_number(token, *node);
  if (!read.ok()) return fail(read.error().message);
  return NodePtr(std::move(node));
}

Result<NodePtr> Parser::string(const Token& token) {
  auto node = std::make_unique<StringNode>(token.pos);
  std::string text;
  if (!unquote(token.value, text)) return fail("invalid syntax");
  node->quoted = std::string(token.value);
  node->text = Value(text);
  return NodePtr(std::move(node));
}

Result<NodePtr> Parser::parenthesized() {
  const DepthGuard guard(source_);
  TRY(enter());
  return NodePtr(TRY(pipeline("parenthesized pipeline", TokenType::right_paren)));
}

}  // namespace

Result<Trees> parse_template(std::string_view name, std::string_view text, const Set& set, std::size_t depth_max) {
  auto owned = std::make_shared<const std::string>(text);
  const std::string_view view = *owned;
  Source source{std::move(owned), std::string(name), Lexer(view), set, depth_max, 0, {}};
  TRY(Parser(source).parse_all(name));
  return std::move(source.trees);
}

}  // namespace caisson::go_template
