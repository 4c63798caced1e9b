// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/health.h"

#include <functional>
#include <map>

#include "delivery/gitops/health_rules.h"

namespace caisson::gitops {
namespace {

using Code = HealthCode;

const Value& condition(const Value& object, std::string_view type) {
  for (const Value& one : object["status"]["conditions"].items()) {
    if (one["type"].as_string() == type) return one;
  }
  return document::kNull;
}

std::string count(const Value& value) {
  return std::to_string(value.as_int());
}

bool not_observed(const Value& object) {
  return object["metadata"]["generation"].as_int() > object["status"]["observedGeneration"].as_int();
}

Health deployment(const Value& o) {
  const Value& status = o["status"];
  if (o["spec"]["paused"].as_bool()) return {Code::suspended, "Deployment is paused"};
  if (not_observed(o))
    return {Code::progressing,
            "Waiting for rollout to finish: observed deployment generation less than desired generation"};
  if (condition(o, "Progressing")["reason"].as_string() == "ProgressDeadlineExceeded") {
    return {Code::degraded, "Deployment \"" + o["metadata"]["name"].str() + "\" exceeded its progress deadline"};
  }
  const std::int64_t updated = status["updatedReplicas"].as_int(), replicas = status["replicas"].as_int();
  if (!o["spec"]["replicas"].is_null() && updated < o["spec"]["replicas"].as_int()) {
    return {Code::progressing, "Waiting for rollout to finish: " + std::to_string(updated) + " out of " +
                                   count(o["spec"]["replicas"]) + " new replicas have been updated..."};
  }
  if (replicas > updated) {
    return {Code::progressing, "Waiting for rollout to finish: " + std::to_string(replicas - updated) +
                                   " old replicas are pending termination..."};
  }
  if (status["availableReplicas"].as_int() < updated) {
    return {Code::progressing, "Waiting for rollout to finish: " + count(status["availableReplicas"]) + " of " +
                                   std::to_string(updated) + " updated replicas are available..."};
  }
  return {};
}

Health replica_set(const Value& o) {
  if (not_observed(o))
    return {Code::progressing,
            "Waiting for rollout to finish: observed replica set generation less than desired generation"};
  const Value& failure = condition(o, "ReplicaFailure");
  if (failure["status"].as_string() == "True") return {Code::degraded, failure["message"].str()};
  const std::int64_t available = o["status"]["availableReplicas"].as_int();
  if (!o["spec"]["replicas"].is_null() && available < o["spec"]["replicas"].as_int()) {
    return {Code::progressing, "Waiting for rollout to finish: " + std::to_string(available) + " out of " +
                                   count(o["spec"]["replicas"]) + " new replicas are available..."};
  }
  return {};
}

Health stateful_set(const Value& o) {
  const Value& status = o["status"];
  if (status["observedGeneration"].as_int() == 0 || not_observed(o)) {
    return {Code::progressing, "Waiting for statefulset spec update to be observed..."};
  }
  if (!o["spec"]["replicas"].is_null() && status["readyReplicas"].as_int() < o["spec"]["replicas"].as_int()) {
    return {Code::progressing, "Waiting for " +
                                   std::to_string(o["spec"]["replicas"].as_int() - status["readyReplicas"].as_int()) +
                                   " pods to be ready..."};
  }
  const Value& strategy = o["spec"]["updateStrategy"];
  if (strategy["type"].as_string() == "RollingUpdate" && strategy["rollingUpdate"]["partition"].as_int() > 0) {
    const std::int64_t wanted = o["spec"]["replicas"].as_int() - strategy["rollingUpdate"]["partition"].as_int();
    if (status["updatedReplicas"].as_int() < wanted) {
      return {Code::progressing, "Waiting for partitioned roll out to finish: " + count(status["updatedReplicas"]) +
                                     " out of " + std::to_string(wanted) + " new pods have been updated..."};
    }
    return {Code::healthy,
            "partitioned roll out complete: " + count(status["updatedReplicas"]) + " new pods have been updated..."};
  }
  if (strategy["type"].as_string() == "OnDelete")
    return {Code::healthy, "statefulset has " + count(status["readyReplicas"]) + " ready pods"};
  if (!(status["updateRevision"] == status["currentRevision"])) {
    return {Code::progressing, "waiting for statefulset rolling update to complete " +
                                   count(status["updatedReplicas"]) + " pods at revision " +
                                   status["updateRevision"].str() + "..."};
  }
  return {Code::healthy, "statefulset rolling update complete " + count(status["currentReplicas"]) +
                             " pods at revision " + status["currentRevision"].str() + "..."};
}

Health daemon_set(const Value& o) {
  const Value& status = o["status"];
  if (not_observed(o))
    return {Code::progressing,
            "Waiting for rollout to finish: observed daemon set generation less than desired generation"};
  if (o["spec"]["updateStrategy"]["type"].as_string() == "OnDelete") {
    return {Code::healthy, "daemon set " + count(status["currentNumberScheduled"]) + " out of " +
                               count(status["desiredNumberScheduled"]) + " new pods have been updated"};
  }
  const std::int64_t wanted = status["desiredNumberScheduled"].as_int();
  if (status["updatedNumberScheduled"].as_int() < wanted) {
    return {Code::progressing, "Waiting for daemon set \"" + o["metadata"]["name"].str() +
                                   "\" rollout to finish: " + count(status["updatedNumberScheduled"]) + " out of " +
                                   std::to_string(wanted) + " new pods have been updated..."};
  }
  if (status["numberAvailable"].as_int() < wanted) {
    return {Code::progressing, "Waiting for daemon set \"" + o["metadata"]["name"].str() +
                                   "\" rollout to finish: " + count(status["numberAvailable"]) + " of " +
                                   std::to_string(wanted) + " updated pods are available..."};
  }
  return {};
}

bool is_bad_wait(std::string_view reason) {
  return reason.ends_with("Error") || reason.ends_with("BackOff") || reason.ends_with("ErrImagePull") ||
         reason == "ErrImagePull" || reason == "CreateContainerConfigError" || reason.starts_with("Err") ||
         reason.starts_with("Invalid");
}

std::string fail_message(const Value& status) {
  const Value& ended = status["state"]["terminated"];
  if (!ended.is_map()) return "";
  if (!ended["message"].as_string().empty()) return ended["message"].str();
  if (ended["reason"].as_string() == "OOMKilled") return "OOMKilled";
  if (ended["exitCode"].as_int() != 0)
    return "container \"" + status["name"].str() + "\" failed with exit code " + count(ended["exitCode"]);
  return "";
}

Health pod(const Value& o) {
  const Value& status = o["status"];
  if (o["spec"]["restartPolicy"].as_string() == "Always") {
    std::string messages;
    bool bad = false;
    for (const Value& one : status["containerStatuses"].items()) {
      const Value& waiting = one["state"]["waiting"];
      if (!is_bad_wait(waiting["reason"].as_string())) continue;
      bad = true;
      messages += (messages.empty() ? "" : ", ") + waiting["message"].str();
    }
    if (bad) return {Code::degraded, messages};
  }
  const std::string_view phase = status["phase"].as_string();
  if (phase == "Pending") return {Code::progressing, status["message"].str()};
  if (phase == "Succeeded") return {Code::healthy, status["message"].str()};
  if (phase == "Failed") {
    if (!status["message"].as_string().empty()) return {Code::degraded, status["message"].str()};
    for (std::string_view list : {"initContainerStatuses", "containerStatuses"}) {
      for (const Value& one : status[list].items()) {
        if (const std::string why = fail_message(one); !why.empty()) return {Code::degraded, why};
      }
    }
    return {Code::degraded, ""};
  }
  if (phase == "Running") {
    if (o["spec"]["restartPolicy"].as_string() != "Always") return {Code::progressing, status["message"].str()};
    if (condition(o, "Ready")["status"].as_string() == "True") return {Code::healthy, status["message"].str()};
    for (const Value& one : status["containerStatuses"].items()) {
      if (one["lastState"]["terminated"].is_map()) return {Code::degraded, status["message"].str()};
    }
    return {Code::progressing, status["message"].str()};
  }
  return {Code::unknown, status["message"].str()};
}

Health service(const Value& o) {
  if (o["spec"]["type"].as_string() != "LoadBalancer") return {};
  return {o["status"]["loadBalancer"]["ingress"].empty() ? Code::progressing : Code::healthy, ""};
}

Health ingress(const Value& o) {
  return {o["status"]["loadBalancer"]["ingress"].empty() ? Code::progressing : Code::healthy, ""};
}

Health claim(const Value& o) {
  const std::string_view phase = o["status"]["phase"].as_string();
  return {phase == "Lost"      ? Code::degraded
          : phase == "Pending" ? Code::progressing
          : phase == "Bound"   ? Code::healthy
                               : Code::unknown,
          ""};
}

Health job(const Value& o) {
  bool failed = false, complete = false, suspended = false;
  std::string message, why;
  for (const Value& one : o["status"]["conditions"].items()) {
    if (one["status"].as_string() == "False") continue;
    const std::string_view type = one["type"].as_string();
    if (type == "Failed") {
      failed = true;
      complete = true;
      why = one["message"].str();
    } else if (type == "Complete") {
      complete = true;
      message = one["message"].str();
    } else if (type == "Suspended") {
      complete = true;
      message = one["message"].str();
      suspended = true;
    }
  }
  if (!complete) return {Code::progressing, message};
  if (failed) return {Code::degraded, why};
  return {suspended ? Code::suspended : Code::healthy, message};
}

Health autoscaler(const Value& o) {
  const Value& list = o["status"]["conditions"];
  static constexpr std::string_view kFailures[] = {"FailedGetScale", "FailedUpdateScale", "FailedGetResourceMetric",
                                                   "InvalidSelector"};
  for (const Value& one : list.items()) {
    for (std::string_view reason : kFailures) {
      if (one["reason"].as_string() == reason) return {Code::degraded, one["message"].str()};
    }
  }
  for (const Value& one : list.items()) {
    const std::string_view type = one["type"].as_string();
    if ((type == "AbleToScale" || type == "ScalingLimited") && one["status"].as_string() == "True")
      return {Code::healthy, one["message"].str()};
  }
  return {Code::progressing, "Waiting to Autoscale"};
}

Health api_service(const Value& o) {
  const Value& available = condition(o, "Available");
  if (available.is_null()) return {Code::progressing, "Waiting to be processed"};
  return {available["status"].as_string() == "True" ? Code::healthy : Code::progressing,
          available["reason"].str() + ": " + available["message"].str()};
}

Health application(const Value& o) {
  const Value& health = o["status"]["health"];
  const auto code = parse_health(health["status"].as_string());
  if (!code) return {Code::progressing, "Waiting for the application to be reconciled"};
  if (o["status"]["sync"]["status"].as_string() == "OutOfSync" && o["spec"]["syncPolicy"]["automated"].is_map() &&
      *code == Code::healthy) {
    return {Code::progressing, "Waiting for the application to be synced"};
  }
  return {*code, health["message"].str()};
}

Health namespace_health(const Value& o) {
  return {o["status"]["phase"].as_string() == "Terminating" ? Code::progressing : Code::healthy, ""};
}

using Of = Health (*)(const Value&);
const std::map<std::string_view, Of>& all() {
  static const std::map<std::string_view, Of> kAll = {
      {"apps/Deployment", deployment},
      {"apps/ReplicaSet", replica_set},
      {"apps/StatefulSet", stateful_set},
      {"apps/DaemonSet", daemon_set},
      {"/Pod", pod},
      {"/Service", service},
      {"/Namespace", namespace_health},
      {"/PersistentVolumeClaim", claim},
      {"networking.k8s.io/Ingress", ingress},
      {"batch/Job", job},
      {"autoscaling/HorizontalPodAutoscaler", autoscaler},
      {"apiregistration.k8s.io/APIService", api_service},
      {"argoproj.io/Application", application},
  };
  return kAll;
}

constexpr std::string_view kNames[] = {"Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"};

}  // namespace

std::string_view health_name(HealthCode code) {
  return kNames[static_cast<int>(code)];
}

std::optional<HealthCode> parse_health(std::string_view name) {
  for (int i = 0; i < 6; ++i) {
    if (kNames[i] == name) return static_cast<HealthCode>(i);
  }
  return std::nullopt;
}

HealthCode worse(HealthCode a, HealthCode b) {
  return static_cast<int>(a) > static_cast<int>(b) ? a : b;
}

std::optional<Health> health_by_kind(const Value& object) {
  const std::string_view api_version = object["apiVersion"].as_string();
  const std::size_t slash = api_version.find('/');
  const std::string group(slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash));
  const std::string name = group + "/" + object["kind"].str();
  const auto found = all().find(name);
  return found == all().end() ? health_by_rule(name, object) : found->second(object);
}

std::optional<Health> health_of(const Value& object) {
  if (!object["metadata"]["deletionTimestamp"].is_null()) return Health{Code::progressing, "Pending deletion"};
  return health_by_kind(object);
}

}  // namespace caisson::gitops
