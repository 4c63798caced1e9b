// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/set.h"

#include <algorithm>
#include <bit>

#include "core/expr/go_template/parser.h"

namespace caisson::go_template {

const Function* find_function(FunctionTable table, std::string_view name) {
  const auto found =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const Function& function, std::string_view wanted) { return function.name < wanted; });
  return found != table.end() && found->name == name ? &*found : nullptr;
}

// The functions of all tables in one: a chart names some ten thousand.
class Set::FunctionIndex {
 public:
  explicit FunctionIndex(const std::vector<FunctionTable>& tables) {
    std::size_t count = 0;
    for (const FunctionTable table : tables) count += table.size();
    places_.resize(std::bit_ceil(2 * count + 1));
    for (const FunctionTable table : tables) {
      for (const Function& function : table) {
        const Function*& place = places_[place_of(function.name)];
        if (place == nullptr) place = &function;  // an earlier table overrides a later
      }
    }
  }
  const Function* find(std::string_view name) const { return places_[place_of(name)]; }

 private:
  // Where `name` is, or would be.
  std::size_t place_of(std::string_view name) const {
    std::size_t at = 0;
    for (const char c : name) at = at * 31 + static_cast<unsigned char>(c);
    while (true) {
      at &= places_.size() - 1;
      if (places_[at] == nullptr || places_[at]->name == name) return at;
      ++at;
    }
  }

  std::vector<const Function*> places_;  // a power of two of them, at most half of them taken
};

Set::Set(std::string name, std::vector<FunctionTable> functions, const ParseLimits& limits)
    : Set(std::move(name), std::make_shared<const FunctionIndex>(functions), limits) {}
Set::Set(std::string name, std::shared_ptr<const FunctionIndex> functions, const ParseLimits& limits)
    : name_(std::move(name)), functions_(std::move(functions)), limits_(limits) {}

Result<void> Set::parse(std::string_view name, std::string_view text) {
  return parse_shared(name, std::make_shared<const std::string>(text));
}

Result<void> Set::parse_shared(std::string_view name, std::shared_ptr<const std::string> text) {
  add(name, TRY(parse_apart(name, std::move(text))));
  return {};
}

Result<void> Set::parse_alone(std::string_view name, std::string_view text) {
  take(name, TRY(parse_apart(name, std::make_shared<const std::string>(text))));
  return {};
}

Result<Trees> Set::parse_apart(std::string_view name, std::shared_ptr<const std::string> text) const {
  if (text->size() > limits_.text_bytes_max) {
    return Error{ErrorCode::too_large,
                 "template: " + std::string(name) + ": more than " + std::to_string(limits_.text_bytes_max) + " bytes"};
  }
  return parse_template(name, std::move(text), *this, limits_.depth_max);
}

void Set::add(std::string_view name, Trees parsed) {
  take(name, std::move(parsed));
  alone_.reset();
}

void Set::take(std::string_view name, Trees parsed) {
  for (auto& [defined, tree] : parsed) {
    if (defined == name) alone_ = tree;
    // An empty body does not replace what is defined: a file of definitions leaves the template of its name alone.
    if (find(defined) && is_empty(*tree->root)) continue;
    trees_.insert_or_assign(defined, std::move(tree));
  }
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
  return functions_->find(name);
}

}  // namespace caisson::go_template
