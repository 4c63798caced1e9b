// SPDX-License-Identifier: Apache-2.0
// rollout history, undo, restart, pause, resume, for Deployments, StatefulSets and DaemonSets. `rollout status` is in
// wait.cc.
#include <algorithm>
#include <cstdio>
#include <map>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/describe/describe.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kRevisionFlags[] = {{"revision", FlagKind::text}, {"to-revision", FlagKind::text}};
constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";
constexpr std::string_view kCause = "kubernetes.io/change-cause";

struct Revision {
  std::string cause;
  Value source;  // ReplicaSet or ControllerRevision
  Value pod_template;
};
using History = std::map<std::int64_t, Revision>;

bool is_owned_by(const Value& child, const Value& owner) {
  for (const Value& reference : child["metadata"]["ownerReferences"].items()) {
    if (reference["controller"].as_bool() && reference["uid"].as_string() == owner["metadata"]["uid"].as_string())
      return true;
  }
  return false;
}

Result<History> history_of(const Call& call, const Target& target) {
  History out;
  const bool is_deployment = target.resource.kind == "Deployment";
  const std::string plural = is_deployment ? "replicasets" : "controllerrevisions";
  const Value list = TRY(get(call, "/apis/apps/v1/namespaces/" + target.ns + "/" + plural));
  for (const Value& item : list["items"].items()) {
    if (!is_owned_by(item, target.object)) continue;
    const Value& annotations = item["metadata"]["annotations"];
    if (is_deployment) {
      const auto number = parse_int(annotations[kRevision].as_string());
      if (number) out[*number] = {annotations[kCause].str(), item, item["spec"]["template"]};
    } else {
      out[item["revision"].as_int()] = {annotations[kCause].str(), item, item["data"]["spec"]["template"]};
    }
  }
  return out;
}

bool has_rollouts(const Target& target) {
  const std::string& kind = target.resource.kind;
  return target.resource.group == "apps" && (kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet");
}

Result<std::vector<Target>> rollout_targets(Call& call, std::string_view doing) {
  if (call.arguments.empty() && !call.flags.has("filename")) return usage("required resource not specified");
  std::vector<Target> out = TRY(read_targets(call, call.arguments));
  for (const Target& target : out) {
    if (!has_rollouts(target)) {
      return usage(doing == "history" || doing == "undo"
                       ? "no " + std::string(doing == "undo" ? "rollbacker" : "history viewer") +
                             " has been implemented for \"" + target.resource.kind + "\""
                       : target.resource.plural + " \"" + target.name + "\" " + std::string(doing) +
                             " is not supported");
    }
  }
  return out;
}

Result<int> run_history(Call& call) {
  const std::vector<Target> targets = TRY(rollout_targets(call, "history"));
  const std::string wanted = call.text("revision");
  for (const Target& target : targets) {
    const History history = TRY(history_of(call, target));
    if (!wanted.empty()) {
      const auto found = history.find(parse_int(wanted).value_or(-1));
      if (found == history.end()) return usage("unable to find the specified revision");
      if (!call.text("output").empty()) {
        TRY(print_object(call, found->second.source, call.text("output")));
        continue;
      }
      Page page;
      put_pod_template(page, found->second.pod_template);
      std::printf("%s with revision #%s\n%s", target.shown().c_str(), wanted.c_str(),
                  page.raw().c_str());  // kubectl does not align it
      continue;
    }
    std::printf("%s \n", target.shown().c_str());
    std::vector<std::vector<std::string>> rows{{"REVISION", "CHANGE-CAUSE"}};
    for (const auto& [number, revision] : history)
      rows.push_back({std::to_string(number), revision.cause.empty() ? "<none>" : revision.cause});
    for (const auto& row : rows)  // kubectl's tab stops: two blanks behind the widest
      std::printf("%-10s%s\n", row[0].c_str(), row[1].c_str());
    std::printf("\n");
  }
  return 0;
}

Value without_hash(Value pod_template) {
  if (pod_template["metadata"]["labels"].contains("pod-template-hash"))
    pod_template.edit({"metadata", "labels"}).erase("pod-template-hash");
  return pod_template;
}

Result<void> undo(Call& call, const Target& target) {
  if (target.object["spec"]["paused"].as_bool()) {
    return usage(
        "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again");
  }
  const History history = TRY(history_of(call, target));
  const std::int64_t wanted = parse_int(call.text("to-revision", "0")).value_or(-1);
  if (wanted < 0) return usage("revision must be a positive integer: " + call.text("to-revision"));
  if (wanted > 0 && !history.contains(wanted))
    return usage("unable to find specified revision " + std::to_string(wanted) + " in history");
  if (wanted == 0 && history.size() < 2)
    return usage("no rollout history found for " + to_lower(target.resource.kind) + " \"" + target.name + "\"");
  const Revision& to = wanted > 0 ? history.at(wanted) : std::prev(history.end(), 2)->second;
  const Value pod_template = without_hash(to.pod_template);
  if (without_hash(target.object["spec"]["template"]) == pod_template) {
    const std::int64_t number = wanted > 0 ? wanted : std::prev(history.end(), 2)->first;
    return print_result(call, target, target.object,
                        "skipped rollback (current template already matches revision " + std::to_string(number) + ")");
  }
  if (target.resource.kind != "Deployment") {
    const Value after = TRY(patch(call, target, to.source["data"], kStrategicPatch, target.object));
    return print_result(call, target, after, "rolled back");
  }
  Value operations = Value::list();
  operations.push_back(Value{{"op", "replace"}, {"path", "/spec/template"}, {"value", pod_template}});
  Value annotations = target.object["metadata"]["annotations"];
  if (annotations.is_null()) annotations = Value::map();
  if (to.cause.empty())
    annotations.erase(kCause);
  else
    annotations.set(kCause, to.cause);
  operations.push_back(Value{{"op", "add"}, {"path", "/metadata/annotations"}, {"value", std::move(annotations)}});
  const Value after = TRY(patch(call, target, operations, kJsonPatch, target.object));
  return print_result(call, target, after, "rolled back");
}

Result<int> run_undo(Call& call) {
  for (const Target& target : TRY(rollout_targets(call, "undo"))) TRY(undo(call, target));
  return 0;
}

Result<int> run_restart(Call& call) {
  for (const Target& target : TRY(rollout_targets(call, "restarting"))) {
    if (target.object["spec"]["paused"].as_bool())
      return usage(target.resource.plural + ".apps \"" + target.name +
                   "\" can't restart paused deployment (run rollout resume first)");
    const Value annotations{{"kubectl.kubernetes.io/restartedAt", format_time(system_clock().now())}};
    const Value body = wrapped({"spec", "template", "metadata", "annotations"}, annotations);
    const Value after = TRY(patch(call, target, body, kStrategicPatch, document::merge_patch(target.object, body)));
    TRY(print_result(call, target, after, "restarted"));
  }
  return 0;
}

Result<int> set_paused(Call& call, bool paused) {
  for (const Target& target : TRY(rollout_targets(call, paused ? "pausing" : "resuming"))) {
    if (target.resource.kind != "Deployment")
      return usage(target.resource.plural + ".apps \"" + target.name + "\" " + (paused ? "pausing" : "resuming") +
                   " is not supported");
    if (target.object["spec"]["paused"].as_bool() == paused) {
      return usage(target.resource.plural + ".apps \"" + target.name + "\" " +
                   (paused ? "is already paused" : "is not paused"));
    }
    const Value value = paused ? Value(true) : Value();
    const Value body{{"spec", Value{{"paused", value}}}};
    const Value after = TRY(patch(call, target, body, kStrategicPatch, document::merge_patch(target.object, body)));
    TRY(print_result(call, target, after, paused ? "paused" : "resumed"));
  }
  return 0;
}

Result<int> run_pause(Call& call) {
  return set_paused(call, true);
}
Result<int> run_resume(Call& call) {
  return set_paused(call, false);
}

constexpr Command kCommands[] = {
    {"rollout history", "View previous rollout revisions.", "rollout history (TYPE NAME | TYPE/NAME) [--revision=N]",
     "caisson rollout history deploy/web --revision=3", kRevisionFlags, run_history},
    {"rollout undo", "Roll back to a previous rollout.", "rollout undo (TYPE NAME | TYPE/NAME) [--to-revision=N]",
     "caisson rollout undo deploy/web", kRevisionFlags, run_undo},
    {"rollout restart",
     "Restart a resource, pod by pod.",
     "rollout restart RESOURCE",
     "caisson rollout restart deploy/web",
     {},
     run_restart},
    {"rollout pause",
     "Mark a Deployment as paused.",
     "rollout pause RESOURCE",
     "caisson rollout pause deploy/web",
     {},
     run_pause},
    {"rollout resume",
     "Resume a paused Deployment.",
     "rollout resume RESOURCE",
     "caisson rollout resume deploy/web",
     {},
     run_resume},
};

}  // namespace

std::span<const Command> rollout_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
