// SPDX-License-Identifier: Apache-2.0
// ResourceQuota (apiserver's plugin/resourcequota, Kubernetes 1.33): a write that would use more than a quota of its
// namespace allows is refused; one that fits is counted in the quota's status in the same transaction, so that two
// writers can't both have the last place. What is freed is counted by the quota controller.
#include "cluster/apiserver/admit.h"
#include "cluster/kube/quota.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using kube::Amount;
using kube::Amounts;
using Operation = AdmissionRequest::Operation;

const schema::Resource& quotas() {
  static const schema::Resource kQuotas{"", "v1", "ResourceQuota", "resourcequotas"};
  return kQuotas;
}

bool counts_updates(const schema::Resource& resource) {
  return resource == schema::kServices || resource == schema::kPersistentVolumeClaims;
}

bool concerns(const AdmissionRequest& request) {
  if (request.ns.empty() || !request.subresource.empty() || request.kind.is_review()) return false;
  return request.operation == Operation::create ||
         (request.operation == Operation::update && counts_updates(request.kind.resource));
}

std::string listed(const Amounts& amounts) {
  std::vector<std::string> parts;
  for (const auto& [name, amount] : amounts) parts.push_back(name + "=" + amount.str());
  return join(parts, ",");
}

class ResourceQuota : public Admission {
 public:
  explicit ResourceQuota(Clock& clock) : clock_(clock) {}
  std::string_view name() const override { return "ResourceQuota"; }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    if (!concerns(request)) return {};
    const schema::Resource& resource = request.kind.resource;
    Amounts used;
    bool counted = false;
    for (const Value& quota : request.list(quotas(), request.ns)) {
      const Value& hard = quota["status"]["hard"];
      if (!kube::quota_selects(quota, resource, object)) continue;
      if (!kube::quota_concerns(hard.is_null() ? quota["spec"]["hard"] : hard, resource)) continue;
      if (!counted) used = usage(request, object);
      counted = true;
      TRY(charge(request, object, quota, used));
    }
    return {};
  }

 private:
  // What the write adds.
  Amounts usage(const AdmissionRequest& request, const Value& object) const {
    Amounts now = kube::quota_usage(request.kind.resource, object, clock_.now());
    if (request.operation == Operation::update)
      for (const auto& [name, amount] : kube::quota_usage(request.kind.resource, request.before, clock_.now()))
        now[name].milli -= amount.milli;
    return now;
  }

  static Result<void> charge(const AdmissionRequest& request, const Value& object, const Value& quota,
                             const Amounts& delta) {
    const std::string name = quota["metadata"]["name"].str();
    const auto refuse = [&](const std::string& why) {
      return Error{ErrorCode::forbidden, request.kind.resource.group_resource() + " \"" +
                                             object["metadata"]["name"].str() + "\" is forbidden: " + why};
    };
    const Value& hard = quota["status"]["hard"];
    if (const auto unstated = kube::quota_unstated(hard, request.kind.resource, object))
      return refuse("failed quota: " + name + ": " + *unstated);
    Amounts requested = kube::restricted_to(delta, hard.is_null() ? quota["spec"]["hard"] : hard);
    if (request.operation == Operation::update)  // what it leaves as it was need not be known
      std::erase_if(requested, [](const auto& entry) { return entry.second.milli == 0; });
    std::vector<std::string> unknown;
    for (const auto& [resource, amount] : requested)
      if (!quota["status"]["used"].contains(resource)) unknown.push_back(resource);
    if (!unknown.empty()) return refuse("status unknown for quota: " + name + ", resources: " + join(unknown, ","));

    Amounts used = kube::amounts_of(quota["status"]["used"]);
    const Amounts limits = kube::amounts_of(hard);
    Amounts too_much, used_then, limited;
    for (const auto& [resource, amount] : requested) {
      const Amount limit = limits.find(resource)->second, before = used.find(resource)->second;
      kube::add(used, resource, amount);
      if (amount.milli <= 0 || used.find(resource)->second.milli <= limit.milli) continue;
      too_much[resource] = amount;
      used_then[resource] = before;
      limited[resource] = limit;
    }
    if (!too_much.empty())
      return refuse("exceeded quota: " + name + ", requested: " + listed(too_much) + ", used: " + listed(used_then) +
                    ", limited: " + listed(limited));
    const bool changes =
        std::any_of(requested.begin(), requested.end(), [](const auto& entry) { return entry.second.milli != 0; });
    if (!changes) return {};
    Value counted = quota;
    counted.edit("status").set("used", kube::to_value(used));
    request.stage(quotas(), counted);
    return {};
  }

  Clock& clock_;
};

}  // namespace

std::shared_ptr<Admission> make_resource_quota(Clock& clock) {
  return std::make_shared<ResourceQuota>(clock);
}

}  // namespace caisson::apiserver
