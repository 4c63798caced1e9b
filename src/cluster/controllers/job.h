// SPDX-License-Identifier: Apache-2.0
// Job: runs pods until so many have succeeded, each counted exactly once. Source: pkg/controller/job, ttlafterfinished
// (v1.33).
//
// Counting: a pod carries a finalizer until its end is counted. First its uid is written among the uncounted ones, then
// the finalizer goes, then the uid becomes part of the number: whatever step a crash hits, no pod is lost or counted
// twice.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

inline constexpr std::string_view kJobTracking = "batch.kubernetes.io/job-tracking";
inline constexpr std::string_view kCompletionIndex = "batch.kubernetes.io/job-completion-index";

using Indexes = std::set<std::int64_t>;
Indexes parse_indexes(std::string_view text);  // "1,3-5,7"
std::string format_indexes(const Indexes& indexes);

struct JobPlan {
  Value status;  // to be stored before anything below is done
  std::vector<Object> create;
  std::vector<Object> remove;
  std::vector<Object> release;    // their end is in the status: the finalizer may go
  std::optional<Duration> again;  // when time alone will change the plan
};
// `pods`: all that the job controls.
JobPlan plan_job(const Object& job, const std::vector<Object>& pods, Time now);
bool is_job_finished(const Object& job);
// How long a finished job with a time to live still has.
std::optional<Duration> time_to_live(const Object& job, Time now);

void add_job(kube::Runtime& runtime);

}  // namespace caisson::controllers
