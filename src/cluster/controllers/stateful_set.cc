// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/stateful_set.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"
#include "cluster/controllers/revisions.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

class StatefulSetReconciler : public kube::Reconciler {
 public:
  explicit StatefulSetReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        sets_(runtime.informer(schema::kStatefulSets)),
        pods_(runtime.informer(schema::kPods)),
        claims_(runtime.informer(schema::kPersistentVolumeClaims)),
        revisions_(runtime.informer(kControllerRevisions)),
        expectations_(pods_, clock_),
        events_(client_, clock_, "statefulset-controller") {}

  std::string_view name() const override { return "statefulset"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto set = sets_.find(key);
    if (!set) {
      expectations_.forget(key);
      return Requeue::never();
    }
    if (set->deleting()) return Requeue::never();
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    const auto selector = TRY(kube::LabelSelector::from(set->spec()["selector"]));
    if (!selects_template(selector, set->spec()["template"])) return Requeue::never();
    const auto pods =
        TRY(claim(client_, schema::kStatefulSets, *set, selector, schema::kPods, candidates(*set, selector)));
    const auto owned = revisions_.controlled_by(set->uid());
    const Object update = TRY(ensure_revision(client_, *set, owned));
    const Object current = current_revision(*set, owned, update);
    const StatefulSetPlan plan = plan_stateful_set(*set, pods, current, update, clock_.now());
    TRY(act(*set, plan));
    TRY(clean_up(*set, owned, pods, current, update));
    return TRY(write_status(*set, plan.status)) ? Requeue::after(std::chrono::seconds(1)) : Requeue::never();
  }

 private:
  std::vector<Object> candidates(const Object& set, const kube::LabelSelector& selector) const {
    std::vector<Object> out = pods_.controlled_by(set.uid());
    for (Object& pod : pods_.list(set.ns(), selector)) {
      if (!pod.controller() && ordinal_of(set, pod.name()) >= 0) out.push_back(std::move(pod));
    }
    return out;
  }

  static Object current_revision(const Object& set, const std::vector<Object>& owned, const Object& update) {
    for (const Object& revision : owned) {
      if (revision.name() == set.status()["currentRevision"].as_string()) return revision;
    }
    return update;
  }

  void tell(const Object& set, const std::string& verb, const std::string& pod, const Result<void>& done) {
    std::string reason = verb == "create" ? "Create" : "Delete";
    std::string message = verb + " Pod " + pod + " in StatefulSet " + set.name();
    if (done.ok())
      events_.record(set, EventRecorder::Type::normal, "Successful" + reason, message + " successful");
    else
      events_.record(set, EventRecorder::Type::warning, "Failed" + reason,
                     message + " failed error: " + done.error().message);
  }

  Result<void> act(const Object& set, const StatefulSetPlan& plan) {
    for (const Object& pod : plan.remove) {
      const bool condemned = std::any_of(plan.condemned.begin(), plan.condemned.end(),
                                         [&](const Object& p) { return p.uid() == pod.uid(); });
      if (condemned) TRY(bequeath(set, pod));
      const auto removed = client_.remove(schema::kPods, pod.key());
      if (!removed.ok() && removed.error().code == ErrorCode::not_found) continue;
      tell(set, "delete", pod.name(), removed);
      TRY(Result<void>(removed));
      expectations_.deleted(set.key(), pod);
    }
    for (const Object& pod : plan.create) {
      TRY(make_claims(set, pod));
      const auto created = client_.create(pod, by_manager());
      if (!created.ok() && namespace_is_terminating(created.error())) return {};
      tell(set, "create", pod.name(), created.ok() ? Result<void>() : Result<void>(created.error()));
      if (!created.ok()) return created.error();
      expectations_.created(set.key(), *created);
    }
    return {};
  }

  Result<void> make_claims(const Object& set, const Object& pod) {
    for (const Object& wanted : claims_for(set, ordinal_of(set, pod.name()))) {
      if (claims_.find(wanted.key())) continue;
      const auto created = client_.create(wanted, by_manager());
      if (created.ok()) {
        events_.record(
            set, EventRecorder::Type::normal, "SuccessfulCreate",
            "create Claim " + wanted.name() + " Pod " + pod.name() + " in StatefulSet " + set.name() + " success");
      } else if (created.error().code != ErrorCode::already_exists) {
        return created.error();
      }
    }
    return {};
  }

  // whenScaled: Delete: the claims of a pod that is no longer wanted go with it.
  Result<void> bequeath(const Object& set, const Object& pod) {
    if (set.spec()["persistentVolumeClaimRetentionPolicy"]["whenScaled"].as_string() != "Delete") return {};
    for (const Object& claim : claims_for(set, ordinal_of(set, pod.name()))) {
      const auto owned = kube::modify(
          client_, schema::kPersistentVolumeClaims, claim.key(),
          [&pod](Object& live) {
            if (live.is_controlled_by(pod.uid())) return false;
            live.edit({"metadata"}).erase("ownerReferences");
            live.set_controller(pod);
            return true;
          },
          by_manager());
      if (!owned.ok() && owned.error().code != ErrorCode::not_found) return owned.error();
    }
    return {};
  }

  Result<void> clean_up(const Object& set, const std::vector<Object>& owned, const std::vector<Object>& pods,
                        const Object& current, const Object& update) {
    std::vector<std::string> in_use{current.name(), update.name()};
    for (const Object& pod : pods) in_use.emplace_back(pod.label(kControllerRevisionHash));
    for (const Object& old : plan_revision_cleanup(set, owned, in_use)) {
      const auto removed = client_.remove(kControllerRevisions, old.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    return {};
  }

  Result<bool> write_status(const Object& set, const Value& status) {
    if (status != set.status()) {
      Object after = set;
      after.edit().set("status", status);
      const auto written = client_.update(after, by_manager("status"));
      if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    }
    return set.spec()["minReadySeconds"].as_int() > 0 &&
           status["readyReplicas"].as_int() > status["availableReplicas"].as_int();
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& sets_;
  kube::Informer& pods_;
  kube::Informer& claims_;
  kube::Informer& revisions_;
  Expectations expectations_;
  EventRecorder events_;
};

}  // namespace

void add_stateful_set(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<StatefulSetReconciler>(runtime));
  runtime.watch(schema::kStatefulSets, queue);
  runtime.watch(schema::kPods, queue, kube::Runtime::to_controller("StatefulSet"));
}

}  // namespace caisson::controllers
