// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/parser.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"
#include "core/expr/go_template/number_literal.h"
#include "core/expr/go_template/stack.h"
#include "core/expr/go_template/tokens.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

// What all parsers of one text share: a parser for the text and one for each template that it defines.
struct Shared {
  std::shared_ptr<Source> source;
  Tokens tokens;
  const Set& set;
  std::size_t depth_max;
  std::size_t depth = 0;  // of structures and parentheses that are open
  Trees trees = {};
  // Items of the nodes that are open, the innermost last; each node takes its own when it is complete.
  std::vector<NodePtr> nodes = {};
  std::vector<std::string_view> names = {};
  std::optional<Error> error = {};  // the first

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

// What a function of the parser gives when it has failed; why is in Shared::error. Charts have hundreds of thousands of
// tokens: a Result for each node would cost as much as all the rest.
struct Failed {
  template <class T>
  operator T*() const {
    return nullptr;
  }
  operator bool() const { return false; }
};

class Parser {
 public:
  explicit Parser(Shared& shared) : shared_(shared), tokens_(shared.tokens) {}

  bool parse_all(std::string_view name);

 private:
  Token next_non_space();
  const Token& peek_non_space();

  Failed fail(std::string_view message) const;
  Failed unexpected(const Token& token, std::string_view context) const;
  const Token* expect(TokenType type, std::string_view context);
  template <class Parse>
  std::invoke_result_t<Parse> nested(const Parse& parse);
  template <class T, class... Args>
  T* make(Args&&... args) {
    return shared_.source->arena.make<T>(std::forward<Args>(args)...);
  }

  bool parse_definition();
  bool add(std::string_view name, const ListNode* root);
  ListNode* item_list(NodePtr& end);
  NodePtr text_or_action();
  NodePtr action();
  NodePtr end_of_branch();
  NodePtr jump(const Token& word);
  NodePtr branch(NodeType type, std::string_view context);
  NodePtr branch_here(NodeType type, std::string_view context);
  ListNode* else_list(NodeType type, const TreeNode& else_node);
  NodePtr else_control();
  NodePtr block();
  NodePtr block_here();
  NodePtr template_control();
  bool template_name(const Token& token, std::string_view context, std::string_view& name);
  PipeNode* pipeline(std::string_view context, TokenType end);
  bool declarations(PipeNode& pipe, std::string_view context);
  bool read_declarations(PipeNode& pipe, std::string_view context, std::size_t mark);
  bool check(const PipeNode& pipe, std::string_view context) const;
  CommandNode* command();
  bool operand(NodePtr& node);  // null when there is none
  bool term(NodePtr& node);     // the same
  PathNode* path(NodeType type, std::size_t pos, std::string_view name);
  NodePtr boolean(const Token& token);
  NodePtr identifier(const Token& token);
  NodePtr variable(const Token& token);
  NodePtr number(const Token& token);
  NodePtr string(const Token& token);
  NodePtr parenthesized();

  Shared& shared_;
  Tokens& tokens_;
  std::vector<std::string_view> variables_{"$"};  // declared at this point
  std::optional<Token> action_;                   // that is open
  int range_depth_ = 0;
};

Token Parser::next_non_space() {
  const Token* token = &tokens_.next();
  while (token->type == TokenType::space) token = &tokens_.next();
  return *token;
}

const Token& Parser::peek_non_space() {
  while (tokens_.peek().type == TokenType::space) tokens_.next();
  return tokens_.peek();
}

Failed Parser::fail(std::string_view message) const {
  shared_.error = Error{ErrorCode::bad_request, "template: " + shared_.source->name + ":" +
                                                    std::to_string(tokens_.line()) + ": " + std::string(message)};
  return {};
}

Failed Parser::unexpected(const Token& token, std::string_view context) const {
  if (token.type != TokenType::error) return fail("unexpected " + describe(token) + " in " + std::string(context));
  std::string extra;
  const int line = action_ ? tokens_.line_of(*action_) : 0;
  if (line != 0 && line != tokens_.line_of(token)) {
    extra = token.value.ends_with(" action") ? "" : " in action";
    extra += " started at " + shared_.source->name + ":" + std::to_string(line);
  }
  return fail(std::string(token.value) + extra);
}

// Valid until the next token is asked for.
const Token* Parser::expect(TokenType type, std::string_view context) {
  const Token& token = peek_non_space();
  if (token.type != type) return unexpected(token, context);
  return &tokens_.next();
}

// What stands within something else: on another stack when this one is used up.
template <class Parse>
std::invoke_result_t<Parse> Parser::nested(const Parse& parse) {
  const DepthGuard guard(shared_);
  if (shared_.depth > shared_.depth_max) return fail("max expression depth exceeded");
  if (!stack_is_short()) [[likely]]
    return parse();
  std::invoke_result_t<Parse> result{};
  on_fresh_stack([&] { result = parse(); });
  return result;
}

bool Parser::parse_all(std::string_view name) {
  ListNode* const root = make<ListNode>(tokens_.peek().pos);
  const std::size_t mark = shared_.nodes.size();
  while (tokens_.peek().type != TokenType::eof) {
    if (tokens_.peek().type == TokenType::left_delim) {
      tokens_.next();
      const bool spaced = tokens_.peek().type == TokenType::space;
      if (next_non_space().type == TokenType::define) {
        if (!Parser(shared_).parse_definition()) return false;
        continue;
      }
      tokens_.back(spaced ? 3 : 2);
    }
    const NodePtr node = text_or_action();
    if (!node) return false;
    if (node->type == NodeType::end || node->type == NodeType::else_) return fail("unexpected " + to_text(*node));
    shared_.nodes.push_back(node);
  }
  root->nodes = shared_.take_nodes(mark);
  return add(name, root);
}

bool Parser::parse_definition() {
  constexpr std::string_view kContext = "define clause";
  std::string_view name;
  if (!template_name(next_non_space(), kContext, name)) return false;
  if (!expect(TokenType::right_delim, kContext)) return false;
  NodePtr end = nullptr;
  const ListNode* const root = item_list(end);
  if (!root) return false;
  if (end->type != NodeType::end) return fail("unexpected " + to_text(*end) + " in " + std::string(kContext));
  return add(name, root);
}

bool Parser::add(std::string_view name, const ListNode* root) {
  const auto found = shared_.trees.find(name);
  if (found != shared_.trees.end() && !is_empty(*found->second->root)) {
    if (is_empty(*root)) return true;
    return fail("template: multiple definition of template " + quote(name));
  }
  auto tree = std::make_shared<const Tree>(Tree{std::string(name), shared_.source, root});
  shared_.trees.insert_or_assign(std::string(name), std::move(tree));
  return true;
}

// Up to {{end}} or {{else}}, which is given in `end`.
ListNode* Parser::item_list(NodePtr& end) {
  ListNode* const list = make<ListNode>(peek_non_space().pos);
  const std::size_t mark = shared_.nodes.size();
  while (peek_non_space().type != TokenType::eof) {
    const NodePtr node = text_or_action();
    if (!node) return nullptr;
    if (node->type == NodeType::end || node->type == NodeType::else_) {
      end = node;
      list->nodes = shared_.take_nodes(mark);
      return list;
    }
    shared_.nodes.push_back(node);
  }
  return fail("unexpected EOF");
}

NodePtr Parser::text_or_action() {
  const Token token = next_non_space();
  if (token.type == TokenType::text) return make<TextNode>(token.pos, token.value);
  if (token.type != TokenType::left_delim) return unexpected(token, "input");
  action_ = token;
  const NodePtr node = action();
  action_.reset();
  return node;
}

// What the pipeline always prints; empty when that is not known: {{ "{{" }} and its like, which charts are full of.
std::string_view constant_text(const PipeNode& pipe) {
  if (!pipe.variables.empty() || pipe.commands.size() != 1 || pipe.command(0).args.size() != 1) return {};
  const TreeNode& only = *pipe.command(0).args[0];
  return only.type == NodeType::string ? static_cast<const StringNode&>(only).text->as_string() : std::string_view();
}

NodePtr Parser::action() {
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
      return end_of_branch();
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
  tokens_.back();
  ActionNode* const node = make<ActionNode>(word.pos);
  node->pipe = pipeline("command", TokenType::right_delim);
  if (!node->pipe) return nullptr;
  const std::string_view text = constant_text(*node->pipe);
  // A template of blanks alone is empty for Go, of actions that print blanks is not.
  return trim_space(text).empty() ? static_cast<NodePtr>(node) : make<TextNode>(word.pos, text);
}

NodePtr Parser::end_of_branch() {
  const Token* const delim = expect(TokenType::right_delim, "end");
  return delim ? make<TreeNode>(NodeType::end, delim->pos) : nullptr;
}

NodePtr Parser::jump(const Token& word) {
  const std::string shown = "{{" + std::string(word.value) + "}}";
  const Token token = next_non_space();
  if (token.type != TokenType::right_delim) return unexpected(token, shown);
  if (range_depth_ == 0) return fail(shown + " outside {{range}}");
  const bool is_break = word.type == TokenType::break_;
  return make<TreeNode>(is_break ? NodeType::break_ : NodeType::continue_, word.pos);
}

NodePtr Parser::branch(NodeType type, std::string_view context) {
  return nested([&] { return branch_here(type, context); });
}

NodePtr Parser::branch_here(NodeType type, std::string_view context) {
  const std::size_t declared = variables_.size();
  PipeNode* const pipe = pipeline(context, TokenType::right_delim);
  if (!pipe) return nullptr;
  BranchNode* const node = make<BranchNode>(type, pipe->pos);
  node->pipe = pipe;
  range_depth_ += type == NodeType::range;
  NodePtr end = nullptr;
  node->list = item_list(end);
  if (!node->list) return nullptr;
  range_depth_ -= type == NodeType::range;
  if (end->type == NodeType::else_) {
    node->else_list = else_list(type, *end);
    if (!node->else_list) return nullptr;
  }
  variables_.resize(declared);
  return node;
}

// {{else if x}}…{{end}} is {{else}}{{if x}}…{{end}}{{end}}, its one {{end}} taken by the inner "if".
ListNode* Parser::else_list(NodeType type, const TreeNode& else_node) {
  const bool chains_if = type == NodeType::if_ && tokens_.peek().type == TokenType::if_;
  const bool chains_with = type == NodeType::with && tokens_.peek().type == TokenType::with;
  if (chains_if || chains_with) {
    tokens_.next();
    ListNode* const list = make<ListNode>(else_node.pos);
    const NodePtr chained = branch(type, chains_if ? "if" : "with");
    if (!chained) return nullptr;
    list->nodes = shared_.source->arena.copy(Nodes(&chained, 1));
    return list;
  }
  NodePtr end = nullptr;
  ListNode* const list = item_list(end);
  if (!list) return nullptr;
  if (end->type != NodeType::end) return fail("expected end; found " + to_text(*end));
  return list;
}

NodePtr Parser::else_control() {
  const Token ahead = peek_non_space();
  if (ahead.type == TokenType::if_ || ahead.type == TokenType::with) {
    return make<TreeNode>(NodeType::else_, ahead.pos);
  }
  const Token* const delim = expect(TokenType::right_delim, "else");
  return delim ? make<TreeNode>(NodeType::else_, delim->pos) : nullptr;
}

NodePtr Parser::block() {
  return nested([&] { return block_here(); });
}

NodePtr Parser::block_here() {
  constexpr std::string_view kContext = "block clause";
  const Token token = next_non_space();
  TemplateNode* const node = make<TemplateNode>(token.pos);
  if (!template_name(token, kContext, node->name)) return nullptr;
  node->pipe = pipeline(kContext, TokenType::right_delim);
  if (!node->pipe) return nullptr;
  Parser body(shared_);
  NodePtr end = nullptr;
  const ListNode* const root = body.item_list(end);
  if (!root) return nullptr;
  if (end->type != NodeType::end) return fail("unexpected " + to_text(*end) + " in " + std::string(kContext));
  return body.add(node->name, root) ? node : nullptr;
}

NodePtr Parser::template_control() {
  constexpr std::string_view kContext = "template clause";
  const Token token = next_non_space();
  TemplateNode* const node = make<TemplateNode>(token.pos);
  if (!template_name(token, kContext, node->name)) return nullptr;
  if (next_non_space().type == TokenType::right_delim) return node;
  tokens_.back();
  node->pipe = pipeline(kContext, TokenType::right_delim);
  return node->pipe ? node : nullptr;
}

bool Parser::template_name(const Token& token, std::string_view context, std::string_view& name) {
  if (token.type != TokenType::string && token.type != TokenType::raw_string) return unexpected(token, context);
  std::string text;
  if (!unquote(token.value, text)) return fail("invalid syntax");
  name = shared_.source->arena.copy(text);
  return true;
}

// The variables of a pipeline, in front of the names that are open.
bool Parser::declarations(PipeNode& pipe, std::string_view context) {
  if (peek_non_space().type != TokenType::variable) return true;
  const std::size_t mark = shared_.names.size();
  const bool read = read_declarations(pipe, context, mark);
  pipe.variables = shared_.take_names(mark);
  return read;
}

bool Parser::read_declarations(PipeNode& pipe, std::string_view context, std::size_t mark) {
  const auto declare = [&](const Token& token) {
    next_non_space();
    shared_.names.push_back(token.value);
    variables_.push_back(token.value);
  };
  while (peek_non_space().type == TokenType::variable) {
    const Token variable = tokens_.next();
    // "$x foo" needs three tokens of look-ahead to be told from "$x := foo".
    const bool spaced = tokens_.peek().type == TokenType::space;
    const Token ahead = peek_non_space();
    if (ahead.type == TokenType::assign || ahead.type == TokenType::declare) {
      pipe.is_assign = ahead.type == TokenType::assign;
      declare(variable);
      return true;
    }
    if (ahead.type != TokenType::character || ahead.value != ",") {
      tokens_.back(spaced ? 2 : 1);
      return true;
    }
    declare(variable);
    if (context != "range" || shared_.names.size() - mark >= 2)
      return fail("too many declarations in " + std::string(context));
    const TokenType following = peek_non_space().type;
    const bool goes_on =
        following == TokenType::variable || following == TokenType::right_delim || following == TokenType::right_paren;
    if (!goes_on) return fail("range can only initialize variables");
  }
  return true;
}

PipeNode* Parser::pipeline(std::string_view context, TokenType end) {
  PipeNode* const pipe = make<PipeNode>(peek_non_space().pos);
  if (!declarations(*pipe, context)) return nullptr;
  const std::size_t mark = shared_.nodes.size();
  while (true) {
    const Token& token = peek_non_space();
    if (token.type == end) {
      tokens_.next();
      pipe->commands = shared_.take_nodes(mark);
      return check(*pipe, context) ? pipe : nullptr;
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
      case TokenType::left_paren: {
        CommandNode* const node = command();
        if (!node) return nullptr;
        shared_.nodes.push_back(node);
        break;
      }
      default:
        return unexpected(token, context);
    }
  }
}

bool Parser::check(const PipeNode& pipe, std::string_view context) const {
  if (pipe.commands.empty()) return fail("missing value for " + std::string(context));
  for (std::size_t i = 1; i < pipe.commands.size(); ++i) {
    const NodeType type = pipe.command(i).args[0]->type;
    const bool is_constant = type == NodeType::boolean || type == NodeType::dot || type == NodeType::nil ||
                             type == NodeType::number || type == NodeType::string;
    if (is_constant) return fail("non executable command in pipeline stage " + std::to_string(i + 1));
  }
  return true;
}

CommandNode* Parser::command() {
  CommandNode* const command = make<CommandNode>(peek_non_space().pos);
  const std::size_t mark = shared_.nodes.size();
  while (true) {
    NodePtr node = nullptr;
    if (!operand(node)) return nullptr;
    if (node) shared_.nodes.push_back(node);
    const Token& token = tokens_.peek();
    if (token.type == TokenType::right_delim || token.type == TokenType::right_paren) break;
    if (token.type != TokenType::space && token.type != TokenType::pipe) return unexpected(token, "operand");
    if (tokens_.next().type == TokenType::pipe) break;
  }
  command->args = shared_.take_nodes(mark);
  if (command->args.empty()) return fail("empty command");
  return command;
}

// A term and the fields behind it; null when there is none.
bool Parser::operand(NodePtr& node) {
  if (!term(node)) return false;
  if (!node || tokens_.peek().type != TokenType::field) return true;
  const std::size_t pos = tokens_.peek().pos, mark = shared_.names.size();
  const bool is_path = node->type == NodeType::field || node->type == NodeType::variable;
  if (is_path) shared_.names.push_back(static_cast<PathNode&>(*node).names[0]);
  while (tokens_.peek().type == TokenType::field) shared_.names.push_back(tokens_.next().value.substr(1));
  const Names names = shared_.take_names(mark);
  switch (node->type) {
    case NodeType::field:
    case NodeType::variable:
      node->pos = static_cast<std::uint32_t>(pos);
      static_cast<PathNode&>(*node).names = names;
      return true;
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
  node = chain;
  return true;
}

bool Parser::term(NodePtr& node) {
  const Token token = next_non_space();
  switch (token.type) {
    case TokenType::identifier:
      node = identifier(token);
      break;
    case TokenType::dot:
      node = make<TreeNode>(NodeType::dot, token.pos);
      break;
    case TokenType::nil:
      node = make<TreeNode>(NodeType::nil, token.pos);
      break;
    case TokenType::variable:
      node = variable(token);
      break;
    case TokenType::field:
      node = path(NodeType::field, token.pos, token.value.substr(1));
      break;
    case TokenType::boolean:
      node = boolean(token);
      break;
    case TokenType::char_constant:
    case TokenType::complex:
    case TokenType::number:
      node = number(token);
      break;
    case TokenType::left_paren:
      node = parenthesized();
      break;
    case TokenType::string:
    case TokenType::raw_string:
      node = string(token);
      break;
    default:
      tokens_.back();
      return true;
  }
  return node != nullptr;
}

NodePtr Parser::boolean(const Token& token) {
  BoolNode* const node = make<BoolNode>(token.pos);
  node->value = token.value == "true";
  return node;
}

PathNode* Parser::path(NodeType type, std::size_t pos, std::string_view name) {
  PathNode* const node = make<PathNode>(type, pos);
  node->names = shared_.source->arena.copy(Names(&name, 1));
  return node;
}

NodePtr Parser::identifier(const Token& token) {
  IdentifierNode* const node = make<IdentifierNode>(token.pos);
  node->name = token.value;
  node->function = shared_.set.find_function(token.value);
  if (!node->function) return fail("function " + quote(token.value) + " not defined");
  return node;
}

NodePtr Parser::variable(const Token& token) {
  const bool is_declared = std::find(variables_.begin(), variables_.end(), token.value) != variables_.end();
  if (!is_declared) return fail("undefined variable " + quote(token.value));
  return path(NodeType::variable, token.pos, token.value);
}

NodePtr Parser::number(const Token& token) {
  NumberNode* const node = make<NumberNode>(token.pos);
  const auto read = read_number(token, *node);
  if (!read.ok()) return fail(read.error().message);
  return node;
}

NodePtr Parser::string(const Token& token) {
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

NodePtr Parser::parenthesized() {
  return nested([&]() -> NodePtr { return pipeline("parenthesized pipeline", TokenType::right_paren); });
}

}  // namespace

Result<Trees> parse_template(std::string_view name, std::shared_ptr<const std::string> text, const Set& set,
                             std::size_t depth_max) {
  const std::string_view view = *text;
  Shared shared{std::make_shared<Source>(name, std::move(text)), Tokens(view), set, depth_max};
  if (!Parser(shared).parse_all(name)) return *std::move(shared.error);
  return std::move(shared.trees);
}

}  // namespace caisson::go_template
