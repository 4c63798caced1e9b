// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/tree.h"

#include <algorithm>
#include <utility>

#include "core/expr/go_template/stack.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

template <class T>
const T& as(const TreeNode& node) {
  return static_cast<const T&>(node);
}

void write(std::string& out, const TreeNode& node);

void write_list(std::string& out, const ListNode& list) {
  for (const NodePtr node : list.nodes) write(out, *node);
}

void write_pipe(std::string& out, const PipeNode& pipe) {
  for (std::size_t i = 0; i < pipe.variables.size(); ++i) {
    if (i > 0) out += ", ";
    out += pipe.variables[i];
  }
  if (!pipe.variables.empty()) out += pipe.is_assign ? " = " : " := ";
  for (std::size_t i = 0; i < pipe.commands.size(); ++i) {
    if (i > 0) out += " | ";
    write(out, *pipe.commands[i]);
  }
}

void write_in_parentheses(std::string& out, const TreeNode& node) {
  const bool is_pipe = node.type == NodeType::pipe;
  if (is_pipe) out += '(';
  write(out, node);
  if (is_pipe) out += ')';
}

void write_command(std::string& out, const CommandNode& command) {
  for (std::size_t i = 0; i < command.args.size(); ++i) {
    if (i > 0) out += ' ';
    write_in_parentheses(out, *command.args[i]);
  }
}

void write_branch(std::string& out, const BranchNode& branch, std::string_view word) {
  out += "{{";
  out += word;
  out += ' ';
  write_pipe(out, *branch.pipe);
  out += "}}";
  write_list(out, *branch.list);
  if (branch.else_list) {
    out += "{{else}}";
    write_list(out, *branch.else_list);
  }
  out += "{{end}}";
}

void write_template(std::string& out, const TemplateNode& node) {
  out += "{{template " + quote(node.name);
  if (node.pipe) {
    out += ' ';
    write_pipe(out, *node.pipe);
  }
  out += "}}";
}

void write_path(std::string& out, const PathNode& path) {
  for (std::size_t i = 0; i < path.names.size(); ++i) {
    if (i > 0 || path.type == NodeType::field) out += '.';
    out += path.names[i];
  }
}

void write_chain(std::string& out, const ChainNode& chain) {
  write_in_parentheses(out, *chain.node);
  for (const std::string_view field : chain.fields) {
    out += '.';
    out += field;
  }
}

void write(std::string& out, const TreeNode& node) {
  if (stack_is_short()) return on_fresh_stack([&] { write(out, node); });
  switch (node.type) {
    case NodeType::list:
      return write_list(out, as<ListNode>(node));
    case NodeType::text:
      out += as<TextNode>(node).text;
      return;
    case NodeType::comment:
      return;
    case NodeType::action:
      out += "{{";
      write_pipe(out, *as<ActionNode>(node).pipe);
      out += "}}";
      return;
    case NodeType::if_:
      return write_branch(out, as<BranchNode>(node), "if");
    case NodeType::range:
      return write_branch(out, as<BranchNode>(node), "range");
    case NodeType::with:
      return write_branch(out, as<BranchNode>(node), "with");
    case NodeType::template_:
      return write_template(out, as<TemplateNode>(node));
    case NodeType::break_:
      out += "{{break}}";
      return;
    case NodeType::continue_:
      out += "{{continue}}";
      return;
    case NodeType::pipe:
      return write_pipe(out, as<PipeNode>(node));
    case NodeType::command:
      return write_command(out, as<CommandNode>(node));
    case NodeType::field:
    case NodeType::variable:
      return write_path(out, as<PathNode>(node));
    case NodeType::chain:
      return write_chain(out, as<ChainNode>(node));
    case NodeType::identifier:
      out += as<IdentifierNode>(node).name;
      return;
    case NodeType::dot:
      out += '.';
      return;
    case NodeType::nil:
      out += "nil";
      return;
    case NodeType::boolean:
      out += as<BoolNode>(node).value ? "true" : "false";
      return;
    case NodeType::number:
      out += as<NumberNode>(node).text;
      return;
    case NodeType::string:
      out += as<StringNode>(node).quoted;
      return;
    case NodeType::end:
      out += "{{end}}";
      return;
    case NodeType::else_:
      out += "{{else}}";
      return;
  }
}

constexpr std::size_t kBlockBytesMax = 64u << 10;

}  // namespace

Arena::~Arena() {
  for (Value* value : values_) value->~Value();
}

void Arena::add_block(std::size_t bytes_min) {
  free_bytes_ = std::max(bytes_min, block_bytes_);
  blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(free_bytes_));
  free_ = blocks_.back().get();
  block_bytes_ = std::min(block_bytes_ * 2, kBlockBytesMax);
}

std::string_view Arena::copy(std::string_view text) {
  const auto bytes = copy(std::span(text.data(), text.size()));
  return {bytes.data(), bytes.size()};
}

const Value* Arena::keep(Value value) {
  Value* const kept = new (allocate(sizeof(Value))) Value(std::move(value));
  values_.push_back(kept);
  return kept;
}

// Trees take about as much as the actions that they are made from: the first block is for a text of half actions.
Source::Source(std::string_view source_name, std::shared_ptr<const std::string> source_text)
    : name(source_name), text(std::move(source_text)), arena(std::clamp<std::size_t>(text->size() / 2, 256, 8192)) {}

bool is_empty(const TreeNode& node) {
  if (node.type == NodeType::comment) return true;
  if (node.type == NodeType::text) return trim_space(as<TextNode>(node).text).empty();
  if (node.type != NodeType::list) return false;
  const Nodes nodes = as<ListNode>(node).nodes;
  return std::all_of(nodes.begin(), nodes.end(), [](const NodePtr item) { return is_empty(*item); });
}

std::string to_text(const TreeNode& node) {
  std::string out;
  write(out, node);
  return out;
}

std::string location(const Tree& tree, const TreeNode& node) {
  const std::string_view before = std::string_view(*tree.source->text).substr(0, node.pos);
  const std::size_t line = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? before.size() : before.size() - newline - 1;
  return tree.source->name + ":" + std::to_string(line) + ":" + std::to_string(column);
}

}  // namespace caisson::go_template
