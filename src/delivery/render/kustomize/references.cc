// SPDX-License-Identifier: Apache-2.0
// Names changed on the way (prefixes, hashes); here every field that refers to one gets the name of now.
#include <algorithm>

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

// One field of one referrer.
class Reference {
 public:
  Reference(Resource& referrer, const Gvk& target, const std::string& path, const Candidates& candidates)
      : referrer_(referrer), target_(target), path_(path), candidates_(candidates) {}

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
    const Resource* found = TRY(choose(place.scalar_text(), candidates_, false));
    if (found != nullptr && found->name() != place.scalar_text()) place = Value(found->name());
    return {};
  }

  // A map with name and namespace (a subject, a webhook's service): both are read and written.
  Result<void> update_map(Value& place) const {
    if (!place.contains("name")) return Error{ErrorCode::invalid, path_ + ": leads to a map without a name"};
    Candidates candidates = candidates_;
    if (place.contains("namespace")) {
      const std::string ns = place["namespace"].scalar_text();
      keep_if(candidates, [&](const Resource& resource) { return resource.original_id().effective_ns() == ns; });
      if (candidates.empty()) {
        candidates = candidates_;
        keep_if(candidates, [&](const Resource& resource) { return resource.id().effective_ns() == ns; });
      }
    }
    const std::string name = place["name"].scalar_text();
    const Resource* found = TRY(choose(name, candidates, true));
    if (found == nullptr || (found->name() == name && found->ns().empty())) return {};
    place.set("name", Value(found->name()));
    if (!found->ns().empty()) place.set("namespace", Value(found->ns()));
    return {};
  }

  bool selected_by_role_ref(const Resource& candidate) const {
    if (!path_.ends_with("roleRef/name")) return true;
    const Value& role = referrer_.object["roleRef"];
    if (!role.contains("apiGroup") || !role.contains("kind")) return true;
    const Gvk wanted{role["apiGroup"].str(), "", role["kind"].str()};
    return candidate.any_prior([&](const Id& id) { return id.gvk.selected_by(wanted); });
  }

  bool reachable(const Resource& candidate) const {
    const Id referrer = referrer_.id(), id = candidate.id();
    return referrer.cluster_scoped() || id.cluster_scoped() || id.gvk.kind == "ServiceAccount" || referrer.same_ns(id);
  }

  Result<const Resource*> choose(const std::string& name, Candidates candidates, bool with_ns) const {
    keep_if(candidates, [&](const Resource& r) { return r.any_prior([&](const Id& id) { return id.name == name; }); });
    keep_if(candidates,
            [&](const Resource& r) { return r.any_prior([&](const Id& id) { return id.gvk.selected_by(target_); }); });
    keep_if(candidates, [&](const Resource& r) { return selected_by_role_ref(r); });
    keep_if(candidates, [&](const Resource& r) { return reachable(r); });
    if (candidates.size() == 1) return candidates[0];
    keep_if(candidates, [&](const Resource& r) { return same_layers(r, referrer_, true); });
    if (candidates.size() > 1) keep_if(candidates, [&](const Resource& r) { return same_layers(r, referrer_, false); });
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

  Resource& referrer_;
  const Gvk& target_;
  const std::string& path_;
  const Candidates& candidates_;
};

// What a referrer may refer to: its namespace, what has none, and the namespaces of a RoleBinding's service accounts.
Result<Candidates> reachable_from(const Resource& referrer, ResourceMap& resources) {
  const Id id = referrer.id();
  std::vector<std::string> subjects;
  if (id.gvk.kind == "RoleBinding") {
    for (const Value& subject : referrer.object["subjects"].items()) {
      if (subject["kind"].as_string() != "ServiceAccount" || !subject.contains("namespace")) continue;
      if (!subject["namespace"].is_string())
        return Error{ErrorCode::invalid, id.str() + ": subjects: the namespace is blank"};
      subjects.push_back(subject["namespace"].str());
    }
  }
  Candidates out;
  for (Resource& target : resources.all()) {
    const Id other = target.id();
    const bool named = std::find(subjects.begin(), subjects.end(), other.ns) != subjects.end();
    if (id.cluster_scoped() || other.cluster_scoped() || other.same_ns(id) || named) out.push_back(&target);
  }
  return out;
}

}  // namespace

Result<void> fix_references(const TransformerConfig& config, ResourceMap& resources) {
  for (Resource& referrer : resources.all()) {
    const Gvk original = referrer.original_id().gvk;
    const Candidates candidates = TRY(reachable_from(referrer, resources));
    for (const NameReference& reference : config.references) {
      for (const FieldSpec& spec : reference.referrers) {
        if (!original.selected_by(spec.gvk)) continue;
        const Reference update(referrer, reference.target, spec.path, candidates);
        FieldSpec place = spec;
        place.gvk = {};
        place.create = false;
        TRY(visit_field(referrer.object, place, Create::nothing, [&](Value& value) {
              return update.update(value);
            }).in(referrer.id().str()));
      }
    }
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
