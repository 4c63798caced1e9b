// SPDX-License-Identifier: Apache-2.0
// wait: for a condition, a value, deletion or creation. `rollout status` of Deployments, DaemonSets and StatefulSets,
// in the words of kubectl's status viewers (k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go, 1.33).
#include <algorithm>
#include <cstdio>

#include "core/base/text.h"
#include "main/cli/kubectl/watch.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kWaitFlags[] = {{"for", FlagKind::array}, {"timeout", FlagKind::text}, {"local", FlagKind::boolean}};
constexpr FlagSpec kStatusFlags[] = {
    {"timeout", FlagKind::text}, {"watch", FlagKind::boolean, 'w'}, {"revision", FlagKind::text}};
constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";

struct Awaited {
  bool deletion = false, creation = false;
  std::string condition, status = "true";  // condition=Type[=Status]
  std::string path, value;                 // jsonpath='{…}'[=value]
  bool any_value = false;
};
Result<Awaited> parse_awaited(const std::string& text) {
  Awaited out;
  if (text == "delete") {
    out.deletion = true;
  } else if (text == "create") {
    out.creation = true;
  } else if (text.starts_with("condition=")) {
    const auto parts = split(std::string_view(text).substr(10), '=');
    out.condition = parts[0];
    if (parts.size() > 1) out.status = to_lower(parts[1]);
  } else if (text.starts_with("jsonpath=")) {
    const auto close = text.rfind('}');
    if (close == std::string::npos || (close + 1 < text.size() && text[close + 1] != '='))
      return usage(
          "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or "
          "--for=jsonpath='{.status.readyReplicas}'");
    out.path = text.substr(9, close - 8);
    out.any_value = close + 1 == text.size();
    if (!out.any_value) out.value = text.substr(close + 2);
    if (!out.any_value && out.value.empty())
      return usage(
          "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3");
  } else {
    return usage("unrecognized condition: \"" + text + "\"");
  }
  return out;
}

Result<bool> is_met(const Value& object, const Awaited& awaited) {
  if (awaited.creation) return true;
  if (!awaited.path.empty()) {
    const std::string got = TRY(json_path_template(object, awaited.path));
    return awaited.any_value ? !got.empty() : got == awaited.value;
  }
  for (const Value& condition : object["status"]["conditions"].items()) {
    if (!equals_ignoring_case(condition["type"].as_string(), awaited.condition)) continue;
    const Value& observed = condition["observedGeneration"].is_null() ? object["status"]["observedGeneration"]
                                                                      : condition["observedGeneration"];
    if (!observed.is_null() && observed.as_int() < object["metadata"]["generation"].as_int()) return false;
    return to_lower(condition["status"].as_string()) == awaited.status;
  }
  return false;
}

Result<void> wait_for(const Call& call, const Target& target, const Awaited& awaited, Time end) {
  Value last = target.object;
  const Value uid = target.object["metadata"]["uid"];
  const auto done =
      follow(call, target.resource, target.ns, target.name, end, [&](const Value* object) -> Result<bool> {
        if (awaited.deletion) return object == nullptr || (*object)["metadata"]["uid"] != uid;
        if (object == nullptr) return false;
        last = *object;
        return is_met(*object, awaited);
      });
  if (done.ok()) return print_result(call, target, last, "condition met");
  if (done.error().code != ErrorCode::timeout) return done.error();
  return usage("timed out waiting for the condition on " + target.resource.plural + "/" + target.name);
}

// What there is to wait for. Before it is made there is only its name.
Result<std::vector<Target>> named_targets(Call& call) {
  std::vector<Target> out;
  const std::vector<std::string>& words = call.arguments;
  const bool slashed = !words.empty() && words[0].find('/') != std::string::npos;
  for (std::size_t i = slashed ? 0 : 1; i < words.size(); ++i) {
    const auto slash = words[i].find('/');
    const kube::Resource resource =
        TRY(resource_of(call, slashed ? std::string_view(words[i]).substr(0, slash) : words[0]));
    out.push_back(
        {resource, resource.namespaced ? call.session.ns : "", slashed ? words[i].substr(slash + 1) : words[i], {}});
  }
  return out;
}

Result<int> wait_for_creation(Call& call, const Awaited& awaited, Time end) {
  const std::vector<Target> targets = TRY(named_targets(call));
  if (!targets.empty()) {
    for (const Target& target : targets) TRY(wait_for(call, target, awaited, end));
    return 0;
  }
  return usage("wait --for=create needs names: KIND/NAME or KIND NAME");
}

Result<int> run_wait(Call& call) {
  const std::vector<std::string> conditions = call.flags.all("for");
  if (conditions.empty()) return usage("--for is required");
  const Awaited awaited = TRY(parse_awaited(conditions.back()));
  Time end = TRY(end_of_wait(call, "30s"));
  if (call.text("timeout") == "0" || call.text("timeout") == "0s") end = system_clock().now();  // look once
  if (awaited.creation) return wait_for_creation(call, awaited, end);
  const auto targets = read_targets(call, call.arguments);
  if (!targets.ok()) {
    if (targets.error().code == ErrorCode::not_found && awaited.deletion) return 0;
    return targets.error();
  }
  if (targets->empty() && awaited.deletion) return 0;
  if (targets->empty()) return usage("no matching resources found");
  for (const Target& target : *targets) TRY(wait_for(call, target, awaited, end));
  return 0;
}

// --- rollout status

struct Progress {
  std::string line;
  bool done = false;
};
std::string count(const Value& value) {
  return std::to_string(value.as_int());
}

Result<Progress> deployment_progress(const Value& deployment, std::int64_t revision) {
  const Value& status = deployment["status"];
  const std::string name = "deployment \"" + deployment["metadata"]["name"].str() + "\"";
  if (revision > 0) {
    const auto running = parse_int(deployment["metadata"]["annotations"][kRevision].as_string());
    if (running != revision)
      return usage("desired revision (" + std::to_string(revision) + ") is different from the running revision (" +
                   std::to_string(running.value_or(0)) + ")");
  }
  if (deployment["metadata"]["generation"].as_int() > status["observedGeneration"].as_int())
    return Progress{"Waiting for deployment spec update to be observed..."};
  for (const Value& condition : status["conditions"].items()) {
    if (condition["type"].as_string() == "Progressing" && condition["reason"].as_string() == "ProgressDeadlineExceeded")
      return usage(name + " exceeded its progress deadline");
  }
  const std::int64_t updated = status["updatedReplicas"].as_int(), wanted = deployment["spec"]["replicas"].as_int(1);
  const std::string waiting = "Waiting for " + name + " rollout to finish: ";
  if (updated < wanted)
    return Progress{waiting + std::to_string(updated) + " out of " + std::to_string(wanted) +
                    " new replicas have been updated..."};
  if (status["replicas"].as_int() > updated)
    return Progress{waiting + std::to_string(status["replicas"].as_int() - updated) +
                    " old replicas are pending termination..."};
  if (status["availableReplicas"].as_int() < updated)
    return Progress{waiting + count(status["availableReplicas"]) + " of " + std::to_string(updated) +
                    " updated replicas are available..."};
  return Progress{name + " successfully rolled out", true};
}

Result<Progress> daemon_set_progress(const Value& set, std::int64_t) {
  if (set["spec"]["updateStrategy"]["type"].as_string() != "RollingUpdate")
    return usage("rollout status is only available for RollingUpdate strategy type");
  const Value& status = set["status"];
  if (set["metadata"]["generation"].as_int() > status["observedGeneration"].as_int())
    return Progress{"Waiting for daemon set spec update to be observed..."};
  const std::string name = "daemon set \"" + set["metadata"]["name"].str() + "\"",
                    waiting = "Waiting for " + name + " rollout to finish: ";
  const Value& wanted = status["desiredNumberScheduled"];
  if (status["updatedNumberScheduled"].as_int() < wanted.as_int())
    return Progress{waiting + count(status["updatedNumberScheduled"]) + " out of " + count(wanted) +
                    " new pods have been updated..."};
  if (status["numberAvailable"].as_int() < wanted.as_int())
    return Progress{waiting + count(status["numberAvailable"]) + " of " + count(wanted) +
                    " updated pods are available..."};
  return Progress{name + " successfully rolled out", true};
}

Result<Progress> stateful_set_progress(const Value& set, std::int64_t) {
  const Value &status = set["status"], &strategy = set["spec"]["updateStrategy"];
  if (strategy["type"].as_string() != "RollingUpdate")
    return usage("rollout status is only available for RollingUpdate strategy type");
  if (status["observedGeneration"].as_int() == 0 ||
      set["metadata"]["generation"].as_int() > status["observedGeneration"].as_int())
    return Progress{"Waiting for statefulset spec update to be observed..."};
  const std::int64_t wanted = set["spec"]["replicas"].as_int(1), ready = status["readyReplicas"].as_int();
  if (ready < wanted) return Progress{"Waiting for " + std::to_string(wanted - ready) + " pods to be ready..."};
  if (const Value& partition = strategy["rollingUpdate"]["partition"]; !partition.is_null()) {
    const std::int64_t target = wanted - partition.as_int();
    if (status["updatedReplicas"].as_int() < target)
      return Progress{"Waiting for partitioned roll out to finish: " + count(status["updatedReplicas"]) + " out of " +
                      std::to_string(target) + " new pods have been updated..."};
    return Progress{
        "partitioned roll out complete: " + count(status["updatedReplicas"]) + " new pods have been updated...", true};
  }
  if (status["updateRevision"] != status["currentRevision"])
    return Progress{"waiting for statefulset rolling update to complete " + count(status["updatedReplicas"]) +
                    " pods at revision " + status["updateRevision"].str() + "..."};
  return Progress{"statefulset rolling update complete " + count(status["currentReplicas"]) + " pods at revision " +
                      status["currentRevision"].str() + "...",
                  true};
}

using Viewer = Result<Progress> (*)(const Value&, std::int64_t);
Viewer viewer_of(const kube::Resource& resource) {
  if (resource.group != "apps") return nullptr;
  return resource.kind == "Deployment"    ? deployment_progress
         : resource.kind == "DaemonSet"   ? daemon_set_progress
         : resource.kind == "StatefulSet" ? stateful_set_progress
                                          : nullptr;
}

Result<void> show_progress(const Call& call, const Target& target, std::int64_t revision, Time end) {
  const Viewer viewer = viewer_of(target.resource);
  if (viewer == nullptr) return usage("no status viewer has been implemented for " + target.resource.kind);
  const bool watches = !call.flags.has("watch") || call.is_set("watch");
  std::string printed;
  const auto done =
      follow(call, target.resource, target.ns, target.name, end, [&](const Value* object) -> Result<bool> {
        if (object == nullptr) return usage("object has been deleted");
        const Progress progress = TRY(viewer(*object, revision));
        if (progress.line != printed) {
          std::printf("%s\n", progress.line.c_str());
          std::fflush(stdout);
        }
        printed = progress.line;
        return progress.done || !watches;
      });
  if (!done.ok() && done.error().code == ErrorCode::timeout) return usage("timed out waiting for the condition");
  return done;
}

Result<int> run_status(Call& call) {
  if (call.arguments.empty() && !call.flags.has("filename")) return usage("required resource not specified");
  const std::int64_t revision = parse_int(call.text("revision", "0")).value_or(-1);
  if (revision < 0) return usage("revision must be a positive integer: " + call.text("revision"));
  const Time end = TRY(end_of_wait(call, "0"));
  for (const Target& target : TRY(read_targets(call, call.arguments))) TRY(show_progress(call, target, revision, end));
  return 0;
}

constexpr Command kCommands[] = {
    {"wait", "Wait for a condition on one or many resources.",
     "wait (-f FILE | TYPE/NAME | TYPE -l LABEL) --for=condition=TYPE|jsonpath='{…}'=VALUE|delete|create",
     "caisson wait deploy/web --for=condition=Available --timeout=60s", kWaitFlags, run_wait},
    {"rollout status", "Follow a rollout until it is complete.",
     "rollout status (TYPE NAME | TYPE/NAME) [--timeout=5m] [--watch=false]", "caisson rollout status deploy/web",
     kStatusFlags, run_status},
};

}  // namespace

std::span<const Command> wait_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
