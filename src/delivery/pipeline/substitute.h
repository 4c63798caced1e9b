// SPDX-License-Identifier: Apache-2.0
// Tekton's variables in documents: $(params.name), $(params.list[*]), $(params.list[0]), $(params.object.key),
// $(params["dotted.name"]),
// $(tasks.build.results.digest), $(workspaces.source.path), $(context.pipelineRun.name) … Pure; any thread.
//
// What a scope does not know is left as it is, as upstream does: $(HOME) is the container's. Whoever must refuse an
// unknown reference asks `references`. Source: tektoncd/pipeline v1, docs/variables.md.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::pipeline {

// Names to values: strings, lists (of strings) and maps (of strings). "params.url", "tasks.build.results.digest".
class Scope {
 public:
  void set(std::string name, Value value) { values_[std::move(name)] = std::move(value); }
  const Value* find(std::string_view name) const;
  bool empty() const { return values_.empty(); }
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, Value, std::less<>> values_;
};

// The document with its strings replaced. An item of a list that is "$(x[*])" alone becomes the items of x; a string
// that is
// "$(x[*])" alone outside a list becomes x itself (list or map). Errors: bad_request for an index beyond the list, a
// list inside text.
Result<Value> substitute(const Value& document, const Scope& scope);
Result<std::string> substitute_text(std::string_view text, const Scope& scope);

// Every reference in the document's strings, without "$(" and ")", normalised to dots: "params.url",
// "tasks.a.results.b[0]".
std::vector<std::string> references(const Value& document);

// $(FROM), $(FROM[…]) and $(FROM.…) become $(TO), $(TO[…]) and $(TO.…), in every string.
Value rename_references(const Value& document, std::string_view from, std::string_view to);

}  // namespace caisson::pipeline
