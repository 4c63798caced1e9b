// SPDX-License-Identifier: Apache-2.0
// Services and Ingresses (pkg/apis/core/validation, pkg/apis/networking/validation of 1.33).
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

void check_service_ports(const Value& spec, Errors& out) {
  const Value& ports = spec["ports"];
  std::set<std::string> names, numbers, node_ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const std::string at = "spec.ports[" + std::to_string(i) + "]";
    const std::string name = ports[i]["name"].str();
    if (name.empty()) {
      if (ports.size() > 1) out.push_back(required_value(at + ".name"));
    } else {
      for (const std::string& why : check_dns_label(name))
        out.push_back(invalid_value(at + ".name", ports[i]["name"], why));
      if (!names.insert(name).second) out.push_back(duplicate_value(at + ".name", ports[i]["name"]));
    }
    const std::string number = ports[i]["protocol"].str() + ports[i]["port"].scalar_text();
    if (!numbers.insert(number).second)
      out.push_back(
          duplicate_value(at, go_value("core.ServicePort{Name:\"\", Protocol:\"" + ports[i]["protocol"].str() +
                                       "\", AppProtocol:(*string)(nil), Port:" + ports[i]["port"].scalar_text() +
                                       ", TargetPort:intstr.IntOrString{Type:0, IntVal:0, StrVal:\"\"}, NodePort:0}")));
    if (const std::int64_t outside = ports[i]["nodePort"].as_int();
        outside != 0 && !node_ports.insert(ports[i]["protocol"].str() + std::to_string(outside)).second)
      out.push_back(duplicate_value(at + ".nodePort", Value(outside)));
    if (spec["type"].as_string() == "ClusterIP" && ports[i]["nodePort"].as_int() != 0) {
      out.push_back(forbidden_value(at + ".nodePort", "may not be used when `type` is 'ClusterIP'"));
    }
  }
}

void check_backend(const Value& backend, const std::string& at, Errors& out) {
  const Value& service = backend["service"];
  if (!service.is_map() && !backend["resource"].is_map()) {
    out.push_back(required_value(at, "must specify either `service` or `resource`"));
    return;
  }
  if (!service.is_map()) return;
  if (service["name"].as_string().empty())
    out.push_back(required_value(at + ".service.name"));
  else
    for (const std::string& why : check_dns_1035_label(service["name"].as_string()))
      out.push_back(invalid_value(at + ".service.name", service["name"], why));
  const Value& port = service["port"];
  if (port["name"].as_string().empty() && port["number"].as_int() == 0) {
    out.push_back(required_value(at + ".service.port", "port name or number is required"));
  }
}

}  // namespace

void check_service(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const std::string_view type = spec["type"].as_string();
  const bool headless = spec["clusterIP"].as_string() == "None";
  if (spec["ports"].empty() && type != "ExternalName" && !headless) out.push_back(required_value("spec.ports"));
  check_service_ports(spec, out);
  const Value& timeout = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
  if (!timeout.is_null() && (timeout.as_int() <= 0 || timeout.as_int() > 86400))
    out.push_back(invalid_value("spec.sessionAffinityConfig.clientIP.timeoutSeconds", timeout,
                                "must be greater than 0 and less than 86400"));
  for (std::size_t i = 0; i < spec["loadBalancerSourceRanges"].size(); ++i)
    if (!is_cidr(trim(spec["loadBalancerSourceRanges"][i].as_string())))
      out.push_back(invalid_value("spec.LoadBalancerSourceRanges[" + std::to_string(i) + "]",
                                  spec["loadBalancerSourceRanges"][i],
                                  "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
  if (const Value& balancer = spec["loadBalancerClass"]; !balancer.is_null()) {
    if (type != "LoadBalancer")
      out.push_back(forbidden_value("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'"));
    else
      for (const std::string& why : check_qualified_name(balancer.as_string()))
        out.push_back(invalid_value("spec.loadBalancerClass", balancer, why));
  }
  if (const Value& spread = spec["trafficDistribution"]; !spread.is_null() && spread.as_string() != "PreferClose")
    out.push_back(unsupported_value("spec.trafficDistribution", spread, {"PreferClose"}));
  check_labels(spec["selector"], "spec.selector", out);
  if (type == "ExternalName") {
    const Value& name = spec["externalName"];
    if (name.as_string().empty())
      out.push_back(required_value("spec.externalName"));
    else
      for (const std::string& why : check_dns_subdomain(name.as_string()))
        out.push_back(invalid_value("spec.externalName", name, why));
  }
  if (headless && (type == "NodePort" || type == "LoadBalancer")) {
    out.push_back(
        invalid_value("spec.clusterIPs[0]", "None", "may not be set to 'None' for " + std::string(type) + " services"));
  }
  const std::string_view address = spec["clusterIP"].as_string();
  if (!address.empty() && !headless && !is_ip(address)) {
    out.push_back(invalid_value("spec.clusterIPs[0]", spec["clusterIP"],
                                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
  }
  for (std::size_t i = 0; i < spec["externalIPs"].size(); ++i) {
    const Value& ip = spec["externalIPs"][i];
    const std::string at = "spec.externalIPs[" + std::to_string(i) + "]";
    if (!is_ip(ip.as_string())) {
      out.push_back(invalid_value(at, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    } else if (ip.as_string().starts_with("127.") || ip.as_string() == "::1") {
      out.push_back(invalid_value(at, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)"));
    }
  }
  const bool outside = type == "NodePort" || type == "LoadBalancer" || !spec["externalIPs"].empty();
  if (!outside && !spec["externalTrafficPolicy"].as_string().empty()) {
    out.push_back(invalid_value("spec.externalTrafficPolicy", spec["externalTrafficPolicy"],
                                "may only be set for externally-accessible services"));
  }
}

void check_ingress(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  if (spec["rules"].empty() && spec["defaultBackend"].is_null()) {
    out.push_back(invalid_value("spec", spec["rules"], "either `defaultBackend` or `rules` must be specified"));
  }
  if (spec["defaultBackend"].is_map()) check_backend(spec["defaultBackend"], "spec.defaultBackend", out);
  for (std::size_t r = 0; r < spec["rules"].size(); ++r) {
    const Value& rule = spec["rules"][r];
    const std::string at = "spec.rules[" + std::to_string(r) + "]";
    const std::string_view host = rule["host"].as_string();
    if (is_ip(host))
      out.push_back(invalid_value(at + ".host", rule["host"], "must be a DNS name, not an IP address"));
    else if (!host.empty()) {
      const std::string_view name = host.starts_with("*.") ? host.substr(2) : host;
      for (const std::string& why : check_dns_subdomain(name))
        out.push_back(invalid_value(at + ".host", rule["host"], why));
    }
    const Value& paths = rule["http"]["paths"];
    if (rule["http"].is_map() && paths.empty()) out.push_back(required_value(at + ".http.paths"));
    for (std::size_t p = 0; p < paths.size(); ++p) {
      const std::string where = at + ".http.paths[" + std::to_string(p) + "]";
      const std::string_view type = paths[p]["pathType"].as_string();
      const std::string_view path = paths[p]["path"].as_string();
      if ((type == "Exact" || type == "Prefix") && !path.starts_with('/')) {
        out.push_back(invalid_value(where + ".path", paths[p]["path"], "must be an absolute path"));
      }
      check_backend(paths[p]["backend"], where + ".backend", out);
    }
  }
}

}  // namespace caisson::schema
