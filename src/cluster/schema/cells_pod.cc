// SPDX-License-Identifier: Apache-2.0
// The cells of a Pod: printPod of pkg/printers/internalversion/printers.go, Kubernetes 1.33.
#include <algorithm>

#include "cluster/schema/cells.h"

namespace caisson::schema {
namespace {

struct Summary {
  std::string reason;
  std::int64_t restarts = 0, ready = 0, total = 0;
  std::optional<Time> last_restart;
};

bool sidecar(const Value& pod, std::string_view name) {
  for (const Value& container : pod["spec"]["initContainers"].items()) {
    if (container["name"].as_string() == name) return container["restartPolicy"].as_string() == "Always";
  }
  return false;
}

std::string exit_text(const Value& terminated) {
  if (terminated["signal"].as_int() != 0) return "Signal:" + terminated["signal"].scalar_text();
  return "ExitCode:" + std::to_string(terminated["exitCode"].as_int());
}

void note_restart(Summary& out, const Value& status) {
  const auto finished = parse_time(status["lastState"]["terminated"]["finishedAt"].as_string());
  if (finished && (!out.last_restart || *finished > *out.last_restart)) out.last_restart = finished;
}

// Gives whether the pod is still initialising.
bool init_containers(const Value& pod, Summary& out, std::int64_t& sidecar_restarts,
                     std::optional<Time>& sidecar_last) {
  const Value& list = pod["status"]["initContainerStatuses"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Value& status = list[i];
    const Value& state = status["state"];
    const bool restarts = sidecar(pod, status["name"].as_string());
    out.restarts += status["restartCount"].as_int();
    note_restart(out, status);
    if (restarts) {
      sidecar_restarts += status["restartCount"].as_int();
      const auto finished = parse_time(status["lastState"]["terminated"]["finishedAt"].as_string());
      if (finished && (!sidecar_last || *finished > *sidecar_last)) sidecar_last = finished;
    }
    if (state["terminated"].is_map() && state["terminated"]["exitCode"].as_int() == 0) continue;
    if (restarts && status["started"].as_bool()) {
      if (status["ready"].as_bool()) ++out.ready;
      continue;
    }
    const Value& terminated = state["terminated"];
    const std::string waiting = state["waiting"]["reason"].str();
    if (terminated.is_map()) {
      out.reason =
          "Init:" + (terminated["reason"].as_string().empty() ? exit_text(terminated) : terminated["reason"].str());
    } else if (state["waiting"].is_map() && !waiting.empty() && waiting != "PodInitializing") {
      out.reason = "Init:" + waiting;
    } else {
      out.reason = "Init:" + std::to_string(i) + "/" + std::to_string(pod["spec"]["initContainers"].size());
    }
    return true;
  }
  return false;
}

bool ready_condition(const Value& pod) {
  for (const Value& condition : pod["status"]["conditions"].items()) {
    if (condition["type"].as_string() == "Ready") return condition["status"].as_string() == "True";
  }
  return false;
}

void containers(const Value& pod, Summary& out) {
  const Value& list = pod["status"]["containerStatuses"];
  bool running = false;
  for (std::size_t i = list.size(); i-- > 0;) {
    const Value& status = list[i];
    const Value& state = status["state"];
    out.restarts += status["restartCount"].as_int();
    note_restart(out, status);
    const Value& terminated = state["terminated"];
    if (state["waiting"].is_map() && !state["waiting"]["reason"].as_string().empty()) {
      out.reason = state["waiting"]["reason"].str();
    } else if (terminated.is_map()) {
      out.reason = terminated["reason"].as_string().empty() ? exit_text(terminated) : terminated["reason"].str();
    } else if (status["ready"].as_bool() && state["running"].is_map()) {
      running = true;
      ++out.ready;
    }
  }
  if (out.reason == "Completed" && running) out.reason = ready_condition(pod) ? "Running" : "NotReady";
}

Summary summary(const Value& pod) {
  Summary out;
  out.total = static_cast<std::int64_t>(pod["spec"]["containers"].size());
  for (const Value& container : pod["spec"]["initContainers"].items())
    out.total += container["restartPolicy"].as_string() == "Always";
  const Value& status = pod["status"];
  out.reason = status["reason"].as_string().empty() ? status["phase"].str() : status["reason"].str();
  for (const Value& condition : status["conditions"].items()) {
    if (condition["type"].as_string() == "PodScheduled" && condition["reason"].as_string() == "SchedulingGated")
      out.reason = "SchedulingGated";
  }
  std::int64_t sidecar_restarts = 0;
  std::optional<Time> sidecar_last;
  const bool initializing = init_containers(pod, out, sidecar_restarts, sidecar_last);
  bool initialized = false;
  for (const Value& condition : status["conditions"].items()) {
    if (condition["type"].as_string() == "Initialized") initialized = condition["status"].as_string() == "True";
  }
  if (!initializing || initialized) {
    out.restarts = sidecar_restarts;
    out.last_restart = sidecar_last;
    containers(pod, out);
  }
  if (!pod["metadata"]["deletionTimestamp"].is_null()) {
    const std::string_view phase = status["phase"].as_string();
    if (status["reason"].as_string() == "NodeLost")
      out.reason = "Unknown";
    else if (phase != "Succeeded" && phase != "Failed")
      out.reason = "Terminating";
  }
  return out;
}

Value or_none(const Value& value) {
  return value.as_string().empty() ? Value("<none>") : value;
}

Value gates(const Value& pod) {
  const Value& wanted = pod["spec"]["readinessGates"];
  if (wanted.empty()) return "<none>";
  int met = 0;
  for (const Value& gate : wanted.items()) {
    for (const Value& condition : pod["status"]["conditions"].items()) {
      if (!(condition["type"] == gate["conditionType"])) continue;
      met += condition["status"].as_string() == "True";
      break;
    }
  }
  return std::to_string(met) + "/" + std::to_string(wanted.size());
}

}  // namespace

Value pod_cell(std::string_view printer, const Value& pod, Time now) {
  if (printer == "pod-ready") {
    const Summary it = summary(pod);
    return std::to_string(it.ready) + "/" + std::to_string(it.total);
  }
  if (printer == "pod-status") return summary(pod).reason;
  if (printer == "pod-restarts") {
    const Summary it = summary(pod);
    std::string text = std::to_string(it.restarts);
    if (it.restarts != 0 && it.last_restart) text += " (" + format_age(now - *it.last_restart) + " ago)";
    return text;
  }
  if (printer == "pod-ip") {
    const Value& first = pod["status"]["podIPs"][0]["ip"];
    return or_none(first.is_string() ? first : pod["status"]["podIP"]);
  }
  if (printer == "pod-node") return or_none(pod["spec"]["nodeName"]);
  if (printer == "pod-nominated-node") return or_none(pod["status"]["nominatedNodeName"]);
  if (printer == "pod-readiness-gates") return gates(pod);
  return Value();
}

}  // namespace caisson::schema
