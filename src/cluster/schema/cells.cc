// SPDX-License-Identifier: Apache-2.0
// Follows pkg/printers/internalversion/printers.go of Kubernetes 1.33, printer by printer.
#include "cluster/schema/cells.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Printer = std::function<Value(const Value& object, Time now, std::string_view argument)>;

std::string joined(const std::vector<std::string>& parts) {
  return join(parts, ",");
}

std::string pairs(const Value& labels) {
  std::vector<std::string> out;
  for (const auto& [key, value] : labels.entries()) out.push_back(std::string(key) + "=" + value.str());
  std::sort(out.begin(), out.end());
  return out.empty() ? "<none>" : joined(out);
}

// As Go prints a quantity that is not there.
std::string zero_if_absent(const Value& quantity) {
  return quantity.is_null() ? "0" : quantity.scalar_text();
}

std::string selector_text(const Value& selector) {
  std::vector<std::string> out;
  for (const auto& [key, value] : selector["matchLabels"].entries())
    out.push_back(std::string(key) + "=" + value.str());
  std::sort(out.begin(), out.end());
  std::vector<std::pair<std::string, std::string>> terms;  // by key, as requirements are sorted
  for (const Value& term : selector["matchExpressions"].items()) {
    const std::string key = term["key"].str();
    const std::string_view op = term["operator"].as_string();
    if (op == "Exists") terms.emplace_back(key, key);
    if (op == "DoesNotExist") terms.emplace_back(key, "!" + key);
    if (op != "In" && op != "NotIn") continue;
    std::vector<std::string> values;
    for (const Value& value : term["values"].items()) values.push_back(value.str());
    std::sort(values.begin(), values.end());
    terms.emplace_back(key, key + (op == "In" ? " in (" : " notin (") + joined(values) + ")");
  }
  std::stable_sort(terms.begin(), terms.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [key, text] : terms) out.push_back(std::move(text));
  return out.empty() ? "<none>" : joined(out);
}

std::string of_containers(const Value& pod_spec, std::string_view member) {
  std::vector<std::string> out;
  for (const Value& container : pod_spec["containers"].items()) out.push_back(container[member].str());
  return joined(out);
}

// "a,b,c + 2 more..."
std::string first_three(const std::vector<std::string>& list, std::string_view none) {
  if (list.empty()) return std::string(none);
  std::vector<std::string> head(list.begin(), list.begin() + std::min<std::size_t>(3, list.size()));
  return joined(head) + (list.size() > 3 ? " + " + std::to_string(list.size() - 3) + " more..." : "");
}

std::string service_external(const Value& service) {
  const Value& spec = service["spec"];
  std::vector<std::string> ips;
  for (const Value& ip : spec["externalIPs"].items()) ips.push_back(ip.str());
  const std::string_view type = spec["type"].as_string();
  if (type == "ExternalName") return spec["externalName"].str();
  if (type == "LoadBalancer") {
    std::set<std::string> balancers;
    for (const Value& entry : service["status"]["loadBalancer"]["ingress"].items()) {
      balancers.insert(entry["ip"].as_string().empty() ? entry["hostname"].str() : entry["ip"].str());
    }
    std::vector<std::string> all(balancers.begin(), balancers.end());
    all.insert(all.end(), ips.begin(), ips.end());
    return all.empty() ? "<pending>" : joined(all);
  }
  return ips.empty() ? "<none>" : joined(ips);
}

std::string service_ports(const Value& service) {
  std::vector<std::string> out;
  for (const Value& port : service["spec"]["ports"].items()) {
    std::string text = port["port"].scalar_text();
    if (port["nodePort"].as_int() > 0) text += ":" + port["nodePort"].scalar_text();
    out.push_back(text + "/" + port["protocol"].str());
  }
  return out.empty() ? "<none>" : joined(out);
}

std::string endpoints_text(const Value& endpoints) {
  std::vector<std::string> list;
  std::size_t count = 0;
  for (const Value& subset : endpoints["subsets"].items()) {
    if (subset["ports"].empty()) {
      for (const Value& address : subset["addresses"].items()) {
        if (++count <= 3) list.push_back(address["ip"].str());
      }
    }
    for (const Value& port : subset["ports"].items()) {
      for (const Value& address : subset["addresses"].items()) {
        const std::string ip = address["ip"].str();
        const bool v6 = ip.find(':') != std::string::npos;
        if (++count <= 3) list.push_back((v6 ? "[" + ip + "]" : ip) + ":" + port["port"].scalar_text());
      }
    }
  }
  std::string out = joined(list);
  if (count > 3) out += " + " + std::to_string(count - 3) + " more...";
  return out.empty() ? "<none>" : out;
}

std::string ingress_hosts(const Value& ingress) {
  std::vector<std::string> hosts;
  for (const Value& rule : ingress["spec"]["rules"].items()) {
    if (!rule["host"].as_string().empty()) hosts.push_back(rule["host"].str());
  }
  return first_three(hosts, "*");
}

std::string load_balancer(const Value& object) {
  std::vector<std::string> out;
  for (const Value& entry : object["status"]["loadBalancer"]["ingress"].items()) {
    const std::string text = entry["ip"].as_string().empty() ? entry["hostname"].str() : entry["ip"].str();
    if (!text.empty()) out.push_back(text);
  }
  return joined(out);
}

std::string node_status(const Value& node) {
  std::string out;
  for (const Value& condition : node["status"]["conditions"].items()) {
    if (condition["type"].as_string() != "Ready") continue;
    out = condition["status"].as_string() == "True" ? "Ready" : "NotReady";
  }
  if (out.empty()) out = "Unknown";
  if (node["spec"]["unschedulable"].as_bool()) out += ",SchedulingDisabled";
  return out;
}

std::string node_roles(const Value& node) {
  std::set<std::string> roles;
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  for (const auto& [key, value] : node["metadata"]["labels"].entries()) {
    if (key.starts_with(kPrefix) && key.size() > kPrefix.size()) roles.insert(std::string(key.substr(kPrefix.size())));
    if (key == "kubernetes.io/role" && !value.as_string().empty()) roles.insert(value.str());
  }
  return roles.empty() ? "<none>" : joined({roles.begin(), roles.end()});
}

std::string node_address(const Value& node, std::string_view type) {
  for (const Value& address : node["status"]["addresses"].items()) {
    if (address["type"].as_string() == type) return address["address"].str();
  }
  return "<none>";
}

std::string job_status(const Value& job) {
  for (std::string_view type : {"Complete", "Failed"}) {
    for (const Value& condition : job["status"]["conditions"].items()) {
      if (condition["type"].as_string() == type && condition["status"].as_string() == "True") return std::string(type);
    }
  }
  if (!job["metadata"]["deletionTimestamp"].is_null()) return "Terminating";
  for (std::string_view type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"}) {
    for (const Value& condition : job["status"]["conditions"].items()) {
      if (condition["type"].as_string() == type && condition["status"].as_string() == "True") return std::string(type);
    }
  }
  return "Running";
}

std::string job_completions(const Value& job) {
  const std::string done = std::to_string(job["status"]["succeeded"].as_int());
  if (!job["spec"]["completions"].is_null()) return done + "/" + job["spec"]["completions"].scalar_text();
  const std::int64_t parallel = job["spec"]["parallelism"].as_int();
  return parallel > 1 ? done + "/1 of " + std::to_string(parallel) : done + "/1";
}

std::string job_duration(const Value& job, Time now) {
  const auto start = parse_time(job["status"]["startTime"].as_string());
  if (!start) return "";
  const auto end = parse_time(job["status"]["completionTime"].as_string());
  return format_age((end ? *end : now) - *start);
}

std::string event_source(const Value& event) {
  std::string component = event["source"]["component"].str(), host = event["source"]["host"].str();
  if (component.empty()) component = event["reportingComponent"].str();
  if (component.empty()) component = event["deprecatedSource"]["component"].str();
  if (component.empty()) component = event["reportingController"].str();
  if (host.empty()) host = event["deprecatedSource"]["host"].str();
  if (host.empty()) host = event["reportingInstance"].str();
  return host.empty() ? component : component + ", " + host;
}

const Value& either(const Value& event, std::string_view core, std::string_view events) {
  const Value& first = event[core];
  return first.is_null() ? event[events] : first;
}

std::string event_last(const Value& event, Time now) {
  const std::string first = age_cell(
      event["eventTime"].is_null() ? either(event, "firstTimestamp", "deprecatedFirstTimestamp") : event["eventTime"],
      now);
  if (event["series"].is_map()) return age_cell(event["series"]["lastObservedTime"], now);
  const Value& last = either(event, "lastTimestamp", "deprecatedLastTimestamp");
  return last.is_null() ? first : age_cell(last, now);
}

std::string event_object(const Value& event) {
  const Value& about = either(event, "involvedObject", "regarding");
  const std::string kind = to_lower(about["kind"].as_string());
  return kind.empty() ? about["name"].str() : kind + "/" + about["name"].str();
}

std::string access_modes(const Value& modes) {
  std::vector<std::string> out;
  for (const auto& [name, letters] : {std::pair<std::string_view, std::string_view>{"ReadWriteOnce", "RWO"},
                                      {"ReadOnlyMany", "ROX"},
                                      {"ReadWriteMany", "RWX"},
                                      {"ReadWriteOncePod", "RWOP"}}) {
    for (const Value& mode : modes.items()) {
      if (mode.as_string() == name) {
        out.emplace_back(letters);
        break;
      }
    }
  }
  return joined(out);
}

std::string phase(const Value& object) {
  return object["metadata"]["deletionTimestamp"].is_null() ? object["status"]["phase"].str() : "Terminating";
}

std::string subjects(const Value& binding, std::string_view kind) {
  std::vector<std::string> out;
  for (const Value& subject : binding["subjects"].items()) {
    if (subject["kind"].as_string() != kind) continue;
    out.push_back(kind == "ServiceAccount" ? subject["namespace"].str() + "/" + subject["name"].str()
                                           : subject["name"].str());
  }
  return join(out, ", ");
}

std::string quota(const Value& object, bool limits) {
  std::vector<std::string> names, out;
  for (const auto& [name, value] : object["status"]["hard"].entries()) names.emplace_back(name);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name.starts_with("limits") != limits) continue;
    out.push_back(name + ": " + object["status"]["used"][name].scalar_text() + "/" +
                  object["status"]["hard"][name].scalar_text());
  }
  return join(out, ", ");
}

std::string metric_target(const Value& target, const Value& current) {
  if (!target["averageUtilization"].is_null()) {
    const Value& now = current["averageUtilization"];
    return (now.is_null() ? "<unknown>" : now.scalar_text() + "%") + "/" + target["averageUtilization"].scalar_text() +
           "%";
  }
  if (!target["averageValue"].is_null()) {
    return (current["averageValue"].is_null() ? "<unknown>" : current["averageValue"].scalar_text()) + "/" +
           target["averageValue"].scalar_text();
  }
  return (current["value"].is_null() ? "<unknown>" : current["value"].scalar_text()) + "/" +
         target["value"].scalar_text();
}

std::string scale_metrics(const Value& scaler) {
  if (!scaler["spec"]["targetCPUUtilizationPercentage"].is_null()) {
    const Value& now = scaler["status"]["currentCPUUtilizationPercentage"];
    return "cpu: " + (now.is_null() ? "<unknown>" : now.scalar_text() + "%") + "/" +
           scaler["spec"]["targetCPUUtilizationPercentage"].scalar_text() + "%";
  }
  std::vector<std::string> out;
  const Value& metrics = scaler["spec"]["metrics"];
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    const std::string_view type = metrics[i]["type"].as_string();
    std::string member(type);
    if (!member.empty()) member[0] = static_cast<char>(member[0] | 32);
    const Value& metric = metrics[i][member];
    const Value& current = scaler["status"]["currentMetrics"][i][member]["current"];
    const std::string text = metric_target(metric["target"], current);
    out.push_back(type == "Resource" ? metric["name"].str() + ": " + text : text);
  }
  if (out.empty()) return "<none>";
  if (out.size() > 2) {
    const std::size_t more = out.size() - 2;
    out.resize(2);
    return join(out, ", ") + " + " + std::to_string(more) + " more...";
  }
  return join(out, ", ");
}

std::string csr_condition(const Value& csr) {
  std::vector<std::string> out;
  for (const Value& condition : csr["status"]["conditions"].items()) out.push_back(condition["type"].str());
  if (out.empty()) out.push_back("Pending");
  if (!csr["status"]["certificate"].as_string().empty()) out.push_back("Issued");
  return joined(out);
}

std::string component(const Value& object, std::string_view member) {
  for (const Value& condition : object["conditions"].items()) {
    if (condition["type"].as_string() != "Healthy") continue;
    if (member == "status") {
      return condition["status"].as_string() == "True"    ? "Healthy"
             : condition["status"].as_string() == "False" ? "Unhealthy"
                                                          : "Unknown";
    }
    return condition[member].str();
  }
  return member == "status" ? "Unknown" : "";
}

std::string cron_last(const Value& object, Time now) {
  const Value& last = object["status"]["lastScheduleTime"];
  return last.is_null() ? "<none>" : age_cell(last, now);
}

const Value& template_spec(const Value& object) {
  return object["kind"].as_string() == "PodTemplate" ? object["template"]["spec"] : object["spec"]["template"]["spec"];
}
const Value& cron_spec(const Value& object) {
  return object["spec"]["jobTemplate"]["spec"];
}

std::vector<std::string> slice_list(const Value& slice, bool ports) {
  std::vector<std::string> out;
  if (ports) {
    for (const Value& port : slice["ports"].items())
      out.push_back(port["port"].is_null() ? "*" : port["port"].scalar_text());
  } else {
    for (const Value& endpoint : slice["endpoints"].items()) {
      for (const Value& address : endpoint["addresses"].items()) out.push_back(address.str());
    }
  }
  return out;
}

std::string api_available(const Value& service) {
  for (const Value& condition : service["status"]["conditions"].items()) {
    if (condition["type"].as_string() != "Available") continue;
    if (condition["status"].as_string() == "True") return "True";
    return condition["status"].str() + " (" + condition["reason"].str() + ")";
  }
  return "Unknown";
}

std::string kind_and_name(const Value& ref) {
  return ref["kind"].str() + "/" + ref["name"].str();
}

#define CELL(expression)                                      \
  [](const Value& o, Time now, std::string_view a) -> Value { \
    (void)o, (void)now, (void)a;                              \
    return expression;                                        \
  }

const std::map<std::string_view, Printer>& printers() {
  static const std::map<std::string_view, Printer> kAll = {
      {"name", CELL(o["metadata"]["name"].str())},
      {"age", CELL(age_cell(o["metadata"]["creationTimestamp"], now))},
      {"int", CELL(dotted(o, a).as_int())},
      {"bool", CELL(dotted(o, a).as_bool())},
      {"text", CELL(dotted(o, a).scalar_text())},
      {"none", CELL(dotted(o, a).is_null() ? std::string("<none>") : dotted(o, a).scalar_text())},
      {"unset", CELL(dotted(o, a).is_null() ? std::string("<unset>") : dotted(o, a).scalar_text())},
      {"unknown", CELL(dotted(o, a).as_string().empty() ? std::string("<unknown>") : dotted(o, a).scalar_text())},
      {"not-available", CELL(dotted(o, a).is_null() ? std::string("N/A") : dotted(o, a).scalar_text())},
      {"usage", CELL(usage_cell(o, a))},
      {"count", CELL(static_cast<std::int64_t>(dotted(o, a).size()))},
      {"data-count", CELL(static_cast<std::int64_t>(o["data"].size() + o["binaryData"].size()))},
      {"containers", CELL(of_containers(template_spec(o), "name"))},
      {"images", CELL(of_containers(template_spec(o), "image"))},
      {"template-labels", CELL(pairs(o["template"]["metadata"]["labels"]))},
      {"selector", CELL(selector_text(o["spec"]["selector"]))},
      {"pod-selector", CELL(selector_text(o["spec"]["podSelector"]))},
      {"map-selector", CELL(pairs(o["spec"]["selector"]))},
      {"node-selector", CELL(pairs(o["spec"]["template"]["spec"]["nodeSelector"]))},
      {"deployment-ready", CELL(std::to_string(o["status"]["readyReplicas"].as_int()) + "/" +
                                std::to_string(o["spec"]["replicas"].as_int()))},
      {"stateful-set-ready", CELL(std::to_string(o["status"]["readyReplicas"].as_int()) + "/" +
                                  std::to_string(o["spec"]["replicas"].as_int()))},
      {"controller", CELL(o["metadata"]["ownerReferences"].empty()
                              ? std::string("<none>")
                              : to_lower(o["metadata"]["ownerReferences"][0]["kind"].as_string()) + ".apps/" +
                                    o["metadata"]["ownerReferences"][0]["name"].str())},
      {"job-status", CELL(job_status(o))},
      {"job-completions", CELL(job_completions(o))},
      {"job-duration", CELL(job_duration(o, now))},
      {"cron-suspend", CELL(o["spec"]["suspend"].is_null()   ? std::string("<unset>")
                            : o["spec"]["suspend"].as_bool() ? std::string("True")
                                                             : std::string("False"))},
      {"cron-last", CELL(cron_last(o, now))},
      {"cron-containers", CELL(of_containers(cron_spec(o)["template"]["spec"], "name"))},
      {"cron-images", CELL(of_containers(cron_spec(o)["template"]["spec"], "image"))},
      {"cron-selector", CELL(selector_text(cron_spec(o)["selector"]))},
      {"service-ip",
       CELL(o["spec"]["clusterIP"].as_string().empty() ? std::string("<none>") : o["spec"]["clusterIP"].str())},
      {"service-external", CELL(service_external(o))},
      {"service-ports", CELL(service_ports(o))},
      {"endpoints", CELL(endpoints_text(o))},
      {"slice-ports", CELL(first_three(slice_list(o, true), "<unset>"))},
      {"slice-endpoints", CELL(first_three(slice_list(o, false), "<unset>"))},
      {"ingress-class",
       CELL(o["spec"]["ingressClassName"].is_null() ? std::string("<none>") : o["spec"]["ingressClassName"].str())},
      {"ingress-hosts", CELL(ingress_hosts(o))},
      {"ingress-ports", CELL(o["spec"]["tls"].empty() ? "80" : "80, 443")},
      {"ingress-class-parameters",
       CELL(!o["spec"]["parameters"].is_map() ? std::string("<none>")
                                              : o["spec"]["parameters"]["kind"].str() +
                                                    (o["spec"]["parameters"]["apiGroup"].as_string().empty()
                                                         ? ""
                                                         : "." + o["spec"]["parameters"]["apiGroup"].str()) +
                                                    "/" + o["spec"]["parameters"]["name"].str())},
      {"load-balancer", CELL(load_balancer(o))},
      {"node-status", CELL(node_status(o))},
      {"node-roles", CELL(node_roles(o))},
      {"node-internal-ip", CELL(node_address(o, "InternalIP"))},
      {"node-external-ip", CELL(node_address(o, "ExternalIP"))},
      {"event-last", CELL(event_last(o, now))},
      {"event-first", CELL(age_cell(either(o, "firstTimestamp", "deprecatedFirstTimestamp").is_null()
                                        ? o["eventTime"]
                                        : either(o, "firstTimestamp", "deprecatedFirstTimestamp"),
                                    now))},
      {"event-object", CELL(event_object(o))},
      {"event-source", CELL(event_source(o))},
      {"event-message", CELL(std::string(trim(either(o, "message", "note").as_string())))},
      {"event-count", CELL(std::max<std::int64_t>(1, either(o, "count", "deprecatedCount").as_int()))},
      {"access-modes", CELL(access_modes(o["spec"]["accessModes"]))},
      {"claim-access-modes",
       CELL(o["spec"]["volumeName"].as_string().empty() ? std::string() : access_modes(o["status"]["accessModes"]))},
      {"claim-capacity",
       CELL(o["spec"]["volumeName"].as_string().empty() ? std::string()
                                                        : zero_if_absent(o["status"]["capacity"]["storage"]))},
      {"phase", CELL(phase(o))},
      {"volume-claim", CELL(o["spec"]["claimRef"].is_map()
                                ? o["spec"]["claimRef"]["namespace"].str() + "/" + o["spec"]["claimRef"]["name"].str()
                                : std::string())},
      {"quota-requests", CELL(quota(o, false))},
      {"quota-limits", CELL(quota(o, true))},
      {"component-status", CELL(component(o, "status"))},
      {"component-message", CELL(component(o, "message"))},
      {"component-error", CELL(component(o, "error"))},
      {"role-ref", CELL(kind_and_name(o["roleRef"]))},
      {"subjects", CELL(subjects(o, a))},
      {"scale-target", CELL(kind_and_name(o["spec"]["scaleTargetRef"]))},
      {"scale-metrics", CELL(scale_metrics(o))},
      {"csr-duration", CELL(o["spec"]["expirationSeconds"].is_null()
                                ? std::string("<none>")
                                : format_age(std::chrono::seconds(o["spec"]["expirationSeconds"].as_int())))},
      {"csr-condition", CELL(csr_condition(o))},
      {"param-kind", CELL(o["spec"]["paramKind"].is_map()
                              ? o["spec"]["paramKind"]["apiVersion"].str() + "/" + o["spec"]["paramKind"]["kind"].str()
                              : std::string("<unset>"))},
      {"param-ref", CELL(o["spec"]["paramRef"].is_map()
                             ? o["spec"]["paramRef"]["namespace"].str() + "/" + o["spec"]["paramRef"]["name"].str()
                             : std::string("<unset>"))},
      {"csi-tokens", CELL(o["spec"]["tokenRequests"].empty() ? std::string("<unset>")
                                                             : o["spec"]["tokenRequests"][0]["audience"].str())},
      {"csi-modes", CELL(o["spec"]["volumeLifecycleModes"].empty() ? std::string("<none>")
                                                                   : o["spec"]["volumeLifecycleModes"][0].str())},
      {"missing-priority-level", CELL("False")},
      {"api-service", CELL(o["spec"]["service"].is_map()
                               ? o["spec"]["service"]["namespace"].str() + "/" + o["spec"]["service"]["name"].str()
                               : std::string("Local"))},
      {"api-available", CELL(api_available(o))},
  };
  return kAll;
}
#undef CELL

}  // namespace

Value dotted(const Value& object, std::string_view path) {
  Value at = object;
  for (std::string_view part : split(path, '.')) at = Value(at[part]);
  return at;
}

std::string age_cell(const Value& time, Time now) {
  const auto then = parse_time(time.as_string());
  return then ? format_age(now - *then) : "<unknown>";
}

bool has_cell(std::string_view printer) {
  return printer.starts_with("pod-") || printers().count(printer.substr(0, printer.find(':'))) != 0;
}

Value cell(std::string_view printer, const Value& object, Time now) {
  if (printer.starts_with("pod-")) {
    Value of_pod = pod_cell(printer, object, now);
    if (!of_pod.is_null()) return of_pod;
  }
  const std::size_t colon = printer.find(':');
  const auto found = printers().find(printer.substr(0, colon));
  if (found == printers().end()) return Value();
  return found->second(object, now, colon == std::string_view::npos ? std::string_view() : printer.substr(colon + 1));
}

}  // namespace caisson::schema
