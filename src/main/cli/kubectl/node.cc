// SPDX-License-Identifier: Apache-2.0
// cordon, uncordon, drain, top.
#include <algorithm>
#include <cstdio>
#include <thread>

#include "cluster/kube/resource_usage.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kDrainFlags[] = {{"force", FlagKind::boolean}, {"ignore-daemonsets", FlagKind::boolean},
                                    {"delete-emptydir-data", FlagKind::boolean}, {"grace-period", FlagKind::text},
                                    {"timeout", FlagKind::text}, {"pod-selector", FlagKind::text},
                                    {"disable-eviction", FlagKind::boolean}};
constexpr FlagSpec kTopFlags[] = {{"containers", FlagKind::boolean}, {"sort-by", FlagKind::text},
                                  {"no-headers", FlagKind::boolean}, {"sum", FlagKind::boolean}};
constexpr std::chrono::milliseconds kPoll(200);

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
  Value body{{"apiVersion", "policy/v1"}, {"kind", "Eviction"},
             {"metadata", Value{{"name", metadata["name"]}, {"namespace", metadata["namespace"]}}}};
  if (const auto grace = parse_int(call.text("grace-period")); grace && *grace >= 0)
    body.set("deleteOptions", Value{{"gracePeriodSeconds", *grace}});
  for (;;) {
    const auto sent = call.is_set("disable-eviction") ? send(call, "DELETE", path, {}) : send(call, "POST", path + "/eviction", body);
    if (sent.ok()) break;
    if (sent.error().code == ErrorCode::not_found) return {};
    if (sent.error().message.find("(TooManyRequests)") == std::string::npos) return sent.error();
    std::fprintf(stderr, "error when evicting pods/\"%s\" -n \"%s\" (will retry after 5s): %s\n", metadata["name"].str().c_str(),
                 metadata["namespace"].str().c_str(), sent.error().message.substr(sent.error().message.find(": ") + 2).c_str());
    if (system_clock().now() + std::chrono::seconds(5) > end)
      return usage("error when evicting pods/\"" + metadata["name"].str() + "\" -n \"" + metadata["namespace"].str() + "\": global timeout reached");
    std::this_thread::sleep_for(std::chrono::seconds(5));
  }
  for (;;) {
    const auto now = get(call, path);
    if (!now.ok() && now.error().code != ErrorCode::not_found) return now.error();
    if (!now.ok() || (*now)["metadata"]["uid"] != metadata["uid"]) break;
    if (system_clock().now() > end) return usage("error when waiting for pod \"" + metadata["name"].str() + "\" in namespace \"" + metadata["namespace"].str() + "\" to terminate: global timeout reached");
    std::this_thread::sleep_for(kPoll);
  }
  std::printf("pod/%s evicted\n", metadata["name"].str().c_str());
  return {};
}

Result<void> drain(Call& call, const Target& node, Time end) {
  std::string query = "?fieldSelector=" + percent_encode("spec.nodeName=" + node.name);
  if (const std::string selector = call.text("pod-selector"); !selector.empty()) query += "&labelSelector=" + percent_encode(selector);
  const Value pods = TRY(get(call, "/api/v1/pods" + query));
  const DrainPlan plan = plan_drain(call, pods["items"]);
  if (!plan.errors.empty()) {
    const std::string all = plan.errors.size() == 1 ? plan.errors[0] : "[" + join(plan.errors, ", ") + "]";
    return usage("unable to drain node \"" + node.name + "\" due to error: " + all + ", continuing command...\nThere are pending nodes to be drained:\n " +
                 node.name + "\n" + join(plan.errors, "\n"));
  }
  for (const std::string& warning : plan.warnings) std::fprintf(stderr, "Warning: %s\n", warning.c_str());
  if (!call.dry_run().empty()) {
    for (const Value& pod : plan.evicted) std::printf("evicting pod %s (%s dry run)\n", key(pod).c_str(), call.dry_run().c_str());
  } else {
    for (const Value& pod : plan.evicted) TRY(evict(call, pod, end));
  }
  return print_result(call, node, node.object, "drained");
}

Result<int> run_drain(Call& call) {
  const std::vector<Target> targets = TRY(nodes(call));
  Time end = Time::max();
  if (call.flags.has("timeout")) {
    const Duration time = TRY(parse_duration(call.text("timeout")));
    if (time > Duration(0)) end = system_clock().now() + time;
  }
  for (const Target& node : targets) {
    TRY(set_unschedulable(call, node, true));
    TRY(drain(call, node, end));
  }
  return 0;
}

// --- top

struct Used {
  std::vector<std::string> cells;  // before the amounts
  std::int64_t cpu_milli = 0, memory_bytes = 0;
};
std::int64_t milli(const Value& quantity) {
  return kube::amount_of(quantity).milli;
}
void sort_used(const Call& call, std::vector<Used>& rows) {
  const std::string by = call.text("sort-by");
  std::sort(rows.begin(), rows.end(), [&](const Used& a, const Used& b) {
    if (by == "cpu" && a.cpu_milli != b.cpu_milli) return a.cpu_milli > b.cpu_milli;
    if (by == "memory" && a.memory_bytes != b.memory_bytes) return a.memory_bytes > b.memory_bytes;
    return a.cells < b.cells;
  });
}
std::string cpu_text(std::int64_t cpu_milli) { return std::to_string(cpu_milli) + "m"; }
std::string memory_text(std::int64_t bytes) { return std::to_string(bytes >> 20) + "Mi"; }

Result<Value> metrics(Call& call, const std::string& path) {
  const auto got = get(call, "/apis/metrics.k8s.io/v1beta1" + path);
  if (!got.ok() && got.error().code == ErrorCode::not_found && got.error().message.find("could not find") != std::string::npos)
    return usage("Metrics API not available");
  return got;
}

Result<int> run_top_pod(Call& call) {
  const bool containers = call.is_set("containers"), everywhere = call.all_namespaces();
  std::string path = everywhere ? "/pods" : "/namespaces/" + call.session.ns + "/pods";
  if (!call.arguments.empty()) path += "/" + call.arguments[0];
  if (call.flags.has("selector")) path += "?labelSelector=" + percent_encode(call.text("selector"));
  const Value answer = TRY(metrics(call, path));
  const Value list = answer["items"].is_list() ? answer["items"] : Value(std::vector<Value>{answer});
  std::vector<Used> rows;
  for (const Value& pod : list.items()) {
    Used sum;
    if (everywhere) sum.cells.push_back(pod["metadata"]["namespace"].str());
    sum.cells.push_back(pod["metadata"]["name"].str());
    for (const Value& container : pod["containers"].items()) {
      const std::int64_t cpu = milli(container["usage"]["cpu"]), memory = milli(container["usage"]["memory"]) / 1000;
      sum.cpu_milli += cpu;
      sum.memory_bytes += memory;
      if (!containers) continue;
      Used one{sum.cells, cpu, memory};
      one.cells.push_back(container["name"].str());
      rows.push_back(std::move(one));
    }
    if (!containers) rows.push_back(std::move(sum));
  }
  if (rows.empty()) {
    std::fprintf(stderr, "No resources found%s\n", everywhere ? "" : (" in " + call.session.ns + " namespace.").c_str());
    return 0;
  }
  sort_used(call, rows);
  std::vector<std::vector<std::string>> table;
  if (!call.is_set("no-headers")) {
    table.emplace_back();
    if (everywhere) table[0].push_back("NAMESPACE");
    table[0].push_back(containers ? "POD" : "NAME");
    if (containers) table[0].push_back("NAME");
    for (const char* name : {"CPU(cores)", "MEMORY(bytes)"}) table[0].push_back(name);
  }
  for (Used& row : rows) {
    row.cells.push_back(cpu_text(row.cpu_milli));
    row.cells.push_back(memory_text(row.memory_bytes));
    table.push_back(std::move(row.cells));
  }
  print_columns(table);
  return 0;
}

Result<int> run_top_node(Call& call) {
  const Value answer = TRY(metrics(call, "/nodes" + (call.arguments.empty() ? "" : "/" + call.arguments[0])));
  const Value list = answer["items"].is_list() ? answer["items"] : Value(std::vector<Value>{answer});
  std::vector<Used> rows;
  for (const Value& node : list.items())
    rows.push_back({{node["metadata"]["name"].str()}, milli(node["usage"]["cpu"]), milli(node["usage"]["memory"]) / 1000});
  sort_used(call, rows);
  std::vector<std::vector<std::string>> table;
  if (!call.is_set("no-headers")) table.push_back({"NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"});
  for (const Used& row : rows) {
    const Value node = TRY(get(call, schema::kNodes.path("", row.cells[0])));
    const Value& allocatable = node["status"]["allocatable"];
    const std::int64_t cpu = milli(allocatable["cpu"]), memory = milli(allocatable["memory"]) / 1000;
    table.push_back({row.cells[0], cpu_text(row.cpu_milli), cpu > 0 ? std::to_string(row.cpu_milli * 100 / cpu) + "%" : "<unknown>",
                     memory_text(row.memory_bytes), memory > 0 ? std::to_string(row.memory_bytes * 100 / memory) + "%" : "<unknown>"});
  }
  print_columns(table);
  return 0;
}

constexpr Command kCommands[] = {
    {"cordon", "Mark a node as unschedulable.", "cordon NODE", "caisson cordon node-1", {}, run_cordon},
    {"uncordon", "Mark a node as schedulable.", "uncordon NODE", "caisson uncordon node-1", {}, run_uncordon},
    {"drain", "Evict the pods of a node in preparation for maintenance.", "drain NODE", "caisson drain node-1 --ignore-daemonsets", kDrainFlags, run_drain},
    {"top pods", "Show what pods use.", "top pods [NAME | -l LABEL]", "caisson top pods -A --sort-by=memory", kTopFlags, run_top_pod},
    {"top pod", "Show what pods use.", "top pod [NAME | -l LABEL]", "caisson top pod -A --sort-by=memory", kTopFlags, run_top_pod},
    {"top nodes", "Show what nodes use.", "top nodes [NAME]", "caisson top nodes", kTopFlags, run_top_node},
    {"top node", "Show what nodes use.", "top node [NAME]", "caisson top node", kTopFlags, run_top_node},
};

}  // namespace

std::span<const Command> node_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
