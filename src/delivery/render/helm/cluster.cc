// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/cluster.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/patch.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/manifest.h"
#include "delivery/render/helm/three_way.h"

namespace caisson::render::helm {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(500);
constexpr std::string_view kManager = "helm";

std::string kind_of(const ClusterObject& object) {
  return object.resource.kind + " \"" + object.object.name() + "\"";
}

bool is_kept(const kube::Object& object) {
  return to_lower(trim(object.annotation("helm.sh/resource-policy"))) == "keep";
}

std::int64_t number(const kube::Object& object, std::initializer_list<std::string_view> path,
                    std::int64_t otherwise = 0) {
  return object.get(path).as_int(otherwise);
}

bool is_observed(const kube::Object& object) {
  return number(object, {"status", "observedGeneration"}) >= object.generation();
}

bool deployment_ready(const kube::Object& object) {
  const std::int64_t wanted = number(object, {"spec", "replicas"}, 1);
  const Value& limit = object.get({"spec", "strategy", "rollingUpdate", "maxUnavailable"});
  std::int64_t unavailable = limit.as_int();
  if (limit.is_string()) {
    const auto percent = parse_int(limit.as_string().substr(0, limit.as_string().find('%')));
    unavailable = wanted * percent.value_or(0) / 100;
  }
  if (object.get({"spec", "strategy", "type"}).as_string() == "Recreate") unavailable = wanted;
  return is_observed(object) && number(object, {"status", "updatedReplicas"}) >= wanted &&
         number(object, {"status", "readyReplicas"}) >= wanted - unavailable;
}

bool stateful_set_ready(const kube::Object& object) {
  if (object.get({"spec", "updateStrategy", "type"}).as_string() == "OnDelete") return true;
  const std::int64_t wanted = number(object, {"spec", "replicas"}, 1);
  const std::int64_t partition = number(object, {"spec", "updateStrategy", "rollingUpdate", "partition"});
  return is_observed(object) && number(object, {"status", "updatedReplicas"}) >= wanted - partition &&
         number(object, {"status", "readyReplicas"}) >= wanted;
}

bool daemon_set_ready(const kube::Object& object) {
  const std::int64_t wanted = number(object, {"status", "desiredNumberScheduled"});
  return is_observed(object) && number(object, {"status", "updatedNumberScheduled"}) >= wanted &&
         number(object, {"status", "numberReady"}) >= wanted;
}

bool job_ended(const kube::Object& object, std::string& failure) {
  if (kube::condition_is_true(object, "Failed"))
    failure = "job failed: " + kube::condition(object, "Failed")["reason"].str();
  return !failure.empty() || kube::condition_is_true(object, "Complete");
}

bool pod_ended(const kube::Object& object, std::string& failure) {
  const std::string_view phase = object.status()["phase"].as_string();
  if (phase == "Failed") failure = "pod " + object.name() + " failed";
  return phase == "Succeeded" || phase == "Failed";
}

}  // namespace

std::string ClusterObject::str() const {
  return kind_of(*this) + " in namespace \"" + object.ns() + "\"";
}

bool ClusterObject::is_same(const ClusterObject& other) const {
  return resource.kind == other.resource.kind && resource.group == other.resource.group &&
         object.key() == other.object.key();
}

bool is_ready(const kube::Object& live, bool jobs_too) {
  const std::string kind = live.kind();
  if (kind == "Deployment") return number(live, {"spec", "replicas"}, 1) == 0 || deployment_ready(live);
  if (kind == "StatefulSet") return stateful_set_ready(live);
  if (kind == "DaemonSet") return daemon_set_ready(live);
  if (kind == "Pod") return kube::condition_is_true(live, "Ready") || live.status()["phase"].as_string() == "Succeeded";
  if (kind == "PersistentVolumeClaim") return live.status()["phase"].as_string() == "Bound";
  if (kind == "CustomResourceDefinition") return kube::condition_is_true(live, "Established");
  if (kind == "Job") return !jobs_too || kube::condition_is_true(live, "Complete");
  if (kind == "Service" && live.spec()["type"].as_string() == "LoadBalancer")
    return !live.get({"status", "loadBalancer", "ingress"}).empty() || !live.spec()["externalIPs"].empty();
  return true;
}

Result<std::vector<ClusterObject>> Cluster::build(std::string_view manifest, const std::string& ns) const {
  std::vector<ClusterObject> out;
  std::vector<Value> waiting;
  for (const std::string& document : split_manifests(manifest)) waiting.push_back(TRY(read_yaml(document, false)));
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const Value value = waiting[i];
    if (value.is_null()) continue;
    const std::string_view kind = value["kind"].as_string();
    if (kind.ends_with("List") && value["items"].is_list()) {
      waiting.insert(waiting.begin() + static_cast<std::ptrdiff_t>(i) + 1, value["items"].items().begin(),
                     value["items"].items().end());
      continue;
    }
    auto resource = client_.resource_for(value["apiVersion"].scalar_text(), kind);
    if (!resource.ok()) {
      return std::move(resource).error().in("resource mapping not found for name: \"" +
                                            value["metadata"]["name"].scalar_text() + "\"");
    }
    kube::Object object(value);
    if (resource->namespaced && object.ns().empty()) object.edit({"metadata", "namespace"}) = Value(ns);
    out.push_back({std::move(resource).value(), std::move(object)});
  }
  return out;
}

Result<void> Cluster::create(const std::vector<ClusterObject>& objects) {
  kube::WriteOptions options;
  options.field_manager = kManager;
  for (const ClusterObject& object : objects) TRY(client_.create(object.object, options));
  return {};
}

Result<void> Cluster::update_one(const ClusterObject* original, const ClusterObject& target, const kube::Object& live,
                                 bool force) {
  kube::WriteOptions options;
  options.field_manager = kManager;
  if (force) {
    kube::Object replacement = target.object;
    replacement.edit({"metadata", "resourceVersion"}) = Value(live.resource_version());
    TRY(client_.update(replacement, options).in("failed to replace object"));
    return {};
  }
  const schema::KindPtr kind =
      schema_ == nullptr ? nullptr
                         : schema_->find(target.resource.group, target.resource.version, target.resource.kind);
  const Value merged =
      three_way_merge(original == nullptr ? live.value() : original->object.value(), target.object.value(),
                      live.value(), kind == nullptr ? nullptr : schema::merge_schema(*kind));
  const Value patch = document::merge_patch_between(live.value(), merged);
  if (patch.empty()) return {};
  TRY(client_.patch(target.resource, target.object.key(), kube::PatchType::merge, patch, options)
          .in("cannot patch \"" + target.object.name() + "\" with kind " + target.resource.kind));
  return {};
}

Result<void> Cluster::update(const std::vector<ClusterObject>& original, const std::vector<ClusterObject>& target,
                             bool force, std::vector<ClusterObject>& created) {
  const auto find = [](const std::vector<ClusterObject>& list, const ClusterObject& wanted) -> const ClusterObject* {
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const ClusterObject& o) { return o.is_same(wanted); });
    return found == list.end() ? nullptr : &*found;
  };
  std::vector<std::string> failures;
  for (const ClusterObject& object : target) {
    const auto live = client_.get(object.resource, object.object.key());
    if (!live.ok() && live.error().code != ErrorCode::not_found)
      return Error(live.error()).in("could not get information about the resource");
    if (!live.ok()) {
      created.push_back(object);
      TRY(create({object}).in("failed to create resource"));
      continue;
    }
    const auto done = update_one(find(original, object), object, *live, force);
    if (!done.ok()) failures.push_back(done.error().message);
  }
  if (!failures.empty()) return Error{ErrorCode::invalid, join(failures, " && ")};
  for (const ClusterObject& object : original) {
    if (find(target, object) != nullptr) continue;
    const auto live = client_.get(object.resource, object.object.key());
    if (!live.ok() || is_kept(*live)) continue;
    TRY(remove({object}));
  }
  return {};
}

Result<void> Cluster::remove(const std::vector<ClusterObject>& objects, kube::Propagation propagation) {
  kube::DeleteOptions options;
  options.propagation = propagation;
  std::vector<std::string> failures;
  for (const ClusterObject& object : objects) {
    const auto done = client_.remove(object.resource, object.object.key(), options);
    if (!done.ok() && done.error().code != ErrorCode::not_found) failures.push_back(done.error().message);
  }
  if (failures.empty()) return {};
  return Error{ErrorCode::internal, join(failures, "; ")};
}

Result<void> Cluster::wait(const std::vector<ClusterObject>& objects, Duration time_max, std::string_view what,
                           const std::function<Result<bool>(const ClusterObject&)>& done) {
  const Duration deadline = clock_.monotonic() + time_max;
  for (const ClusterObject& object : objects) {
    while (!TRY(done(object))) {
      if (clock_.monotonic() >= deadline)
        return Error{ErrorCode::timeout, "timed out waiting for the condition: " + object.str() + std::string(what)};
      pause_(kLookEvery);
    }
  }
  return {};
}

Result<void> Cluster::wait_ready(const std::vector<ClusterObject>& objects, bool jobs_too, Duration time_max) {
  return wait(objects, time_max, " is not ready", [&](const ClusterObject& object) -> Result<bool> {
    const auto live = client_.get(object.resource, object.object.key());
    if (!live.ok() && live.error().code != ErrorCode::not_found) return Error(live.error());
    std::string failure;
    if (live.ok() && jobs_too && live->kind() == "Job" && job_ended(*live, failure) && !failure.empty())
      return Error{ErrorCode::internal, failure};
    return live.ok() && is_ready(*live, jobs_too);
  });
}

Result<void> Cluster::wait_gone(const std::vector<ClusterObject>& objects, Duration time_max) {
  return wait(objects, time_max, " is still there", [&](const ClusterObject& object) -> Result<bool> {
    const auto live = client_.get(object.resource, object.object.key());
    if (!live.ok() && live.error().code != ErrorCode::not_found) return Error(live.error());
    return !live.ok();
  });
}

Result<void> Cluster::wait_ended(const std::vector<ClusterObject>& objects, Duration time_max) {
  return wait(objects, time_max, " has not ended", [&](const ClusterObject& object) -> Result<bool> {
    if (object.resource.kind != "Job" && object.resource.kind != "Pod") return true;
    const kube::Object live = TRY(client_.get(object.resource, object.object.key()));
    std::string failure;
    const bool ended = object.resource.kind == "Job" ? job_ended(live, failure) : pod_ended(live, failure);
    if (!failure.empty()) return Error{ErrorCode::internal, failure};
    return ended;
  });
}

}  // namespace caisson::render::helm
