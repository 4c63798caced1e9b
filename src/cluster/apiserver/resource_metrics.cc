// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/resource_metrics.h"

#include "cluster/kube/quantity.h"
#include "core/base/log.h"
#include "core/document/json.h"
#include "core/http/client.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kGroup = "metrics.k8s.io";
constexpr std::string_view kSummary = "http://unix/stats/summary?only_cpu_and_memory=true";
constexpr std::string_view kWindow = "10s";  // over which an agent's rates are (node/cpu_rates.h)
constexpr Duration kAgentTimeMax = std::chrono::seconds(5);
constexpr std::size_t kSummaryBytesMax = 16u << 20;

// "1234567n" and "12Ki"; null when the summary lacks one of both.
Value usage_of(const Value& summary) {
  const Value& cpu = summary["cpu"]["usageNanoCores"];
  const Value& memory = summary["memory"]["workingSetBytes"];
  if (!cpu.is_number() || !memory.is_number()) return {};
  const auto quantity = kube::canonical_quantity(std::to_string(cpu.as_int()) + "n");
  if (!quantity.ok()) return {};
  return Value{{"cpu", *quantity}, {"memory", kube::format_quantity_bytes(memory.as_int())}};
}

Value head(std::string_view kind, const Value& name, const Value& ns, const Value& labels, Time now) {
  Value metadata{{"name", name}};
  if (!ns.is_null()) metadata.set("namespace", ns);
  metadata.set("creationTimestamp", format_time(now));
  if (!labels.empty()) metadata.set("labels", labels);
  return Value{{"kind", kind}, {"apiVersion", "metrics.k8s.io/v1beta1"}, {"metadata", std::move(metadata)}};
}

void set_reading(Value& metrics, const Value& at) {
  metrics.set("timestamp", at);
  metrics.set("window", kWindow);
}

Result<Value> ask(const http::ClientOptions& agent) {
  const http::Client client(agent);
  const http::Response answer = TRY(
      client.send({.url = std::string(kSummary), .time_max = kAgentTimeMax, .response_bytes_max = kSummaryBytesMax}));
  if (answer.status != 200)
    return Error{ErrorCode::unavailable, "the agent answered " + std::to_string(answer.status) + " to /stats/summary"};
  return json::parse(answer.body);
}

// Summaries by node. Several nodes may have one agent, which is asked once.
class Summaries {
 public:
  explicit Summaries(Core& core) : core_(core) {}

  Result<Value> of(const std::string& node) {
    if (!core_.options.node_proxy) return Error{ErrorCode::unavailable, "no agent is connected"};
    const http::ClientOptions agent = TRY(core_.options.node_proxy(node));
    const std::string address = agent.unix_socket + "|" + agent.connect_host + ":" + std::to_string(agent.connect_port);
    auto known = asked_.find(address);
    if (known == asked_.end()) known = asked_.emplace(address, ask(agent)).first;
    const Value summary = TRY(Result<Value>(known->second));
    if (summary["node"]["nodeName"].as_string() != node)
      return Error{ErrorCode::not_found, "nobody measures node " + node};
    return summary;
  }

 private:
  Core& core_;
  std::map<std::string, Result<Value>> asked_;
};

// metrics-server names its objects with the namespace, and itself by the kind.
Error unknown(Request& request) {
  const bool nodes = request.plural == "nodes";
  const std::string name = nodes ? request.name : request.ns + "/" + request.name;
  const std::string resource = nodes ? "nodemetrics" : "podmetrics";
  return request.fail(ErrorCode::not_found, resource + "." + std::string(kGroup) + " \"" + name + "\" not found",
                      Value{{"name", name}, {"group", kGroup}, {"kind", resource}});
}

const Value& summary_of_pod(const Value& summary, const store::Item& pod) {
  static const Value kNone;
  for (const Value& one : summary["pods"].items())
    if (one["podRef"]["name"].as_string() == pod.name() && one["podRef"]["namespace"].as_string() == pod.ns())
      return one;
  return kNone;
}

// The metrics of one Node or Pod; null when nobody measured it. Errors: the agent's.
Result<Value> measured(Core& core, Summaries& summaries, const store::Item& item, bool nodes) {
  const Value object = item.value();
  const std::string node = nodes ? std::string(item.name()) : object["spec"]["nodeName"].str();
  if (node.empty()) return Value();
  const Value summary = TRY(summaries.of(node));
  const Value& labels = object["metadata"]["labels"];
  if (nodes) return node_metrics(summary["node"], labels, core.clock.now());
  return pod_metrics(summary_of_pod(summary, item), labels, core.clock.now());
}

}  // namespace

bool is_resource_metrics(const schema::KindSchema& kind) {
  return !kind.custom && kind.resource.group == kGroup;
}

Value node_metrics(const Value& node_summary, const Value& labels, Time now) {
  const Value usage = usage_of(node_summary);
  if (usage.is_null()) return {};
  Value metrics = head("NodeMetrics", node_summary["nodeName"], {}, labels, now);
  set_reading(metrics, node_summary["cpu"]["time"]);
  metrics.set("usage", usage);
  return metrics;
}

Value pod_metrics(const Value& pod_summary, const Value& labels, Time now) {
  Value containers = Value::list();
  Value at;  // of the oldest reading
  for (const Value& container : pod_summary["containers"].items()) {
    const Value usage = usage_of(container);
    if (usage.is_null()) return {};
    const Value& time = container["cpu"]["time"];
    if (at.is_null() || time.as_string() < at.as_string()) at = time;
    containers.push_back(Value{{"name", container["name"]}, {"usage", usage}});
  }
  if (containers.empty()) return {};
  const Value& ref = pod_summary["podRef"];
  Value metrics = head("PodMetrics", ref["name"], ref["namespace"], labels, now);
  set_reading(metrics, at);
  metrics.set("containers", std::move(containers));
  return metrics;
}

Result<Value> get_resource_metrics(Core& core, Request& request) {
  const bool nodes = request.plural == "nodes";
  const store::ItemPtr item = core.store.get(nodes ? "nodes" : "pods", request.ns, request.name);
  if (!item) return unknown(request);
  Summaries summaries(core);
  const auto metrics = measured(core, summaries, *item, nodes);
  if (!metrics.ok() && metrics.error().code != ErrorCode::not_found)
    return request.fail(ErrorCode::unavailable, metrics.error().message);
  if (!metrics.ok() || metrics->is_null()) return unknown(request);
  return metrics;
}

Result<ItemList> list_resource_metrics(Core& core, Request& request, const ListParameters& parameters) {
  const bool nodes = request.plural == "nodes";
  const store::Listing found = TRY(core.store.list(nodes ? "nodes" : "pods", {.ns = request.ns}));
  Summaries summaries(core);
  ItemList result;
  for (const store::ItemPtr& item : found.items) {
    if (!matches(parameters, *item)) continue;
    const auto metrics = measured(core, summaries, *item, nodes);
    if (!metrics.ok()) log::debug("no metrics", {{"of", item->path()}, {"error", metrics.error()}});
    if (!metrics.ok() || metrics->is_null()) continue;
    result.items.push_back(std::make_shared<store::Item>(
        store::Key{request.storage_resource(), std::string(item->ns()), std::string(item->name())}, 0,
        json::write(*metrics), *metrics));
  }
  return result;
}

}  // namespace caisson::apiserver
