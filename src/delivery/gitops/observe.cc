// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/observe.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <set>

namespace caisson::gitops {
namespace {

std::string version_of(const std::string& api_version) {
  return api_version.substr(api_version.find('/') + 1);
}

class Observer {
 public:
  Observer(World& world, const schema::Schema& schema, const Application& application, const kube::Object* project,
           std::vector<ObservationCache::Entry>& known)
      : world_(world), schema_(schema), application_(application), project_(project), known_(known) {}

  Observation run(const Rendered& rendered, const Value& previous) {
    for (const Value& entry : previous.items()) {
      const std::string group = entry["group"].str();
      watch_kind((group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str());
    }
    known_.resize(rendered.objects.size());
    for (std::size_t i = 0; i < rendered.objects.size(); ++i) desired(rendered.objects[i], known_[i]);
    extraneous();
    if (project_ && project_->spec()["orphanedResources"].is_map())
      count_orphans(project_->spec()["orphanedResources"]);
    std::sort(out_.resources.begin(), out_.resources.end(),
              [](const Resource& a, const Resource& b) { return kind_before(a.id, b.id); });
    return std::move(out_);
  }

 private:
  // The kind, watched; nullopt and no error: not served.
  std::optional<kube::Resource> watch_kind(const std::string& api_version, const std::string& kind) {
    const auto known = kinds_.find({api_version, kind});
    if (known != kinds_.end()) return known->second;
    return kinds_[{api_version, kind}] = watch_kind_anew(api_version, kind);
  }

  std::optional<kube::Resource> watch_kind_anew(const std::string& api_version, const std::string& kind) {
    auto found = world_.resource_of(api_version, kind);
    if (!found.ok()) {
      out_.errors.push_back("look up " + api_version + " " + kind + ": " + found.error().message);
      return std::nullopt;
    }
    if (!*found || world_.watch(**found)) return *found;
    if (const auto why = world_.refusal(**found)) {
      out_.errors.push_back("watch " + kind + ": " + why->message);
      out_.refused = true;
    } else {
      out_.complete = false;
    }
    return *found;
  }

  void desired(const Value& object, ObservationCache::Entry& known) {
    const std::string api_version = object["apiVersion"].str(), kind = object["kind"].str();
    const auto resource = watch_kind(api_version, kind);
    const auto namespaced = resource ? std::optional<bool>(resource->namespaced) : std::nullopt;
    if (known.prepared.is_null() || !(known.source == object) || known.namespaced != namespaced) {
      auto made = prepare(application_, object, namespaced);
      if (!made.ok()) {
        out_.errors.push_back(made.error().message);
        return;
      }
      known = {object, std::move(made).value(), namespaced, Value(), "", {}, {}};
    }
    const Value* const prepared = &known.prepared;
    if (const ResourceId id = id_of(*prepared); application_.settings->excludes(id.group, id.kind)) return;
    if (is_hook(*prepared)) {
      if (!hook_phases(*prepared).empty()) out_.hooks.push_back(*prepared);
      return;
    }
    const ResourceId id = id_of(*prepared);
    if (resource && !project_permits_kind(project_, id.group, id.kind, resource->namespaced)) {
      out_.errors.push_back("resource " + id.group + ":" + id.kind + " is not permitted in project " +
                            application_.project);
      return;
    }
    if (!seen_.insert(id).second) {
      out_.repeated.push_back("Resource " + id.str() + " appeared 2 times among application resources.");
      std::erase_if(out_.resources, [&](const Resource& one) { return one.id == id; });
    }
    Resource made;
    made.id = id;
    made.version = version_of(api_version);
    made.desired = *prepared;
    if (resource) {
      if (auto live = world_.find(*resource, {id.ns, id.name})) attach(made, *live, known);
    }
    out_.resources.push_back(std::move(made));
  }

  void attach(Resource& made, const kube::Object& live, ObservationCache::Entry& known) {
    const std::string owner = tracked_by(live.value(), application_.settings.get());
    if (!owner.empty() && owner != application_.instance && owner != label_value(application_.instance)) {
      made.shared_with = owner;
      out_.warnings.push_back(made.id.kind + "/" + made.id.name + " is part of applications " + application_.instance +
                              " and " + owner);
    }
    made.live = live.value();
    keep_scaled_replicas(made);
    if (known.live_version.empty() || known.live_version != live.resource_version() ||
        !(known.compared == *made.desired)) {
      const schema::KindPtr kind = schema_.find(made.id.group, made.version, made.id.kind);
      known.health = health_of(live.value(), *application_.settings);
      known.drift =
          compare(*made.desired, live.value(), kind.get(), application_.ignore, application_.settings->ignore);
      known.compared = *made.desired;
      known.live_version = live.resource_version();
    }
    made.health = known.health;
    made.drift = known.drift;
    if (!made.drift.error.empty()) out_.errors.push_back(made.id.str() + ": " + made.drift.error);
  }

  // A count that a HorizontalPodAutoscaler owns stays as it is: neither drift nor something to apply.
  void keep_scaled_replicas(Resource& made) {
    if ((*made.desired)["spec"]["replicas"].is_null() || !scaled(made.id)) return;
    const Value& live = (*made.live)["spec"]["replicas"];
    if (!live.is_null()) made.desired->edit("spec").set("replicas", live);
  }

  bool scaled(const ResourceId& id) {
    if (id.kind != "Deployment" && id.kind != "StatefulSet" && id.kind != "ReplicaSet") return false;
    const auto autoscalers = watch_kind("autoscaling/v2", "HorizontalPodAutoscaler");
    if (!autoscalers) return false;
    for (const kube::Object& one : world_.list(*autoscalers, id.ns)) {
      const Value& target = one.spec()["scaleTargetRef"];
      if (target["kind"].as_string() == id.kind && target["name"].as_string() == id.name) return true;
    }
    return false;
  }

  // Tracked, but no longer in the repository.
  void extraneous() {
    for (const kube::Object& object : world_.tracked(application_.instance)) {
      const ResourceId id = id_of(object.value());
      if (seen_.count(id) || is_hook(object.value()) || object.controller()) continue;
      if (object.annotation(kCompareOptionsAnnotation).find("IgnoreExtraneous") != std::string_view::npos) continue;
      if (application_.settings->excludes(id.group, id.kind)) continue;
      Resource made;
      made.id = id;
      made.version = version_of(object.api_version());
      made.live = object.value();
      made.health = health_of(object.value(), *application_.settings);
      out_.resources.push_back(std::move(made));
    }
  }

  // AppProject.spec.orphanedResources: {warn, ignore: [{group, kind, name}]}.
  void count_orphans(const Value& policy) {
    if (!policy["warn"].as_bool(true)) return;
    for (const kube::Object& object : world_.list_watched(application_.destination_namespace)) {
      const ResourceId id = id_of(object.value());
      if (object.controller() || !object.owners().empty() || seen_.count(id) || made_by_kubernetes(id)) continue;
      if (!tracked_by(object.value(), application_.settings.get()).empty()) continue;
      const auto ignored = policy["ignore"].items();
      const bool left_out = std::any_of(ignored.begin(), ignored.end(), [&](const Value& one) {
        return fits(one["group"], id.group) && fits(one["kind"], id.kind) && fits(one["name"], id.name);
      });
      if (!left_out) ++out_.orphans;
    }
  }

  static bool fits(const Value& pattern, const std::string& text) {
    return pattern.as_string().empty() || fnmatch(pattern.str().c_str(), text.c_str(), 0) == 0;
  }

  // What every namespace has.
  static bool made_by_kubernetes(const ResourceId& id) {
    return (id.kind == "ServiceAccount" && id.name == "default") ||
           (id.kind == "ConfigMap" && id.name == "kube-root-ca.crt") ||
           (id.kind == "Service" && id.ns == "default" && id.name == "kubernetes") || id.kind == "Event" ||
           id.kind == "Endpoints" || id.kind == "EndpointSlice" || id.kind == "Lease" || id.kind == "Application";
  }

  World& world_;
  const schema::Schema& schema_;
  const Application& application_;
  const kube::Object* project_;
  std::vector<ObservationCache::Entry>& known_;
  std::map<std::pair<std::string, std::string>, std::optional<kube::Resource>> kinds_;  // by apiVersion and kind
  Observation out_;
  std::set<ResourceId> seen_;
};

}  // namespace

bool Observation::in_sync() const {
  return std::all_of(resources.begin(), resources.end(), [](const Resource& one) { return one.synced(); });
}

Observation observe(World& world, const schema::Schema& schema, const Application& application,
                    const Rendered& rendered, const Value& previous, const kube::Object* project,
                    ObservationCache* cache, const Value& spec) {
  ObservationCache none;
  ObservationCache& known = cache ? *cache : none;
  if (known.settings != application.settings || !(known.spec == spec) ||
      known.schema_generation != schema.generation()) {
    known = {application.settings, spec, schema.generation(), {}};
  }
  return Observer(world, schema, application, project, known.entries).run(rendered, previous);
}

}  // namespace caisson::gitops
