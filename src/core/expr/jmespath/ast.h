// SPDX-License-Identifier: Apache-2.0
// The tree of an expression. Nodes stand in one vector and name their children by index; internal to this folder.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace re2 {
class RE2;
}

namespace caisson::jmespath {

struct Function;

enum class NodeKind : std::uint8_t {
  identity,           // the current value: "@", or nothing before a bracket
  field,              // text
  literal,            // value
  subexpression,      // a then b
  index,              // number
  slice,              // bounds
  projection,         // a over the items, then b
  value_projection,   // a over the members' values, then b
  filter_projection,  // a, then b of each item for which c holds
  flatten,            // a
  comparison,         // a op b
  either,             // a || b
  both,               // a && b
  negation,           // ! a
  pipe,               // a | b
  multi_list,         // children
  multi_hash,         // children and keys
  call,               // function over children
  reference,          // & a
  root,               // $: the input
  variable,           // $text
  let,                // keys are bound to the children but the last, which is evaluated then
  arithmetic,         // a op b
};
enum class Comparator : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal };
enum class Arithmetic : std::uint8_t { plus, minus, times, divided, whole_divided, modulo };

struct Node {
  NodeKind kind = NodeKind::identity;
  Comparator comparator = Comparator::equal;
  Arithmetic arithmetic = Arithmetic::plus;
  std::uint32_t a = 0, b = 0, c = 0;
  std::uint32_t depth = 1;
  std::string text;
  std::string_view key;  // of a field: `text` as maps hold it, which they know by its address
  Value value;
  std::int64_t number = 0;
  std::optional<std::int64_t> from, to, step;  // of a slice
  std::vector<std::uint32_t> children;
  std::vector<std::string> keys;
  const Function* function = nullptr;
  std::shared_ptr<const re2::RE2> regex;  // of a call whose first argument is a literal pattern
};

struct Tree {
  std::vector<Node> nodes;
  std::uint32_t root = 0;
};

}  // namespace caisson::jmespath
