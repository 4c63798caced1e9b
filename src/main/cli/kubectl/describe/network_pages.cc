// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

std::vector<Value> slices_of(const Value& service, const Related& related) {
  return items_at(related, "/apis/discovery.k8s.io/v1/namespaces/" + service["metadata"]["namespace"].str() +
                               "/endpointslices?labelSelector=" +
                               percent_encode("kubernetes.io/service-name=" + service["metadata"]["name"].str()));
}

std::string joined(const std::string& host, const std::string& port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

// The ready addresses behind a port of a Service; the first three, and how many more.
std::string endpoints_of(const std::vector<Value>& slices, std::string_view port_name) {
  constexpr std::size_t kShown = 3;
  if (slices.empty()) return "<none>";
  std::vector<std::string> out;
  for (const Value& slice : slices) {
    std::vector<std::string> ports;
    for (const Value& port : slice["ports"].items()) {
      if (port_name.empty() || port["name"].as_string() == port_name) ports.push_back(port["port"].scalar_text());
    }
    for (const Value& endpoint : slice["endpoints"].items()) {
      if (!endpoint["conditions"]["ready"].as_bool(true)) continue;
      for (const Value& address : endpoint["addresses"].items()) {
        for (const std::string& port : ports) out.push_back(joined(address.str(), port));
        if (slice["ports"].empty()) out.push_back(address.str());
      }
    }
  }
  if (out.size() <= kShown) return join(out, ",");
  const std::size_t more = out.size() - kShown;
  out.resize(kShown);
  return join(out, ",") + " + " + std::to_string(more) + " more...";
}

std::string protocol_of(const Value& port) {
  return port["protocol"].as_string().empty() ? "TCP" : port["protocol"].str();
}

void put_service_ports(Page& page, const Value& service, const std::vector<Value>& slices) {
  const Value& spec = service["spec"];
  for (const Value& port : spec["ports"].items()) {
    const std::string name = port["name"].as_string().empty() ? "<unset>" : port["name"].str(),
                      protocol = protocol_of(port);
    page.field(0, "Port", name + "\t" + port["port"].scalar_text() + "/" + protocol);
    page.field(0, "TargetPort", port["targetPort"].scalar_text() + "/" + protocol);
    if (port["nodePort"].as_int() != 0)
      page.field(0, "NodePort", name + "\t" + port["nodePort"].scalar_text() + "/" + protocol);
    page.field(0, "Endpoints", endpoints_of(slices, port["name"].as_string()));
  }
}

std::string balancer_text(const Value& status) {
  std::vector<std::string> out;
  for (const Value& ingress : status["loadBalancer"]["ingress"].items()) {
    const std::string host = ingress["ip"].as_string().empty() ? ingress["hostname"].str() : ingress["ip"].str();
    const std::string mode = ingress["ipMode"].str();
    out.push_back(host + (mode.empty() ? "" : " (" + mode + ")"));
  }
  return join(out, ", ");
}

// --- Ingress

struct Backend {
  std::string name, endpoints;
};
Backend backend_of(const Value& backend, const std::string& ns, const Related& related) {
  if (const Value& resource = backend["resource"]; !resource.is_null())
    return {"APIGroup: " + resource["apiGroup"].str() + ", Kind: " + resource["kind"].str() +
                ", Name: " + resource["name"].str(),
            ""};
  const Value& to = backend["service"];
  const Value& named = to["port"]["name"];
  const std::string port = named.as_string().empty() ? to["port"]["number"].scalar_text() : named.str();
  Backend out{to["name"].str() + ":" + port, ""};
  const auto service = related.get("/api/v1/namespaces/" + ns + "/services/" + to["name"].str());
  if (!service.ok()) {
    out.endpoints = "<error: services \"" + to["name"].str() + "\" not found>";
    return out;
  }
  std::string port_name = named.str();
  for (const Value& candidate : (*service)["spec"]["ports"].items()) {
    if (candidate["port"] == to["port"]["number"]) port_name = candidate["name"].str();
  }
  out.endpoints = endpoints_of(slices_of(*service, related), port_name);
  return out;
}

std::string backend_text(const Backend& backend) {
  return backend.endpoints.empty() && backend.name.starts_with("APIGroup")
             ? backend.name
             : backend.name + " (" + backend.endpoints + ")";
}

void put_rules(Page& page, const Value& ingress, const Related& related) {
  const std::string ns = ingress["metadata"]["namespace"].str();
  page.put(0, "Rules:\n  Host\tPath\tBackends\n  ----\t----\t--------\n");
  bool any = false;
  for (const Value& rule : ingress["spec"]["rules"].items()) {
    if (rule["http"].is_null()) continue;
    any = any || !rule["http"]["paths"].empty();
    const std::string host = rule["host"].as_string().empty() ? "*" : rule["host"].str();
    page.put(1, host + "\t\n");
    for (const Value& path : rule["http"]["paths"].items())
      page.put(1, "\t" + path["path"].str() + " \t" + backend_text(backend_of(path["backend"], ns, related)) + "\n");
  }
  if (any) return;
  const Value& otherwise = ingress["spec"]["defaultBackend"];
  const std::string text = otherwise.is_null() ? "<default>" : backend_text(backend_of(otherwise, ns, related));
  page.put(1, "*\t*\t" + text + "\n");
}

// --- NetworkPolicy

void put_policy_ports(Page& page, const Value& ports) {
  if (ports.empty()) return page.put(2, "To Port: <any> (traffic allowed to all ports)\n");
  for (const Value& port : ports.items()) {
    std::string number = scalar_or(port["port"], "<any>");
    if (!port["endPort"].is_null()) number += "-" + port["endPort"].scalar_text();
    page.put(2, std::string(port["endPort"].is_null() ? "To Port: " : "To Port Range: ") + number + "/" +
                    protocol_of(port) + "\n");
  }
}

void put_peers(Page& page, const Value& peers, const std::string& word) {
  if (peers.empty())
    return page.put(2,
                    word + ": <any> (traffic not restricted by " + (word == "From" ? "source" : "destination") + ")\n");
  for (const Value& peer : peers.items()) {
    page.put(2, word + ":\n");
    if (!peer["namespaceSelector"].is_null())
      page.put(3, "NamespaceSelector: " + selector_text(peer["namespaceSelector"]) + "\n");
    if (!peer["podSelector"].is_null()) page.put(3, "PodSelector: " + selector_text(peer["podSelector"]) + "\n");
    if (const Value& block = peer["ipBlock"]; !block.is_null()) {
      page.put(3, "IPBlock:\n");
      page.put(4, "CIDR: " + block["cidr"].str() + "\n");
      page.put(4, "Except: " + list_text(block["except"], ", ") + "\n");
    }
  }
}

void put_direction(Page& page, const Value& rules, bool ingress, bool covered) {
  const std::string way = ingress ? "ingress" : "egress";
  if (!covered) return page.put(1, "Not affecting " + way + " traffic\n");
  page.put(1, "Allowing " + way + " traffic:\n");
  if (rules.empty()) return page.put(2, "<none> (Selected pods are isolated for " + way + " connectivity)\n");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    put_policy_ports(page, rules[i]["ports"]);
    put_peers(page, rules[i][ingress ? "from" : "to"], ingress ? "From" : "To");
    if (i + 1 < rules.size()) page.put(2, "----------\n");
  }
}

}  // namespace

void describe_service(Page& page, const Value& service, const Related& related) {
  const Value& spec = service["spec"];
  put_name(page, service, true);
  put_metadata(page, service);
  page.field(0, "Selector", labels_text(spec["selector"]));
  page.field(0, "Type", spec["type"].str());
  if (!spec["ipFamilyPolicy"].is_null()) page.field(0, "IP Family Policy", spec["ipFamilyPolicy"].str());
  page.field(0, "IP Families", or_none(list_text(spec["ipFamilies"], ",")));
  page.field(0, "IP", spec["clusterIP"].str());
  page.field(0, "IPs", or_none(list_text(spec["clusterIPs"], ",")));
  if (!spec["externalIPs"].empty()) page.field(0, "External IPs", list_text(spec["externalIPs"], ","));
  if (!spec["loadBalancerIP"].as_string().empty())
    page.field(0, "Desired LoadBalancer IP", spec["loadBalancerIP"].str());
  if (!spec["externalName"].as_string().empty()) page.field(0, "External Name", spec["externalName"].str());
  if (!service["status"]["loadBalancer"]["ingress"].empty())
    page.field(0, "LoadBalancer Ingress", balancer_text(service["status"]));
  put_service_ports(page, service, slices_of(service, related));
  page.field(0, "Session Affinity", spec["sessionAffinity"].str());
  if (!spec["externalTrafficPolicy"].as_string().empty())
    page.field(0, "External Traffic Policy", spec["externalTrafficPolicy"].str());
  if (!spec["internalTrafficPolicy"].as_string().empty())
    page.field(0, "Internal Traffic Policy", spec["internalTrafficPolicy"].str());
  if (spec["healthCheckNodePort"].as_int() != 0)
    page.field(0, "HealthCheck NodePort", spec["healthCheckNodePort"].scalar_text());
  if (!spec["loadBalancerSourceRanges"].empty())
    page.field(0, "LoadBalancer Source Ranges", list_text(spec["loadBalancerSourceRanges"], ","));
  put_events(page, service, related);
}

void describe_ingress(Page& page, const Value& ingress, const Related& related) {
  const Value& spec = ingress["spec"];
  const std::string ns = ingress["metadata"]["namespace"].str();
  page.field(0, "Name", ingress["metadata"]["name"].str());
  put_labels(page, "Labels", ingress["metadata"]["labels"]);
  page.field(0, "Namespace", ns);
  page.field(0, "Address", balancer_text(ingress["status"]));
  page.field(0, "Ingress Class", scalar_or(spec["ingressClassName"], "<none>"));
  const Value& otherwise = spec["defaultBackend"];
  page.field(0, "Default backend",
             otherwise.is_null() ? "<default>" : backend_text(backend_of(otherwise, ns, related)));
  if (!spec["tls"].empty()) {
    page.put(0, "TLS:\n");
    for (const Value& tls : spec["tls"].items()) {
      const std::string secret = tls["secretName"].str(), hosts = list_text(tls["hosts"], ",");
      page.put(1, secret.empty() ? "SNI routes " + hosts + "\n" : secret + " terminates " + hosts + "\n");
    }
  }
  put_rules(page, ingress, related);
  put_annotations(page, "Annotations", ingress["metadata"]["annotations"]);
  put_events(page, ingress, related);
}

void describe_ingress_class(Page& page, const Value& ingress_class, const Related& related) {
  const Value& spec = ingress_class["spec"];
  put_name(page, ingress_class, false);
  put_metadata(page, ingress_class);
  page.field(0, "Controller", spec["controller"].str());
  if (const Value& parameters = spec["parameters"]; !parameters.is_null()) {
    page.put(0, "Parameters:\n");
    if (!parameters["apiGroup"].is_null()) page.field(1, "APIGroup", parameters["apiGroup"].str());
    page.field(1, "Kind", parameters["kind"].str());
    page.field(1, "Name", parameters["name"].str());
  }
  put_events(page, ingress_class, related);
}

void describe_endpoints(Page& page, const Value& endpoints, const Related& related) {
  put_name(page, endpoints, true);
  put_metadata(page, endpoints);
  page.put(0, "Subsets:\n");
  for (const Value& subset : endpoints["subsets"].items()) {
    for (const auto& [title, key] : {std::pair("Addresses", "addresses"), {"NotReadyAddresses", "notReadyAddresses"}}) {
      std::vector<std::string> addresses;
      for (const Value& address : subset[key].items()) addresses.push_back(address["ip"].str());
      page.field(1, title, or_none(join(addresses, ",")));
    }
    if (!subset["ports"].empty()) {
      page.put(1, "Ports:\n");
      put_table_rule(page, 2, {"Name", "Port", "Protocol"});
      for (const Value& port : subset["ports"].items()) {
        const std::string name = port["name"].as_string().empty() ? "<unset>" : port["name"].str();
        page.put(2, name + "\t" + port["port"].scalar_text() + "\t" + port["protocol"].str() + "\n");
      }
    }
    page.put(0, "\n");
  }
  put_events(page, endpoints, related);
}

void describe_endpoint_slice(Page& page, const Value& slice, const Related& related) {
  put_name(page, slice, true);
  put_metadata(page, slice);
  page.field(0, "AddressType", slice["addressType"].str());
  if (slice["ports"].empty()) {
    page.put(0, "Ports: <unset>\n");
  } else {
    page.put(0, "Ports:\n");
    put_table_rule(page, 1, {"Name", "Port", "Protocol"});
    for (const Value& port : slice["ports"].items()) {
      const std::string name = port["name"].as_string().empty() ? "<unset>" : port["name"].str();
      page.put(1, name + "\t" + scalar_or(port["port"], "<unset>") + "\t" + port["protocol"].str() + "\n");
    }
  }
  page.put(0, slice["endpoints"].empty() ? "Endpoints: <none>\n" : "Endpoints:\n");
  for (const Value& endpoint : slice["endpoints"].items()) {
    page.put(1, "- Addresses:\t" + or_none(list_text(endpoint["addresses"], ", ")) + "\n");
    page.put(2, "Conditions:\n");
    page.field(3, "Ready",
               endpoint["conditions"]["ready"].is_null() ? "<unset>" : endpoint["conditions"]["ready"].scalar_text());
    page.field(2, "Hostname", scalar_or(endpoint["hostname"], "<unset>"));
    if (const Value& target = endpoint["targetRef"]; !target.is_null())
      page.field(2, "TargetRef", target["kind"].str() + "/" + target["name"].str());
    page.field(2, "NodeName", scalar_or(endpoint["nodeName"], "<unset>"));
    page.field(2, "Zone", scalar_or(endpoint["zone"], "<unset>"));
  }
  put_events(page, slice, related);
}

void describe_service_cidr(Page& page, const Value& cidr, const Related& related) {
  put_name(page, cidr, false);
  put_metadata(page, cidr);
  page.field(0, "CIDRs", list_text(cidr["spec"]["cidrs"], ", "));
  if (!cidr["status"]["conditions"].empty()) {
    page.put(0, "Status:\n");
    page.put(0, "Conditions:\n");
    put_table_rule(page, 1, {"Type", "Status", "LastTransitionTime", "Reason", "Message"});
    for (const Value& c : cidr["status"]["conditions"].items())
      page.put(1, c["type"].str() + "\t" + c["status"].str() + "\t" + long_time(c["lastTransitionTime"]) + "\t" +
                      c["reason"].str() + "\t" + c["message"].str() + "\n");
  }
  put_events(page, cidr, related);
}

void describe_ip_address(Page& page, const Value& address, const Related& related) {
  put_name(page, address, false);
  put_metadata(page, address);
  if (const Value& parent = address["spec"]["parentRef"]; !parent.is_null()) {
    page.put(0, "Parent Reference:\n");
    page.field(1, "Group", parent["group"].str());
    page.field(1, "Resource", parent["resource"].str());
    page.field(1, "Namespace", parent["namespace"].str());
    page.field(1, "Name", parent["name"].str());
  }
  put_events(page, address, related);
}

void describe_network_policy(Page& page, const Value& policy, const Related&) {
  const Value& spec = policy["spec"];
  put_name(page, policy, true);
  // Go's own form of a time, as kubectl has it here only.
  std::string created = policy["metadata"]["creationTimestamp"].str();
  if (created.size() == 20) created = created.substr(0, 10) + " " + created.substr(11, 8) + " +0000 UTC";
  page.field(0, "Created on", created);
  put_metadata(page, policy);
  page.put(0, "Spec:\n");
  const std::string selected = selector_text(spec["podSelector"]);
  page.put(1, "PodSelector:     " + selected +
                  (selected == "<none>" ? " (Allowing the specific traffic to all pods in this namespace)" : "") +
                  "\n");
  const auto types = spec["policyTypes"].items();
  const auto covers = [&](const char* type) {
    return std::find(types.begin(), types.end(), Value(type)) != types.end();
  };
  put_direction(page, spec["ingress"], true, covers("Ingress"));
  put_direction(page, spec["egress"], false, covers("Egress"));
  page.put(1, "Policy Types: " + list_text(spec["policyTypes"], ", ") + "\n");
}

}  // namespace caisson::cli::kubectl
