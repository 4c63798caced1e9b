// SPDX-License-Identifier: Apache-2.0
// cordon, uncordon, drain.
#include <algorithm>
#include <cstdio>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "main/cli/kubectl/top.h"
#include "main/cli/kubectl/watch.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kDrainFlags[] = {{"force", FlagKind::boolean},
                                    {"ignore-daemonsets", FlagKind::boolean},
                                    {"delete-emptydir-data", FlagKind::boolean},
                                    {"grace-period", FlagKind::text},
                                    {"timeout", FlagKind::text},
                                    {"pod-selector", FlagKind::text},
                                    {"disable-eviction", FlagKind::boolean}};

Result<std::vector<Target>> nodes(Call& call) {
  std::vector<std::string> words = call.arguments;
  if (words.empty() && !call.flags.has("selector")) return usage("You must specify a node name or a label selector");
  if (words.empty() || (words[0] != "node" && words[0] != "nodes" && words[0].find('/') == std::string::npos))
    words.insert(words.begin(), "nodes");
  return read_targets(call, words);
}

Result<void> set_unschedulable(Call& call, const Target& node, bool wanted) {
  const char* done = wanted ? "cordoned" : "uncordoned";
  if (node.object["spec"]["unschedulable"].as_bool() == wanted)
    return print_result(call, node, node.object, std::string("already ") + done);
  const Value body{{"spec", Value{{"unschedulable", wanted ? Value(true) : Value()}}}};
  const Value after = TRY(patch(call, node, body, kMergePatch, document::merge_patch(node.object, body)));
  return print_result(call, node, after, done);
}

Result<int> run_cordon(Call& call) {
  for (const Target& node : TRY(nodes(call))) TRY(set_unschedulable(call, node, true));
  return 0;
}
Result<int> run_uncordon(Call& call) {
  for (const Target& node : TRY(nodes(call))) TRY(set_unschedulable(call, node, false));
  return 0;
}

// --- drain

bool has_local_data(const Value& pod) {
  for (const Value& volume : pod["spec"]["volumes"].items()) {
    if (!volume["emptyDir"].is_null()) return true;
  }
  return false;
}
std::string controller_kind(const Value& pod) {
  for (const Value& owner : pod["metadata"]["ownerReferences"].items()) {
    if (owner["controller"].as_bool()) return owner["kind"].str();
  }
  return "";
}
std::string key(const Value& pod) {
  return pod["metadata"]["namespace"].str() + "/" + pod["metadata"]["name"].str();
}

// What a drain does with the pods of a node, in kubectl's words.
struct DrainPlan {
  std::vector<Value> evicted;
  std::vector<std::string> errors, warnings;
};
DrainPlan plan_drain(const Call& call, const Value& pods) {
  DrainPlan out;
  std::vector<std::string> unowned, daemons, local, ignored, forced, lost;
  for (const Value& pod : pods.items()) {
    const std::string phase = pod["status"]["phase"].str(), owner = controller_kind(pod);
    const bool over = phase == "Succeeded" || phase == "Failed";
    if (!pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null()) continue;
    if (owner == "DaemonSet" && !over) {
      (call.is_set("ignore-daemonsets") ? ignored : daemons).push_back(key(pod));
      continue;
    }
    bool goes = true;
    if (!over && has_local_data(pod)) {
      (call.is_set("delete-emptydir-data") ? lost : local).push_back(key(pod));
      goes = call.is_set("delete-emptydir-data");
    }
    if (!over && owner.empty()) {
      (call.is_set("force") ? forced : unowned).push_back(key(pod));
      goes = goes && call.is_set("force");
    }
    if (goes) out.evicted.push_back(pod);
  }
  const auto refuse = [&](const std::vector<std::string>& keys, const char* why) {
    if (!keys.empty()) out.errors.push_back(std::string(why) + ": " + join(keys, ", "));
  };
  refuse(daemons, "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)");
  refuse(local, "cannot delete Pods with local storage (use --delete-emptydir-data to override)");
  refuse(unowned, "cannot delete Pods that declare no controller (use --force to override)");
  if (!ignored.empty()) out.warnings.push_back("ignoring DaemonSet-managed Pods: " + join(ignored, ", "));
  if (!forced.empty()) out.warnings.push_back("deleting Pods that declare no controller: " + join(forced, ", "));
  return out;
}

Result<void> evict(const Call& call, const Value& pod, Time end) {
  const Value& metadata = pod["metadata"];
  const std::string path = schema::kPods.path(metadata["namespace"].as_string(), metadata["name"].as_string());
  std::printf("evicting pod %s\n", key(pod).c_str());
  Value body{{"apiVersion", "policy/v1"},
             {"kind", "Eviction"},
             {"metadata", Value{{"name", metadata["name"]}, {"namespace", metadata["namespace"]}}}};
  if (const auto grace = parse_int(call.text("grace-period")); grace && *grace >= 0)
    body.set("deleteOptions", Value{{"gracePeriodSeconds", *grace}});
  for (;;) {
    const auto sent =
        call.is_set("disable-eviction") ? send(call, "DELETE", path, {}) : send(call, "POST", path + "/eviction", body);
    if (sent.ok()) break;
    if (sent.error().code == ErrorCode::not_found) return {};
    if (sent.error().message.find("(TooManyRequests)") == std::string::npos) return sent.error();
    std::fprintf(stderr, "error when evicting pods/\"%s\" -n \"%s\" (will retry after 5s): %s\n",
                 metadata["name"].str().c_str(), metadata["namespace"].str().c_str(),
                 sent.error().message.substr(sent.error().message.find(": ") + 2).c_str());
    if (system_clock().now() + std::chrono::seconds(5) > end)
      return usage("error when evicting pods/\"" + metadata["name"].str() + "\" -n \"" + metadata["namespace"].str() +
                   "\": global timeout reached");
    std::this_thread::sleep_for(std::chrono::seconds(5));
  }
  const auto gone = follow(call, schema::kPods, metadata["namespace"].str(), metadata["name"].str(), end,
                           [&](const Value* object) -> Result<bool> {
                             return object == nullptr || (*object)["metadata"]["uid"] != metadata["uid"];
                           });
  if (!gone.ok() && gone.error().code == ErrorCode::timeout)
    return usage("error when waiting for pod \"" + metadata["name"].str() + "\" in namespace \"" +
                 metadata["namespace"].str() + "\" to terminate: global timeout reached");
  if (!gone.ok()) return gone.error();
  std::printf("pod/%s evicted\n", metadata["name"].str().c_str());
  return {};
}

Result<void> drain(Call& call, const Target& node, Time end) {
  std::string query = "?fieldSelector=" + percent_encode("spec.nodeName=" + node.name);
  if (const std::string selector = call.text("pod-selector"); !selector.empty())
    query += "&labelSelector=" + percent_encode(selector);
  const Value pods = TRY(get(call, "/api/v1/pods" + query));
  const DrainPlan plan = plan_drain(call, pods["items"]);
  if (!plan.errors.empty()) {
    const std::string all = plan.errors.size() == 1 ? plan.errors[0] : "[" + join(plan.errors, ", ") + "]";
    return usage("unable to drain node \"" + node.name + "\" due to error: " + all +
                 ", continuing command...\nThere are pending nodes to be drained:\n " + node.name + "\n" +
                 join(plan.errors, "\n"));
  }
  for (const std::string& warning : plan.warnings) std::fprintf(stderr, "Warning: %s\n", warning.c_str());
  if (!call.dry_run().empty()) {
    for (const Value& pod : plan.evicted)
      std::printf("evicting pod %s (%s dry run)\n", key(pod).c_str(), call.dry_run().c_str());
  } else {
    for (const Value& pod : plan.evicted) TRY(evict(call, pod, end));
  }
  return print_result(call, node, node.object, "drained");
}

Result<int> run_drain(Call& call) {
  const std::vector<Target> targets = TRY(nodes(call));
  const Time end = TRY(end_of_wait(call, "0"));
  for (const Target& node : targets) {
    TRY(set_unschedulable(call, node, true));
    TRY(drain(call, node, end));
  }
  return 0;
}

constexpr Command kCommands[] = {
    {"top pods", "Show what pods use.", "top pods [NAME | -l LABEL] [--containers] [--sum]",
     "caisson top pods -A --sort-by=memory", kTopFlags, run_top_pods},
    {"top pod", "Show what pods use.", "top pod [NAME | -l LABEL] [--containers] [--sum]",
     "caisson top pod -A --sort-by=memory", kTopFlags, run_top_pods},
    {"top po", "Show what pods use.", "top po [NAME | -l LABEL] [--containers] [--sum]",
     "caisson top po -A --sort-by=memory", kTopFlags, run_top_pods},
    {"top nodes", "Show what nodes use.", "top nodes [NAME | -l LABEL]", "caisson top nodes", kTopFlags, run_top_nodes},
    {"top node", "Show what nodes use.", "top node [NAME | -l LABEL]", "caisson top node", kTopFlags, run_top_nodes},
    {"top no", "Show what nodes use.", "top no [NAME | -l LABEL]", "caisson top no", kTopFlags, run_top_nodes},
    {"cordon", "Mark a node as unschedulable.", "cordon NODE", "caisson cordon node-1", {}, run_cordon},
    {"uncordon", "Mark a node as schedulable.", "uncordon NODE", "caisson uncordon node-1", {}, run_uncordon},
    {"drain", "Evict the pods of a node in preparation for maintenance.", "drain NODE",
     "caisson drain node-1 --ignore-daemonsets", kDrainFlags, run_drain},
};

}  // namespace

std::span<const Command> node_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
