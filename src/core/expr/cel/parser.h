// SPDX-License-Identifier: Apache-2.0
// Text to syntax tree, by cel-spec 0.24 "Syntax" and "Macros". Any thread.
#pragma once
#include <string_view>

#include "core/expr/cel/ast.h"
#include "core/expr/cel/cel.h"
#include "core/expr/cel/source.h"

namespace caisson::cel {

// Null when `findings` got something.
NodePtr parse(std::string_view text, const EnvironmentOptions& options, Findings& findings);

// Replaces a call that is a macro by what it stands for; leaves any other call alone. Errors go to `findings`.
NodePtr expand_macro(NodePtr call, const EnvironmentOptions& options, Findings& findings);

// --- making nodes
NodePtr make_node(NodeKind kind, std::uint32_t offset);
NodePtr make_identifier(std::string name, std::uint32_t offset);
NodePtr make_literal(Value value, std::uint32_t offset);
NodePtr make_call(std::string function, std::vector<NodePtr> arguments, std::uint32_t offset);
void adopt(Node& parent, NodePtr child);  // keeps `depth`

}  // namespace caisson::cel
