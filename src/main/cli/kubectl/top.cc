// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/top.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "cluster/kube/resource_usage.h"
#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::cli::kubectl {
namespace {

struct Used {
  std::vector<std::string> cells;  // before the amounts
  std::int64_t cpu_milli = 0, memory_bytes = 0;
  bool known = true;
};

std::int64_t milli(const Value& quantity) {
  return kube::amount_of(quantity).milli;
}

Used usage_of(const Value& usage) {
  return {{}, milli(usage["cpu"]), milli(usage["memory"]) / 1000};
}

void sort_used(const std::string& by, std::vector<Used>& rows) {
  std::sort(rows.begin(), rows.end(), [&](const Used& a, const Used& b) {
    if (by == "cpu" && a.cpu_milli != b.cpu_milli) return a.cpu_milli > b.cpu_milli;
    if (by == "memory" && a.memory_bytes != b.memory_bytes) return a.memory_bytes > b.memory_bytes;
    return a.cells < b.cells;
  });
}

std::string cpu_text(const Used& used) {
  return std::to_string(used.cpu_milli) + "m";
}
std::string memory_text(const Used& used) {
  return std::to_string(used.memory_bytes >> 20) + "Mi";
}

Result<std::string> order(const Call& call) {
  const std::string by = call.text("sort-by");
  if (by.empty() || by == "cpu" || by == "memory") return by;
  return usage("--sort-by accepts only cpu or memory");
}

std::string selected(const Call& call) {
  return call.flags.has("selector") ? "?labelSelector=" + percent_encode(call.text("selector")) : "";
}

// The items of a list, or the one that was named.
Result<std::vector<Value>> metrics(const Call& call, const std::string& path) {
  const auto got = get(call, "/apis/metrics.k8s.io/v1beta1" + path);
  if (!got.ok() && got.error().code == ErrorCode::not_found &&
      got.error().message.find("could not find") != std::string::npos)
    return usage("Metrics API not available");
  if (!got.ok()) return got.error();
  if (!(*got)["items"].is_list()) return std::vector<Value>{*got};
  return std::vector<Value>((*got)["items"].items().begin(), (*got)["items"].items().end());
}

std::vector<Used> rows_of_pod(const Value& pod, bool everywhere, bool containers) {
  std::vector<std::string> head;
  if (everywhere) head.push_back(pod["metadata"]["namespace"].str());
  head.push_back(pod["metadata"]["name"].str());
  std::vector<Used> out;
  Used sum{head};
  for (const Value& container : pod["containers"].items()) {
    Used one = usage_of(container["usage"]);
    sum.cpu_milli += one.cpu_milli;
    sum.memory_bytes += one.memory_bytes;
    one.cells = head;
    one.cells.push_back(container["name"].str());
    if (containers) out.push_back(std::move(one));
  }
  if (!containers) out.push_back(std::move(sum));
  return out;
}

std::vector<std::string> row_of(const Used& used) {
  std::vector<std::string> out = used.cells;
  out.push_back(cpu_text(used));
  out.push_back(memory_text(used));
  return out;
}

}  // namespace

Result<int> run_top_pods(Call& call) {
  const std::string by = TRY(order(call));
  const bool containers = call.is_set("containers"), everywhere = call.all_namespaces();
  if (call.arguments.size() > 1) return usage("only one pod can be named");
  if (!call.arguments.empty() && call.flags.has("selector"))
    return usage("only one of NAME or --selector can be provided");
  const std::string ns = everywhere ? "" : "/namespaces/" + call.session.ns;
  const std::string query =
      selected(call) + (call.flags.has("field-selector")
                            ? (call.flags.has("selector") ? "&" : "?") + std::string("fieldSelector=") +
                                  percent_encode(call.text("field-selector"))
                            : "");
  std::vector<Used> rows;
  for (const Value& pod :
       TRY(metrics(call, ns + "/pods" + (call.arguments.empty() ? query : "/" + call.arguments[0])))) {
    for (Used& row : rows_of_pod(pod, everywhere, containers)) rows.push_back(std::move(row));
  }
  if (rows.empty()) {
    std::fprintf(stderr, "No resources found%s\n",
                 everywhere ? "" : (" in " + call.session.ns + " namespace.").c_str());
    return 0;
  }
  sort_used(by, rows);
  std::vector<std::vector<std::string>> table;
  if (!call.is_set("no-headers")) {
    table.emplace_back();
    if (everywhere) table[0].push_back("NAMESPACE");
    table[0].push_back(containers ? "POD" : "NAME");
    if (containers) table[0].push_back("NAME");
    for (const char* name : {"CPU(cores)", "MEMORY(bytes)"}) table[0].push_back(name);
  }
  Used sum{std::vector<std::string>(rows[0].cells.size())};
  for (const Used& row : rows) {
    sum.cpu_milli += row.cpu_milli;
    sum.memory_bytes += row.memory_bytes;
    table.push_back(row_of(row));
  }
  if (call.is_set("sum")) {
    std::vector<std::string> rule(sum.cells.size());
    rule.insert(rule.end(), {"________", "________"});
    table.push_back(std::move(rule));
    table.push_back(row_of(sum));
  }
  print_columns(table);
  return 0;
}

Result<int> run_top_nodes(Call& call) {
  const std::string by = TRY(order(call));
  const std::string one = call.arguments.empty() ? "" : "/" + call.arguments[0];
  if (!one.empty() && call.flags.has("selector")) return usage("only one of NAME or --selector can be provided");
  const std::vector<Value> readings = TRY(metrics(call, "/nodes" + one + selected(call)));
  const Value listed =
      TRY(get(call, schema::kNodes.path("", call.arguments.empty() ? "" : call.arguments[0]) + selected(call)));
  std::map<std::string, Value> nodes;
  if (listed["items"].is_list()) {
    for (const Value& node : listed["items"].items()) nodes[node["metadata"]["name"].str()] = node;
  } else {
    nodes[listed["metadata"]["name"].str()] = listed;
  }
  std::vector<Used> rows;
  for (const Value& reading : readings) {
    rows.push_back(usage_of(reading["usage"]));
    rows.back().cells = {reading["metadata"]["name"].str()};
  }
  sort_used(by, rows);
  for (const auto& [name, node] : nodes) {  // there, but not measured yet
    if (std::none_of(rows.begin(), rows.end(), [&n = name](const Used& row) { return row.cells[0] == n; }))
      rows.push_back({{name}, 0, 0, false});
  }
  std::vector<std::vector<std::string>> table;
  if (!call.is_set("no-headers")) table.push_back({"NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"});
  for (const Used& row : rows) {
    const std::string unknown = "<unknown>";
    const Value& of = nodes[row.cells[0]]["status"][call.is_set("show-capacity") ? "capacity" : "allocatable"];
    const std::int64_t cpu = milli(of["cpu"]), memory = milli(of["memory"]) / 1000;
    if (!row.known) {
      table.push_back({row.cells[0], unknown, unknown, unknown, unknown});
      continue;
    }
    table.push_back({row.cells[0], cpu_text(row), cpu > 0 ? std::to_string(row.cpu_milli * 100 / cpu) + "%" : unknown,
                     memory_text(row), memory > 0 ? std::to_string(row.memory_bytes * 100 / memory) + "%" : unknown});
  }
  print_columns(table);
  return 0;
}

}  // namespace caisson::cli::kubectl
