// SPDX-License-Identifier: Apache-2.0
// The syntax tree: made by parser.cc (macros already expanded), names settled by resolver.cc, types by checker.cc, then
// never changed and read by evaluator.cc.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/expr/cel/type.h"
#include "core/expr/cel/value.h"

namespace caisson::cel {

struct Overload;
struct Node;
using NodePtr = std::unique_ptr<Node>;

enum class NodeKind : std::uint8_t {
  literal,
  identifier,     // name; a leading '.' means: from the root
  select,         // children: operand; name: the field
  call,           // name; children: [receiver,] arguments
  list,           // children: elements
  map,            // children: key, value, key, value …
  message,        // name: the type; children: values of `fields`
  comprehension,  // children: range, accumulator's start, condition, step, result
};

// What a call does beyond finding an overload.
enum class CallKind : std::uint8_t {
  function,
  logical_or,  // n arguments
  logical_and,
  conditional,
  index,
  optional_index,
  optional_select,  // arguments: operand, literal field
  equal,
  not_equal,
  not_strictly_false,
  optional_or,  // a.or(b), a.orValue(b): b only when needed
  optional_or_value,
  map_insert,  // accumulator with an entry more, made by a macro
  append,      // accumulator + [element], made by a macro: may add in place
};

// Where an identifier leads.
enum class NameKind : std::uint8_t { unresolved, variable, local, constant };

struct Node {
  NodeKind kind = NodeKind::literal;
  CallKind call = CallKind::function;
  NameKind name_kind = NameKind::unresolved;
  bool member = false;         // call with a receiver
  bool presence_test = false;  // select under has()
  bool parenthesized_chain = false;
  bool is_free = false;      // costs nothing: decided beforehand, as cel-go's optimizer does
  bool is_constant = false;  // a literal, or a list or map of them: `value` holds it
  std::uint32_t offset = 0;  // byte in the source
  std::uint32_t slot = 0;    // of a variable or a local
  int depth = 1;             // of the tree below
  std::string name;
  std::string_view key;  // of a selection: `name` as maps of documents hold it, which they know by its address
  Value value;           // of a constant; of a selection its key
  std::vector<NodePtr> children;
  std::vector<std::string> fields;
  std::vector<bool> optional;  // list elements, map entries, message fields marked with '?'
  std::string iteration_variable, iteration_variable2, accumulator;
  std::uint32_t iteration_slot = 0, iteration_slot2 = 0, accumulator_slot = 0;
  Type type;                               // by the checker; dyn without one
  std::vector<const Overload*> overloads;  // candidates of a call
};

// "a.b.c" of a chain of selects on an identifier; empty for anything else.
std::string qualified_name(const Node& node);

}  // namespace caisson::cel
