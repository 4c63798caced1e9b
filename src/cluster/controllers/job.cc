// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/job.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

class JobReconciler : public kube::Reconciler {
 public:
  explicit JobReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        jobs_(runtime.informer(schema::kJobs)),
        pods_(runtime.informer(schema::kPods)),
        expectations_(pods_, clock_),
        events_(client_, clock_, "job-controller") {}

  std::string_view name() const override { return "job"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    auto job = jobs_.find(key);
    if (!job) {
      expectations_.forget(key);
      return release_orphans(key);
    }
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    if (const auto left = time_to_live(*job, clock_.now())) {
      if (*left > Duration(0)) return Requeue::after(*left);
      return expire(*job);
    }
    const auto selector = TRY(kube::LabelSelector::from(job->spec()["selector"]));
    if (!selects_template(selector, job->spec()["template"])) {
      return Error{ErrorCode::invalid,
                   "the selector does not select the template's labels: pods would be made without end"};
    }
    const auto pods = TRY(children(*job, selector));
    const JobPlan plan = plan_job(*job, pods, clock_.now());
    if (plan.status != job->status()) TRY(store(*job, plan.status));
    for (const Object& pod : plan.release) TRY(release(pod));
    for (const Object& pod : plan.remove) TRY(remove(*job, pod));
    for (const Object& pod : plan.create) TRY(create(*job, pod));
    return plan.again ? Requeue::after(*plan.again) : Requeue::never();
  }

 private:
  Result<std::vector<Object>> children(const Object& job, const kube::LabelSelector& selector) {
    std::vector<Object> candidates = pods_.controlled_by(job.uid());
    for (Object& pod : pods_.list(job.ns(), selector)) {
      if (!pod.controller()) candidates.push_back(std::move(pod));
    }
    return claim(client_, schema::kJobs, job, selector, schema::kPods, candidates);
  }

  Result<void> store(const Object& job, const Value& status) {
    Object after = job;
    after.edit().set("status", status);
    const auto written = client_.update(after, by_manager("status"));
    if (!written.ok()) {
      if (written.error().code == ErrorCode::not_found) return {};
      return written.error();
    }
    tell(job, after);
    return {};
  }

  void tell(const Object& before, const Object& after) {
    const auto became = [&](std::string_view type) {
      return kube::condition_is_true(after, type) && !kube::condition_is_true(before, type);
    };
    if (became("Complete")) events_.record(after, EventRecorder::Type::normal, "Completed", "Job completed");
    if (became("Suspended")) events_.record(after, EventRecorder::Type::normal, "Suspended", "Job suspended");
    if (kube::condition_is_true(before, "Suspended") && !kube::condition_is_true(after, "Suspended")) {
      events_.record(after, EventRecorder::Type::normal, "Resumed", "Job resumed");
    }
    if (!became("FailureTarget")) return;
    const Value& failure = kube::condition(after, "FailureTarget");
    events_.record(after, EventRecorder::Type::warning, failure["reason"].as_string(), failure["message"].as_string());
  }

  Result<void> release(const Object& pod) {
    const auto released = kube::modify(
        client_, schema::kPods, pod.key(),
        [&pod](Object& live) {
          if (live.uid() != pod.uid() || !live.has_finalizer(kJobTracking)) return false;
          live.remove_finalizer(kJobTracking);
          return true;
        },
        by_manager());
    if (!released.ok() && released.error().code != ErrorCode::not_found) return released.error();
    return {};
  }

  // The job is gone: nobody counts its pods any more.
  Result<Requeue> release_orphans(const ObjectKey& key) {
    for (const Object& pod : pods_.list(key.ns)) {
      const auto owner = pod.controller();
      if (pod.has_finalizer(kJobTracking) && (!owner || (owner->kind == "Job" && owner->name == key.name)))
        TRY(release(pod));
    }
    return Requeue::never();
  }

  // A pod that the job itself takes away is no failure: it goes uncounted.
  Result<void> remove(const Object& job, const Object& pod) {
    TRY(release(pod));
    const auto removed = client_.remove(schema::kPods, pod.key());
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    expectations_.deleted(job.key(), pod);
    if (removed.ok())
      events_.record(job, EventRecorder::Type::normal, "SuccessfulDelete", "Deleted pod: " + pod.name());
    return {};
  }

  Result<void> create(const Object& job, const Object& wanted) {
    const auto pod = client_.create(wanted, by_manager());
    if (!pod.ok()) {
      if (namespace_is_terminating(pod.error())) return {};
      events_.record(job, EventRecorder::Type::warning, "FailedCreate", "Error creating: " + pod.error().message);
      return pod.error();
    }
    expectations_.created(job.key(), *pod);
    events_.record(job, EventRecorder::Type::normal, "SuccessfulCreate", "Created pod: " + pod->name());
    return {};
  }

  Result<Requeue> expire(const Object& job) {
    kube::DeleteOptions options;
    options.propagation = kube::Propagation::foreground;
    options.uid = job.uid();
    const auto removed = client_.remove(schema::kJobs, job.key(), options);
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    return Requeue::never();
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& jobs_;
  kube::Informer& pods_;
  Expectations expectations_;
  EventRecorder events_;
};

}  // namespace

void add_job(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<JobReconciler>(runtime));
  runtime.watch(schema::kJobs, queue);
  runtime.watch(schema::kPods, queue, kube::Runtime::to_controller("Job"));
}

}  // namespace caisson::controllers
