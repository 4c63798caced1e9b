// SPDX-License-Identifier: Apache-2.0
// The parsed form of a template, as the parser makes it and the evaluator walks it. Immutable once made; any thread.
//
// Every node keeps its place in the source (a byte offset), and can be written back as Go writes it in messages: the
// text between < and > of `executing "x" at <.Values.x>`.
#pragma once
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
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

// Nodes are never destroyed one by one: they lie in the Arena of their text and go with it. What they refer to lies
// there too, or in the text.
struct TreeNode {
  TreeNode(NodeType node_type, std::size_t position) : type(node_type), pos(static_cast<std::uint32_t>(position)) {}
  NodeType type;
  std::uint32_t pos;  // of its first byte in Source::text
};
using NodePtr = TreeNode*;  // of the Arena
using Nodes = std::span<const NodePtr>;
using Names = std::span<const std::string_view>;

struct ListNode : TreeNode {
  explicit ListNode(std::size_t position) : TreeNode(NodeType::list, position) {}
  Nodes nodes;
};
struct TextNode : TreeNode {
  TextNode(std::size_t position, std::string_view content) : TreeNode(NodeType::text, position), text(content) {}
  std::string_view text;
};
struct CommandNode : TreeNode {
  explicit CommandNode(std::size_t position) : TreeNode(NodeType::command, position) {}
  Nodes args;
};
struct PipeNode : TreeNode {
  explicit PipeNode(std::size_t position) : TreeNode(NodeType::pipe, position) {}
  bool is_assign = false;  // "=", not ":="
  Names variables;         // declared or assigned, with their "$"
  Nodes commands;          // CommandNodes
  const CommandNode& command(std::size_t index) const { return static_cast<const CommandNode&>(*commands[index]); }
};
struct ActionNode : TreeNode {
  explicit ActionNode(std::size_t position) : TreeNode(NodeType::action, position) {}
  PipeNode* pipe = nullptr;
};
struct BranchNode : TreeNode {  // if, range, with
  using TreeNode::TreeNode;
  PipeNode* pipe = nullptr;
  ListNode* list = nullptr;
  ListNode* else_list = nullptr;  // null when absent
};
struct TemplateNode : TreeNode {
  explicit TemplateNode(std::size_t position) : TreeNode(NodeType::template_, position) {}
  std::string_view name;
  PipeNode* pipe = nullptr;  // null when absent
};
struct PathNode : TreeNode {  // field: .a.b; variable: $x.a.b, the first being "$x"
  using TreeNode::TreeNode;
  Names names;
};
struct ChainNode : TreeNode {  // (pipe).a.b
  explicit ChainNode(std::size_t position) : TreeNode(NodeType::chain, position) {}
  NodePtr node = nullptr;
  Names fields;
};
struct IdentifierNode : TreeNode {
  explicit IdentifierNode(std::size_t position) : TreeNode(NodeType::identifier, position) {}
  std::string_view name;
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
  std::string_view text;
};
struct StringNode : TreeNode {
  explicit StringNode(std::size_t position) : TreeNode(NodeType::string, position) {}
  std::string_view quoted;
  const Value* text = nullptr;
};

// Memory for the nodes of one text: handed out piece by piece, given back as a whole.
class Arena {
 public:
  explicit Arena(std::size_t first_block_bytes = 1024) : block_bytes_(first_block_bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  template <class T, class... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T))) T(std::forward<Args>(args)...);
  }
  template <class T>
  std::span<const T> copy(std::span<const T> items) {
    if (items.empty()) return {};
    T* const place = static_cast<T*>(allocate(items.size_bytes()));
    if (items.size() == 1)  // as most lists of arguments, commands and names are
      new (place) T(items[0]);
    else
      std::memcpy(place, items.data(), items.size_bytes());
    return {place, items.size()};
  }
  std::string_view copy(std::string_view text);
  const Value* keep(Value value);

 private:
  void* allocate(std::size_t bytes) {  // aligned to 8
    bytes = (bytes + 7) & ~std::size_t{7};
    if (bytes > free_bytes_) [[unlikely]]
      add_block(bytes);
    free_bytes_ -= bytes;
    return std::exchange(free_, free_ + bytes);
  }
  void add_block(std::size_t bytes_min);

  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::vector<Value*> values_;  // the ones that have to be destroyed
  std::byte* free_ = nullptr;
  std::size_t free_bytes_ = 0;
  std::size_t block_bytes_;  // of the next block
};

// A text that was parsed, and what its trees consist of.
struct Source {
  Source(std::string_view source_name, std::shared_ptr<const std::string> source_text);
  std::string name;
  std::shared_ptr<const std::string> text;
  Arena arena;
};

struct Tree {
  std::string name;  // of the template
  std::shared_ptr<const Source> source;
  const ListNode* root = nullptr;
};

bool is_empty(const TreeNode& node);                           // nothing but blanks and comments
std::string to_text(const TreeNode& node);                     // as Go writes it
std::string location(const Tree& tree, const TreeNode& node);  // "chart/x.yaml:12:20"

}  // namespace caisson::go_template
