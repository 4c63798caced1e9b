// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/set.h"

#include <algorithm>

#include "core/expr/go_template/parser.h"

namespace caisson::go_template {

const Function* find_function(FunctionTable table, std::string_view name) {
  const auto found =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const Function& function, std::string_view wanted) { return function.name < wanted; });
  return found != table.end() && found->name == name ? &*found : nullptr;
}

Set::Set(std::string name, std::vector<FunctionTable> functions, const ParseLimits& limits)
    : name_(std::move(name)), functions_(std::move(functions)), limits_(limits) {}

Result<void> Set::parse(std::string_view name, std::string_view text) {
  return parse_shared(name, std::make_shared<const std::string>(text));
}

Result<void> Set::parse_shared(std::string_view name, std::shared_ptr<const std::string> text) {
  TRY(take(name, std::move(text)));
  alone_.reset();
  return {};
}

Result<void> Set::parse_alone(std::string_view name, std::string_view text) {
  return take(name, std::make_shared<const std::string>(text));
}

Result<void> Set::take(std::string_view name, std::shared_ptr<const std::string> text) {
  if (text->size() > limits_.text_bytes_max) {
    return Error{ErrorCode::too_large,
                 "template: " + std::string(name) + ": more than " + std::to_string(limits_.text_bytes_max) + " bytes"};
  }
  Trees parsed = TRY(parse_template(name, std::move(text), *this, limits_.depth_max));
  for (auto& [defined, parsed_tree] : parsed) {
    const std::shared_ptr<const Tree> tree = std::move(parsed_tree);
    if (defined == name) alone_ = tree;
    // An empty body does not replace what is defined: a file of definitions leaves the template of its name alone.
    if (find(defined) && is_empty(*tree->root)) continue;
    trees_.insert_or_assign(defined, tree);
  }
  return {};
}

std::vector<std::string> Set::names() const {
  std::vector<std::string> out = below_ ? below_->names() : std::vector<std::string>();
  for (const auto& [name, tree] : trees_) out.push_back(name);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Set Set::layer() const {
  Set out(name_, functions_, limits_);
  out.below_ = this;
  return out;
}

const Tree* Set::find(std::string_view name) const {
  const auto found = trees_.find(name);
  if (found != trees_.end()) return found->second.get();
  return below_ ? below_->find(name) : nullptr;
}

const Function* Set::find_function(std::string_view name) const {
  for (const FunctionTable table : functions_) {
    if (const Function* found = go_template::find_function(table, name)) return found;
  }
  return nullptr;
}

}  // namespace caisson::go_template
