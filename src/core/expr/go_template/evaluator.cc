// SPDX-License-Identifier: Apache-2.0
// Actions and control structures; expressions are in evaluator_expressions.cc.
#include "core/expr/go_template/evaluator.h"

#include <algorithm>

#include "core/expr/go_template/complex.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/stack.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {

bool is_true(const Datum& datum) {
  switch (datum.kind()) {
    case Kind::boolean:
      return datum.as_bool();
    case Kind::string:
    case Kind::slice:
    case Kind::array:
    case Kind::map:
      return datum.size() > 0;
    case Kind::structure:
      return true;
    case Kind::pointer:
    case Kind::function:
    case Kind::interface:
    case Kind::invalid:
      return !datum.is_nil();
    case Kind::float32:
    case Kind::float64:
      return datum.as_double() != 0;
    case Kind::complex128: {
      const auto& number = static_cast<const Complex&>(*datum.node());
      return number.real != 0 || number.imaginary != 0;
    }
    default:
      return datum.as_int() != 0;
  }
}

Error Evaluator::fail(std::string_view message, ErrorCode code) const {
  return Error{code, "template: " + location(tree_, *node_) + ": executing " + quote(tree_.name) + " at <" +
                         to_text(*node_) + ">: " + std::string(message)};
}

Slot* Evaluator::find_variable(std::string_view name) {
  const auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                                  [&](const Variable& variable) { return variable.name == name; });
  return found == variables_.rend() ? nullptr : &found->value;
}

Result<void> Evaluator::set_variable(std::string_view name, Slot value) {
  Slot* slot = find_variable(name);
  if (!slot) return fail("undefined variable: " + std::string(name));
  *slot = std::move(value);
  return {};
}

Result<void> Evaluator::run(const Datum& data) {
  variables_.push_back({"$", {data}});
  const Slot dot{data};
  TRY(walk(dot, *tree_.root));
  return {};
}

Result<Evaluator::Flow> Evaluator::walk(const Slot& dot, const TreeNode& node) {
  at(node);
  switch (node.type) {
    case NodeType::action: {
      const auto& action = static_cast<const ActionNode&>(node);
      const Datum value = TRY(pipeline(dot, action.pipe));
      if (action.pipe->variables.empty()) TRY(print(node, value));
      return Flow::next;
    }
    case NodeType::text:
      out_ += static_cast<const TextNode&>(node).text;
      return Flow::next;
    case NodeType::list:
      return walk_list(dot, static_cast<const ListNode&>(node));
    case NodeType::if_:
    case NodeType::with:
    case NodeType::range:
      return walk_deeper(dot, static_cast<const BranchNode&>(node));
    case NodeType::template_:
      return walk_template(dot, static_cast<const TemplateNode&>(node));
    case NodeType::break_:
      return Flow::break_;
    case NodeType::continue_:
      return Flow::continue_;
    default:
      return Flow::next;
  }
}

Result<Evaluator::Flow> Evaluator::walk_list(const Slot& dot, const ListNode& list) {
  const auto spent = execution_.spend(list.nodes.size() + 1);
  if (!spent.ok()) return fail(spent.error().message, spent.error().code);
  for (const NodePtr node : list.nodes) {
    const Flow flow = TRY(walk(dot, *node));
    if (flow != Flow::next) return flow;
  }
  if (out_.size() > execution_.options().limits.output_bytes_max) {
    return fail("the output is larger than " + std::to_string(execution_.options().limits.output_bytes_max) + " bytes",
                ErrorCode::too_large);
  }
  return Flow::next;
}

Result<void> Evaluator::print(const TreeNode& node, const Datum& datum) {
  at(node);
  if (datum.kind() == Kind::function) {
    return fail("can't print " + to_text(node) + " of type " + std::string(datum.type_name()));
  }
  const auto printed = append_printed(out_, datum);
  if (!printed.ok()) return fail(printed.error().message, printed.error().code);
  return {};
}

Result<Evaluator::Flow> Evaluator::walk_branch(const Slot& dot, const BranchNode& node) {
  const std::size_t mark = variables_.size();
  const Datum value = TRY(pipeline(dot, node.pipe));
  Flow flow = Flow::next;
  if (is_true(value)) {
    flow = node.type == NodeType::with ? TRY(walk(Slot{value}, *node.list)) : TRY(walk(dot, *node.list));
  } else if (node.else_list) {
    flow = TRY(walk(dot, *node.else_list));
  }
  variables_.resize(mark);
  return flow;
}

Result<Evaluator::Flow> Evaluator::walk_deeper(const Slot& dot, const BranchNode& node) {
  const auto here = [&] { return node.type == NodeType::range ? walk_range(dot, node) : walk_branch(dot, node); };
  if (!stack_is_short()) [[likely]]
    return here();
  Result<Flow> result = Flow::next;
  on_fresh_stack([&] { result = here(); });
  return result;
}

struct Evaluator::Range {
  const BranchNode& node;
  std::size_t mark = 0;  // of the variables before the body's
  bool ran = false;
};

Result<Evaluator::Flow> Evaluator::walk_range(const Slot& dot, const BranchNode& node) {
  const std::size_t outer = variables_.size();
  const Datum over = TRY(pipeline(dot, node.pipe));
  Range range{node, variables_.size()};
  TRY(iterate(range, over));
  Flow flow = Flow::next;
  if (!range.ran && node.else_list) flow = TRY(walk(dot, *node.else_list));
  variables_.resize(outer);
  return flow == Flow::break_ ? Flow::next
                              : flow;  // Go's {{break}} in an {{else}} ends that {{range}}, not the outer one
}

Result<void> Evaluator::iterate(Range& range, const Datum& over) {
  if (over.is_signed() || over.is_unsigned()) {
    if (range.node.pipe->variables.size() > 1) {
      return fail("can't use " + TRY(to_text(over)) + " to iterate over more than one variable");
    }
    for (std::int64_t i = 0; i < over.as_int(); ++i) {
      const Datum item = Datum::scalar(*over.type(), Value(static_cast<long long>(i)));
      if (TRY(iteration(range, {}, {item})) == Flow::break_) break;
    }
    return {};
  }
  const bool boxed = over.is_valid() && over.type()->element == &kAny;
  if (over.kind() == Kind::slice || over.kind() == Kind::array) {
    for (std::size_t i = 0; i < over.size(); ++i) {
      const Datum index = Datum::integer(static_cast<std::int64_t>(i));
      if (TRY(iteration(range, {index}, {over.at(i), boxed})) == Flow::break_) break;
    }
    return {};
  }
  if (over.kind() == Kind::map) {
    if (!over.as_map()) return {};
    // What the body adds or takes away does not change what is iterated over.
    std::vector<std::pair<std::string, Datum>> entries(over.as_map()->entries().begin(),
                                                       over.as_map()->entries().end());
    for (auto& [key, item] : entries) {
      if (TRY(iteration(range, {Datum(key)}, {std::move(item), boxed})) == Flow::break_) break;
    }
    return {};
  }
  if (!over.is_valid()) return {};
  return fail("range can't iterate over " + TRY(to_text(over)));
}

Result<Evaluator::Flow> Evaluator::iteration(Range& range, Slot index, Slot item) {
  range.ran = true;
  const PipeNode& pipe = *range.node.pipe;
  const std::size_t count = pipe.variables.size();
  const Slot dot = item;
  if (pipe.is_assign) {
    if (count > 1) {
      TRY(set_variable(pipe.variables[0], std::move(index)));
      TRY(set_variable(pipe.variables[1], std::move(item)));
    } else if (count == 1) {
      TRY(set_variable(pipe.variables[0], std::move(item)));
    }
  } else {
    if (count > 0) variables_[range.mark - 1].value = std::move(item);
    if (count > 1) variables_[range.mark - 2].value = std::move(index);
  }
  const Flow flow = TRY(walk(dot, *range.node.list));
  variables_.resize(range.mark);
  return flow;
}

Result<Evaluator::Flow> Evaluator::walk_template(const Slot& dot, const TemplateNode& node) {
  const Tree* tree = TRY(execution_.find(set_, node.name));
  if (!tree) return fail("template " + quote(node.name) + " not defined");
  const std::size_t depth_max = execution_.options().limits.depth_max;
  if (depth_ >= depth_max) return fail("exceeded maximum template depth (" + std::to_string(depth_max) + ")");
  const Datum data = TRY(pipeline(dot, node.pipe));
  Result<void> result;
  const auto evaluate = [&] { result = Evaluator(execution_, set_, *tree, out_, depth_ + 1).run(data); };
  if (stack_is_short()) {
    on_fresh_stack(evaluate);
  } else {
    evaluate();
  }
  TRY(std::move(result));
  return Flow::next;
}

}  // namespace caisson::go_template
