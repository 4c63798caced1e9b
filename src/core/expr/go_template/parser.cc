// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/parser.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/base/text.h"
#include "core/expr/go_template/number_literal.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

// What all parsers of one text share: a parser for the text and one for each template that it defines.
struct Shared {
  std::shared_ptr<Source> source;
  Lexer lexer;
  const Set& set;
  std::size_t depth_max;
  std::size_t depth = 0;  // of structures and parentheses that are open
  Trees trees = {};
  // Items of the nodes that are open, the innermost last; each node takes its own when it is complete.
  std::vector<NodePtr> nodes = {};
  std::vector<std::string_view> names = {};
  std::array<const Function*, 64> functions = {};  // found before, each at the place of its name

  const Function* find_function(std::string_view name) {
    const auto byte = [&](std::size_t index) {
      return static_cast<std::size_t>(static_cast<unsigned char>(name[index]));
    };
    const Function*& known =
        functions[(byte(0) * 7 + byte(name.size() / 2) * 3 + byte(name.size() - 1) + name.size()) % 64];
    if (known == nullptr || known->name != name) known = set.find_function(name);
    return known;
  }

  Nodes take_nodes(std::size_t mark) {
    const Nodes taken = source->arena.copy(Nodes(nodes).subspan(mark));
    nodes.resize(mark);
    return taken;
  }
  Names take_names(std::size_t mark) {
    const Names taken = source->arena.copy(Names(names).subspan(mark));
    names.resize(mark);
    return taken;
  }
};

class DepthGuard {
 public:
  explicit DepthGuard(Shared& shared) : shared_(shared) { ++shared_.depth; }
  ~DepthGuard() { --shared_.depth; }

 private:
  Shared& shared_;
};

class Parser {
 public:
  explicit Parser(Shared& shared) : shared_(shared) {}

  Result<void> parse_all(std::string_view name);

 private:
  const Token& next();  // valid until the next call
  const Token& peek();
  void backup() { ++peek_count_; }
  void backup2(const Token& first);
  void backup3(const Token& second, const Token& first);
  Token next_non_space();
  const Token& peek_non_space();

  Error fail(std::string_view message) const;
  Error unexpected(const Token& token, std::string_view context) const;
  Result<Token> expect(TokenType type, std::string_view context);
  Result<void> enter();
  template <class T, class... Args>
  T* make(Args&&... args) {
    return shared_.source->arena.make<T>(std::forward<Args>(args)...);
  }

  Result<void> parse_definition();
  Result<void> add(std::string_view name, const ListNode* root);
  Result<ListNode*> item_list(NodePtr& end);
  Result<NodePtr> text_or_action();
  Result<NodePtr> action();
  Result<NodePtr> jump(const Token& word);
  Result<NodePtr> branch(NodeType type, std::string_view context);
  Result<ListNode*> else_list(NodeType type, const TreeNode& else_node);
  Result<NodePtr> else_control();
  Result<NodePtr> block();
  Result<NodePtr> template_control();
  Result<std::string_view> template_name(const Token& token, std::string_view context);
  Result<PipeNode*> pipeline(std::string_view context, TokenType end);
  Result<void> declarations(PipeNode& pipe, std::string_view context);
  Result<void> read_declarations(PipeNode& pipe, std::string_view context, std::size_t mark);
  Result<void> check(const PipeNode& pipe, std::string_view context) const;
  Result<CommandNode*> command();
  Result<NodePtr> operand();
  Result<NodePtr> term();
  PathNode* path(NodeType type, std::size_t pos, std::string_view name);
  Result<NodePtr> identifier(const Token& token);
  Result<NodePtr> variable(const Token& token);
  Result<NodePtr> number(const Token& token);
  Result<NodePtr> string(const Token& token);
  Result<NodePtr> parenthesized();

  Shared& shared_;
  Token token_[3];
  int peek_count_ = 0;
  std::vector<std::string_view> variables_{"$"};  // declared at this point
  std::optional<Token> action_;                   // that is open
  int range_depth_ = 0;
};

const Token& Parser::next() {
  if (peek_count_ > 0) {
    --peek_count_;
  } else {
    token_[0] = shared_.lexer.next();
  }
  return token_[peek_count_];
}

const Token& Parser::peek() {
  if (peek_count_ > 0) return token_[peek_count_ - 1];
  peek_count_ = 1;
  token_[0] = shared_.lexer.next();
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
  while (next().type == TokenType::space) {
  }
  return token_[peek_count_];
}

const Token& Parser::peek_non_space() {
  while (peek().type == TokenType::space) next();
  return peek();
}

Error Parser::fail(std::string_view message) const {
  return Error{ErrorCode::bad_request, "template: " + shared_.source->name + ":" +
                                           std::to_string(shared_.lexer.line_of(token_[0])) + ": " +
                                           std::string(message)};
}

Error Parser::unexpected(const Token& token, std::string_view context) const {
  if (token.type != TokenType::error) return fail("unexpected " + describe(token) + " in " + std::string(context));
  std::string extra;
  const int line = action_ ? shared_.lexer.line_of(*action_) : 0;
  if (line != 0 && line != shared_.lexer.line_of(token)) {
    extra = token.value.ends_with(" action") ? "" : " in action";
    extra += " started at " + shared_.source->name + ":" + std::to_string(line);
  }
  return fail(std::string(token.value) + extra);
}

Result<Token> Parser::expect(TokenType type, std::string_view context) {
  const Token token = next_non_space();
  if (token.type != type) return unexpected(token, context);
  return token;
}

Result<void> Parser::enter() {
  if (shared_.depth > shared_.depth_max) return fail("max expression depth exceeded");
  return {};
}

Result<void> Parser::parse_all(std::string_view name) {
  ListNode* const root = make<ListNode>(peek().pos);
  const std::size_t mark = shared_.nodes.size();
  while (peek().type != TokenType::eof) {
    if (peek().type == TokenType::left_delim) {
      const Token delim = next();
      if (next_non_space().type == TokenType::define) {
        TRY(Parser(shared_).parse_definition());
        continue;
      }
      backup2(delim);
    }
    const NodePtr node = TRY(text_or_action());
    if (node->type == NodeType::end || node->type == NodeType::else_) return fail("unexpected " + to_text(*node));
    shared_.nodes.push_back(node);
  }
  root->nodes = shared_.take_nodes(mark);
  return add(name, root);
}

Result<void> Parser::parse_definition() {
  constexpr std::string_view kContext = "define clause";
  const DepthGuard guard(shared_);
  TRY(enter());
  const Token token = next_non_space();
  const std::string_view name = TRY(template_name(token, kContext));
  TRY(expect(TokenType::right_delim, kContext));
  NodePtr end = nullptr;
  const ListNode* const root = TRY(item_list(end));
  if (end->type != NodeType::end) return fail("unexpected " + to_text(*end) + " in " + std::string(kContext));
  return add(name, root);
}

Result<void> Parser::add(std::string_view name, const ListNode* root) {
  const auto found = shared_.trees.find(name);
  if (found != shared_.trees.end() && !is_empty(*found->second->root)) {
    if (is_empty(*root)) return {};
    return fail("template: multiple definition of template " + quote(name));
  }
  auto tree = std::make_unique<Tree>(Tree{std::string(name), shared_.source, root});
  shared_.trees.insert_or_assign(std::string(name), std::move(tree));
  return {};
}

// Up to {{end}} or {{else}}, which is given in `end`.
Result<ListNode*> Parser::item_list(NodePtr& end) {
  ListNode* const list = make<ListNode>(peek_non_space().pos);
  const std::size_t mark = shared_.nodes.size();
  while (peek_non_space().type != TokenType::eof) {
    const NodePtr node = TRY(text_or_action());
    if (node->type == NodeType::end || node->type == NodeType::else_) {
      end = node;
      list->nodes = shared_.take_nodes(mark);
      return list;
    }
    shared_.nodes.push_back(node);
  }
  return fail("unexpected EOF");
}

Result<NodePtr> Parser::text_or_action() {
  const Token token = next_non_space();
  if (token.type == TokenType::text) return make<TextNode>(token.pos, token.value);
  if (token.type != TokenType::left_delim) return unexpected(token, "input");
  action_ = token;
  auto node = action();
  action_.reset();
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
      return make<TreeNode>(NodeType::end, TRY(expect(TokenType::right_delim, "end")).pos);
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
  ActionNode* const node = make<ActionNode>(peek().pos);
  node->pipe = TRY(pipeline("command", TokenType::right_delim));
  return node;
}

Result<NodePtr> Parser::jump(const Token& word) {
  const std::string shown = "{{" + std::string(word.value) + "}}";
  const Token token = next_non_space();
  if (token.type != TokenType::right_delim) return unexpected(token, shown);
  if (range_depth_ == 0) return fail(shown + " outside {{range}}");
  const bool is_break = word.type == TokenType::break_;
  return make<TreeNode>(is_break ? NodeType::break_ : NodeType::continue_, word.pos);
}

Result<NodePtr> Parser::branch(NodeType type, std::string_view context) {
  const DepthGuard guard(shared_);
  TRY(enter());
  const std::size_t declared = variables_.size();
  PipeNode* const pipe = TRY(pipeline(context, TokenType::right_delim));
  BranchNode* const node = make<BranchNode>(type, pipe->pos);
  node->pipe = pipe;
  range_depth_ += type == NodeType::range;
  NodePtr end = nullptr;
  node->list = TRY(item_list(end));
  range_depth_ -= type == NodeType::range;
  if (end->type == NodeType::else_) node->else_list = TRY(else_list(type, *end));
  variables_.resize(declared);
  return node;
}

// {{else if x}}…{{end}} is {{else}}{{if x}}…{{end}}{{end}}, its one {{end}} taken by the inner "if".
Result<ListNode*> Parser::else_list(NodeType type, const TreeNode& else_node) {
  const bool chains_if = type == NodeType::if_ && peek().type == TokenType::if_;
  const bool chains_with = type == NodeType::with && peek().type == TokenType::with;
  if (chains_if || chains_with) {
    next();
    ListNode* const list = make<ListNode>(else_node.pos);
    const NodePtr chained = TRY(branch(type, chains_if ? "if" : "with"));
    list->nodes = shared_.source->arena.copy(Nodes(&chained, 1));
    return list;
  }
  NodePtr end = nullptr;
  ListNode* const list = TRY(item_list(end));
  if (end->type != NodeType::end) return fail("expected end; found " + to_text(*end));
  return list;
}

Result<NodePtr> Parser::else_control() {
  const Token ahead = peek_non_space();
  if (ahead.type == TokenType::if_ || ahead.type == TokenType::with) {
    return make<TreeNode>(NodeType::else_, ahead.pos);
  }
  return make<TreeNode>(NodeType::else_, TRY(expect(TokenType::right_delim, "else")).pos);
}

Result<NodePtr> Parser::block() {
  constexpr std::string_view kContext = "block clause";
  const DepthGuard guard(shared_);
  TRY(enter());
  const Token token = next_non_space();
  TemplateNode* const node = make<TemplateNode>(token.pos);
  node->name = TRY(template_name(token, kContext));
  node->pipe = TRY(pipeline(kContext, TokenType::right_delim));
  Parser body(shared_);
  NodePtr end = nullptr;
  const ListNode* const root = TRY(body.item_list(end));
  if (end->type != NodeType::end) return fail("unexpected " + to_text(*end) + " in " + std::string(kContext));
  TRY(body.add(node->name, root));
  return node;
}

Result<NodePtr> Parser::template_control() {
  constexpr std::string_view kContext = "template clause";
  const Token token = next_non_space();
  TemplateNode* const node = make<TemplateNode>(token.pos);
  node->name = TRY(template_name(token, kContext));
  if (next_non_space().type != TokenType::right_delim) {
    backup();
    node->pipe = TRY(pipeline(kContext, TokenType::right_delim));
  }
  return node;
}

Result<std::string_view> Parser::template_name(const Token& token, std::string_view context) {
  if (token.type != TokenType::string && token.type != TokenType::raw_string) return unexpected(token, context);
  std::string name;
  if (!unquote(token.value, name)) return fail("invalid syntax");
  return shared_.source->arena.copy(name);
}

// The variables of a pipeline, in front of the names that are open.
Result<void> Parser::declarations(PipeNode& pipe, std::string_view context) {
  const std::size_t mark = shared_.names.size();
  const auto read = read_declarations(pipe, context, mark);
  pipe.variables = shared_.take_names(mark);
  return read;
}

Result<void> Parser::read_declarations(PipeNode& pipe, std::string_view context, std::size_t mark) {
  const auto declare = [&](const Token& token) {
    next_non_space();
    shared_.names.push_back(token.value);
    variables_.push_back(token.value);
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
      if (context != "range" || shared_.names.size() - mark >= 2) {
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

Result<PipeNode*> Parser::pipeline(std::string_view context, TokenType end) {
  PipeNode* const pipe = make<PipeNode>(peek_non_space().pos);
  TRY(declarations(*pipe, context));
  const std::size_t mark = shared_.nodes.size();
  while (true) {
    const Token token = next_non_space();
    if (token.type == end) {
      pipe->commands = shared_.take_nodes(mark);
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
        shared_.nodes.push_back(TRY(command()));
        break;
      default:
        return unexpected(token, context);
    }
  }
}

Result<void> Parser::check(const PipeNode& pipe, std::string_view context) const {
  if (pipe.commands.empty()) return fail("missing value for " + std::string(context));
  for (std::size_t i = 1; i < pipe.commands.size(); ++i) {
    const NodeType type = pipe.command(i).args[0]->type;
    const bool is_constant = type == NodeType::boolean || type == NodeType::dot || type == NodeType::nil ||
                             type == NodeType::number || type == NodeType::string;
    if (is_constant) return fail("non executable command in pipeline stage " + std::to_string(i + 1));
  }
  return {};
}

Result<CommandNode*> Parser::command() {
  CommandNode* const command = make<CommandNode>(peek_non_space().pos);
  const std::size_t mark = shared_.nodes.size();
  while (true) {
    peek_non_space();
    const NodePtr node = TRY(operand());
    if (node) shared_.nodes.push_back(node);
    const Token token = next();
    if (token.type == TokenType::space) continue;
    if (token.type == TokenType::right_delim || token.type == TokenType::right_paren) {
      backup();
    } else if (token.type != TokenType::pipe) {
      return unexpected(token, "operand");
    }
    break;
  }
  command->args = shared_.take_nodes(mark);
  if (command->args.empty()) return fail("empty command");
  return command;
}

// A term and the fields behind it; null when there is none.
Result<NodePtr> Parser::operand() {
  const NodePtr node = TRY(term());
  if (!node || peek().type != TokenType::field) return node;
  const std::size_t pos = peek().pos, mark = shared_.names.size();
  const bool is_path = node->type == NodeType::field || node->type == NodeType::variable;
  if (is_path) shared_.names.push_back(static_cast<PathNode&>(*node).names[0]);
  while (peek().type == TokenType::field) shared_.names.push_back(next().value.substr(1));
  const Names names = shared_.take_names(mark);
  switch (node->type) {
    case NodeType::field:
    case NodeType::variable:
      node->pos = static_cast<std::uint32_t>(pos);
      static_cast<PathNode&>(*node).names = names;
      return node;
    case NodeType::boolean:
    case NodeType::string:
    case NodeType::number:
    case NodeType::nil:
    case NodeType::dot:
      return fail("unexpected . after term " + quote(to_text(*node)));
    default:
      break;
  }
  ChainNode* const chain = make<ChainNode>(pos);
  chain->node = node;
  chain->fields = names;
  return chain;
}

Result<NodePtr> Parser::term() {
  const Token token = next_non_space();
  switch (token.type) {
    case TokenType::identifier:
      return identifier(token);
    case TokenType::dot:
      return make<TreeNode>(NodeType::dot, token.pos);
    case TokenType::nil:
      return make<TreeNode>(NodeType::nil, token.pos);
    case TokenType::variable:
      return variable(token);
    case TokenType::field:
      return path(NodeType::field, token.pos, token.value.substr(1));
    case TokenType::boolean: {
      BoolNode* const node = make<BoolNode>(token.pos);
      node->value = token.value == "true";
      return node;
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
      return nullptr;
  }
}

PathNode* Parser::path(NodeType type, std::size_t pos, std::string_view name) {
  PathNode* const node = make<PathNode>(type, pos);
  node->names = shared_.source->arena.copy(Names(&name, 1));
  return node;
}

Result<NodePtr> Parser::identifier(const Token& token) {
  IdentifierNode* const node = make<IdentifierNode>(token.pos);
  node->name = token.value;
  node->function = shared_.find_function(token.value);
  if (!node->function) return fail("function " + quote(token.value) + " not defined");
  return node;
}

Result<NodePtr> Parser::variable(const Token& token) {
  const bool is_declared = std::find(variables_.begin(), variables_.end(), token.value) != variables_.end();
  if (!is_declared) return fail("undefined variable " + quote(token.value));
  return path(NodeType::variable, token.pos, token.value);
}

Result<NodePtr> Parser::number(const Token& token) {
  NumberNode* const node = make<NumberNode>(token.pos);
  const auto read = read_number(token, *node);
  if (!read.ok()) return fail(read.error().message);
  return node;
}

Result<NodePtr> Parser::string(const Token& token) {
  StringNode* const node = make<StringNode>(token.pos);
  node->quoted = token.value;
  const std::string_view inner = token.value.substr(1, token.value.size() - 2);
  const bool is_raw = token.type == TokenType::raw_string;
  if (inner.find(is_raw ? '\r' : '\\') == std::string_view::npos && (is_raw || is_valid_utf8(inner))) {
    node->text = shared_.source->arena.keep(Value(inner));
    return node;
  }
  std::string text;
  if (!unquote(token.value, text)) return fail("invalid syntax");
  node->text = shared_.source->arena.keep(Value(text));
  return node;
}

Result<NodePtr> Parser::parenthesized() {
  const DepthGuard guard(shared_);
  TRY(enter());
  return TRY(pipeline("parenthesized pipeline", TokenType::right_paren));
}

}  // namespace

Result<Trees> parse_template(std::string_view name, std::shared_ptr<const std::string> text, const Set& set,
                             std::size_t depth_max) {
  const std::string_view view = *text;
  Shared shared{std::make_shared<Source>(name, std::move(text)), Lexer(view), set, depth_max};
  TRY(Parser(shared).parse_all(name));
  return std::move(shared.trees);
}

}  // namespace caisson::go_template
