// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cluster/controllers/job.h"
#include "cluster/controllers/names.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

constexpr std::string_view kIndexFailures = "batch.kubernetes.io/job-index-failure-count";

bool is_indexed(const Object& job) {
  return job.spec()["completionMode"].as_string() == "Indexed";
}

std::int64_t index_of(const Object& pod) {
  return parse_int(pod.annotation(kCompletionIndex)).value_or(-1);
}

struct Verdict {
  std::string reason, message;
  bool success = false;
};

// The pods and what they mean for this job.
class Count {
 public:
  Count(const Object& job, const std::vector<Object>& pods) : job_(job) {
    const Value& status = job.status();
    succeeded_ = status["succeeded"].as_int();
    failed_ = status["failed"].as_int();
    for (const Value& uid : status["uncountedTerminatedPods"]["succeeded"].items())
      uncounted_succeeded_.insert(uid.str());
    for (const Value& uid : status["uncountedTerminatedPods"]["failed"].items()) uncounted_failed_.insert(uid.str());
    completed = parse_indexes(status["completedIndexes"].as_string());
    failed_indexes = parse_indexes(status["failedIndexes"].as_string());
    settle_released(pods);
    for (const Object& pod : pods) take(pod);
    if (is_indexed(job)) succeeded_ = static_cast<std::int64_t>(completed.size());
  }

  std::vector<Object> active, release, failed_pods;
  std::int64_t ready = 0, terminating = 0, ignored = 0;
  Indexes completed, failed_indexes, active_indexes;
  std::optional<Verdict> policy;  // a pod failure policy that ends the job

  std::int64_t succeeded() const {
    return is_indexed(job_) ? succeeded_ : succeeded_ + static_cast<std::int64_t>(uncounted_succeeded_.size());
  }
  std::int64_t failed() const { return failed_ + static_cast<std::int64_t>(uncounted_failed_.size()); }
  bool all_counted() const { return uncounted_succeeded_.empty() && uncounted_failed_.empty(); }

  void write(Value& status) const {
    const auto put = [&status](std::string_view key, std::int64_t value) {
      if (value > 0)
        status.set(key, value);
      else
        status.erase(key);
    };
    put("active", static_cast<std::int64_t>(active.size()));
    put("succeeded", succeeded_);
    put("failed", failed_);
    status.set("ready", ready);
    status.set("terminating", terminating);
    Value uncounted = Value::map();
    if (!uncounted_succeeded_.empty())
      uncounted.set("succeeded", Value::list_of({uncounted_succeeded_.begin(), uncounted_succeeded_.end()}));
    if (!uncounted_failed_.empty())
      uncounted.set("failed", Value::list_of({uncounted_failed_.begin(), uncounted_failed_.end()}));
    status.set("uncountedTerminatedPods", std::move(uncounted));
    if (!completed.empty()) status.set("completedIndexes", format_indexes(completed));
    if (!job_.spec()["backoffLimitPerIndex"].is_null() && !failed_indexes.empty())
      status.set("failedIndexes", format_indexes(failed_indexes));
  }

 private:
  // A uid whose pod carries the finalizer no more (or is gone) becomes part of the number.
  void settle_released(const std::vector<Object>& pods) {
    std::set<std::string> held;
    for (const Object& pod : pods) {
      if (pod.has_finalizer(kJobTracking)) held.insert(pod.uid());
    }
    const auto move = [&held](std::set<std::string>& uids, std::int64_t& number) {
      number += static_cast<std::int64_t>(
          std::erase_if(uids, [&held](const std::string& uid) { return !held.contains(uid); }));
    };
    move(uncounted_succeeded_, succeeded_);
    move(uncounted_failed_, failed_);
  }

  void take(const Object& pod) {
    const std::string_view phase = pod.status()["phase"].as_string();
    const bool replaced_when_failed = job_.spec()["podReplacementPolicy"].as_string() == "Failed";
    const bool has_succeeded = phase == "Succeeded";
    const bool has_failed = phase == "Failed" || (pod.deleting() && !has_succeeded && !replaced_when_failed);
    if (pod.deleting() && !is_finished(pod)) terminating += 1;
    if (!has_succeeded && !has_failed) {
      if (pod.deleting()) return;
      active.push_back(pod);
      ready += is_ready(pod) ? 1 : 0;
      active_indexes.insert(index_of(pod));
      return;
    }
    if (has_failed) failed_pods.push_back(pod);
    if (!pod.has_finalizer(kJobTracking)) return;
    if (has_succeeded) {
      uncounted_succeeded_.insert(pod.uid());
      if (is_indexed(job_)) completed.insert(index_of(pod));
    } else if (counts_as_failure(pod)) {
      uncounted_failed_.insert(pod.uid());
      if (is_indexed(job_)) judge_index(pod);
    }
    release.push_back(pod);
  }

  void judge_index(const Object& pod) {
    const Value& limit = job_.spec()["backoffLimitPerIndex"];
    if (limit.is_null()) return;
    if (parse_int(pod.annotation(kIndexFailures)).value_or(0) + 1 > limit.as_int())
      failed_indexes.insert(index_of(pod));
  }

  // By podFailurePolicy: the first rule that fits decides.
  bool counts_as_failure(const Object& pod) {
    const auto rules = job_.spec()["podFailurePolicy"]["rules"].items();
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const std::string why = matches(rules[i], pod);
      if (why.empty()) continue;
      const std::string_view action = rules[i]["action"].as_string();
      if (action == "FailJob")
        policy = Verdict{"PodFailurePolicy", why + " matching FailJob rule at index " + std::to_string(i), false};
      if (action == "FailIndex") failed_indexes.insert(index_of(pod));
      return action != "Ignore";
    }
    return true;
  }

  static std::string matches(const Value& rule, const Object& pod) {
    for (const Value& pattern : rule["onPodConditions"].items()) {
      const Value& condition = kube::condition(pod, pattern["type"].as_string());
      if (!condition.is_null() && condition["status"].as_string() == pattern["status"].as_string("True")) {
        return "Pod " + pod.key().str() + " has condition " + pattern["type"].str();
      }
    }
    const Value& on_exit = rule["onExitCodes"];
    if (on_exit.is_null()) return "";
    for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
      for (const Value& container : pod.status()[list].items()) {
        const Value& ended = container["state"]["terminated"];
        const std::string_view only = on_exit["containerName"].as_string();
        if (ended.is_null() || ended["exitCode"].as_int() == 0 ||
            (!only.empty() && only != container["name"].as_string()))
          continue;
        const auto codes = on_exit["values"].items();
        const bool listed = std::any_of(codes.begin(), codes.end(),
                                        [&](const Value& v) { return v.as_int() == ended["exitCode"].as_int(); });
        if (listed != (on_exit["operator"].as_string() == "In")) continue;
        return "Container " + container["name"].str() + " for pod " + pod.key().str() + " failed with exit code " +
               std::to_string(ended["exitCode"].as_int());
      }
    }
    return "";
  }

  const Object& job_;
  std::int64_t succeeded_ = 0, failed_ = 0;
  std::set<std::string> uncounted_succeeded_, uncounted_failed_;
};

std::optional<Verdict> success_policy(const Object& job, const Count& count) {
  const auto rules = job.spec()["successPolicy"]["rules"].items();
  for (std::size_t i = 0; i < rules.size(); ++i) {
    Indexes wanted = parse_indexes(rules[i]["succeededIndexes"].as_string()), met = count.completed;
    if (!wanted.empty()) std::erase_if(met, [&](std::int64_t index) { return !wanted.contains(index); });
    const Value& number = rules[i]["succeededCount"];
    const std::size_t enough = !number.is_null() ? static_cast<std::size_t>(number.as_int()) : wanted.size();
    if (met.size() >= enough) return Verdict{"SuccessPolicy", "Matched rules at index " + std::to_string(i), true};
  }
  return std::nullopt;
}

std::optional<Verdict> judge(const Object& job, const Count& count, Time now) {
  const Value& spec = job.spec();
  // What was decided before stays decided.
  for (const auto& [type, success] : {std::pair{"FailureTarget", false}, std::pair{"SuccessCriteriaMet", true}}) {
    const Value& decided = kube::condition(job, type);
    if (decided["status"].as_string() == "True")
      return Verdict{decided["reason"].str(), decided["message"].str(), success};
  }
  if (count.policy) return count.policy;
  if (const auto success = success_policy(job, count)) return success;
  const bool per_index = !spec["backoffLimitPerIndex"].is_null();
  if (count.failed() > spec["backoffLimit"].as_int(per_index ? INT64_MAX : 6)) {
    return Verdict{"BackoffLimitExceeded", "Job has reached the specified backoff limit", false};
  }
  const auto started = parse_time(job.status()["startTime"].as_string());
  const Value& deadline = spec["activeDeadlineSeconds"];
  if (!deadline.is_null() && started && *started + std::chrono::seconds(deadline.as_int()) <= now &&
      !spec["suspend"].as_bool()) {
    return Verdict{"DeadlineExceeded", "Job was active longer than specified deadline", false};
  }
  const Value& most = spec["maxFailedIndexes"];
  if (!most.is_null() && static_cast<std::int64_t>(count.failed_indexes.size()) > most.as_int()) {
    return Verdict{"MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes",
                   false};
  }
  const Value& completions = spec["completions"];
  const std::int64_t ended = count.succeeded() + static_cast<std::int64_t>(count.failed_indexes.size());
  const bool all_ended = completions.is_null() ? count.succeeded() > 0 && count.active.empty()
                                               : ended >= completions.as_int() && count.active.empty();
  if (!all_ended || (completions.is_null() && count.terminating > 0)) return std::nullopt;
  if (!count.failed_indexes.empty()) return Verdict{"FailedIndexes", "Job has failed indexes", false};
  return Verdict{"CompletionsReached", "Reached expected number of succeeded pods", true};
}

void set_job_condition(Object& job, std::string_view type, std::string_view value, std::string_view reason,
                       std::string_view message, Time now) {
  if (!kube::set_condition(job, type, value, reason, message, now)) return;
  Value& list = job.edit({"status", "conditions"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (list[i]["type"].as_string() == type) list.edit(i).set("lastProbeTime", format_time(now));
  }
}

// After failures in a row the next pod waits: 10 s, doubling to 10 minutes, from the last failure's end.
std::optional<Duration> until_next_pod(const Object& job, const Count& count, Time now) {
  if (count.failed_pods.empty() || !job.spec()["backoffLimitPerIndex"].is_null()) return std::nullopt;
  std::optional<Time> last;
  for (const Object& pod : count.failed_pods) {
    std::optional<Time> ended = pod.created();
    for (const Value& container : pod.status()["containerStatuses"].items()) {
      const auto at = parse_time(container["state"]["terminated"]["finishedAt"].as_string());
      if (at && (!ended || *at > *ended)) ended = at;
    }
    if (ended && (!last || *ended > *last)) last = ended;
  }
  if (!last) return std::nullopt;
  const auto doublings = std::min<std::size_t>(count.failed_pods.size() - 1, 6);
  const Duration wait = std::min<Duration>(std::chrono::seconds(10) * (1 << doublings), std::chrono::minutes(10));
  return *last + wait > now ? std::optional<Duration>(*last + wait - now) : std::nullopt;
}

Object make_pod(const Object& job, std::optional<std::int64_t> index, const Count& count) {
  const std::string prefix = index ? job.name() + "-" + std::to_string(*index) + "-" : job.name() + "-";
  Object pod = pod_from_template(job, job.spec()["template"], prefix);
  pod.add_finalizer(kJobTracking);
  if (!index) return pod;
  const std::string text = std::to_string(*index);
  pod.set_annotation(kCompletionIndex, text);
  pod.set_label(kCompletionIndex, text);
  pod.edit({"spec"}).set("hostname", job.name() + "-" + text);
  if (!job.spec()["backoffLimitPerIndex"].is_null()) {
    std::int64_t failures = 0;
    for (const Object& failed : count.failed_pods) {
      if (index_of(failed) == *index)
        failures = std::max(failures, parse_int(failed.annotation(kIndexFailures)).value_or(0) + 1);
    }
    pod.set_annotation(kIndexFailures, std::to_string(failures));
  }
  const Value variable{
      {"name", "JOB_COMPLETION_INDEX"},
      {"valueFrom",
       Value{{"fieldRef", Value{{"fieldPath", "metadata.labels['" + std::string(kCompletionIndex) + "']"}}}}}};
  for (const char* list : {"initContainers", "containers"}) {
    if (pod.spec()[list].empty()) continue;
    Value& containers = pod.edit({"spec", list});
    for (std::size_t i = 0; i < containers.size(); ++i) containers.edit(i).edit("env").push_back(variable);
  }
  return pod;
}

void plan_pods(const Object& job, const Count& count, Time now, JobPlan& plan) {
  const Value& completions = job.spec()["completions"];
  const auto have = static_cast<std::int64_t>(count.active.size());
  std::int64_t want = job.spec()["parallelism"].as_int(1);
  if (completions.is_null()) {
    if (count.succeeded() > 0) want = have;  // one has found it: the others end by themselves
  } else {
    const std::int64_t left =
        completions.as_int() - count.succeeded() - static_cast<std::int64_t>(count.failed_indexes.size());
    want = std::min(want, std::max<std::int64_t>(0, left));
  }
  if (job.spec()["podReplacementPolicy"].as_string() == "Failed")
    want = std::max<std::int64_t>(0, want - count.terminating);
  if (have > want) {
    plan.remove = in_deletion_order(count.active, {}, now);
    plan.remove.resize(static_cast<std::size_t>(have - want));
    return;
  }
  if (have == want) return;
  if (const auto wait = until_next_pod(job, count, now)) {
    plan.again = *wait;
    return;
  }
  std::int64_t missing = std::min<std::int64_t>(want - have, 500);
  if (!is_indexed(job)) {
    for (; missing > 0; --missing) plan.create.push_back(make_pod(job, std::nullopt, count));
    return;
  }
  for (std::int64_t index = 0; index < completions.as_int() && missing > 0; ++index) {
    if (count.completed.contains(index) || count.failed_indexes.contains(index) || count.active_indexes.contains(index))
      continue;
    plan.create.push_back(make_pod(job, index, count));
    --missing;
  }
}

// The end comes in two steps: what will be is said at once, that it is when no pod runs and all are counted.
void conclude(Object& after, const Verdict& verdict, const Count& count, Time now) {
  set_job_condition(after, verdict.success ? "SuccessCriteriaMet" : "FailureTarget", "True", verdict.reason,
                    verdict.message, now);
  if (!count.active.empty() || count.terminating > 0 || !count.all_counted()) return;
  set_job_condition(after, verdict.success ? "Complete" : "Failed", "True", verdict.reason, verdict.message, now);
  if (verdict.success) after.edit({"status"}).set("completionTime", format_time(now));
}

}  // namespace

Indexes parse_indexes(std::string_view text) {
  Indexes out;
  for (const std::string_view part : split(text, ',')) {
    const auto dash = part.find('-');
    const auto first = parse_int(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_int(part.substr(dash + 1));
    if (!first || !last) continue;
    for (std::int64_t i = *first; i <= *last && i - *first < 100'000; ++i) out.insert(i);
  }
  return out;
}

std::string format_indexes(const Indexes& indexes) {
  std::vector<std::string> parts;
  for (auto at = indexes.begin(); at != indexes.end();) {
    const std::int64_t first = *at;
    std::int64_t last = first;
    for (++at; at != indexes.end() && *at == last + 1; ++at) last = *at;
    if (last == first)
      parts.push_back(std::to_string(first));
    else
      parts.push_back(std::to_string(first) + (last == first + 1 ? "," : "-") + std::to_string(last));
  }
  return join(parts, ",");
}

bool is_job_finished(const Object& job) {
  return kube::condition_is_true(job, "Complete") || kube::condition_is_true(job, "Failed");
}

std::optional<Duration> time_to_live(const Object& job, Time now) {
  const Value& ttl = job.spec()["ttlSecondsAfterFinished"];
  if (ttl.is_null() || !is_job_finished(job)) return std::nullopt;
  const Value& end = kube::condition(job, kube::condition_is_true(job, "Complete") ? "Complete" : "Failed");
  const auto at = parse_time(end["lastTransitionTime"].as_string());
  if (!at) return std::nullopt;
  return std::max<Duration>(*at + std::chrono::seconds(ttl.as_int()) - now, Duration(0));
}

JobPlan plan_job(const Object& job, const std::vector<Object>& pods, Time now) {
  JobPlan plan;
  const Count count(job, pods);
  plan.release = count.release;
  plan.status = job.status();
  if (is_job_finished(job)) {
    for (const Object& pod : pods) {
      if (pod.has_finalizer(kJobTracking) && !is_active(pod)) plan.release.push_back(pod);
    }
    return plan;
  }
  Object after = job;
  Value& status = after.edit({"status"});
  const bool suspended = job.spec()["suspend"].as_bool();
  if (suspended)
    status.erase("startTime");
  else if (status["startTime"].is_null())
    status.set("startTime", format_time(now));
  count.write(status);

  if (const auto verdict = judge(after, count, now)) {
    plan.remove = count.active;
    conclude(after, *verdict, count, now);
  } else if (suspended) {
    plan.remove = count.active;
    set_job_condition(after, "Suspended", "True", "JobSuspended", "Job suspended", now);
  } else {
    if (kube::condition_is_true(job, "Suspended"))
      set_job_condition(after, "Suspended", "False", "JobResumed", "Job resumed", now);
    if (!job.deleting()) plan_pods(after, count, now, plan);
    const Value& deadline = job.spec()["activeDeadlineSeconds"];
    if (!deadline.is_null()) {
      const auto started = parse_time(after.status()["startTime"].as_string());
      const Duration left = started.value_or(now) + std::chrono::seconds(deadline.as_int()) - now;
      plan.again = plan.again ? std::min(*plan.again, left) : left;
    }
  }
  plan.status = after.status();
  return plan;
}

}  // namespace caisson::controllers
