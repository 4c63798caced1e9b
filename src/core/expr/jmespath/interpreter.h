// SPDX-License-Identifier: Apache-2.0
// Walks a tree over a value. One search, one thread. Internal to this folder.
#pragma once
#include <string>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/jmespath/ast.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::jmespath {

class Interpreter {
 public:
  Interpreter(const Tree& tree, const Environment& environment, const Value& bindings)
      : tree_(tree), environment_(environment), bindings_(bindings) {}

  Result<Found> run(const Value& input);
  // For functions that take `&expression`.
  Result<Value> apply(const Node& reference, const Value& to);

 private:
  Result<Value> eval(std::uint32_t index, const Value& current);
  // The same where a missing key counts as null from here on.
  Result<Value> settled(std::uint32_t index, const Value& current);
  // Where a path of names leads in `current`, without a value made on the way; null: it has other steps, or is missing.
  const Value* place(std::uint32_t index, const Value& current);
  Result<Value> field(const Node& node, const Value& current);
  Result<Value> compare(const Node& node, const Value& current);
  Result<Value> project(const Node& node, const Value& current);
  Result<Value> project_values(const Node& node, const Value& current);
  Result<Value> filter(const Node& node, const Value& current);
  Result<Value> flatten(const Node& node, const Value& current);
  Result<Value> slice(const Node& node, const Value& current);
  Result<Value> multi_list(const Node& node, const Value& current);
  Result<Value> multi_hash(const Node& node, const Value& current);
  Result<Value> call(const Node& node, const Value& current);
  Result<Value> variable(const Node& node) const;
  Result<Value> let(const Node& node, const Value& current);
  Result<Value> arithmetic(const Node& node, const Value& current);

  const Tree& tree_;
  const Environment& environment_;
  Value bindings_;  // those of the innermost scope
  const Value* input_ = nullptr;
  std::size_t steps_ = 0;
  const std::string* missing_ = nullptr;  // the key that the last field did not find
};

bool is_true(const Value& value);  // null, false, "", [] and {} are not

}  // namespace caisson::jmespath
