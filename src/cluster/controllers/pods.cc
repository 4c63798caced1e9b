// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/pods.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cluster/controllers/names.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::controllers {
namespace {

std::optional<Time> ready_since(const Object& pod) {
  const Value& ready = kube::condition(pod, "Ready");
  if (ready["status"].as_string() != "True") return std::nullopt;
  return parse_time(ready["lastTransitionTime"].as_string());
}

std::int64_t restarts_max(const Object& pod) {
  std::int64_t most = 0;
  for (const Value& status : pod.status()["containerStatuses"].items())
    most = std::max(most, status["restartCount"].as_int());
  return most;
}

int phase_rank(const Object& pod) {
  const std::string_view phase = pod.status()["phase"].as_string();
  return phase == "Running" ? 2 : phase == "Unknown" ? 1 : 0;
}

std::int64_t deletion_cost(const Object& pod) {
  return parse_int(pod.annotation(kDeletionCost)).value_or(0);
}

// Ages within a factor of two count as one, so that victims spread over them (LogarithmicScaleDown).
int age_rank(std::optional<Time> since, Time now) {
  if (!since) return -1;
  const double seconds = std::max(1.0, std::chrono::duration<double>(now - *since).count());
  return static_cast<int>(std::log2(seconds));
}

struct Candidate {
  const Object* pod;
  std::size_t related;
};

// Whether `a` goes before `b`.
bool goes_first(const Candidate& a, const Candidate& b, Time now) {
  const Object &x = *a.pod, &y = *b.pod;
  const bool x_assigned = !x.spec()["nodeName"].as_string().empty(),
             y_assigned = !y.spec()["nodeName"].as_string().empty();
  if (x_assigned != y_assigned) return !x_assigned;
  if (phase_rank(x) != phase_rank(y)) return phase_rank(x) < phase_rank(y);
  if (is_ready(x) != is_ready(y)) return !is_ready(x);
  if (deletion_cost(x) != deletion_cost(y)) return deletion_cost(x) < deletion_cost(y);
  if (a.related != b.related) return a.related > b.related;
  const auto x_ready = ready_since(x), y_ready = ready_since(y);
  if (x_ready && y_ready && *x_ready != *y_ready) {
    const int x_rank = age_rank(x_ready, now), y_rank = age_rank(y_ready, now);
    return x_rank != y_rank ? x_rank < y_rank : x.uid() < y.uid();
  }
  if (restarts_max(x) != restarts_max(y)) return restarts_max(x) > restarts_max(y);
  if (x.created() != y.created()) {
    const int x_rank = age_rank(x.created(), now), y_rank = age_rank(y.created(), now);
    return x_rank != y_rank ? x_rank < y_rank : x.uid() < y.uid();
  }
  return x.uid() < y.uid();
}

Value without_hash(const Value& pod_template) {
  Value out = pod_template;
  if (!out["metadata"]["labels"].contains(kPodTemplateHash)) return out;
  Value& labels = out.edit({"metadata", "labels"});
  labels.erase(kPodTemplateHash);
  if (labels.empty()) out.edit({"metadata"}).erase("labels");
  return out;
}

}  // namespace

bool is_ready(const Object& pod) {
  return kube::condition_is_true(pod, "Ready");
}

bool is_available(const Object& pod, std::int64_t min_ready_seconds, Time now) {
  if (!is_ready(pod)) return false;
  if (min_ready_seconds == 0) return true;
  const auto since = ready_since(pod);
  return since && *since + std::chrono::seconds(min_ready_seconds) <= now;
}

bool is_finished(const Object& pod) {
  const std::string_view phase = pod.status()["phase"].as_string();
  return phase == "Succeeded" || phase == "Failed";
}

bool is_active(const Object& pod) {
  return !is_finished(pod) && !pod.deleting();
}

std::vector<Object> active(std::vector<Object> pods) {
  std::erase_if(pods, [](const Object& pod) { return !is_active(pod); });
  return pods;
}

Object pod_from_template(const Object& owner, const Value& pod_template, std::string_view prefix,
                         std::string_view name) {
  Object pod(Value{{"apiVersion", "v1"}, {"kind", "Pod"}});
  Value& metadata = pod.edit({"metadata"});
  if (name.empty())
    metadata.set("generateName", prefix);
  else
    metadata.set("name", name);
  metadata.set("namespace", owner.ns());
  for (const char* field : {"labels", "annotations", "finalizers"}) {
    if (const Value& value = pod_template["metadata"][field]; !value.empty()) metadata.set(field, value);
  }
  pod.edit().set("spec", pod_template["spec"]);
  pod.set_controller(owner);
  if (const auto trace = owner.annotation(kTraceparentAnnotation); !trace.empty())
    pod.set_annotation(kTraceparentAnnotation, trace);
  return pod;
}

std::string template_hash(const Value& pod_template, std::int64_t collision_count) {
  json::WriteOptions options;
  options.sort_keys = true;
  std::string text = json::write(without_hash(pod_template), options);
  if (collision_count > 0) text += "#" + std::to_string(collision_count);
  return safe_encode(std::to_string(fnv32a(text)));
}

bool same_template(const Value& a, const Value& b) {
  return without_hash(a) == without_hash(b);
}

std::vector<Object> in_deletion_order(std::vector<Object> pods, const std::vector<std::size_t>& related, Time now) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < pods.size(); ++i) candidates.push_back({&pods[i], i < related.size() ? related[i] : 0});
  std::stable_sort(candidates.begin(), candidates.end(),
                   [now](const Candidate& a, const Candidate& b) { return goes_first(a, b, now); });
  std::vector<Object> out;
  for (const Candidate& candidate : candidates) out.push_back(*candidate.pod);
  return out;
}

bool namespace_is_terminating(const Error& error) {
  return error.code == ErrorCode::forbidden &&
         error.message.find("because it is being terminated") != std::string::npos;
}

std::int64_t scaled(const Value& int_or_percent, std::int64_t total, bool round_up) {
  if (int_or_percent.is_int()) return int_or_percent.as_int();
  std::string_view text = int_or_percent.as_string();
  if (text.empty() || text.back() != '%') return 0;
  text.remove_suffix(1);
  const std::int64_t hundredths = parse_int(text).value_or(0) * total;
  return round_up ? (hundredths + 99) / 100 : hundredths / 100;
}

}  // namespace caisson::controllers
