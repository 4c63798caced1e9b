// SPDX-License-Identifier: Apache-2.0
// Names changed on the way (prefixes, hashes); here every field that refers to one gets the name of now.
#include <algorithm>
#include <map>
#include <set>

#include "delivery/render/kustomize/place_tree.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

using Candidates = std::vector<Resource*>;

void keep_if(Candidates& candidates, const std::function<bool(const Resource&)>& wanted) {
  std::erase_if(candidates, [&](const Resource* resource) { return !wanted(*resource); });
}

bool same_ending(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  return std::equal(a.end() - static_cast<std::ptrdiff_t>(shorter), a.end(),
                    b.end() - static_cast<std::ptrdiff_t>(shorter));
}

// Made in the same layers. lenient: what has no prefix or suffix fits everything.
bool same_layers(const Resource& a, const Resource& b, bool lenient) {
  const auto fits = [&](const std::vector<std::string>& x, const std::vector<std::string>& y) {
    if (lenient && (x.empty() || y.empty())) return true;
    return (x.empty() == y.empty()) && same_ending(x, y);
  };
  return fits(a.prefixes, b.prefixes) && fits(a.suffixes, b.suffixes);
}

// Which namespaces resources were in at first, and where those of each are now; worked out when first asked.
class Namespaces {
 public:
  explicit Namespaces(const ResourceMap& resources) : resources_(resources) {}
  struct Place {
    std::string effective, own;
    bool cluster_scoped;
    auto operator<=>(const Place&) const = default;
  };
  // Whether something that was in `ns` at first is where `reachable` allows.
  bool any_from(const std::string& ns, const std::function<bool(const Place&)>& reachable) {
    if (now_of_.empty()) work_out();
    const auto found = now_of_.find(ns);
    return found != now_of_.end() && std::any_of(found->second.begin(), found->second.end(), reachable);
  }

 private:
  void work_out() {
    for (const Resource& resource : resources_.all()) {
      const Id now = resource.id();
      now_of_[resource.original_id().effective_ns()].insert({now.effective_ns(), now.ns, now.cluster_scoped()});
    }
  }
  const ResourceMap& resources_;
  std::map<std::string, std::set<Place>> now_of_;
};

// A resource that refers to others. It may refer to what is in its namespace, what has none, and what is in the
// namespaces of a RoleBinding's service accounts.
class Referrer {
 public:
  static Result<Referrer> of(Resource& resource) {
    Referrer made(resource);
    if (made.id_.gvk.kind != "RoleBinding") return made;
    for (const Value& subject : resource.object["subjects"].items()) {
      if (subject["kind"].as_string() != "ServiceAccount" || !subject.contains("namespace")) continue;
      if (!subject["namespace"].is_string())
        return Error{ErrorCode::invalid, made.id_.str() + ": subjects: the namespace is blank"};
      made.subjects_.push_back(subject["namespace"].str());
    }
    return made;
  }

  Resource& resource() const { return *resource_; }
  const Id& id() const { return id_; }
  bool reaches(const Namespaces::Place& place) const {
    return id_.cluster_scoped() || place.cluster_scoped || place.effective == effective_ns_ ||
           std::find(subjects_.begin(), subjects_.end(), place.own) != subjects_.end();
  }
  bool reaches(const Resource& other) const {
    const Id id = other.id();
    return reaches(Namespaces::Place{id.effective_ns(), id.ns, id.cluster_scoped()});
  }

 private:
  explicit Referrer(Resource& resource) : resource_(&resource), id_(resource.id()), effective_ns_(id_.effective_ns()) {}
  Resource* resource_;
  Id id_;
  std::string effective_ns_;
  std::vector<std::string> subjects_;
};

// One field of one referrer.
class Reference {
 public:
  Reference(const Referrer& referrer, const Gvk& target, const std::string& path, ResourceMap& resources,
            Namespaces& namespaces)
      : referrer_(referrer), target_(target), path_(path), resources_(resources), namespaces_(namespaces) {}

  Result<void> update(Value& place) const {
    if (place.is_null()) return {};
    if (place.is_map()) return update_map(place);
    if (!place.is_list()) return update_scalar(place);
    for (std::size_t i = 0; i < place.size(); ++i) {
      Value& item = place.edit(i);
      if (item.is_map())
        TRY(update_map(item));
      else if (!item.is_null())
        TRY(update_scalar(item));
    }
    return {};
  }

 private:
  Result<void> update_scalar(Value& place) const {
    const std::string name = place.scalar_text();
    const Resource* found = TRY(choose(name, candidates(name), false));
    if (found != nullptr && found->name() != name) place = Value(found->name());
    return {};
  }

  // A map with name and namespace (a subject, a webhook's service): both are read and written.
  Result<void> update_map(Value& place) const {
    if (!place.contains("name")) return Error{ErrorCode::invalid, path_ + ": leads to a map without a name"};
    const std::string name = place["name"].scalar_text();
    Candidates candidates = this->candidates(name);
    if (place.contains("namespace")) {
      const std::string ns = place["namespace"].scalar_text();
      const bool original =
          namespaces_.any_from(ns, [&](const Namespaces::Place& where) { return referrer_.reaches(where); });
      keep_if(candidates, [&](const Resource& resource) {
        return (original ? resource.original_id() : resource.id()).effective_ns() == ns;
      });
    }
    const Resource* found = TRY(choose(name, candidates, true));
    if (found == nullptr || (found->name() == name && found->ns().empty())) return {};
    place.set("name", Value(found->name()));
    if (!found->ns().empty()) place.set("namespace", Value(found->ns()));
    return {};
  }

  Candidates candidates(const std::string& name) const {
    Candidates out = resources_.named(name);
    // One name is often that of several kinds: told apart before more is made of them.
    keep_if(out, [&](const Resource& resource) {
      return std::any_of(resource.previous.begin(), resource.previous.end(),
                         [&](const Id& id) { return target_.kind.empty() || id.gvk.kind == target_.kind; });
    });
    keep_if(out, [&](const Resource& resource) { return referrer_.reaches(resource); });
    return out;
  }

  bool selected_by_role_ref(const Resource& candidate) const {
    if (!path_.ends_with("roleRef/name")) return true;
    const Value& role = referrer_.resource().object["roleRef"];
    if (!role.contains("apiGroup") || !role.contains("kind")) return true;
    const Gvk wanted{role["apiGroup"].str(), "", role["kind"].str()};
    return candidate.any_prior([&](const Id& id) { return id.gvk.selected_by(wanted); });
  }

  bool reachable(const Resource& candidate) const {
    const Id id = candidate.id();
    return referrer_.id().cluster_scoped() || id.cluster_scoped() || id.gvk.kind == "ServiceAccount" ||
           referrer_.id().same_ns(id);
  }

  Result<const Resource*> choose(const std::string& name, Candidates candidates, bool with_ns) const {
    keep_if(candidates, [&](const Resource& r) { return r.any_prior([&](const Id& id) { return id.name == name; }); });
    keep_if(candidates,
            [&](const Resource& r) { return r.any_prior([&](const Id& id) { return id.gvk.selected_by(target_); }); });
    keep_if(candidates, [&](const Resource& r) { return selected_by_role_ref(r); });
    keep_if(candidates, [&](const Resource& r) { return reachable(r); });
    if (candidates.size() == 1) return candidates[0];
    keep_if(candidates, [&](const Resource& r) { return same_layers(r, referrer_.resource(), true); });
    if (candidates.size() > 1)
      keep_if(candidates, [&](const Resource& r) { return same_layers(r, referrer_.resource(), false); });
    if (candidates.empty()) return nullptr;
    std::string names;
    bool alike = true;
    for (const Resource* resource : candidates) {
      alike &= resource->name() == candidates[0]->name() && (!with_ns || resource->ns() == candidates[0]->ns());
      names += (names.empty() ? "" : ", ") + resource->id().str();
    }
    if (alike) return candidates[0];
    return Error{ErrorCode::conflict, path_ + ": \"" + name + "\" may refer to several resources: " + names};
  }

  const Referrer& referrer_;
  const Gvk& target_;
  const std::string& path_;
  ResourceMap& resources_;
  Namespaces& namespaces_;
};

// The field specifications that concern a kind: few of all.
struct Concerns {
  PlaceTree tree;
  std::vector<const NameReference*> references;  // of each place
};

Concerns concerns_of(const TransformerConfig& config, const Gvk& gvk) {
  Concerns out;
  std::vector<Place> places;
  for (const NameReference& reference : config.references) {
    for (const FieldSpec& spec : reference.referrers) {
      if (!gvk.selected_by(spec.gvk)) continue;
      places.push_back({&spec, split_path(spec.path, '/')});
      out.references.push_back(&reference);
    }
  }
  out.tree = PlaceTree(std::move(places));
  return out;
}

}  // namespace

Result<void> fix_references(const TransformerConfig& config, ResourceMap& resources) {
  Namespaces namespaces(resources);
  ByKind<Concerns> concerns_by_kind;
  for (Resource& resource : resources.all()) {
    // The kind as it was at first, in the group and version of now.
    const std::string_view kind =
        resource.previous.empty() ? resource.object["kind"].as_string() : resource.previous[0].gvk.kind;
    const Concerns& concerns = concerns_by_kind.of(
        resource.object["apiVersion"].as_string(), kind, [&](const Gvk& gvk) { return concerns_of(config, gvk); });
    if (concerns.references.empty()) continue;
    const Referrer referrer = TRY(Referrer::of(resource));
    auto done = concerns.tree.visit(resource.object, [&](std::size_t place, Value& value) {
      const Gvk& target = concerns.references[place]->target;
      const std::string& path = concerns.tree.places()[place].spec->path;
      return Reference(referrer, target, path, resources, namespaces).update(value);
    });
    if (!done.ok()) return std::move(done).error().in(referrer.id().str());
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
