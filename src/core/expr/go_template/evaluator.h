// SPDX-License-Identifier: Apache-2.0
// Walks one template's tree. Follows text/template's exec.go of Go 1.26: order of evaluation, scopes, messages.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/parameters.h"
#include "core/expr/go_template/tree.h"

namespace caisson::go_template {

// What a value is, and whether it is held as an interface {}: an item of a list or map that is ranged over. Messages
// then name the type "interface {}".
struct Slot {
  Datum datum;
  bool boxed = false;
};

class Evaluator {
 public:
  Evaluator(Execution& execution, const Set& set, const Tree& tree, std::string& out, std::size_t depth)
      : execution_(execution), set_(set), tree_(tree), out_(out), depth_(depth) {}

  Result<void> run(const Datum& data);

 private:
  enum class Flow : std::uint8_t { next, break_, continue_ };
  struct Variable {
    std::string_view name;
    Slot value;
  };
  using Args = Nodes;  // with the function itself in front; empty when there are none

  Error fail(std::string_view message, ErrorCode code = ErrorCode::invalid) const;
  void at(const TreeNode& node) { node_ = &node; }
  Slot* find_variable(std::string_view name);
  Result<void> set_variable(std::string_view name, Slot value);

  Result<Flow> walk(const Slot& dot, const TreeNode& node);
  Result<Flow> walk_list(const Slot& dot, const ListNode& list);
  Result<Flow> walk_deeper(const Slot& dot, const BranchNode& node);  // on another stack when this one is used up
  Result<Flow> walk_branch(const Slot& dot, const BranchNode& node);
  Result<Flow> walk_range(const Slot& dot, const BranchNode& node);
  Result<Flow> walk_template(const Slot& dot, const TemplateNode& node);
  Result<void> print(const TreeNode& node, const Datum& datum);

  struct Range;  // one range's nodes and marks
  Result<void> iterate(Range& range, const Datum& over);
  Result<Flow> iteration(Range& range, Slot index, Slot item);

  // `final`: what the pipeline's stage before gave; nullptr when this is the first.
  Result<Datum> pipeline(const Slot& dot, const PipeNode* pipe);
  Result<Datum> pipeline_here(const Slot& dot, const PipeNode& pipe);
  Result<Slot> command(const Slot& dot, const CommandNode& command, const Datum* final);
  Result<void> not_a_function(Args args, const Datum* final) const;
  Result<Datum> constant(const NumberNode& number);
  Result<Slot> chain(const Slot& dot, const ChainNode& node, Args args, const Datum* final);
  Result<Slot> variable(const Slot& dot, const PathNode& node, Args args, const Datum* final);
  Result<Slot> fields(const Slot& dot, const Slot& start, const TreeNode& node, Names names, Args args,
                      const Datum* final);
  Result<Slot> field(const Slot& dot, std::string_view name, const TreeNode& node, Args args, const Datum* final,
                     const Slot& receiver);
  Result<Slot> missing_key(const Datum& map, std::string_view name) const;
  Result<Slot> call_identifier(const Slot& dot, const IdentifierNode& node, const TreeNode& whole, Args args,
                               const Datum* final);
  struct Callee {
    std::string_view name;
    Signature parameters;
    Result<Datum> (*call)(Call&);
    const Datum* receiver;
  };
  Result<Slot> call(const Slot& dot, const Callee& callee, const TreeNode& node, Args args, const Datum* final);
  Result<void> pay_for_text(const Datum& datum);
  Result<Datum> call_special(const Slot& dot, const Callee& callee, const TreeNode& node, Args args,
                             const Datum* final);
  Result<Datum> and_or(const Slot& dot, bool is_or, Args args, const Datum* final);
  Result<Datum> argument(const Slot& dot, char letter, const TreeNode& node);
  Result<Datum> literal(char letter, const TreeNode& node);
  Result<Datum> literal_number(char letter, const TreeNode& node);
  Result<Datum> literal_of_any(const TreeNode& node);
  Result<Datum> fit(const Datum& datum, char letter) const;

  Execution& execution_;
  const Set& set_;
  const Tree& tree_;
  std::string& out_;
  const std::size_t depth_;
  const TreeNode* node_ = nullptr;  // where we are, for messages
  std::vector<Variable> variables_;
};

bool is_true(const Datum& datum);  // as `if` sees it

}  // namespace caisson::go_template
