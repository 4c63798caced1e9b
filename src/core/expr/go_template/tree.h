// SPDX-License-Identifier: Apache-2.0
// The parsed form of a template, as the parser makes it and the evaluator walks it. Immutable once made; any thread.
//
// Every node keeps its place in the source (a byte offset), and can be written back as Go writes it in messages: the
// text between < and > of `executing "x" at <.Values.x>`.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/expr/go_template/datum.h"
#include "core/expr/go_template/function.h"

namespace caisson::go_template {

enum class NodeType : std::uint8_t {
  list,
  text,
  comment,
  action,
  if_,
  range,
  with,
  template_,
  break_,
  continue_,  // what stands in a list
  pipe,
  command,
  field,
  chain,
  identifier,
  variable,
  dot,
  nil,
  boolean,
  number,
  string,  // what is evaluated
  end,
  else_,  // only while parsing
};

struct TreeNode {
  TreeNode(NodeType node_type, std::size_t position) : type(node_type), pos(static_cast<std::uint32_t>(position)) {}
  virtual ~TreeNode() = default;
  NodeType type;
  std::uint32_t pos;  // of its first byte in Tree::text
};
using NodePtr = std::unique_ptr<TreeNode>;

struct ListNode : TreeNode {
  explicit ListNode(std::size_t position) : TreeNode(NodeType::list, position) {}
  std::vector<NodePtr> nodes;
};
struct TextNode : TreeNode {
  TextNode(std::size_t position, std::string_view content) : TreeNode(NodeType::text, position), text(content) {}
  std::string_view text;  // within Tree::text
};
struct CommandNode : TreeNode {
  explicit CommandNode(std::size_t position) : TreeNode(NodeType::command, position) {}
  std::vector<NodePtr> args;
};
struct PipeNode : TreeNode {
  explicit PipeNode(std::size_t position) : TreeNode(NodeType::pipe, position) {}
  bool is_assign = false;              // "=", not ":="
  std::vector<std::string> variables;  // declared or assigned, with their "$"
  std::vector<std::unique_ptr<CommandNode>> commands;
};
struct ActionNode : TreeNode {
  explicit ActionNode(std::size_t position) : TreeNode(NodeType::action, position) {}
  std::unique_ptr<PipeNode> pipe;
};
struct BranchNode : TreeNode {  // if, range, with
  using TreeNode::TreeNode;
  std::unique_ptr<PipeNode> pipe;
  std::unique_ptr<ListNode> list;
  std::unique_ptr<ListNode> else_list;  // null when absent
};
struct TemplateNode : TreeNode {
  explicit TemplateNode(std::size_t position) : TreeNode(NodeType::template_, position) {}
  std::string name;
  std::unique_ptr<PipeNode> pipe;  // null when absent
};
struct PathNode : TreeNode {  // field: .a.b; variable: $x.a.b, the first being "$x"
  using TreeNode::TreeNode;
  std::vector<std::string> names;
};
struct ChainNode : TreeNode {  // (pipe).a.b
  explicit ChainNode(std::size_t position) : TreeNode(NodeType::chain, position) {}
  NodePtr node;
  std::vector<std::string> fields;
};
struct IdentifierNode : TreeNode {
  explicit IdentifierNode(std::size_t position) : TreeNode(NodeType::identifier, position) {}
  std::string name;
  const Function* function = nullptr;
};
struct BoolNode : TreeNode {
  explicit BoolNode(std::size_t position) : TreeNode(NodeType::boolean, position) {}
  bool value = false;
};
// A constant under every type that can hold it, as Go's ideal constants.
struct NumberNode : TreeNode {
  explicit NumberNode(std::size_t position) : TreeNode(NodeType::number, position) {}
  bool is_int = false, is_uint = false, is_float = false, is_complex = false;
  std::int64_t int_value = 0;
  std::uint64_t uint_value = 0;
  double float_value = 0;
  double imaginary = 0;  // is_complex: float_value + imaginary i
  std::string text;
};
struct StringNode : TreeNode {
  explicit StringNode(std::size_t position) : TreeNode(NodeType::string, position) {}
  std::string quoted;
  Value text;
};

struct Tree {
  std::string name;        // of the template
  std::string parse_name;  // of the text that it stood in
  std::shared_ptr<const std::string> text;
  std::unique_ptr<ListNode> root;
};

bool is_empty(const TreeNode& node);                           // nothing but blanks and comments
std::string to_text(const TreeNode& node);                     // as Go writes it
std::string location(const Tree& tree, const TreeNode& node);  // "chart/x.yaml:12:20"

}  // namespace caisson::go_template
