// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/volumes.h"

#include <algorithm>

#include "cluster/controllers/names.h"
#include "core/base/file.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Object;
using kube::ObjectKey;
using kube::Requeue;
using schema::Resource;

const Resource kPersistentVolumes{"", "v1", "PersistentVolume", "persistentvolumes", false};
const Resource kStorageClasses{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false};
const ObjectKey kMakeClass{"", ""};
constexpr std::string_view kProvisioner = "caisson.dev/local";

// A claim that names no class means the default one, which is ours (an empty name means "no class" and is nobody's
// here).
bool is_local(const Object& claim) {
  const Value& name = claim.spec()["storageClassName"];
  return name.is_null() || name.as_string() == kLocalClass;
}
bool is_bound(const Object& claim) {
  return claim.status()["phase"].as_string() == "Bound";
}

std::vector<std::string> claim_names(const Object& pod) {
  std::vector<std::string> out;
  for (const Value& volume : pod.spec()["volumes"].items()) {
    if (const std::string name = volume["persistentVolumeClaim"]["claimName"].str(); !name.empty()) out.push_back(name);
    if (!volume["ephemeral"].is_null()) out.push_back(pod.name() + "-" + volume["name"].str());
  }
  return out;
}

class VolumeBinder : public kube::Reconciler {
 public:
  VolumeBinder(kube::Runtime& runtime, std::string root)
      : client_(runtime.client()),
        root_(std::move(root)),
        claims_(runtime.informer(schema::kPersistentVolumeClaims)),
        volumes_(runtime.informer(kPersistentVolumes)),
        pods_(runtime.informer(schema::kPods)),
        events_(client_, runtime.clock(), "persistentvolume-controller") {}

  std::string_view name() const override { return "volume-binder"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    if (key == kMakeClass) return make_class();
    const auto claim = claims_.find(key);
    if (!claim) return release(key);
    if (claim->deleting() || is_bound(*claim) || !is_local(*claim)) return Requeue::never();
    if (!is_used(*claim)) return say_waiting(*claim);
    const Object volume = make_volume(*claim, root_);
    const auto created = client_.create(volume, by_manager());
    if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
    TRY(bind(*claim, volume));
    return Requeue::never();
  }

 private:
  Result<Requeue> make_class() {
    Object made = Object::make(kStorageClasses, "", kLocalClass);
    made.set_annotation("storageclass.kubernetes.io/is-default-class", "true");
    made.edit().set("provisioner", kProvisioner);
    made.edit().set("reclaimPolicy", "Delete");
    made.edit().set("volumeBindingMode", "WaitForFirstConsumer");
    const auto created = client_.create(made, by_manager());
    if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
    return Requeue::never();
  }

  bool is_used(const Object& claim) const {
    for (const Object& pod : pods_.list(claim.ns())) {
      const auto names = claim_names(pod);
      if (std::find(names.begin(), names.end(), claim.name()) != names.end()) return true;
    }
    return false;
  }

  Result<Requeue> say_waiting(const Object& claim) {
    events_.record(claim, EventRecorder::Type::normal, "WaitForFirstConsumer",
                   "waiting for first consumer to be created before binding");
    return Requeue::never();
  }

  Result<void> bind(const Object& claim, const Object& volume) {
    Object chosen = claim;
    if (chosen.spec()["volumeName"].as_string() != volume.name()) {
      chosen.edit({"spec"}).set("volumeName", volume.name());
      chosen.set_annotation("pv.kubernetes.io/bind-completed", "yes");
      chosen.set_annotation("pv.kubernetes.io/bound-by-controller", "yes");
      chosen = TRY(client_.update(chosen, by_manager()));
    }
    Value& status = chosen.edit({"status"});
    status.set("phase", "Bound");
    status.set("accessModes", claim.spec()["accessModes"]);
    status.set("capacity", volume.spec()["capacity"]);
    TRY(client_.update(chosen, by_manager("status")));
    TRY(kube::modify(
        client_, kPersistentVolumes, volume.key(),
        [](Object& live) {
          if (live.status()["phase"].as_string() == "Bound") return false;
          live.edit({"status"}).set("phase", "Bound");
          return true;
        },
        by_manager("status")));
    return {};
  }

  // The claim is gone: so is its volume, unless it is to be kept.
  Result<Requeue> release(const ObjectKey& key) {
    for (const Object& volume : volumes_.list()) {
      const Value& of = volume.spec()["claimRef"];
      if (of["namespace"].as_string() != key.ns || of["name"].as_string() != key.name || volume.deleting()) continue;
      if (volume.spec()["storageClassName"].as_string() != kLocalClass ||
          volume.spec()["persistentVolumeReclaimPolicy"].as_string() != "Delete")
        continue;
      const auto removed = client_.remove(kPersistentVolumes, volume.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    return Requeue::never();
  }

  kube::Client& client_;
  const std::string root_;
  kube::Informer& claims_;
  kube::Informer& volumes_;
  kube::Informer& pods_;
  EventRecorder events_;
};

}  // namespace

ClaimState claim_state(const Object& pod, const kube::Informer& claims) {
  ClaimState out;
  for (const std::string& name : claim_names(pod)) {
    const auto claim = claims.find({pod.ns(), name});
    if (!claim) {
      out.problem = "persistentvolumeclaim \"" + name + "\" not found.";
      return out;
    }
    if (is_bound(*claim)) continue;
    if (is_local(*claim))
      out.waits_for_binder = true;
    else
      out.problem = "pod has unbound immediate PersistentVolumeClaims.";
  }
  if (!out.problem.empty()) out.waits_for_binder = false;
  return out;
}

Object make_volume(const Object& claim, const std::string& root) {
  Object volume = Object::make(kPersistentVolumes, "", "pvc-" + claim.uid());
  volume.set_annotation("pv.kubernetes.io/provisioned-by", kProvisioner);
  Value reference{{"apiVersion", "v1"},
                  {"kind", "PersistentVolumeClaim"},
                  {"namespace", claim.ns()},
                  {"name", claim.name()},
                  {"uid", claim.uid()}};
  Value& spec = volume.edit({"spec"});
  spec.set("capacity", Value{{"storage", claim.spec()["resources"]["requests"]["storage"]}});
  spec.set("accessModes", claim.spec()["accessModes"]);
  spec.set("persistentVolumeReclaimPolicy", "Delete");
  spec.set("storageClassName", kLocalClass);
  spec.set("volumeMode", "Filesystem");
  spec.set("claimRef", std::move(reference));
  spec.set("hostPath",
           Value{{"path", path_join(root, claim.ns() + "_" + claim.name())}, {"type", "DirectoryOrCreate"}});
  return volume;
}

void add_volume_binder(kube::Runtime& runtime, std::string root) {
  if (root.empty()) return;
  const kube::Queue queue = runtime.add(std::make_unique<VolumeBinder>(runtime, std::move(root)), 1);
  queue.add(kMakeClass);
  runtime.watch(schema::kPersistentVolumeClaims, queue);
  runtime.watch(schema::kPods, queue, [](const Object& pod) {
    std::vector<ObjectKey> out;
    for (const std::string& name : claim_names(pod)) out.push_back({pod.ns(), name});
    return out;
  });
}

}  // namespace caisson::controllers
