// SPDX-License-Identifier: Apache-2.0
// Kinds with few rules of their own: Endpoints, EndpointSlices, Leases, PriorityClasses, RuntimeClasses, Events,
// CertificateSigningRequests, Nodes, webhook configurations (pkg/apis/*/validation of 1.33).
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;
constexpr std::string_view kIpWords = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
constexpr std::string_view kPortWords = "must be between 1 and 65535, inclusive";
constexpr std::int64_t kUserPriorityMax = 1'000'000'000;

std::string at(std::string_view list, std::size_t i) {
  return std::string(list) + "[" + std::to_string(i) + "]";
}

// --- endpoints

void check_usable_ip(const Value& ip, const std::string& path, Errors& out) {
  const std::string_view text = ip.as_string();
  if (text.starts_with("127.") || text == "::1")
    out.push_back(invalid_value(path, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)"));
  else if (text == "0.0.0.0" || text == "::")
    out.push_back(invalid_value(path, ip, "may not be unspecified (" + std::string(text) + ")"));
  else if (text.starts_with("169.254.") || text.starts_with("fe80:"))
    out.push_back(invalid_value(path, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"));
  else if (text.starts_with("224.0.0.") || text.starts_with("ff02:"))
    out.push_back(invalid_value(path, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"));
}

void check_endpoints(const Value& object, Errors& out) {
  for (std::size_t s = 0; s < object["subsets"].size(); ++s) {
    const Value& subset = object["subsets"][s];
    const std::string path = at("subsets", s);
    if (subset["addresses"].empty() && subset["notReadyAddresses"].empty())
      out.push_back(required_value(path, "must specify `addresses` or `notReadyAddresses`"));
    for (const char* list : {"addresses", "notReadyAddresses"}) {
      for (std::size_t i = 0; i < subset[list].size(); ++i) {
        const Value& ip = subset[list][i]["ip"];
        const std::string where = path + "." + at(list, i) + ".ip";
        if (!is_ip(ip.as_string())) {
          out.push_back(invalid_value(where, ip, std::string(kIpWords)));
          out.push_back(invalid_value(where, ip, "must be a valid IP address"));
          continue;
        }
        check_usable_ip(ip, where, out);
      }
    }
    for (std::size_t i = 0; i < subset["ports"].size(); ++i) {
      const Value& port = subset["ports"][i];
      const std::string where = path + "." + at("ports", i);
      if (subset["ports"].size() > 1 && port["name"].as_string().empty())
        out.push_back(required_value(where + ".name"));
      if (port["port"].as_int() < 1 || port["port"].as_int() > 65535)
        out.push_back(invalid_value(where + ".port", Value(port["port"].as_int()), std::string(kPortWords)));
    }
  }
}

void check_endpoint_slice(const Value& object, Errors& out) {
  const Value& type = object["addressType"];
  const std::string_view family = type.as_string();
  std::set<std::string> names;
  for (std::size_t i = 0; i < object["ports"].size(); ++i) {
    const Value& name = object["ports"][i]["name"];
    if (!names.insert(name.str()).second) out.push_back(duplicate_value(at("ports", i) + ".name", name));
    if (!name.as_string().empty())
      for (const std::string& why : check_dns_label(name.as_string()))
        out.push_back(invalid_value(at("ports", i) + ".name", name, why));
  }
  for (std::size_t e = 0; e < object["endpoints"].size(); ++e) {
    const Value& addresses = object["endpoints"][e]["addresses"];
    const std::string path = at("endpoints", e) + ".addresses";
    if (addresses.empty()) out.push_back(required_value(path, "must contain at least 1 address"));
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      const std::string where = path + "[" + std::to_string(i) + "]";
      if (family == "FQDN") {
        for (const std::string& why : check_dns_subdomain(addresses[i].as_string()))
          out.push_back(invalid_value(where, addresses[i], why));
      } else if (family.empty()) {
        continue;  // told already
      } else if (!is_ip(addresses[i].as_string())) {
        if (family == "IPv4" || family == "IPv6")
          out.push_back(invalid_value(where, addresses[i], std::string(kIpWords)));
      } else {
        const bool six = addresses[i].as_string().find(':') != std::string_view::npos;
        if ((family == "IPv4") == six)
          out.push_back(
              invalid_value(where, addresses[i], six ? "must be an IPv4 address" : "must be an IPv6 address"));
        check_usable_ip(addresses[i], where, out);
      }
    }
  }
}

// --- single values

void check_lease(const Value& object, Errors& out) {
  const Value& seconds = object["spec"]["leaseDurationSeconds"];
  if (!seconds.is_null() && seconds.as_int() <= 0)
    out.push_back(invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
}

void check_priority_class(const Value& object, Errors& out) {
  const std::string_view name = object["metadata"]["name"].as_string();
  if (name.starts_with("system-")) {
    if (name != "system-node-critical" && name != "system-cluster-critical")
      out.push_back(forbidden_value(
          "metadata.name", "priority class names with 'system-' prefix are reserved for system use only. error: " +
                               std::string(name) + " is not a known system priority class"));
  } else if (object["value"].as_int() > kUserPriorityMax) {
    out.push_back(forbidden_value("value", "maximum allowed value of a user defined priority is 1000000000"));
  }
}

void check_csi_driver(const Value& object, Errors& out) {
  constexpr std::int64_t kSecondsMin = 600, kSecondsMax = std::int64_t{1} << 32;
  const Value& spec = object["spec"];
  for (const Value& mode : spec["volumeLifecycleModes"].items())
    if (mode.as_string() != "Persistent" && mode.as_string() != "Ephemeral")
      out.push_back(unsupported_value("spec.volumeLifecycleModes", mode, {"Persistent", "Ephemeral"}));
  const Value& tokens = spec["tokenRequests"];
  std::set<std::string_view> audiences;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string at = "spec.tokenRequests[" + std::to_string(i) + "]";
    if (!audiences.insert(tokens[i]["audience"].as_string()).second)
      out.push_back(duplicate_value(at + ".audience", tokens[i]["audience"]));
    const Value& seconds = tokens[i]["expirationSeconds"];
    if (seconds.is_null()) continue;
    if (seconds.as_int() < kSecondsMin)
      out.push_back(
          invalid_value(at + ".expirationSeconds", seconds, "may not specify a duration less than 10 minutes"));
    if (seconds.as_int() > kSecondsMax)
      out.push_back(
          invalid_value(at + ".expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds"));
  }
}

void check_runtime_class(const Value& object, Errors& out) {
  for (const std::string& why : check_dns_label(object["handler"].as_string()))
    out.push_back(invalid_value("handler", object["handler"], why));
}

// Events that name when they happened (the new form) are held to more, and to more still in their own group.
void check_event(const Value& object, Errors& out) {
  constexpr std::size_t kLengthMax = 128, kNoteLengthMax = 1024;
  const bool core = object["apiVersion"].as_string() == "v1";
  const Value& about = object[core ? "involvedObject" : "regarding"];
  const std::string_view about_ns = about["namespace"].as_string(), ns = object["metadata"]["namespace"].as_string();
  const bool timed = !object["eventTime"].is_null();
  // Of what has no namespace an event stands in "default".
  const bool clusters = about_ns.empty() && (ns == "default" || (timed && ns == "kube-system"));
  if (timed ? about_ns.empty() && !clusters : about_ns != ns && !clusters)
    out.push_back(invalid_value("involvedObject.namespace", Value(about_ns), "does not match event.namespace"));
  if (timed) {
    const auto text = [&](std::string_view member, const std::string& shown, bool required, std::size_t length_max) {
      const std::size_t length = object[member].as_string().size();
      if (length == 0 && required) out.push_back(required_value(shown));
      if (length > length_max)
        out.push_back(
            invalid_value(shown, Value(""), "can have at most " + std::to_string(length_max) + " characters"));
    };
    const std::string controller = core ? "reportingComponent" : "reportingController";
    text(controller, controller, true, std::string::npos);
    for (const std::string& why : check_qualified_name(object[controller].as_string()))
      out.push_back(invalid_value(controller, Value(object[controller].as_string()), why));
    text("reportingInstance", "reportingInstance", true, kLengthMax);
    text("action", "action", true, kLengthMax);
    text("reason", "reason", true, kLengthMax);
    text(core ? "message" : "note", "message", false, kNoteLengthMax);
  }
  if (core) return;
  const std::string_view type = object["type"].as_string();
  if (const Value& series = object["series"]; series.is_map()) {
    if (series["count"].as_int() < 2) out.push_back(invalid_value("series.count", Value(""), "should be at least 2"));
    if (series["lastObservedTime"].is_null()) out.push_back(required_value("series.lastObservedTime"));
  }
  if (!timed) out.push_back(required_value("eventTime"));
  if (type != "Normal" && type != "Warning")
    out.push_back(invalid_value("type", Value(""), "has invalid value: " + std::string(type)));
  for (const auto& [member, shown] :
       {std::pair<std::string_view, std::string_view>{"deprecatedFirstTimestamp", "firstTimestamp"},
        {"deprecatedLastTimestamp", "lastTimestamp"},
        {"deprecatedCount", "count"}})
    if (!object[member].is_null() && !(object[member] == Value(0)))
      out.push_back(invalid_value(std::string(shown), Value(""), "needs to be unset"));
  const Value& source = object["deprecatedSource"];
  if (!source["component"].as_string().empty() || !source["host"].as_string().empty())
    out.push_back(invalid_value("source", Value(""), "needs to be unset"));
}

void check_signer_name(std::string_view name, const std::string& path, Errors& out) {
  const auto segments = split(name, '/');
  const auto labels = split(segments[0], '.');
  if (segments.size() != 2) {
    out.push_back(invalid_value(path, Value(name),
                                "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    return;
  }
  for (const std::string_view label : labels) {
    const auto why = check_dns_label(label);
    for (const std::string& text : why)
      out.push_back(
          invalid_value(path, Value(segments[0]), "validating label \"" + std::string(label) + "\": " + text));
    if (!why.empty()) break;  // the rest would say the same
  }
  if (labels.size() < 2)
    out.push_back(
        invalid_value(path, Value(segments[0]), "should be a domain with at least two segments separated by dots"));
  for (const std::string_view part : split(segments[1], '.')) {
    const auto why = check_dns_subdomain(part);
    for (const std::string& text : why)
      out.push_back(invalid_value(path, Value(segments[1]), "validating label \"" + std::string(part) + "\": " + text));
    if (!why.empty()) break;
  }
}

void check_signing_request(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const auto bytes = unbase64(spec["request"].as_string());
  if (!bytes.ok() || bytes->find("-----BEGIN CERTIFICATE REQUEST-----") == std::string::npos) {
    std::string shown = "[]byte(nil)";
    if (bytes.ok() && !bytes->empty()) {
      shown = "[]byte{";
      for (const char byte : *bytes) shown += (shown.back() == '{' ? "0x" : ", 0x") + hex(std::string_view(&byte, 1));
      shown += "}";
    }
    out.push_back(invalid_value("spec.request", go_value(shown), "PEM block type must be CERTIFICATE REQUEST"));
  }
  const Value& usages = spec["usages"];
  static const std::vector<std::string> kUsages = {"any",
                                                   "cert sign",
                                                   "client auth",
                                                   "code signing",
                                                   "content commitment",
                                                   "crl sign",
                                                   "data encipherment",
                                                   "decipher only",
                                                   "digital signature",
                                                   "email protection",
                                                   "encipher only",
                                                   "ipsec end system",
                                                   "ipsec tunnel",
                                                   "ipsec user",
                                                   "key agreement",
                                                   "key encipherment",
                                                   "microsoft sgc",
                                                   "netscape sgc",
                                                   "ocsp signing",
                                                   "s/mime",
                                                   "server auth",
                                                   "signing",
                                                   "timestamping"};
  std::set<std::string> seen;
  for (std::size_t i = 0; i < usages.size(); ++i)
    if (std::find(kUsages.begin(), kUsages.end(), usages[i].as_string()) == kUsages.end())
      out.push_back(unsupported_value("spec.usages[" + std::to_string(i) + "]", usages[i], kUsages));
  for (std::size_t i = 0; i < usages.size(); ++i)
    if (!seen.insert(usages[i].str()).second)
      out.push_back(duplicate_value("spec.usages[" + std::to_string(i) + "]", usages[i]));
  if (const Value& seconds = spec["expirationSeconds"]; !seconds.is_null() && seconds.as_int() < 600)
    out.push_back(invalid_value("spec.expirationSeconds", seconds,
                                "may not specify a duration less than 600 seconds (10 minutes)"));
  const std::string_view signer = spec["signerName"].as_string();
  if (!signer.empty()) check_signer_name(signer, "spec.signerName", out);
}

void check_node(const Value& object, Errors& out) {
  const Value& taints = object["spec"]["taints"];
  std::set<std::string> seen;
  for (std::size_t i = 0; i < taints.size(); ++i) {
    const std::string path = at("metadata.taints", i);
    for (const std::string& why : check_qualified_name(taints[i]["key"].as_string()))
      out.push_back(invalid_value(path + ".key", taints[i]["key"], why));
    for (const std::string& why : check_label_value(taints[i]["value"].as_string()))
      out.push_back(invalid_value(path + ".value", taints[i]["value"], why));
    const std::string_view effect = taints[i]["effect"].as_string();
    if (effect.empty())
      out.push_back(required_value(path + ".effect"));
    else if (effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute")
      out.push_back(
          unsupported_value(path + ".effect", taints[i]["effect"], {"NoSchedule", "PreferNoSchedule", "NoExecute"}));
    if (!seen.insert(taints[i]["key"].str() + "\n" + std::string(effect)).second)
      out.push_back(duplicate_value(path, taints[i]));
  }
}

// --- webhooks

void check_url(const Value& url, const std::string& path, Errors& out) {
  std::string_view text = url.as_string();
  const std::size_t colon = text.find("://");
  const std::string scheme(colon == std::string_view::npos ? std::string_view() : text.substr(0, colon));
  if (scheme != "https")
    out.push_back(invalid_value(path, Value(scheme),
                                "'https' is the only allowed URL scheme; desired format: https://host[/path]"));
  text = colon == std::string_view::npos ? text : text.substr(colon + 3);
  const std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  const std::size_t user = authority.rfind('@');
  if (authority.empty())
    out.push_back(invalid_value(path, Value(""), "host must be specified; desired format: https://host[/path]"));
  if (user != std::string_view::npos)
    out.push_back(
        invalid_value(path, Value(authority.substr(0, user)), "user information is not permitted in the URL"));
  const std::size_t fragment = text.find('#'), query = text.substr(0, fragment).find('?');
  if (fragment != std::string_view::npos && fragment + 1 < text.size())
    out.push_back(invalid_value(path, Value(text.substr(fragment + 1)), "fragments are not permitted in the URL"));
  if (query != std::string_view::npos && query + 1 < text.substr(0, fragment).size())
    out.push_back(invalid_value(path, Value(text.substr(0, fragment).substr(query + 1)),
                                "query parameters are not permitted in the URL"));
}

void check_webhook_service(const Value& service, const std::string& path, Errors& out) {
  if (service["name"].as_string().empty()) out.push_back(required_value(path + ".name", "service name is required"));
  if (service["namespace"].as_string().empty())
    out.push_back(required_value(path + ".namespace", "service namespace is required"));
  const std::int64_t port = service["port"].as_int(443);
  if (port < 1 || port > 65535)
    out.push_back(invalid_value(path + ".port", Value(port), "port is not valid: " + std::string(kPortWords)));
  const Value& where = service["path"];
  if (where.is_null()) return;
  const std::string_view text = where.as_string();
  if (!text.starts_with('/')) out.push_back(invalid_value(path + ".path", where, "must start with a '/'"));
  if (text == "/") return;
  std::string_view rest = text.starts_with('/') ? text.substr(1) : text;
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::size_t step = 0;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment.empty())
      out.push_back(invalid_value(path + ".path", where, "segment[" + std::to_string(step) + "] may not be empty"));
    else
      for (const std::string& why : check_dns_subdomain(segment))
        out.push_back(invalid_value(path + ".path", where, "segment[" + std::to_string(step) + "]: " + why));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
    ++step;
  }
}

void check_webhook(const Value& hook, const std::string& path, Errors& out) {
  const std::string_view name = hook["name"].as_string();
  if (name.empty()) {
    out.push_back(required_value(path + ".name"));
  } else {
    const auto why = check_dns_subdomain(name);
    for (const std::string& text : why) out.push_back(invalid_value(path + ".name", hook["name"], text));
    if (why.empty() && std::count(name.begin(), name.end(), '.') < 2)
      out.push_back(invalid_value(path + ".name", hook["name"],
                                  "should be a domain with at least three segments separated by dots"));
  }
  const Value& versions = hook["admissionReviewVersions"];
  std::set<std::string_view> listed;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const std::string at_version = path + "." + at("admissionReviewVersions", i);
    for (const std::string& why : check_dns_1035_label(versions[i].as_string()))
      out.push_back(invalid_value(at_version, versions[i], why));
    if (!listed.insert(versions[i].as_string()).second)
      out.push_back(invalid_value(at_version, versions[i], "duplicate version"));
  }
  bool known = false;
  for (const Value& version : versions.items())
    known = known || version.as_string() == "v1" || version.as_string() == "v1beta1";
  if (versions.empty())
    out.push_back(required_value(path + ".admissionReviewVersions", "must specify one of v1, v1beta1"));
  else if (!known)
    out.push_back(
        invalid_value(path + ".admissionReviewVersions", versions, "must include at least one of v1, v1beta1"));
  for (std::size_t i = 0; i < hook["rules"].size(); ++i)
    check_admission_rule(hook["rules"][i], path + "." + at("rules", i), out);
  if (const Value& seconds = hook["timeoutSeconds"];
      !seconds.is_null() && (seconds.as_int() < 1 || seconds.as_int() > 30))
    out.push_back(
        invalid_value(path + ".timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"));
  check_label_selector(hook["namespaceSelector"], path + ".namespaceSelector", out);
  check_label_selector(hook["objectSelector"], path + ".objectSelector", out);
  check_webhook_client(hook["clientConfig"], path + ".clientConfig", out);
}

void check_webhooks(const Value& object, Errors& out) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < object["webhooks"].size(); ++i) {
    check_webhook(object["webhooks"][i], at("webhooks", i), out);
    if (!names.insert(object["webhooks"][i]["name"].str()).second)
      out.push_back(duplicate_value(at("webhooks", i) + ".name", object["webhooks"][i]["name"]));
  }
}

}  // namespace

bool check_others(const KindSchema& kind, const Value& object, std::vector<FieldError>& out) {
  using Check = void (*)(const Value&, Errors&);
  static constexpr std::pair<std::string_view, Check> kChecks[] = {
      {"endpoints", check_endpoints},
      {"endpointslices.discovery.k8s.io", check_endpoint_slice},
      {"leases.coordination.k8s.io", check_lease},
      {"priorityclasses.scheduling.k8s.io", check_priority_class},
      {"runtimeclasses.node.k8s.io", check_runtime_class},
      {"events", check_event},
      {"events.events.k8s.io", check_event},
      {"certificatesigningrequests.certificates.k8s.io", check_signing_request},
      {"nodes", check_node},
      {"limitranges", check_limit_range},
      {"resourcequotas", check_resource_quota},
      {"storageclasses.storage.k8s.io", check_storage_class},
      {"csidrivers.storage.k8s.io", check_csi_driver},
      {"validatingwebhookconfigurations.admissionregistration.k8s.io", check_webhooks},
      {"mutatingwebhookconfigurations.admissionregistration.k8s.io", check_webhooks},
      {"validatingadmissionpolicies.admissionregistration.k8s.io", check_validating_policy},
      {"validatingadmissionpolicybindings.admissionregistration.k8s.io", check_validating_binding},
      {"mutatingadmissionpolicies.admissionregistration.k8s.io", check_mutating_policy},
      {"mutatingadmissionpolicybindings.admissionregistration.k8s.io", check_mutating_binding}};
  const std::string resource = kind.resource.group_resource();
  for (const auto& [name, check] : kChecks) {
    if (name != resource) continue;
    check(object, out);
    return true;
  }
  return false;
}

void check_webhook_client(const Value& config, const std::string& path, Errors& out) {
  const bool url = !config["url"].is_null(), service = config["service"].is_map();
  if (url == service)
    out.push_back(required_value(path, "exactly one of url or service is required"));
  else if (url)
    check_url(config["url"], path + ".url", out);
  else
    check_webhook_service(config["service"], path + ".service", out);
}

}  // namespace caisson::schema
