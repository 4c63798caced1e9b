// SPDX-License-Identifier: Apache-2.0
// Set: templates by name, parsed once and executed many times. Follows Go 1.26's text/template.
//
// Templates of a set see one another: `{{ define "x" }}` in one file may be used by `{{ template "x" }}` in any. A name
// that is defined again replaces the former, unless the new body is nothing but blanks and comments and the old one is
// not, as in Go.
//
// Threads: parse() needs the set for itself; all const members, and any number of Executions over one set, may run at
// the same time.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/expr/go_template/function.h"

namespace caisson::go_template {

struct Tree;  // a parsed template: tree.h

using Trees = std::map<std::string, std::shared_ptr<const Tree>, std::less<>>;  // by name

struct ParseLimits {
  std::size_t text_bytes_max = 32u << 20;
  std::size_t depth_max = 10'000;  // of control structures and parentheses within one another; Go's, of parentheses
};

// By name, found without making a string of it.
struct NameHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
};
template <class T>
using NameMap = std::unordered_map<std::string, T, NameHash, std::equal_to<>>;

class Set {
 public:
  // `name` is that of the set's root in messages ("gotpl" in Helm). Functions are looked for in the tables in their
  // order, so an earlier one overrides a later. The tables must outlive the set (they are static).
  Set(std::string name, std::vector<FunctionTable> functions, const ParseLimits& limits = {});

  // Parses `text` as the template `name`, and what it defines.
  // Errors: bad_request in Go's words: `template: NAME:LINE: function "x" not defined`. Nothing is added then.
  Result<void> parse(std::string_view name, std::string_view text);
  // The same without a copy of the text: the trees refer to it.
  Result<void> parse_shared(std::string_view name, std::shared_ptr<const std::string> text);

  // parse_shared() in two steps, of which the first may be taken by several threads at once, and while add() runs.
  Result<Trees> parse_apart(std::string_view name, std::shared_ptr<const std::string> text) const;
  void add(std::string_view name, Trees parsed);

  bool defines(std::string_view name) const { return find(name) != nullptr; }
  std::vector<std::string> names() const;  // sorted
  const std::string& name() const { return name_; }

  // As parse(), but the template `name` itself is kept for alone(), and replaces nothing when it is empty. For texts
  // that are templates of their own (`tpl`).
  Result<void> parse_alone(std::string_view name, std::string_view text);
  const Tree* alone() const { return alone_.get(); }  // nullptr before

  // A set on top of this one: sees its templates, and what is parsed into it stays its own (Helm's `tpl`). This set
  // must outlive it.
  Set layer() const;

  const Tree* find(std::string_view name) const;  // nullptr when not defined; for the evaluator
  const Function* find_function(std::string_view name) const;

 private:
  void take(std::string_view name, Trees parsed);  // the body of `name` also into alone_

  class FunctionIndex;  // set.cc
  Set(std::string name, std::shared_ptr<const FunctionIndex> functions, const ParseLimits& limits);

  std::string name_;
  std::shared_ptr<const FunctionIndex> functions_;  // shared with the layers
  ParseLimits limits_;
  const Set* below_ = nullptr;
  std::shared_ptr<const Tree> alone_;
  NameMap<std::shared_ptr<const Tree>> trees_;
};

}  // namespace caisson::go_template
