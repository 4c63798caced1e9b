// SPDX-License-Identifier: Apache-2.0
#include "main/platform/leader.h"

#include "cluster/schema/resource.h"

namespace caisson::platform {
namespace {

const kube::Resource& leases() {
  static const kube::Resource kLeases{"coordination.k8s.io", "v1", "Lease", "leases", true};
  return kLeases;
}

// A MicroTime.
std::string micro_time(Time now) {
  const std::string seconds = format_time(now);
  return seconds.substr(0, seconds.size() - 1) + ".000000Z";
}

}  // namespace

Value Leader::spec_of(const Value& before, bool taken_over) const {
  Value spec = before.is_map() ? before : Value::map();
  const std::string now = micro_time(clock_.now());
  spec.set("holderIdentity", options_.identity);
  spec.set("leaseDurationSeconds", std::chrono::duration_cast<std::chrono::seconds>(options_.lease_time).count());
  spec.set("renewTime", now);
  if (!taken_over) return spec;
  spec.set("acquireTime", now);
  spec.set("leaseTransitions", before["leaseTransitions"].as_int() + (before.is_map() ? 1 : 0));
  return spec;
}

bool Leader::is_leader() const {
  return renewed_at_ >= Duration(0) && clock_.monotonic() - renewed_at_ < options_.renew_time;
}

Result<bool> Leader::try_once() {
  const Duration begun = clock_.monotonic();
  auto lease = client_.get(leases(), options_.lease);
  if (!lease.ok() && lease.error().code != ErrorCode::not_found) return Error(lease.error()).in("lease");
  const std::string holder = lease.ok() ? lease->spec()["holderIdentity"].str() : "";
  if (lease.ok() && lease->resource_version() != seen_version_) {
    seen_version_ = lease->resource_version();
    seen_at_ = begun;
  }
  seen_holder_ = holder;
  const bool ours = holder == options_.identity;
  if (!ours) renewed_at_ = Duration(-1);
  if (!holder.empty() && !ours && begun - seen_at_ < options_.lease_time) return false;
  kube::Object next = lease.ok() ? *lease : kube::Object::make(leases(), options_.lease.ns, options_.lease.name);
  next.edit().set("spec", spec_of(next.spec(), !ours));
  auto written = lease.ok() ? client_.update(next) : client_.create(next);
  if (!written.ok()) {
    const ErrorCode code = written.error().code;
    if (code == ErrorCode::conflict || code == ErrorCode::already_exists) return false;  // another one was quicker
    return Error(written.error()).in("lease");
  }
  seen_version_ = written->resource_version();
  seen_holder_ = options_.identity;
  seen_at_ = renewed_at_ = begun;
  return true;
}

Result<void> Leader::release() {
  if (!is_leader()) return {};
  renewed_at_ = Duration(-1);
  const kube::Object lease = TRY(client_.get(leases(), options_.lease));
  if (lease.spec()["holderIdentity"].as_string() != options_.identity) return {};
  kube::Object next = lease;
  next.edit({"spec"}).set("holderIdentity", "");
  TRY(client_.update(next));
  return {};
}

}  // namespace caisson::platform
