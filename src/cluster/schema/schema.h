// SPDX-License-Identifier: Apache-2.0
// Schema: all kinds the server knows: the built-in ones, which are data compiled into the program (kinds/*.yaml), and
// those that CustomResourceDefinitions add at run time. The one source of validation, pruning, defaults, merging,
// tables, discovery and OpenAPI.
//
// Threads: any. A KindPtr that was handed out stays valid when its CRD goes. Nothing is built before `built_in` is
// called.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/kind.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::schema {

class Schema {
 public:
  // Errors: internal, naming file and line, when an embedded kind file is wrong (a test makes sure that none is).
  static Result<Schema> built_in();
  Schema(Schema&&) noexcept;
  Schema& operator=(Schema&&) noexcept;
  ~Schema();

  KindPtr find(std::string_view group, std::string_view version, std::string_view kind) const;  // null when unknown
  KindPtr find_plural(std::string_view group, std::string_view version, std::string_view plural) const;
  KindPtr find_api_version(std::string_view api_version, std::string_view kind) const;  // "apps/v1", "Deployment"
  KindPtr find_object(const Value& object) const;                                       // by its apiVersion and kind
  KindPtr find_storage(std::string_view group, std::string_view plural) const;  // the stored version of a resource
  std::vector<KindPtr> all() const;                                             // sorted by group, version, plural

  // Adds or replaces every served or stored version of a CustomResourceDefinition (apiextensions.k8s.io/v1). Errors:
  // invalid, with the field of the definition that is wrong; already_exists when another definition or a built-in kind
  // has the names.
  Result<void> add_crd(const Value& crd);
  void remove_crd(std::string_view name);  // "widgets.example.com"
  // Grows with every add_crd and remove_crd: discovery and OpenAPI documents made before are old.
  std::uint64_t generation() const;

 private:
  friend const ObjectType* find_type(const Schema& schema, std::string_view name);
  struct Impl;
  explicit Schema(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A named type of the kind files by its short name ("meta.v1.DeleteOptions"); nullptr: none. Lives as long as the
// Schema.
const ObjectType* find_type(const Schema& schema, std::string_view name);

// For Client::patch: strategic merge of built-in kinds; null for custom ones (which take merge patches only).
const document::MergeSchema* merge_schema(const KindSchema& kind);

}  // namespace caisson::schema
