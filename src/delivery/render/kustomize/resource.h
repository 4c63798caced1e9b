// SPDX-License-Identifier: Apache-2.0
// A resource on its way through kustomizations: the object, and what the stages must remember of it (earlier names,
// prefixes, whether its name gets a hash). What kustomize keeps in annotations of its own is plain data here.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::kustomize_impl {

// Group, version, kind; an empty part matches anything when it selects.
struct Gvk {
  std::string group, version, kind;
  bool operator==(const Gvk&) const = default;
  bool selected_by(const Gvk& selector) const;
  std::string str() const;  // "Deployment.v1.apps"
  static Gvk of(const Value& object);
  static Gvk parse(std::string_view api_version, std::string_view kind);
};

struct Id {
  Gvk gvk;
  std::string name, ns;
  bool cluster_scoped() const;
  std::string effective_ns() const;    // "" counts as "default"; "_" for what has none
  bool equals(const Id& other) const;  // with effective namespaces
  bool same_ns(const Id& other) const { return effective_ns() == other.effective_ns(); }
  bool selected_by(const Id& selector) const;
  std::string str() const;  // "Deployment.v1.apps/web.[noNs]"
};

struct Resource {
  Value object;
  std::string file;          // where it was read, for messages
  std::vector<Id> previous;  // oldest first; group and version are those of now
  std::vector<std::string> prefixes, suffixes;
  std::string behavior;  // of a generated one: "", create, merge, replace
  bool needs_hash = false;
  bool from_chart = false;   // has its namespace from the chart: `namespace` leaves it
  bool may_change_name = false, may_change_kind = false;  // of a patch
  std::vector<std::string> variables;                     // names of the vars that read from it
  Value origin;                                           // null when nobody asks for it
  std::vector<Value> transformations;

  Id id() const;
  Id original_id() const { return previous.empty() ? id() : prior(0); }
  Id prior(std::size_t index) const;
  bool any_prior(const std::function<bool(const Id&)>& matches) const;
  std::string name() const { return object["metadata"]["name"].scalar_text(); }
  std::string ns() const { return object["metadata"]["namespace"].scalar_text(); }
  void set_name(std::string_view name) { object.edit({"metadata", "name"}) = Value(name); }
  void remember_id();
};

// A deque, so that a resource stays where it is while others are added.
class ResourceMap {
 public:
  std::deque<Resource>& all() { return resources_; }
  const std::deque<Resource>& all() const { return resources_; }
  // Errors: conflict when the id is taken.
  Result<void> append(Resource resource);
  Result<void> append_all(ResourceMap other);
  // A generated resource: added, or merged into or put in place of the one it names.
  Result<void> absorb(Resource generated);
  std::vector<Resource*> matching_any_id(const std::function<bool(const Id&)>& matches);
  // The one resource that has or had this id. Errors: not_found, conflict.
  Result<Resource*> find(const Id& id);
  void drop_empty();

 private:
  std::deque<Resource> resources_;
};

bool is_cluster_scoped(const Gvk& gvk);
std::string api_version_of(const Gvk& gvk);

}  // namespace caisson::render::kustomize_impl
