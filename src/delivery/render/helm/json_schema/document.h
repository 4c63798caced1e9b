// SPDX-License-Identifier: Apache-2.0
// A schema document: its draft, and what "$ref" means within it. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/document/value.h"

namespace caisson::render::helm::json_schema {

// A schema, with the document or embedded resource that "#" means in it.
struct At {
  const Value* schema;
  const Value* resource;
};

class Document {
 public:
  explicit Document(const Value& root);  // must outlive the Document

  int draft() const { return draft_; }  // 4, 6, 7, 2019 or 2020
  // `schema` within `at`: an embedded resource begins where a schema has an id that is more than an anchor.
  At below(const At& at, const Value& schema) const;
  // Nothing for what is not in the document.
  std::optional<At> resolve(const At& at, const std::string& reference) const;

 private:
  const char* id_keyword() const { return draft_ == 4 ? "id" : "$id"; }
  const Value* find_resource(const Value& in, std::string_view id, int depth) const;
  const Value* find_anchor(const Value& in, const std::string& name, int depth) const;

  const Value& root_;
  const int draft_;
};

}  // namespace caisson::render::helm::json_schema
