// SPDX-License-Identifier: Apache-2.0
// Services, claims and volumes, ingresses, endpoints, quotas and autoscalers: what they tell beside one number each.
#include <map>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/tls.h"
#include "observe/metrics/scrape/kube_labels.h"
#include "observe/metrics/sources/kube_state.h"

namespace caisson::metrics {
namespace {

using Objects = std::vector<kube::Object>;

void services(Families& out, const Objects& objects) {
  out.family("kube_service_info", "gauge", "Information about service.");
  for (const kube::Object& s : objects)
    out.add({{"namespace", s.ns()},
             {"service", s.name()},
             {"cluster_ip", s.spec()["clusterIP"].str()},
             {"external_name", s.spec()["externalName"].str()},
             {"load_balancer_ip", s.spec()["loadBalancerIP"].str()}},
            1);
  out.family("kube_service_spec_type", "gauge", "Type about service.");
  for (const kube::Object& s : objects)
    out.add(
        {{"namespace", s.ns()}, {"service", s.name()}, {"type", std::string(s.spec()["type"].as_string("ClusterIP"))}},
        1);
}

void claims(Families& out, const Objects& objects) {
  const auto name = [](const kube::Object& c) {
    return LabelList{{"namespace", c.ns()}, {"persistentvolumeclaim", c.name()}};
  };
  out.family("kube_persistentvolumeclaim_info", "gauge", "Information about persistent volume claim.");
  for (const kube::Object& c : objects) {
    LabelList labels = name(c);
    labels.push_back({"storageclass", c.spec()["storageClassName"].str()});
    labels.push_back({"volumename", c.spec()["volumeName"].str()});
    out.add(std::move(labels), 1);
  }
  out.family("kube_persistentvolumeclaim_status_phase", "gauge",
             "The phase the persistent volume claim is currently in.");
  for (const kube::Object& c : objects)
    add_states(out, name(c), "phase", {"Pending", "Bound", "Lost"}, c.status()["phase"].as_string());
  out.family("kube_persistentvolumeclaim_access_mode", "gauge", "The access mode(s) of the persistent volume claim.");
  for (const kube::Object& c : objects)
    for (const Value& mode : c.spec()["accessModes"].items()) {
      LabelList labels = name(c);
      labels.push_back({"access_mode", mode.str()});
      out.add(std::move(labels), 1);
    }
  out.family("kube_persistentvolumeclaim_resource_requests_storage_bytes", "gauge",
             "The capacity of storage requested.");
  for (const kube::Object& c : objects)
    if (const auto v = quantity_value(c.spec()["resources"]["requests"]["storage"])) out.add(name(c), *v);
}

void quotas(Families& out, const Objects& objects) {
  out.family("kube_resourcequota", "gauge", "Information about resource quota.");
  for (const kube::Object& q : objects)
    for (const char* type : {"hard", "used"})
      for (const auto& entry : q.status()[type].entries())
        if (const auto v = quantity_value(entry.value))
          out.add({{"namespace", q.ns()},
                   {"resourcequota", q.name()},
                   {"resource", std::string(entry.key)},
                   {"type", type}},
                  *v);
}

void autoscalers(Families& out, const Objects& objects) {
  out.family("kube_horizontalpodautoscaler_info", "gauge", "Information about this autoscaler.");
  for (const kube::Object& h : objects) {
    const Value& ref = h.spec()["scaleTargetRef"];
    out.add({{"namespace", h.ns()},
             {"horizontalpodautoscaler", h.name()},
             {"scaletargetref_api_version", ref["apiVersion"].str()},
             {"scaletargetref_kind", ref["kind"].str()},
             {"scaletargetref_name", ref["name"].str()}},
            1);
  }
}

void volumes(Families& out, const Objects& objects) {
  out.family("kube_persistentvolume_capacity_bytes", "gauge", "Persistentvolume capacity in bytes.");
  for (const kube::Object& v : objects)
    if (const auto bytes = quantity_value(v.spec()["capacity"]["storage"]))
      out.add({{"persistentvolume", v.name()}}, *bytes);
  out.family("kube_persistentvolume_status_phase", "gauge", "The phase indicates if a volume is available or bound.");
  for (const kube::Object& v : objects)
    add_states(out, {{"persistentvolume", v.name()}}, "phase", {"Pending", "Available", "Bound", "Released", "Failed"},
               v.status()["phase"].as_string());
  out.family("kube_persistentvolume_claim_ref", "gauge", "Information about the Persistent Volume Claim Reference.");
  for (const kube::Object& v : objects)
    if (const Value& claim = v.spec()["claimRef"]; claim.is_map())
      out.add({{"persistentvolume", v.name()},
               {"name", claim["name"].str()},
               {"claim_namespace", claim["namespace"].str()}},
              1);
}

void ingresses(Families& out, const Objects& objects) {
  out.family("kube_ingress_path", "gauge", "Ingress host, paths and backend service information.");
  for (const kube::Object& ingress : objects)
    for (const Value& rule : ingress.spec()["rules"].items())
      for (const Value& path : rule["http"]["paths"].items()) {
        const Value& service = path["backend"]["service"];
        const Value& port = service["port"];
        out.add({{"namespace", ingress.ns()},
                 {"ingress", ingress.name()},
                 {"host", rule["host"].str()},
                 {"path", path["path"].str()},
                 {"path_type", path["pathType"].str()},
                 {"service_name", service["name"].str()},
                 {"service_port", port["number"].is_null() ? port["name"].str() : port["number"].scalar_text()}},
                1);
      }
}

void endpoint_addresses(Families& out, const kube::Object& object, const Value& subset, const char* list,
                        const char* ready) {
  for (const Value& address : subset[list].items())
    for (const Value& port : subset["ports"].items())
      out.add({{"namespace", object.ns()},
               {"endpoint", object.name()},
               {"ip", address["ip"].str()},
               {"port_name", port["name"].str()},
               {"port_number", port["port"].scalar_text()},
               {"port_protocol", port["protocol"].str()},
               {"ready", ready}},
              1);
}

void endpoints(Families& out, const Objects& objects) {
  out.family("kube_endpoint_address", "gauge", "Information about Endpoint available and non available addresses.");
  for (const kube::Object& object : objects)
    for (const Value& subset : object["subsets"].items()) {
      endpoint_addresses(out, object, subset, "addresses", "true");
      endpoint_addresses(out, object, subset, "notReadyAddresses", "false");
    }
}

void network_policies(Families& out, const Objects& objects) {
  for (const char* direction : {"ingress", "egress"}) {
    out.family(std::string("kube_networkpolicy_spec_") + direction + "_rules", "gauge", "Number of rules.");
    for (const kube::Object& policy : objects)
      out.add({{"namespace", policy.ns()}, {"networkpolicy", policy.name()}},
              static_cast<double>(policy.spec()[direction].size()));
  }
}

// Under the names of x509-certificate-exporter.
void certificates(Families& out, const Objects& secrets) {
  std::vector<std::pair<LabelList, Result<Time>>> ends;
  for (const kube::Object& secret : secrets) {
    if (secret["type"].as_string() != "kubernetes.io/tls") continue;
    const auto pem = unbase64(secret["data"]["tls.crt"].as_string());
    ends.emplace_back(
        LabelList{{"secret_namespace", secret.ns()}, {"secret_name", secret.name()}, {"secret_key", "tls.crt"}},
        pem.ok() ? http::certificate_end(*pem) : Result<Time>(pem.error()));
  }
  out.family("x509_cert_not_after", "gauge", "When the certificate of a Secret ends.");
  for (const auto& [labels, end] : ends)
    if (end.ok()) out.add(labels, std::chrono::duration<double>(end->time_since_epoch()).count());
  out.family("x509_cert_error", "gauge", "Whether the certificate of a Secret can't be read.");
  for (const auto& [labels, end] : ends) out.add(labels, end.ok() ? 0 : 1);
}

}  // namespace

void namespaced_state(Families& out, std::string_view prefix, const Objects& objects) {
  struct Of {
    std::string_view prefix;
    void (*state)(Families&, const Objects&);
  };
  constexpr Of kStates[] = {
      {"kube_service", services},     {"kube_persistentvolumeclaim", claims},        {"kube_persistentvolume", volumes},
      {"kube_resourcequota", quotas}, {"kube_horizontalpodautoscaler", autoscalers}, {"kube_ingress", ingresses},
      {"kube_endpoint", endpoints},   {"kube_networkpolicy", network_policies},      {"kube_secret", certificates}};
  for (const Of& one : kStates)
    if (one.prefix == prefix) one.state(out, objects);
}

void policy_state(Families& out, const Objects& reports) {
  std::map<std::pair<std::string, std::string>, std::int64_t> sums;  // by namespace and status
  for (const kube::Object& report : reports)
    for (const auto& entry : report["summary"].entries())
      sums[{report.ns(), std::string(entry.key)}] += entry.value.as_int();
  out.family("policy_report_summary", "gauge", "Results of policy reports.");
  for (const auto& [key, count] : sums)
    out.add({{"namespace", key.first}, {"status", key.second}}, static_cast<double>(count));
}

}  // namespace caisson::metrics
