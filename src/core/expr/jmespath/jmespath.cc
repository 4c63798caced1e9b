// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/jmespath.h"

#include <algorithm>

#include "core/document/keys.h"
#include "core/expr/jmespath/interpreter.h"
#include "core/expr/jmespath/parser.h"

namespace caisson::jmespath {

struct Expression::Program {
  std::string text;
  Tree tree;
  std::vector<std::string> roots, variables;
  bool calls_nothing = false;
};

namespace {

// Collects the first names of paths; `at_input` tells whether the current value is still the input.
void collect_roots(const Tree& tree, std::uint32_t index, bool at_input, std::vector<std::string>& roots) {
  const Node& node = tree.nodes[index];
  switch (node.kind) {
    case NodeKind::field:
      if (at_input && std::find(roots.begin(), roots.end(), node.text) == roots.end()) roots.push_back(node.text);
      return;
    case NodeKind::subexpression:
    case NodeKind::projection:
    case NodeKind::value_projection:
    case NodeKind::pipe: {
      const bool passes =
          at_input && tree.nodes[node.a].kind == NodeKind::identity && node.kind != NodeKind::projection;
      collect_roots(tree, node.a, at_input, roots);
      return collect_roots(tree, node.b, passes, roots);
    }
    case NodeKind::filter_projection:
      collect_roots(tree, node.a, at_input, roots);
      collect_roots(tree, node.b, false, roots);
      return collect_roots(tree, node.c, false, roots);
    case NodeKind::flatten:
    case NodeKind::negation:
      return collect_roots(tree, node.a, at_input, roots);
    case NodeKind::reference:
      return collect_roots(tree, node.a, false, roots);
    case NodeKind::comparison:
    case NodeKind::either:
    case NodeKind::both:
      collect_roots(tree, node.a, at_input, roots);
      return collect_roots(tree, node.b, at_input, roots);
    case NodeKind::arithmetic:
      collect_roots(tree, node.a, at_input, roots);
      return collect_roots(tree, node.b, at_input, roots);
    case NodeKind::multi_list:
    case NodeKind::multi_hash:
    case NodeKind::call:
    case NodeKind::let:
      for (const std::uint32_t child : node.children) collect_roots(tree, child, at_input, roots);
      return;
    default:
      return;
  }
}

std::vector<std::string> free_variables(const Tree& tree) {
  std::vector<std::string> made, free;
  const auto contains = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const Node& node : tree.nodes)
    if (node.kind == NodeKind::let) made.insert(made.end(), node.keys.begin(), node.keys.end());
  for (const Node& node : tree.nodes)
    if (node.kind == NodeKind::variable && !contains(made, node.text) && !contains(free, node.text))
      free.push_back(node.text);
  return free;
}

}  // namespace

Result<Expression> Expression::compile(std::string_view text, Dialect dialect) {
  auto program = std::make_shared<Program>();
  program->text = std::string(text);
  program->tree = TRY(parse(text, dialect));
  collect_roots(program->tree, program->tree.root, true, program->roots);
  program->variables = free_variables(program->tree);
  program->calls_nothing = std::none_of(program->tree.nodes.begin(), program->tree.nodes.end(),
                                        [](const Node& node) { return node.kind == NodeKind::call; });
  for (Node& node : program->tree.nodes)
    if (node.kind == NodeKind::field) node.key = document::intern(node.text);
  return Expression(std::move(program));
}

Result<Found> Expression::find(const Value& input, const Environment& environment, const Value& bindings) const {
  return Interpreter(program_->tree, environment, bindings).run(input);
}

Result<Value> Expression::search(const Value& input, const Environment& environment) const {
  Found found = TRY(find(input, environment));
  return std::move(found.value);
}

const std::string& Expression::text() const {
  return program_->text;
}
const std::vector<std::string>& Expression::roots() const {
  return program_->roots;
}
bool Expression::calls_nothing() const {
  return program_->calls_nothing;
}
const std::vector<std::string>& Expression::variables() const {
  return program_->variables;
}

std::string_view error_kind(const Error& error) {
  return std::string_view(error.message).substr(0, error.message.find(':'));
}

}  // namespace caisson::jmespath
