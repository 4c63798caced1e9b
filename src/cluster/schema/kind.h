// SPDX-License-Identifier: Apache-2.0
// KindSchema: everything the program knows of one kind in one version: names, verbs, sub-resources, columns and fields.
// Built-in kinds come from kinds/*.yaml, others from CustomResourceDefinitions; nobody sees a difference. Never
// changes; any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/field.h"
#include "cluster/schema/resource.h"

namespace caisson::schema {

// A printer column. Exactly one of `path` (JSONPath without the dot, as in a CRD) and `computed` (a printer's name:
// table.cc) is set.
struct Column {
  std::string name, type = "string", format, description;
  std::int64_t priority = 0;  // above 0: only with -o wide
  std::string path;
  std::string computed;
};

struct Subresource {
  std::string name;  // "status", "scale", "binding", "exec" …
  std::string group, version,
      kind;  // of the body where it is another kind than the resource's (Scale of autoscaling/v1)
  std::vector<std::string> verbs;
  // scale of a CRD or a workload: where its numbers live.
  std::string spec_replicas_path, status_replicas_path, label_selector_path;  // ".spec.replicas"
};

struct KindSchema {
  Resource resource;
  std::string singular, list_kind;
  std::vector<std::string> short_names, categories;
  std::vector<std::string> verbs;  // "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"
  std::vector<Subresource> subresources;
  std::vector<Column> columns;  // without NAMESPACE, which clients add
  std::vector<std::string>
      selectable_fields;        // for field selectors, beside metadata.name and metadata.namespace: "spec.nodeName"
  std::string storage_version;  // the version objects are stored in
  std::string
      storage_kind_group;  // empty, or the group whose kind of that name shares the storage ("" for events.k8s.io)
  bool served = true;
  bool preferred = true;       // its version is the group's preferred one
  bool custom = false;         // from a CRD
  std::string crd_name;        // "widgets.example.com" when custom
  std::string type_name;       // OpenAPI: "io.k8s.api.apps.v1.Deployment"
  bool has_generation = true;  // metadata.generation counts changes of spec
  const Field* root_field = nullptr;
  std::shared_ptr<const void> memory;  // keeps the fields alive

  const Field& root() const { return *root_field; }
  bool has_verb(std::string_view verb) const;
  const Subresource* subresource(std::string_view name) const;  // nullptr when it has none of that name
  bool has_status() const { return subresource("status") != nullptr; }
  bool is_review() const { return verbs.size() == 1 && verbs[0] == "create"; }  // answered, never stored
};
using KindPtr = std::shared_ptr<const KindSchema>;

}  // namespace caisson::schema
