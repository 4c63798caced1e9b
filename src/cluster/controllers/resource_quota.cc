// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/resource_quota.h"

#include <set>

#include "cluster/controllers/names.h"
#include "cluster/kube/quota.h"

namespace caisson::controllers {
namespace {

using kube::Amounts;
using kube::Object;
using kube::ObjectKey;
using kube::Requeue;

constexpr Duration kResync = std::chrono::minutes(5);  // upstream's --resource-quota-sync-period

const kube::Resource& quotas() {
  static const kube::Resource kQuotas{"", "v1", "ResourceQuota", "resourcequotas"};
  return kQuotas;
}
const kube::Resource& replication_controllers() {
  static const kube::Resource kControllers{"", "v1", "ReplicationController", "replicationcontrollers"};
  return kControllers;
}

class ResourceQuotaReconciler : public kube::Reconciler {
 public:
  explicit ResourceQuotaReconciler(kube::Runtime& runtime) : client_(runtime.client()), clock_(runtime.clock()) {}
  std::string_view name() const override { return "resourcequota"; }

  // Everything is read anew after the quota: a write that admission counted meanwhile changes the quota, and the update
  // below is refused and made again.
  Result<Requeue> reconcile(const ObjectKey& key) override {
    auto quota = client_.get(quotas(), key);
    if (!quota.ok() && quota.error().code == ErrorCode::not_found) return Requeue::never();
    if (!quota.ok()) return quota.error();
    if (quota->deleting()) return Requeue::never();
    const Value hard = quota->spec()["hard"];
    const Amounts used = TRY(count(*quota, hard));
    Object wanted = *quota;
    wanted.edit({"status"}).set("hard", hard.is_null() ? Value::map() : hard).set("used", kube::to_value(used));
    if (!(wanted["status"] == (*quota)["status"])) TRY(client_.update(wanted, by_manager("status")));
    return Requeue::after(kResync);
  }

 private:
  Result<Amounts> count(const Object& quota, const Value& hard) {
    Amounts used;
    for (const auto& [name, limit] : hard.entries()) used[std::string(name)] = {};
    const std::vector<kube::Resource> known = TRY(client_.resources());
    std::set<std::string> seen;  // a kind of several versions is one
    for (const kube::Resource& resource : known) {
      if (!resource.namespaced || !seen.insert(resource.group_resource()).second ||
          !kube::quota_concerns(hard, resource))
        continue;
      const kube::ObjectList list = TRY(client_.list(resource, {.ns = quota.ns()}));
      for (const Object& object : list.items)
        if (kube::quota_selects(quota.value(), resource, object.value()))
          kube::add(used, kube::restricted_to(kube::quota_usage(resource, object.value(), clock_.now()), hard));
    }
    return used;
  }

  kube::Client& client_;
  Clock& clock_;
};

}  // namespace

void add_resource_quota(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<ResourceQuotaReconciler>(runtime), 2);
  kube::Informer& all = runtime.informer(quotas());
  runtime.watch(quotas(), queue);
  const auto quotas_of = [&all](const Object& object) {
    std::vector<ObjectKey> keys;
    for (const Object& quota : all.list(object.ns())) keys.push_back({quota.ns(), quota.name()});
    return keys;
  };
  for (const kube::Resource& resource :
       {schema::kPods, schema::kServices, schema::kPersistentVolumeClaims, schema::kConfigMaps, schema::kSecrets,
        schema::kDeployments, schema::kReplicaSets, schema::kStatefulSets, schema::kJobs, replication_controllers()})
    runtime.watch(resource, queue, quotas_of);
}

}  // namespace caisson::controllers
