// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "cluster/kube/resource_usage.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

constexpr std::string_view kRolePrefix = "node-role.kubernetes.io/";

std::string roles_of(const Value& node) {
  std::vector<std::string> roles;
  for (const auto& [key, value] : node["metadata"]["labels"].entries()) {
    if (key.starts_with(kRolePrefix) && key.size() > kRolePrefix.size())
      roles.emplace_back(key.substr(kRolePrefix.size()));
    else if (key == "kubernetes.io/role" && !value.as_string().empty())
      roles.push_back(value.str());
  }
  std::sort(roles.begin(), roles.end());
  return or_none(join(roles, ","));
}

void put_taints(Page& page, const Value& taints) {
  page.put(0, "Taints:");
  if (taints.empty()) return page.put(0, "\t<none>\n");
  std::vector<std::string> texts;
  for (const Value& taint : taints.items()) {
    const std::string value = taint["value"].str(), effect = taint["effect"].str();
    texts.push_back(taint["key"].str() + (value.empty() ? "" : "=" + value) + (effect.empty() ? "" : ":" + effect));
  }
  std::sort(texts.begin(), texts.end());
  for (const std::string& text : texts) page.put(0, "\t" + text + "\n");
}

void put_lease(Page& page, const Value& node, const Related& related) {
  const auto lease =
      related.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + node["metadata"]["name"].str());
  if (!lease.ok())
    return page.field(0, "Lease",
                      "Failed to get lease: " + lease.error().message.substr(lease.error().message.find(": ") + 2));
  page.put(0, "Lease:\n");
  const Value& spec = (*lease)["spec"];
  page.field(1, "HolderIdentity", scalar_or(spec["holderIdentity"], "<unset>"));
  page.field(1, "AcquireTime", spec["acquireTime"].is_null() ? "<unset>" : long_time(spec["acquireTime"]));
  page.field(1, "RenewTime", spec["renewTime"].is_null() ? "<unset>" : long_time(spec["renewTime"]));
}

void put_amounts(Page& page, std::string_view title, const Value& amounts) {
  if (amounts.empty()) return;
  page.put(0, std::string(title) + ":\n");
  for (const std::string& name : sorted_keys(amounts)) page.field(1, name, amounts[name].scalar_text());
}

void put_system(Page& page, const Value& info) {
  static constexpr std::pair<std::string_view, std::string_view> kRows[] = {
      {"Machine ID", "machineID"},
      {"System UUID", "systemUUID"},
      {"Boot ID", "bootID"},
      {"Kernel Version", "kernelVersion"},
      {"OS Image", "osImage"},
      {"Operating System", "operatingSystem"},
      {"Architecture", "architecture"},
      {"Container Runtime Version", "containerRuntimeVersion"},
      {"Kubelet Version", "kubeletVersion"},
      {"Kube-Proxy Version", "kubeProxyVersion"}};
  page.put(0, "System Info:\n");
  for (const auto& [title, key] : kRows) page.field(1, title, info[key].str());
}

std::int64_t percent(const kube::Amount& part, const Value& whole) {
  const std::int64_t all = kube::amount_of(whole).milli;
  return all == 0 ? 0 : static_cast<std::int64_t>(static_cast<double>(part.milli) / static_cast<double>(all) * 100);
}
std::string share(const kube::Amounts& amounts, const char* name, const Value& allocatable) {
  const auto found = amounts.find(name);
  const kube::Amount amount = found == amounts.end() ? kube::Amount{} : found->second;
  return amount.str() + " (" + std::to_string(percent(amount, allocatable[name])) + "%)";
}

void put_pods(Page& page, const Value& node, const Related& related) {
  const std::string selector =
      "spec.nodeName=" + node["metadata"]["name"].str() + ",status.phase!=Failed,status.phase!=Succeeded";
  const std::vector<Value> pods = items_at(related, "/api/v1/pods?fieldSelector=" + percent_encode(selector));
  const Value& allocatable =
      node["status"]["allocatable"].empty() ? node["status"]["capacity"] : node["status"]["allocatable"];
  kube::Amounts requests, limits;
  page.put(0, "Non-terminated Pods:\t(" + std::to_string(pods.size()) + " in total)\n");
  page.put(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
  page.put(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
  for (const Value& pod : pods) {
    const kube::Amounts asked = kube::pod_requests(pod["spec"]), bounded = kube::pod_limits(pod["spec"]);
    kube::add(requests, asked);
    kube::add(limits, bounded);
    page.put(1, pod["metadata"]["namespace"].str() + "\t" + pod["metadata"]["name"].str() + "\t\t" +
                    share(asked, "cpu", allocatable) + "\t" + share(bounded, "cpu", allocatable) + "\t" +
                    share(asked, "memory", allocatable) + "\t" + share(bounded, "memory", allocatable) + "\t" +
                    since(pod["metadata"]["creationTimestamp"], related.now) + "\n");
  }
  page.put(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
  put_table_rule(page, 1, {"Resource", "Requests", "Limits"});
  for (const char* name : {"cpu", "memory", "ephemeral-storage"})
    page.put(1, std::string(name) + "\t" + share(requests, name, allocatable) + "\t" +
                    share(limits, name, allocatable) + "\n");
  for (const std::string& name : sorted_keys(allocatable)) {
    const bool is_standard = name == "cpu" || name == "memory" || name == "ephemeral-storage" || name == "pods";
    if (is_standard || (name.find('/') == std::string::npos && !name.starts_with("hugepages-"))) continue;
    const auto text = [&](const kube::Amounts& amounts) {
      const auto it = amounts.find(name);
      return it == amounts.end() ? std::string("0") : it->second.str();
    };
    page.put(1, name + "\t" + text(requests) + "\t" + text(limits) + "\n");
  }
}

// --- quotas and limits

std::string quantity_or_dash(const Value& value) {
  return value.is_null() ? "-" : value.scalar_text();
}

void put_limit_rows(Page& page, const Value& range, std::string_view indent) {
  for (const Value& item : range["spec"]["limits"].items()) {
    std::map<std::string, bool> names;
    for (const char* key : {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"}) {
      for (const auto& [name, value] : item[key].entries()) names.emplace(name, true);
    }
    for (const auto& [name, unused] : names)
      page.put(0, std::string(indent) + item["type"].str() + "\t" + name + "\t" + quantity_or_dash(item["min"][name]) +
                      "\t" + quantity_or_dash(item["max"][name]) + "\t" +
                      quantity_or_dash(item["defaultRequest"][name]) + "\t" + quantity_or_dash(item["default"][name]) +
                      "\t" + quantity_or_dash(item["maxLimitRequestRatio"][name]) + "\n");
  }
}

std::string_view scope_help(std::string_view scope) {
  if (scope == "Terminating")
    return "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being "
           "actively terminated by the system.";
  if (scope == "NotTerminating")
    return "Matches all pods that do not have an active deadline. These pods usually include long running pods whose "
           "container command is not expected to terminate.";
  if (scope == "BestEffort")
    return "Matches all pods that do not have resource requirements set. These pods have a best effort quality of "
           "service.";
  if (scope == "NotBestEffort")
    return "Matches all pods that have at least one resource requirement set. These pods have a burstable or "
           "guaranteed quality of service.";
  return "";
}

void put_scopes(Page& page, int level, const Value& scopes) {
  if (scopes.empty()) return;
  std::vector<std::string> sorted;
  for (const Value& scope : scopes.items()) sorted.push_back(scope.str());
  std::sort(sorted.begin(), sorted.end());
  page.field(level, "Scopes", join(sorted, ", "));
  for (const std::string& scope : sorted) {
    if (const auto help = scope_help(scope); !help.empty()) page.put(level, " * " + std::string(help) + "\n");
  }
}

void put_quota_rows(Page& page, int level, const Value& quota) {
  const Value &hard = quota["status"]["hard"], &used = quota["status"]["used"];
  for (const std::string& name : sorted_keys(hard))
    page.put(level, name + "\t" + scalar_or(used[name], "0") + "\t" + hard[name].scalar_text() + "\n");
}

void put_namespace_quotas(Page& page, const std::vector<Value>& quotas) {
  if (quotas.empty()) return page.put(0, "\nNo resource quota.\n");
  page.put(0, "\nResource Quotas\n");
  for (const Value& quota : quotas) {
    page.field(1, "Name", quota["metadata"]["name"].str());
    put_scopes(page, 1, quota["spec"]["scopes"]);
    page.put(1, "Resource\tUsed\tHard\n  --------\t---\t---\n");
    put_quota_rows(page, 1, quota);
  }
}

}  // namespace

void describe_node(Page& page, const Value& node, const Related& related) {
  const Value& status = node["status"];
  put_name(page, node, false);
  page.field(0, "Roles", roles_of(node));
  put_metadata(page, node);
  page.field(0, "CreationTimestamp", long_time(node["metadata"]["creationTimestamp"]));
  put_taints(page, node["spec"]["taints"]);
  page.field(0, "Unschedulable", node["spec"]["unschedulable"].as_bool() ? "true" : "false");
  put_lease(page, node, related);
  if (!status["conditions"].empty()) {
    page.put(0, "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n");
    page.put(0, "  ----\t------\t-----------------\t------------------\t------\t-------\n");
    for (const Value& c : status["conditions"].items())
      page.put(1, c["type"].str() + " \t" + c["status"].str() + " \t" + long_time(c["lastHeartbeatTime"]) + " \t" +
                      long_time(c["lastTransitionTime"]) + " \t" + c["reason"].str() + " \t" + c["message"].str() +
                      "\n");
  }
  page.put(0, "Addresses:\n");
  for (const Value& address : status["addresses"].items())
    page.field(1, address["type"].str(), address["address"].str());
  put_amounts(page, "Capacity", status["capacity"]);
  put_amounts(page, "Allocatable", status["allocatable"]);
  put_system(page, status["nodeInfo"]);
  if (!node["spec"]["podCIDR"].as_string().empty()) page.field(0, "PodCIDR", node["spec"]["podCIDR"].str());
  if (!node["spec"]["podCIDRs"].empty()) page.field(0, "PodCIDRs", list_text(node["spec"]["podCIDRs"], ","));
  if (!node["spec"]["providerID"].as_string().empty()) page.field(0, "ProviderID", node["spec"]["providerID"].str());
  put_pods(page, node, related);
  put_events(page, node, related);
}

void describe_namespace(Page& page, const Value& ns, const Related& related) {
  const std::string path = "/api/v1/namespaces/" + ns["metadata"]["name"].str();
  put_name(page, ns, false);
  put_metadata(page, ns);
  page.field(0, "Status", ns["status"]["phase"].str());
  if (!ns["status"]["conditions"].empty()) {
    page.put(0, "Conditions:\n");
    put_table_rule(page, 1, {"Type", "Status", "LastTransitionTime", "Reason", "Message"});
    for (const Value& c : ns["status"]["conditions"].items())
      page.put(1, c["type"].str() + "\t" + c["status"].str() + "\t" + long_time(c["lastTransitionTime"]) + "\t" +
                      c["reason"].str() + "\t" + c["message"].str() + "\n");
  }
  put_namespace_quotas(page, items_at(related, path + "/resourcequotas"));
  const std::vector<Value> ranges = items_at(related, path + "/limitranges");
  if (ranges.empty()) return page.put(0, "\nNo LimitRange resource.\n");
  page.put(0,
           "\nResource Limits\n Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n");
  page.put(0, " ----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n");
  for (const Value& range : ranges) put_limit_rows(page, range, " ");
}

void describe_quota(Page& page, const Value& quota, const Related&) {
  put_name(page, quota, true);
  put_scopes(page, 0, quota["spec"]["scopes"]);
  put_table_rule(page, 0, {"Resource", "Used", "Hard"});
  put_quota_rows(page, 0, quota);
}

void describe_limit_range(Page& page, const Value& range, const Related&) {
  put_name(page, range, true);
  put_table_rule(page, 0,
                 {"Type", "Resource", "Min", "Max", "Default Request", "Default Limit", "Max Limit/Request Ratio"});
  put_limit_rows(page, range, "");
}

void describe_priority_class(Page& page, const Value& priority_class, const Related& related) {
  put_name(page, priority_class, false);
  page.field(0, "Value", priority_class["value"].scalar_text());
  page.field(0, "GlobalDefault", priority_class["globalDefault"].as_bool() ? "true" : "false");
  page.field(0, "PreemptionPolicy", priority_class["preemptionPolicy"].str());
  page.field(0, "Description", priority_class["description"].str());
  page.field(0, "Annotations", labels_text(priority_class["metadata"]["annotations"]));
  put_events(page, priority_class, related);
}

void describe_disruption_budget(Page& page, const Value& budget, const Related& related) {
  const Value &spec = budget["spec"], &status = budget["status"];
  put_name(page, budget, true);
  if (!spec["minAvailable"].is_null())
    page.field(0, "Min available", spec["minAvailable"].scalar_text());
  else if (!spec["maxUnavailable"].is_null())
    page.field(0, "Max unavailable", spec["maxUnavailable"].scalar_text());
  page.field(0, "Selector", spec["selector"].is_null() ? "<unset>" : selector_text(spec["selector"]));
  page.put(0, "Status:\n");
  const auto count = [&](const char* key) { return std::to_string(status[key].as_int()); };
  page.field(2, "Allowed disruptions", count("disruptionsAllowed"));
  page.field(2, "Current", count("currentHealthy"));
  page.field(2, "Desired", count("desiredHealthy"));
  page.field(2, "Total", count("expectedPods"));
  put_events(page, budget, related);
}

}  // namespace caisson::cli::kubectl
