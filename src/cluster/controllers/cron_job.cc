// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/cron_job.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/job.h"
#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

const schema::Resource kCronJobs{"batch", "v1", "CronJob", "cronjobs"};

Value reference_to(const Object& job) {
  return Value{{"kind", "Job"},    {"namespace", job.ns()},    {"name", job.name()},
               {"uid", job.uid()}, {"apiVersion", "batch/v1"}, {"resourceVersion", job.resource_version()}};
}

class CronJobReconciler : public kube::Reconciler {
 public:
  explicit CronJobReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        cron_jobs_(runtime.informer(kCronJobs)),
        jobs_(runtime.informer(schema::kJobs)),
        expectations_(jobs_, clock_),
        events_(client_, clock_, "cronjob-controller") {}

  std::string_view name() const override { return "cronjob"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto cron_job = cron_jobs_.find(key);
    if (!cron_job || cron_job->deleting()) return Requeue::never();
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    const std::vector<Object> jobs = jobs_.controlled_by(cron_job->uid());
    Object after = *cron_job;
    note_ends(after, jobs);
    for (const Object& old : plan_job_history(*cron_job, jobs)) TRY(remove(*cron_job, old));
    const auto wait = run_if_due(*cron_job, after, jobs);
    TRY(write_status(*cron_job, after));
    return wait;
  }

 private:
  // status.active holds what runs; what has ended since is told once.
  void note_ends(Object& after, const std::vector<Object>& jobs) {
    Value active = Value::list();
    for (const Object& job : jobs) {
      const auto listed = after.status()["active"].items();
      const bool was_active =
          std::any_of(listed.begin(), listed.end(), [&](const Value& r) { return r["uid"].as_string() == job.uid(); });
      if (!is_job_finished(job)) {
        active.push_back(reference_to(job));
        continue;
      }
      const bool complete = kube::condition_is_true(job, "Complete");
      if (was_active) {
        events_.record(after, EventRecorder::Type::normal, "SawCompletedJob",
                       "Saw completed job: " + job.name() + ", condition: " + (complete ? "Complete" : "Failed"));
      }
      const std::string_view ended = job.status()["completionTime"].as_string();
      if (complete && ended > after.status()["lastSuccessfulTime"].as_string())
        after.edit({"status"}).set("lastSuccessfulTime", ended);
    }
    if (active.empty())
      after.edit({"status"}).erase("active");
    else
      after.edit({"status"}).set("active", std::move(active));
  }

  Result<Requeue> run_if_due(const Object& cron_job, Object& after, const std::vector<Object>& jobs) {
    const Time now = clock_.now();
    calendar::TimeZone::Ptr zone;
    if (const std::string name = cron_job.spec()["timeZone"].str(); !name.empty()) {
      zone = calendar::TimeZone::load(name);
      if (!zone) {
        events_.record(cron_job, EventRecorder::Type::warning, "UnknownTimeZone",
                       "invalid timeZone: \"" + name + "\": unknown time zone " + name);
        return Requeue::never();
      }
    }
    const auto schedule = CronSchedule::parse(cron_job.spec()["schedule"].as_string());
    if (!schedule.ok()) {
      events_.record(cron_job, EventRecorder::Type::warning, "UnparseableSchedule", schedule.error().message);
      return Requeue::never();
    }
    if (cron_job.spec()["suspend"].as_bool()) return Requeue::never();
    const DueTime due = due_time(cron_job, *schedule, now, zone.get());
    const auto wait = due.next ? Requeue::after(*due.next - now + std::chrono::milliseconds(100)) : Requeue::never();
    if (due.missed) {
      events_.record(cron_job, EventRecorder::Type::warning, "MissSchedule",
                     "Missed scheduled time to start a job: " + format_time(*due.missed));
    }
    if (!due.run) return wait;
    const std::string_view policy = cron_job.spec()["concurrencyPolicy"].as_string();
    const bool runs = !after.status()["active"].empty();
    if (policy == "Forbid" && runs) {
      events_.record(cron_job, EventRecorder::Type::normal, "JobAlreadyActive",
                     "Not starting job because prior execution is running and concurrency policy is Forbid");
      return wait;
    }
    if (policy == "Replace" && runs) {
      for (const Object& job : jobs) {
        if (!is_job_finished(job)) TRY(remove(cron_job, job));
      }
      after.edit({"status"}).erase("active");
    }
    TRY(start(cron_job, after, *due.run));
    return wait;
  }

  Result<void> start(const Object& cron_job, Object& after, Time scheduled) {
    const Object wanted = job_for(cron_job, scheduled);
    const auto job = client_.create(wanted, by_manager());
    if (!job.ok() && job.error().code != ErrorCode::already_exists) {
      if (namespace_is_terminating(job.error())) return {};
      events_.record(cron_job, EventRecorder::Type::warning, "FailedCreate",
                     "Error creating job: " + job.error().message);
      return job.error();
    }
    if (job.ok()) {
      expectations_.created(cron_job.key(), *job);
      events_.record(cron_job, EventRecorder::Type::normal, "SuccessfulCreate", "Created job " + job->name());
      after.edit({"status", "active"}).push_back(reference_to(*job));
    }
    after.edit({"status"}).set("lastScheduleTime", format_time(scheduled));
    return {};
  }

  Result<void> remove(const Object& cron_job, const Object& job) {
    const auto removed = client_.remove(schema::kJobs, job.key());
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    if (removed.ok())
      events_.record(cron_job, EventRecorder::Type::normal, "SuccessfulDelete", "Deleted job " + job.name());
    return {};
  }

  Result<void> write_status(const Object& before, const Object& after) {
    if (after.status() == before.status() || (after.status().empty() && before.status().empty())) return {};
    const auto written = client_.update(after, by_manager("status"));
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    return {};
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& cron_jobs_;
  kube::Informer& jobs_;
  Expectations expectations_;
  EventRecorder events_;
};

}  // namespace

DueTime due_time(const Object& cron_job, const CronSchedule& schedule, Time now, const calendar::TimeZone* zone) {
  DueTime out;
  out.next = schedule.next(now, zone);
  Time from = cron_job.created().value_or(now);
  if (const auto last = parse_time(cron_job.status()["lastScheduleTime"].as_string())) from = *last;
  const Value& deadline = cron_job.spec()["startingDeadlineSeconds"];
  const Time earliest = now - std::chrono::seconds(deadline.as_int());
  // Of many that were missed (the machine was off) only the latest counts.
  for (int i = 0; i < 100'000; ++i) {
    const auto at = schedule.next(from, zone);
    if (!at || *at > now) break;
    (deadline.is_null() || *at >= earliest ? out.run : out.missed) = *at;
    from = *at;
  }
  if (out.run) out.missed.reset();
  return out;
}

Object job_for(const Object& cron_job, Time scheduled) {
  const auto minutes = std::chrono::floor<std::chrono::minutes>(scheduled).time_since_epoch().count();
  const Value& from = cron_job.spec()["jobTemplate"];
  Object job = Object::make(schema::kJobs, cron_job.ns(), cron_job.name() + "-" + std::to_string(minutes));
  if (const Value& labels = from["metadata"]["labels"]; !labels.empty()) job.edit({"metadata"}).set("labels", labels);
  if (const Value& annotations = from["metadata"]["annotations"]; !annotations.empty())
    job.edit({"metadata"}).set("annotations", annotations);
  job.set_annotation("batch.kubernetes.io/cronjob-scheduled-timestamp", format_time(scheduled));
  job.edit().set("spec", from["spec"]);
  job.set_controller(cron_job);
  return job;
}

std::vector<Object> plan_job_history(const Object& cron_job, const std::vector<Object>& jobs) {
  std::vector<Object> out;
  for (const auto& [type, limit, otherwise] :
       {std::tuple{"Complete", "successfulJobsHistoryLimit", 3}, std::tuple{"Failed", "failedJobsHistoryLimit", 1}}) {
    std::vector<Object> ended;
    for (const Object& job : jobs) {
      if (kube::condition_is_true(job, type)) ended.push_back(job);
    }
    std::stable_sort(ended.begin(), ended.end(),
                     [](const Object& a, const Object& b) { return a.created() < b.created(); });
    const auto keep = static_cast<std::size_t>(cron_job.spec()[limit].as_int(otherwise));
    for (std::size_t i = 0; i + keep < ended.size(); ++i) out.push_back(ended[i]);
  }
  return out;
}

void add_cron_job(kube::Runtime& runtime) {
  const kube::Queue queue = runtime.add(std::make_unique<CronJobReconciler>(runtime));
  runtime.watch(kCronJobs, queue);
  runtime.watch(schema::kJobs, queue, kube::Runtime::to_controller("CronJob"));
}

}  // namespace caisson::controllers
