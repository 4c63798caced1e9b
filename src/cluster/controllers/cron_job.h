// SPDX-License-Identifier: Apache-2.0
// CronJob: a Job at each time of a schedule. Source: pkg/controller/cronjob (v1.33).
#pragma once
#include <optional>
#include <vector>

#include "cluster/controllers/cron.h"
#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

struct DueTime {
  std::optional<Time> run;     // the latest time that was not run yet, and is not too late for
  std::optional<Time> missed;  // one that startingDeadlineSeconds has overtaken
  std::optional<Time> next;    // the one after now
};
DueTime due_time(const Object& cron_job, const CronSchedule& schedule, Time now,
                 const calendar::TimeZone* zone = nullptr);
Object job_for(const Object& cron_job, Time scheduled);
// Finished jobs beyond the history limits, oldest first.
std::vector<Object> plan_job_history(const Object& cron_job, const std::vector<Object>& jobs);

void add_cron_job(kube::Runtime& runtime);

}  // namespace caisson::controllers
