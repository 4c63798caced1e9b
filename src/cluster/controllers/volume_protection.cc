// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/volume_protection.h"

#include <algorithm>

#include "cluster/controllers/names.h"
#include "cluster/controllers/volume_topology.h"
#include "cluster/controllers/volumes.h"

namespace caisson::controllers {
namespace {

using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

constexpr std::string_view kClaimFinalizer = "kubernetes.io/pvc-protection";
constexpr std::string_view kVolumeFinalizer = "kubernetes.io/pv-protection";

// Of this very object: another of its name may be there by now.
Result<void> let_go(kube::Client& client, const schema::Resource& resource, const Object& object,
                    std::string_view finalizer) {
  const auto written = kube::modify(
      client, resource, object.key(),
      [&](Object& live) {
        if (live.uid() != object.uid() || !live.deleting() || !live.has_finalizer(finalizer)) return false;
        live.remove_finalizer(finalizer);
        return true;
      },
      by_manager());
  if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
  return {};
}

bool uses(const Object& pod, const std::string& claim) {
  if (pod.spec()["nodeName"].as_string().empty()) return false;  // the agent starts no pod on a claim that goes
  const auto names = claim_names(pod);
  return std::find(names.begin(), names.end(), claim) != names.end();
}

class ClaimProtection : public kube::Reconciler {
 public:
  explicit ClaimProtection(kube::Runtime& runtime)
      : client_(runtime.client()),
        claims_(runtime.informer(schema::kPersistentVolumeClaims)),
        pods_(runtime.informer(schema::kPods)) {}

  std::string_view name() const override { return "pvc-protection"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto claim = claims_.find(key);
    if (!claim || !claim->deleting() || !claim->has_finalizer(kClaimFinalizer)) return Requeue::never();
    const auto used_by = [&](const std::vector<Object>& pods) {
      return std::any_of(pods.begin(), pods.end(), [&](const Object& pod) { return uses(pod, key.name); });
    };
    if (used_by(pods_.list(key.ns))) return Requeue::never();  // the pod's end asks again
    // The cache may not show a pod that was bound a moment ago.
    const auto live = TRY(client_.list(schema::kPods, {.ns = key.ns}));
    if (used_by(live.items)) return Requeue::never();
    TRY(let_go(client_, schema::kPersistentVolumeClaims, *claim, kClaimFinalizer));
    return Requeue::never();
  }

 private:
  kube::Client& client_;
  kube::Informer& claims_;
  kube::Informer& pods_;
};

class VolumeProtection : public kube::Reconciler {
 public:
  explicit VolumeProtection(kube::Runtime& runtime)
      : client_(runtime.client()), volumes_(runtime.informer(persistent_volumes())) {}

  std::string_view name() const override { return "pv-protection"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto volume = volumes_.find(key);
    if (!volume || !volume->deleting() || !volume->has_finalizer(kVolumeFinalizer)) return Requeue::never();
    if (volume->status()["phase"].as_string() == "Bound") return Requeue::never();  // its next phase asks again
    TRY(let_go(client_, persistent_volumes(), *volume, kVolumeFinalizer));
    return Requeue::never();
  }

 private:
  kube::Client& client_;
  kube::Informer& volumes_;
};

}  // namespace

void add_volume_protection(kube::Runtime& runtime) {
  const kube::Queue claims = runtime.add(std::make_unique<ClaimProtection>(runtime), 1);
  runtime.watch(schema::kPersistentVolumeClaims, claims);
  runtime.watch(schema::kPods, claims, [](const Object& pod) {
    std::vector<ObjectKey> out;
    for (const std::string& name : claim_names(pod)) out.push_back({pod.ns(), name});
    return out;
  });
  const kube::Queue volumes = runtime.add(std::make_unique<VolumeProtection>(runtime), 1);
  runtime.watch(persistent_volumes(), volumes);
}

}  // namespace caisson::controllers
