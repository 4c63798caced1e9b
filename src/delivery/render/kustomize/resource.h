// SPDX-License-Identifier: Apache-2.0
// A resource on its way through kustomizations: the object, and what the stages must remember of it (earlier names,
// prefixes, whether its name gets a hash). What kustomize keeps in annotations of its own is plain data here.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::kustomize_impl {

// Group, version, kind; an empty part matches anything when it selects.
struct Gvk {
  std::string group, version, kind;
  auto operator<=>(const Gvk&) const = default;
  bool selected_by(const Gvk& selector) const;
  std::string str() const;  // "Deployment.v1.apps"
  static Gvk of(const Value& object);
  bool selects(const Value& object) const;  // as a selector, without making the object's own
  static Gvk parse(std::string_view api_version, std::string_view kind);
};

// What is worked out once for each kind that occurs. Kinds are few, so they are looked through in order.
template <class T>
class ByKind {
 public:
  // `make(Gvk)` gives it for a kind that is new. The reference stays valid.
  template <class Make>
  T& of(std::string_view api_version, std::string_view kind, Make make) {
    for (Known& known : known_) {
      if (known.kind == kind && known.api_version == api_version) return known.value;
    }
    Known& added = known_.emplace_back(Known{std::string(api_version), std::string(kind), T()});
    added.value = make(Gvk::parse(api_version, kind));
    return added.value;
  }
  template <class Make>
  T& of(const Value& object, Make make) {
    return of(object["apiVersion"].as_string(), object["kind"].as_string(), make);
  }

 private:
  struct Known {
    std::string api_version, kind;
    T value;
  };
  std::deque<Known> known_;
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

// kustomize puts one and the same YAML node into every map to which a label or annotation is added at once, so a later
// change of one of these entries is a change of all. `maps`: where they are, by keys from the root, sorted.
using MapPath = std::vector<std::string>;
struct SharedEntry {
  std::string key;
  std::vector<MapPath> maps;
};

struct Resource {
  Value object;
  std::string file;          // where it was read, for messages
  std::vector<Id> previous;  // oldest first; group and version are those of now
  std::vector<std::string> prefixes, suffixes;
  std::string behavior;  // of a generated one: "", create, merge, replace
  bool needs_hash = false;
  bool from_chart = false;                                // has its namespace from the chart: `namespace` leaves it
  bool may_change_name = false, may_change_kind = false;  // of a patch
  std::vector<std::string> variables;                     // names of the vars that read from it
  Value origin;                                           // null when nobody asks for it
  std::vector<Value> transformations;
  std::vector<SharedEntry> shared;

  Id id() const;
  bool is_now(const Id& other) const;  // whether id() equals it
  Id original_id() const { return previous.empty() ? id() : prior(0); }
  Id prior(std::size_t index) const;
  bool any_prior(const std::function<bool(const Id&)>& matches) const;
  std::string name() const { return object["metadata"]["name"].scalar_text(); }
  std::string ns() const { return object["metadata"]["namespace"].scalar_text(); }
  void set_name(std::string_view name) { object.edit({"metadata", "name"}) = Value(name); }
  void remember_id();
};

// A deque, so that a resource stays where it is while others are added. Look-ups go by name through an index of all
// names that resources have and had; who changes names through a Resource& says so.
class ResourceMap {
 public:
  // Names may change through it: the index is made anew when it is next needed.
  std::deque<Resource>& all() {
    indexed_ = 0;
    return resources_;
  }
  const std::deque<Resource>& all() const { return resources_; }
  // The same resources, by somebody who leaves names alone.
  std::deque<Resource>& all_same_names() { return resources_; }
  // The name of this one, which a look-up gave, has changed.
  void name_changed(const Resource& resource);

  // Errors: conflict when the id is taken.
  Result<void> append(Resource resource);
  Result<void> append_all(ResourceMap other);
  // A generated resource: added, or merged into or put in place of the one it names.
  Result<void> absorb(Resource generated);
  // Those that have or had `name` and one of whose ids `matches`, in order.
  std::vector<Resource*> matching_any_id(std::string_view name, const std::function<bool(const Id&)>& matches);
  // Those that have or had the name, in order.
  std::vector<Resource*> named(std::string_view name);
  // The one resource that has or had this id. Errors: not_found, conflict.
  Result<Resource*> find(const Id& id);
  Resource* find_current(const Id& id);  // nullptr: none has it now
  void remove_if(const std::function<bool(const Resource&)>& unwanted);

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  using Positions = std::vector<std::uint32_t>;
  void index();
  void index_one(std::uint32_t position);

  std::deque<Resource> resources_;
  std::unordered_map<std::string, Positions, NameHash, std::equal_to<>> by_name_;
  std::size_t indexed_ = 0;  // how many of resources_, from the first, are in by_name_; 0: none
};

bool is_cluster_scoped(const Gvk& gvk);
std::string api_version_of(const Gvk& gvk);

}  // namespace caisson::render::kustomize_impl
