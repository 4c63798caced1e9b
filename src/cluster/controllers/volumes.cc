// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/volumes.h"

#include <algorithm>

#include "cluster/controllers/names.h"
#include "cluster/controllers/pods.h"
#include "cluster/controllers/volume_topology.h"
#include "cluster/kube/resource_usage.h"
#include "cluster/kube/selector.h"
#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Object;
using kube::ObjectKey;
using kube::Requeue;
using schema::Resource;

// The key, no claim's, under which the storage class is made.
ObjectKey make_class_key() {
  return {"", ""};
}
constexpr std::string_view kProvisioner = "caisson.dev/local";

std::string_view class_of(const Object& object) {
  return object.spec()["storageClassName"].as_string();
}
bool is_bound(const Object& claim) {
  return claim.status()["phase"].as_string() == "Bound";
}

bool is_static(const Object& storage_class) {
  return storage_class["provisioner"].as_string() == "kubernetes.io/no-provisioner";
}
bool waits_for_consumer(const Object& storage_class) {
  return storage_class["volumeBindingMode"].as_string() == "WaitForFirstConsumer";
}

bool has_modes(const Object& volume, const Object& claim) {
  const auto modes = volume.spec()["accessModes"].items();
  const auto wanted = claim.spec()["accessModes"].items();
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const Value& mode) { return std::find(modes.begin(), modes.end(), mode) != modes.end(); });
}

std::int64_t bytes(const Value& quantity) {
  return kube::amount_of(quantity).milli / 1000;
}

class VolumeBinder : public kube::Reconciler {
 public:
  VolumeBinder(kube::Runtime& runtime, std::string root)
      : client_(runtime.client()),
        root_(std::move(root)),
        claims_(runtime.informer(schema::kPersistentVolumeClaims)),
        volumes_(runtime.informer(persistent_volumes())),
        classes_(runtime.informer(storage_classes())),
        pods_(runtime.informer(schema::kPods)),
        nodes_(runtime.informer(schema::kNodes)),
        events_(client_, runtime.clock(), "persistentvolume-controller") {}

  std::string_view name() const override { return "volume-binder"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    if (key == make_class_key()) return make_class();
    const auto claim = claims_.find(key);
    if (!claim || claim->deleting()) return Requeue::never();
    if (is_bound(*claim)) return keep(*claim);
    std::vector<Object> volumes = volumes_.list();
    if (const std::string name = claim->spec()["volumeName"].str(); !name.empty()) return bind_named(*claim, name);
    const auto storage_class = classes_.find({"", std::string(class_of(*claim))});
    const bool waits = storage_class && waits_for_consumer(*storage_class);
    if (waits) {
      const std::string node = chosen_node(*claim);
      if (node.empty()) return wait_for_pod(*claim);
      const auto chosen = nodes_.find({"", node});
      if (!chosen) return Requeue::never();  // the scheduler looks for another
      std::erase_if(volumes, [&](const Object& volume) { return !volume_fits_node(volume, *chosen); });
    }
    if (const Object* volume = find_volume(*claim, volumes)) {
      TRY(bind(*claim, *volume));
      return Requeue::never();
    }
    return provision(*claim, storage_class);
  }

 private:
  Result<Requeue> make_class() {
    Object made = Object::make(storage_classes(), "", kLocalClass);
    made.set_annotation("storageclass.kubernetes.io/is-default-class", "true");
    made.edit().set("provisioner", kProvisioner);
    made.edit().set("reclaimPolicy", "Delete");
    made.edit().set("volumeBindingMode", "WaitForFirstConsumer");
    made.edit().set("allowVolumeExpansion", true);
    const auto created = client_.create(made, by_manager());
    if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
    return Requeue::never();
  }

  std::vector<Object> users(const Object& claim) const {
    std::vector<Object> out;
    for (const Object& pod : pods_.list(claim.ns())) {
      const auto names = claim_names(pod);
      if (!is_finished(pod) && std::find(names.begin(), names.end(), claim.name()) != names.end()) out.push_back(pod);
    }
    return out;
  }

  // As the scheduler said; else where a pod is that nobody scheduled.
  std::string chosen_node(const Object& claim) const {
    if (const std::string_view node = claim.annotation(kSelectedNode); !node.empty()) return std::string(node);
    for (const Object& pod : users(claim)) {
      if (const std::string node = pod.spec()["nodeName"].str(); !node.empty()) return node;
    }
    return "";
  }

  Result<Requeue> wait_for_pod(const Object& claim) {
    std::vector<std::string> names;
    for (const Object& pod : users(claim)) names.push_back(pod.name());
    if (names.empty()) {
      return say(claim, EventRecorder::Type::normal, "WaitForFirstConsumer",
                 "waiting for first consumer to be created before binding");
    }
    return say(
        claim, EventRecorder::Type::normal, "WaitForPodScheduled",
        std::string("waiting for ") + (names.size() == 1 ? "pod " : "pods ") + join(names, ",") + " to be scheduled");
  }

  Result<Requeue> say(const Object& claim, EventRecorder::Type type, std::string_view reason,
                      const std::string& message) {
    events_.record(claim, type, reason, message);
    return Requeue::never();  // a volume, a class or a pod that comes asks again
  }

  // No volume fits: what its class does about it.
  Result<Requeue> provision(const Object& claim, const std::optional<Object>& storage_class) {
    const std::string name(class_of(claim));
    if (name.empty()) {
      return say(claim, EventRecorder::Type::normal, "FailedBinding",
                 "no persistent volumes available for this claim and no storage class is set");
    }
    if (!storage_class) {
      return say(claim, EventRecorder::Type::warning, "ProvisioningFailed",
                 "storageclass.storage.k8s.io \"" + name + "\" not found");
    }
    const std::string provisioner = (*storage_class)["provisioner"].str();
    if (provisioner == kProvisioner && !root_.empty()) {
      Object volume = make_volume(claim, root_);
      volume.edit({"spec"}).set("storageClassName", name);
      if (const auto policy = (*storage_class)["reclaimPolicy"].as_string(); !policy.empty())
        volume.edit({"spec"}).set("persistentVolumeReclaimPolicy", policy);
      const auto created = client_.create(volume, by_manager());
      if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
      events_.record(claim, EventRecorder::Type::normal, "ProvisioningSucceeded",
                     "Successfully provisioned volume " + volume.name() + " using " + std::string(kProvisioner));
      TRY(bind(claim, volume));
      return Requeue::never();
    }
    if (is_static(*storage_class)) {
      if (waits_for_consumer(*storage_class)) return Requeue::never();  // the scheduler says what is missing
      return say(claim, EventRecorder::Type::warning, "ProvisioningFailed",
                 "no volume plugin matched name: kubernetes.io/no-provisioner");
    }
    return say(claim, EventRecorder::Type::normal, "ExternalProvisioning",
               "Waiting for a volume to be created either by the external provisioner '" + provisioner +
                   "' or manually by the system administrator. If volume creation is delayed, please verify that the "
                   "provisioner is running and correctly registered.");
  }

  Result<Requeue> bind_named(const Object& claim, const std::string& name) {
    const auto volume = volumes_.find({"", name});
    if (!volume) return Requeue::never();  // its coming asks again
    const Value& of = volume->spec()["claimRef"];
    const bool ours =
        of.is_null() || (of["namespace"].as_string() == claim.ns() && of["name"].as_string() == claim.name() &&
                         (of["uid"].is_null() || of["uid"].as_string() == claim.uid()));
    if (!ours) {
      return say(claim, EventRecorder::Type::warning, "FailedBinding",
                 "volume \"" + name + "\" already bound to a different claim.");
    }
    TRY(bind(claim, *volume));
    return Requeue::never();
  }

  // First the volume is promised, then the claim points to it: killed in between, the next run finds the promise.
  Result<void> bind(const Object& claim, const Object& volume) {
    TRY(kube::modify(
        client_, persistent_volumes(), volume.key(),
        [&](Object& live) {
          if (live.spec()["claimRef"]["uid"].as_string() == claim.uid()) return false;
          live.edit({"spec"}).set("claimRef", reference_to(claim));
          live.set_annotation("pv.kubernetes.io/bound-by-controller", "yes");
          return true;
        },
        by_manager()));
    TRY(kube::modify(
        client_, persistent_volumes(), volume.key(), [](Object& live) { return set_phase(live, "Bound"); },
        by_manager("status")));
    Object chosen = claim;
    if (chosen.annotation("pv.kubernetes.io/bind-completed").empty()) {
      if (chosen.spec()["volumeName"].as_string().empty())
        chosen.set_annotation("pv.kubernetes.io/bound-by-controller", "yes");
      chosen.edit({"spec"}).set("volumeName", volume.name());
      chosen.set_annotation("pv.kubernetes.io/bind-completed", "yes");
      chosen = TRY(client_.update(chosen, by_manager()));
    }
    Value& status = chosen.edit({"status"});
    status.set("phase", "Bound");
    status.set("accessModes", volume.spec()["accessModes"]);
    status.set("capacity", volume.spec()["capacity"]);
    TRY(client_.update(chosen, by_manager("status")));
    return {};
  }

  // Bound: lost when its volume is gone; grown when more is asked of a local volume, which is a folder and has no size.
  Result<Requeue> keep(const Object& claim) {
    const auto volume = volumes_.find({"", claim.spec()["volumeName"].str()});
    if (!volume) {
      const auto live = client_.get(persistent_volumes(), {"", claim.spec()["volumeName"].str()});
      if (live.ok()) return Requeue::never();  // the cache is a step behind
      if (live.error().code != ErrorCode::not_found) return live.error();
      events_.record(claim, EventRecorder::Type::warning, "ClaimLost",
                     "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
      Object lost = claim;
      lost.edit({"status"}).set("phase", "Lost");
      TRY(client_.update(lost, by_manager("status")));
      return Requeue::never();
    }
    const Value& wanted = claim.spec()["resources"]["requests"]["storage"];
    if (volume->annotation("pv.kubernetes.io/provisioned-by") != kProvisioner ||
        bytes(wanted) <= bytes(claim.status()["capacity"]["storage"]))
      return Requeue::never();
    TRY(kube::modify(
        client_, persistent_volumes(), volume->key(),
        [&](Object& live) {
          if (live.spec()["capacity"]["storage"] == wanted) return false;
          live.edit({"spec", "capacity"}).set("storage", wanted);
          return true;
        },
        by_manager()));
    Object grown = claim;
    grown.edit({"status", "capacity"}).set("storage", wanted);
    TRY(client_.update(grown, by_manager("status")));
    events_.record(claim, EventRecorder::Type::normal, "VolumeResizeSuccessful", "Resize volume succeeded");
    return Requeue::never();
  }

  static Value reference_to(const Object& claim) {
    return Value{{"apiVersion", "v1"},      {"kind", "PersistentVolumeClaim"},
                 {"namespace", claim.ns()}, {"name", claim.name()},
                 {"uid", claim.uid()},      {"resourceVersion", claim.resource_version()}};
  }

  static bool set_phase(Object& volume, std::string_view phase) {
    if (volume.status()["phase"].as_string() == phase) return false;
    volume.edit({"status"}).set("phase", phase);
    return true;
  }

  kube::Client& client_;
  const std::string root_;
  kube::Informer& claims_;
  kube::Informer& volumes_;
  kube::Informer& classes_;
  kube::Informer& pods_;
  kube::Informer& nodes_;
  EventRecorder events_;
};

// The phases of volumes: Available, Released when the claim is gone, and then deleted or kept as their policy says.
class VolumeReclaimer : public kube::Reconciler {
 public:
  explicit VolumeReclaimer(kube::Runtime& runtime)
      : client_(runtime.client()),
        claims_(runtime.informer(schema::kPersistentVolumeClaims)),
        volumes_(runtime.informer(persistent_volumes())),
        events_(client_, runtime.clock(), "persistentvolume-controller") {}

  std::string_view name() const override { return "volume-reclaimer"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto volume = volumes_.find(key);
    if (!volume) return Requeue::never();
    const Value& of = volume->spec()["claimRef"];
    if (of["uid"].as_string().empty()) return phase(*volume, "Available");
    const ObjectKey claim_key{of["namespace"].str(), of["name"].str()};
    const auto cached = claims_.find(claim_key);
    if (cached && cached->uid() == of["uid"].as_string()) return Requeue::never();
    const auto claim = client_.get(schema::kPersistentVolumeClaims, claim_key);
    if (claim.ok() && claim->uid() == of["uid"].as_string()) return Requeue::never();  // the cache is a step behind
    if (!claim.ok() && claim.error().code != ErrorCode::not_found) return claim.error();
    return reclaim(*volume);
  }

 private:
  Result<Requeue> phase(const Object& volume, std::string_view name, std::string_view message = {}) {
    const auto written = kube::modify(
        client_, persistent_volumes(), volume.key(),
        [&](Object& live) {
          if (live.status()["phase"].as_string() == name) return false;
          live.edit({"status"}).set("phase", name);
          if (!message.empty()) live.edit({"status"}).set("message", message);
          return true;
        },
        by_manager("status"));
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    return Requeue::never();
  }

  Result<Requeue> reclaim(const Object& volume) {
    TRY(phase(volume, "Released"));
    if (volume.spec()["persistentVolumeReclaimPolicy"].as_string() != "Delete") return Requeue::never();
    const std::string_view provisioner = volume.annotation("pv.kubernetes.io/provisioned-by");
    if (provisioner == kProvisioner) {
      const auto removed = client_.remove(persistent_volumes(), volume.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
      return Requeue::never();
    }
    if (!provisioner.empty()) return Requeue::never();  // its own provisioner deletes it
    const std::string message =
        "error getting deleter volume plugin for volume \"" + volume.name() + "\": no deletable volume plugin matched";
    if (volume.status()["phase"].as_string() != "Failed")
      events_.record(volume, EventRecorder::Type::warning, "VolumeFailedDelete", message);
    return phase(volume, "Failed", message);
  }

  kube::Client& client_;
  kube::Informer& claims_;
  kube::Informer& volumes_;
  EventRecorder events_;
};

}  // namespace

const Resource& persistent_volumes() {
  static const Resource resource{"", "v1", "PersistentVolume", "persistentvolumes", false};
  return resource;
}
const Resource& storage_classes() {
  static const Resource resource{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false};
  return resource;
}

const Object* find_volume(const Object& claim, const std::vector<Object>& volumes) {
  const Object* best = nullptr;
  const Value& selector = claim.spec()["selector"];
  const auto labels = kube::LabelSelector::from(selector);
  const std::int64_t wanted = bytes(claim.spec()["resources"]["requests"]["storage"]);
  for (const Object& volume : volumes) {
    if (volume.deleting() || class_of(volume) != class_of(claim)) continue;
    const Value& of = volume.spec()["claimRef"];
    const bool promised = of["namespace"].as_string() == claim.ns() && of["name"].as_string() == claim.name();
    if (promised && (of["uid"].as_string().empty() || of["uid"].as_string() == claim.uid())) return &volume;
    const bool same_mode =
        volume.spec()["volumeMode"].as_string("Filesystem") == claim.spec()["volumeMode"].as_string("Filesystem");
    if (!of.is_null() || !same_mode || !has_modes(volume, claim)) continue;
    if (!selector.is_null() && (!labels.ok() || !labels->matches(volume.metadata()["labels"]))) continue;
    const std::int64_t size = bytes(volume.spec()["capacity"]["storage"]);
    if (size < wanted || (best && size >= bytes(best->spec()["capacity"]["storage"]))) continue;
    best = &volume;
  }
  return best;
}

Object make_volume(const Object& claim, const std::string& root) {
  Object volume = Object::make(persistent_volumes(), "", "pvc-" + claim.uid());
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
  spec.set("hostPath", Value{{"path", path_join(root, volume.name() + "_" + claim.ns() + "_" + claim.name())},
                             {"type", "DirectoryOrCreate"}});
  return volume;
}

void add_volume_binder(kube::Runtime& runtime, std::string root) {
  kube::Informer& claims = runtime.informer(schema::kPersistentVolumeClaims);
  const bool provisions = !root.empty();
  const kube::Queue queue = runtime.add(std::make_unique<VolumeBinder>(runtime, std::move(root)), 1);
  if (provisions) queue.add(make_class_key());
  runtime.watch(schema::kPersistentVolumeClaims, queue);
  runtime.watch(schema::kPods, queue, [](const Object& pod) {
    std::vector<ObjectKey> out;
    for (const std::string& name : claim_names(pod)) out.push_back({pod.ns(), name});
    return out;
  });
  // What a volume or a class offers concerns the claims that wait; what it takes away, the claim that had it.
  const auto waiting = [&claims](const Object& object) {
    std::vector<ObjectKey> out;
    for (const Object& claim : claims.list()) {
      if (!is_bound(claim) || claim.spec()["volumeName"].as_string() == object.name()) out.push_back(claim.key());
    }
    return out;
  };
  runtime.watch(persistent_volumes(), queue, waiting);
  runtime.watch(storage_classes(), queue, waiting);
  kube::Informer& volumes = runtime.informer(persistent_volumes());
  const kube::Queue reclaim = runtime.add(std::make_unique<VolumeReclaimer>(runtime), 1);
  runtime.watch(persistent_volumes(), reclaim);
  runtime.watch(schema::kPersistentVolumeClaims, reclaim, [&volumes](const Object& claim) {
    std::vector<ObjectKey> out;
    for (const Object& volume : volumes.list()) {
      const Value& of = volume.spec()["claimRef"];
      if (of["namespace"].as_string() == claim.ns() && of["name"].as_string() == claim.name())
        out.push_back(volume.key());
    }
    return out;
  });
}

}  // namespace caisson::controllers
