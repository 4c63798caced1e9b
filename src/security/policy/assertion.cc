// SPDX-License-Identifier: Apache-2.0
#include "security/policy/assertion.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/base/text.h"
#include "core/document/json.h"
#include "security/policy/cel_environment.h"

namespace caisson::policy {

struct Assertion::Tree {
  // A key or a leaf in its parts.
  struct Projection {
    bool foreach = false;
    std::string foreach_name, binding, key;  // `key`: what is left, where it is no expression
    std::optional<jmespath::Expression> path;
    std::optional<cel::Program> program;

    bool computes() const { return path || program; }
  };
  struct Entry;

  Value source;
  std::optional<Projection> leaf;  // of a text that computes what is expected
  std::vector<Entry> entries;      // of a map
  std::vector<Tree> items;         // of a list
  std::vector<std::string> names;  // of the root: those that are read and not bound
};

struct Assertion::Tree::Entry {
  std::string text;
  Projection projection;
  Tree below;
};

namespace {

using Tree = Assertion::Tree;
using Projection = Assertion::Tree::Projection;

constexpr int kAssertionDepthMax = 100;
constexpr std::size_t kFailuresMax = 100;

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// "~name." or "~." before the rest.
void take_foreach(std::string_view& text, Projection& out) {
  if (!text.starts_with("~")) return;
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return;
  const std::string_view name = text.substr(1, dot - 1);
  if (!name.empty() && !is_word(name)) return;
  out.foreach = true;
  out.foreach_name = name;
  text.remove_prefix(dot + 1);
}

// "->name" behind it.
void take_binding(std::string_view& text, Projection& out) {
  const std::size_t arrow = text.rfind("->");
  if (arrow == std::string_view::npos) return;
  const std::string_view name = trim(text.substr(arrow + 2));
  if (!is_word(name) || text.ends_with(" ")) return;
  out.binding = name;
  text = text.substr(0, arrow);
  while (text.ends_with(" ")) text.remove_suffix(1);
}

Result<void> compile_expression(std::string_view text, Projection& out) {
  std::string_view compiler = "jp";
  if (const std::size_t end = text.find(';'); end != std::string_view::npos && is_word(text.substr(0, end))) {
    compiler = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  if (compiler == "cel") {
    out.program = TRY(cel_environment().compile(text));
    return {};
  }
  if (compiler != "jp" && compiler != "default")
    return Error{ErrorCode::invalid, "there is no compiler \"" + std::string(compiler) + "\""};
  out.path = TRY(jmespath::Expression::compile(text, jmespath::Dialect::community));
  return {};
}

Result<Projection> parse_projection(std::string_view text) {
  Projection out;
  take_foreach(text, out);
  take_binding(text, out);
  if (text.size() > 2 && text.front() == '\\' && text.back() == '\\') {
    out.key = text.substr(1, text.size() - 2);
  } else if (text.size() > 2 && text.front() == '(' && text.back() == ')') {
    TRY(compile_expression(text.substr(1, text.size() - 2), out));
  } else {
    out.key = text;
  }
  return out;
}

Result<Value> computed(const Projection& projection, const Value& value, const Value& bindings,
                       const jmespath::Environment& environment) {
  if (projection.path) {
    const auto found = TRY(projection.path->find(value, environment, bindings));
    return found.value;
  }
  CelInput input;
  input.object = value;
  const CelVariables none;
  const CelScope scope(input, none);
  const cel::Value result = TRY(scope.evaluate(*projection.program));
  return result.to_document();
}

std::string shown(const Value& value) {
  if (value.is_null()) return "\"null\"";
  return value.is_string() || value.is_list() || value.is_map() ? json::write(value) : value.scalar_text();
}
std::string invalid_value(const std::string& path, const Value& value, std::string_view detail) {
  return path + ": Invalid value: " + shown(value) + ": " + std::string(detail);
}

// What is expected of maps is a part of them.
Result<bool> fits(const Value& expected, const Value& actual) {
  if (expected.is_list() || expected.is_map()) {
    if (actual.kind() != expected.kind())
      return Error{ErrorCode::bad_request, "invalid actual value, must be a " +
                                               std::string(expected.is_list() ? "slice" : "map") + ", found " +
                                               std::string(kind_name(actual.kind()))};
    if (expected.is_list() && expected.size() != actual.size()) return false;
    for (std::size_t i = 0; i < expected.items().size(); ++i)
      if (!TRY(fits(expected[i], actual[i]))) return false;
    for (const auto& entry : expected.entries()) {
      const Value* member = actual.find(entry.key);
      if (member == nullptr || !TRY(fits(entry.value, *member))) return false;
    }
    return true;
  }
  if (expected.is_null() || actual.is_null()) return expected.is_null() && actual.is_null();
  const bool same_kind = expected.kind() == actual.kind() || (expected.is_number() && actual.is_number());
  if (same_kind) return expected == actual;
  return Error{ErrorCode::bad_request, "types are not comparable, " + std::string(kind_name(expected.kind())) + " - " +
                                           std::string(kind_name(actual.kind()))};
}

class Compiler {
 public:
  Result<Tree> tree(const Value& source, int depth) {
    if (depth > kAssertionDepthMax) return Error{ErrorCode::invalid, "the assertion is nested too deeply"};
    Tree out;
    out.source = source;
    for (const Value& item : source.items()) {
      Tree below = TRY(tree(item, depth + 1));
      out.items.push_back(std::move(below));
    }
    for (const auto& member : source.entries()) {
      Tree::Entry entry;
      entry.text = member.key;
      entry.projection = TRY(projection(member.key));
      const std::size_t outer = bound_.size();
      for (const std::string* name : {&entry.projection.foreach_name, &entry.projection.binding})
        if (!name->empty()) bound_.push_back(*name);
      entry.below = TRY(tree(member.value, depth + 1).in(member.key));
      bound_.resize(outer);
      out.entries.push_back(std::move(entry));
    }
    if (source.is_string()) {
      Projection leaf = TRY(projection(source.as_string()));
      if (leaf.foreach || !leaf.binding.empty())
        return Error{ErrorCode::invalid, "\"" + source.str() + "\": ~ and -> are for keys"};
      if (leaf.computes() || leaf.key != source.as_string()) out.leaf = std::move(leaf);
    }
    return out;
  }
  std::vector<std::string> names() && { return std::move(names_); }

 private:
  Result<Projection> projection(std::string_view text) {
    Projection out = TRY(parse_projection(text).in(text));
    if (!out.path) return out;
    for (const std::string& name : out.path->variables())
      if (std::find(bound_.begin(), bound_.end(), name) == bound_.end()) names_.push_back(name);
    return out;
  }

  std::vector<std::string> bound_, names_;
};

class Checker {
 public:
  explicit Checker(const jmespath::Environment& environment) : environment_(environment) {}

  Result<void> tree(const Tree& tree, const Value& value, const Value& bindings, const std::string& path) {
    if (failures_.size() >= kFailuresMax) return {};
    if (tree.source.is_map()) return map(tree, value, bindings, path);
    if (tree.source.is_list()) return list(tree, value, bindings, path);
    return scalar(tree, value, bindings, path);
  }
  std::vector<std::string> failures() && { return std::move(failures_); }

 private:
  Result<void> list(const Tree& tree, const Value& value, const Value& bindings, const std::string& path) {
    if (value.is_null()) return fail(invalid_value(path, value, "value is null"));
    if (!value.is_list()) return Error{ErrorCode::bad_request, invalid_value(path, value, "expected a slice")};
    if (value.size() != tree.items.size()) return fail(invalid_value(path, value, "lengths of slices don't match"));
    for (std::size_t i = 0; i < tree.items.size(); ++i)
      TRY(this->tree(tree.items[i], value[i], bindings, path + "[" + std::to_string(i) + "]"));
    return {};
  }

  Result<void> map(const Tree& tree, const Value& value, const Value& bindings, const std::string& path) {
    if (tree.entries.empty() && value.is_null())
      return fail(invalid_value(path, value, "invalid value, must not be null"));
    for (const Tree::Entry& entry : tree.entries) {
      const std::string at = path.empty() ? entry.text : path + "." + entry.text;
      const auto found = TRY(projected(entry.projection, value, bindings).in(at));
      if (!found) {
        TRY(fail(at + ": Required value: field not found in the input object"));
        continue;
      }
      Value inner = bindings;
      if (!entry.projection.binding.empty()) inner.set(entry.projection.binding, *found);
      TRY(entry.projection.foreach ? each(entry, *found, inner, at) : this->tree(entry.below, *found, inner, at));
    }
    return {};
  }

  Result<void> each(const Tree::Entry& entry, const Value& value, const Value& bindings, const std::string& path) {
    const auto one = [&](const Value& key, const Value& item) {
      Value inner = bindings;
      if (!entry.projection.foreach_name.empty()) inner.set(entry.projection.foreach_name, key);
      return tree(entry.below, item, inner, path + "[" + key.scalar_text() + "]");
    };
    if (!value.is_list() && !value.is_map())
      return Error{ErrorCode::bad_request, invalid_value(path, value, "expected a slice or a map")};
    for (std::size_t i = 0; i < value.items().size(); ++i) TRY(one(Value(static_cast<std::int64_t>(i)), value[i]));
    for (const auto& member : value.entries()) TRY(one(Value(member.key), member.value));
    return {};
  }

  // Nothing: there is no such member.
  Result<std::optional<Value>> projected(const Projection& projection, const Value& value, const Value& bindings) {
    if (projection.computes()) {
      Value result = TRY(computed(projection, value, bindings, environment_));
      return std::optional<Value>(std::move(result));
    }
    if (value.is_null()) return std::optional<Value>();
    if (!value.is_map()) return Error{ErrorCode::bad_request, "projection not recognized"};
    const Value* member = value.find(projection.key);
    return member == nullptr ? std::optional<Value>() : std::optional<Value>(*member);
  }

  Result<void> scalar(const Tree& tree, const Value& value, const Value& bindings, const std::string& path) {
    Value expected = tree.source;
    if (tree.leaf && tree.leaf->computes())
      expected = TRY(computed(*tree.leaf, value, bindings, environment_).in(path));
    else if (tree.leaf)
      expected = Value(tree.leaf->key);
    if (TRY(fits(expected, value).in(path))) return {};
    return fail(invalid_value(path, value, "Expected value: " + shown(expected)));
  }

  Result<void> fail(std::string what) {
    failures_.push_back(std::move(what));
    return {};
  }

  const jmespath::Environment& environment_;
  std::vector<std::string> failures_;
};

}  // namespace

Result<Assertion> Assertion::compile(const Value& source) {
  Compiler compiler;
  Tree tree = TRY(compiler.tree(source, 1));
  tree.names = std::move(compiler).names();
  return Assertion(std::make_shared<const Tree>(std::move(tree)));
}

const std::vector<std::string>& Assertion::free_names() const {
  return tree_->names;
}

Result<std::vector<std::string>> Assertion::check(const Value& value, const Value& bindings,
                                                  const jmespath::Environment& environment) const {
  Checker checker(environment);
  TRY(checker.tree(*tree_, value, bindings.is_null() ? Value::map() : bindings, ""));
  return std::move(checker).failures();
}

}  // namespace caisson::policy
