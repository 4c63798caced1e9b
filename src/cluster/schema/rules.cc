// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/rules.h"

#include <functional>
#include <map>
#include <set>

#include "cluster/schema/checks.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;
constexpr std::size_t kAnnotationsBytesMax = 256u << 10;
constexpr std::size_t kDataBytesMax = 1u << 20;

// Kinds whose metadata upstream looks at only when the rest is right, and then takes any path segment for a name.
bool is_named_last(const KindSchema& kind) {
  return (kind.resource.group == "policy" && kind.resource.kind == "PodDisruptionBudget") ||
         (kind.resource.group.empty() && kind.resource.kind == "Event");
}

void check_name_last(const Value& name, Errors& out) {
  if (!out.empty()) return;
  if (name.as_string().empty()) out.push_back(required_value("metadata.name", "name or generateName is required"));
  for (const std::string& why : check_path_segment(name.as_string()))
    out.push_back(invalid_value("metadata.name", name, why));
}

std::vector<std::string> check_name(const KindSchema& kind, std::string_view name) {
  const std::string& plural = kind.resource.plural;
  const std::string& group = kind.resource.group;
  if (group == "rbac.authorization.k8s.io") return check_path_segment(name);
  if ((group.empty() && plural == "namespaces") || kind.resource == kStatefulSets) return check_dns_label(name);
  if (group.empty() && plural == "services") return check_dns_1035_label(name);
  if (group.empty() && plural == "events") return check_path_segment(name);
  if (group == "apiextensions.k8s.io" || !group.empty() || !plural.empty()) return check_dns_subdomain(name);
  return {};
}

void check_data(const Value& object, std::initializer_list<std::string_view> members, const std::string& field,
                Errors& out) {
  std::size_t bytes = 0;
  for (std::string_view member : members) {
    for (const auto& [key, text] : object[member].entries())
      bytes += text.as_string().size() * (member == "binaryData" ? 3 : 4) / 4;
  }
  if (bytes > kDataBytesMax)
    out.push_back({FieldError::Type::too_long, field, Value(), "may not be more than 1048576 bytes"});
}

// A byte as Go quotes it: those above ASCII are taken for Latin-1.
std::string go_character(char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0xa0 && byte != 0xad)
    return {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))};
  if (byte >= 0x80) return std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
  if (byte < 0x20 || byte == 0x7f) return std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
  return std::string(1, c);
}

}  // namespace

// What Go's encoding/json says of a text that is no JSON, where it is short to say.
std::string go_json_error(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return "unexpected end of JSON input";
  const std::string_view rest = text.substr(start);
  for (const std::string_view literal : {"null", "true", "false"}) {
    if (rest[0] != literal[0]) continue;
    for (std::size_t i = 1; i < literal.size(); ++i) {
      if (i >= rest.size()) return "unexpected end of JSON input";
      if (rest[i] != literal[i])
        return "invalid character '" + go_character(rest[i]) + "' in literal " + std::string(literal) +
               " (expecting '" + std::string(1, literal[i]) + "')";
    }
  }
  if (std::string_view("{[\"-0123456789").find(rest[0]) == std::string_view::npos)
    return "invalid character '" + go_character(rest[0]) + "' looking for beginning of value";
  return "unexpected end of JSON input";
}

namespace {

void check_secret(const Value& object, Errors& out) {
  check_data(object, {"data"}, "data", out);
  static const std::map<std::string_view, std::vector<std::string_view>> kKeys = {
      {"kubernetes.io/tls", {"tls.crt", "tls.key"}},
      {"kubernetes.io/dockerconfigjson", {".dockerconfigjson"}},
      {"kubernetes.io/dockercfg", {".dockercfg"}},
      {"kubernetes.io/ssh-auth", {"ssh-privatekey"}},
  };
  const std::string_view type = object["type"].as_string();
  const Value& data = object["data"];
  if (const auto keys = kKeys.find(type); keys != kKeys.end()) {
    for (std::string_view key : keys->second) {
      if (!data.contains(key)) out.push_back(required_value("data[" + std::string(key) + "]"));
    }
  }
  if (type == "kubernetes.io/basic-auth" && !data.contains("username") && !data.contains("password")) {
    out.push_back(required_value("data[username]"));
    out.push_back(required_value("data[password]"));
  }
  if (type == "kubernetes.io/service-account-token" &&
      object["metadata"]["annotations"]["kubernetes.io/service-account.name"].as_string().empty()) {
    out.push_back(required_value("metadata.annotations[kubernetes.io/service-account.name]"));
  }
  for (const auto& [key, text] : data.entries()) {
    const auto bytes = unbase64(text.as_string());
    const std::string field = "data[" + std::string(key) + "]";
    if (key == ".dockerconfigjson" && type == "kubernetes.io/dockerconfigjson" && bytes.ok() &&
        !json::parse(*bytes).ok()) {
      out.push_back(invalid_value(field, "<secret contents redacted>", go_json_error(*bytes)));
    }
  }
}

void check_binding(const KindSchema& kind, const Value& object, Errors& out) {
  const Value& ref = object["roleRef"];
  const bool cluster = kind.resource.kind == "ClusterRoleBinding";
  if (ref["apiGroup"].as_string() != "rbac.authorization.k8s.io") {
    out.push_back(unsupported_value("roleRef.apiGroup", ref["apiGroup"], {"rbac.authorization.k8s.io"}));
  }
  if (!ref["name"].as_string().empty())
    for (const std::string& why : check_path_segment(ref["name"].as_string()))
      out.push_back(invalid_value("roleRef.name", ref["name"], why));
  const std::string_view role = ref["kind"].as_string();
  if (role != "ClusterRole" && (cluster || role != "Role")) {
    const std::vector<std::string> kinds =
        cluster ? std::vector<std::string>{"ClusterRole"} : std::vector<std::string>{"Role", "ClusterRole"};
    out.push_back(unsupported_value("roleRef.kind", ref["kind"], kinds));
  }
  const Value& subjects = object["subjects"];
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const std::string at = "subjects[" + std::to_string(i) + "]";
    const std::string_view what = subjects[i]["kind"].as_string();
    const std::string_view group = subjects[i]["apiGroup"].as_string();
    if (what.empty()) out.push_back(unsupported_value(at + ".kind", Value(""), {"ServiceAccount", "User", "Group"}));
    if (what == "ServiceAccount") {
      for (const std::string& why : check_dns_subdomain(subjects[i]["name"].as_string())) {
        if (!subjects[i]["name"].as_string().empty())
          out.push_back(invalid_value(at + ".name", subjects[i]["name"], why));
      }
      if (!group.empty()) out.push_back(unsupported_value(at + ".apiGroup", subjects[i]["apiGroup"], {""}));
      if (cluster && subjects[i]["namespace"].as_string().empty()) out.push_back(required_value(at + ".namespace"));
    } else if ((what == "User" || what == "Group") && group != "rbac.authorization.k8s.io") {
      out.push_back(unsupported_value(at + ".apiGroup", subjects[i]["apiGroup"], {"rbac.authorization.k8s.io"}));
    }
  }
}

void check_role(const KindSchema& kind, const Value& object, Errors& out) {
  const Value& rules = object["rules"];
  if (const Value& aggregation = object["aggregationRule"];
      aggregation.is_map() && aggregation["clusterRoleSelectors"].empty())
    out.push_back(required_value("aggregationRule.clusterRoleSelectors",
                                 "at least one clusterRoleSelector required if aggregationRule is non-nil"));
  const Value& selectors = object["aggregationRule"]["clusterRoleSelectors"];
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    const std::string at = "aggregationRule.clusterRoleSelectors[" + std::to_string(i) + "]";
    const std::size_t before = out.size();
    check_label_selector(selectors[i], at, out);
    if (out.size() > before) out.push_back(invalid_value(at, Value(), "invalid label selector."));
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string at = "rules[" + std::to_string(i) + "]";
    if (rules[i]["verbs"].empty())
      out.push_back(required_value(at + ".verbs", "verbs must contain at least one value"));
    if (!rules[i]["nonResourceURLs"].empty()) {
      if (kind.resource.namespaced) {
        out.push_back(invalid_value(at + ".nonResourceURLs", rules[i]["nonResourceURLs"],
                                    "namespaced rules cannot apply to non-resource URLs"));
      }
      if (!rules[i]["apiGroups"].empty() || !rules[i]["resources"].empty()) {
        out.push_back(invalid_value(at + ".nonResourceURLs", rules[i]["nonResourceURLs"],
                                    "rules cannot apply to both regular resources and non-resource URLs"));
      }
      continue;
    }
    if (rules[i]["apiGroups"].empty())
      out.push_back(required_value(at + ".apiGroups", "resource rules must supply at least one api group"));
    if (rules[i]["resources"].empty())
      out.push_back(required_value(at + ".resources", "resource rules must supply at least one resource"));
  }
}

}  // namespace

void check_labels(const Value& labels, const std::string& path, Errors& out) {
  for (const auto& [key, value] : labels.entries()) {
    for (const std::string& why : check_qualified_name(key)) out.push_back(invalid_value(path, Value(key), why));
    for (const std::string& why : check_label_value(value.as_string())) out.push_back(invalid_value(path, value, why));
  }
}

void check_annotation_keys(const Value& annotations, const std::string& path, Errors& out) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : annotations.entries()) {
    for (const std::string& why : check_qualified_name(to_lower(key)))
      out.push_back(invalid_value(path, Value(key), why));
    bytes += key.size() + value.as_string().size();
  }
  if (bytes > kAnnotationsBytesMax)
    out.push_back({FieldError::Type::too_long, path, Value(), "may not be more than 262144 bytes"});
}

void check_metadata(const KindSchema& kind, const Value& object, Errors& out) {
  const Value& metadata = object["metadata"];
  const std::string_view name = metadata["name"].as_string();
  if (kind.is_review() || is_named_last(kind)) return;
  if (std::string base = metadata["generateName"].str(); !base.empty()) {
    if (base.back() == '-') base.back() = 'a';  // something will follow
    for (const std::string& why : check_name(kind, base))
      out.push_back(invalid_value("metadata.generateName", metadata["generateName"], why));
  }
  if (name.empty() && metadata["generateName"].as_string().empty()) {
    out.push_back(required_value("metadata.name", "name or generateName is required"));
  } else if (!name.empty()) {
    for (const std::string& why : check_name(kind, name))
      out.push_back(invalid_value("metadata.name", metadata["name"], why));
  }
  const bool cron = kind.resource.plural == "cronjobs" && kind.resource.group == "batch";
  if (cron && name.size() > 52)
    out.push_back(invalid_value("metadata.name", metadata["name"], "must be no more than 52 characters"));
  check_labels(metadata["labels"], "metadata.labels", out);
  check_annotation_keys(metadata["annotations"], "metadata.annotations", out);
  const Value& finalizers = metadata["finalizers"];
  for (std::size_t i = 0; i < finalizers.size(); ++i) {
    const std::string_view text = finalizers[i].as_string();
    for (const std::string& why : check_qualified_name(text))
      out.push_back(invalid_value("metadata.finalizers", finalizers[i], why));
    const bool standard = text == "orphan" || text == "foregroundDeletion" || text == "kubernetes";
    // Kinds that core does not validate (definitions and their objects) take any qualified name.
    const bool core_rules = !kind.custom && kind.resource.group != "apiextensions.k8s.io";
    if (!standard && text.find('/') == std::string_view::npos && core_rules) {
      out.push_back(invalid_value("metadata.finalizers[" + std::to_string(i) + "]", finalizers[i],
                                  "name is neither a standard finalizer name nor is it fully qualified"));
    }
  }
  const Value& owners = metadata["ownerReferences"];
  std::string controller;
  for (std::size_t i = 0; i < owners.size(); ++i) {
    for (const auto& [member, text] :
         {std::pair<std::string_view, std::string_view>{"apiVersion", "version must not be empty"},
          {"kind", "kind must not be empty"},
          {"name", "name must not be empty"},
          {"uid", "uid must not be empty"}}) {
      if (owners[i][member].as_string().empty())
        out.push_back(invalid_value("metadata.ownerReferences." + std::string(member), Value(""), std::string(text)));
    }
    if (owners[i]["apiVersion"].as_string() == "v1" && owners[i]["kind"].as_string() == "Event")
      out.push_back(
          invalid_value("metadata.ownerReferences", owners[i], "/v1, Kind=Event is disallowed from being an owner"));
    if (!owners[i]["controller"].as_bool()) continue;
    const std::string who = owners[i]["kind"].str() + "/" + owners[i]["name"].str();
    if (!controller.empty())
      out.push_back(
          invalid_value("metadata.ownerReferences", owners,
                        "Only one reference can have Controller set to true. Found \"true\" in references for " +
                            controller + " and " + who));
    controller = who;
  }
}

void check_kind(const KindSchema& kind, const Value& object, Errors& out) {
  const std::string_view group = kind.resource.group, name = kind.resource.kind;
  if (group.empty()) {
    if (name == "Pod") {
      const Value& mirror = object["metadata"]["annotations"]["kubernetes.io/config.mirror"];
      if (!mirror.is_null() && object["spec"]["nodeName"].as_string().empty())
        out.push_back(invalid_value("metadata.annotations[kubernetes.io/config.mirror]", mirror,
                                    "must set spec.nodeName if mirror pod annotation is set"));
      check_pod_spec(object["spec"], "spec", out);
    } else if (name == "Service")
      check_service(object, out);
    else if (name == "PersistentVolumeClaim")
      check_claim_spec(object["spec"], "spec", out);
    else if (name == "Secret")
      check_secret(object, out);
    else if (name == "ConfigMap")
      check_data(object, {"data", "binaryData"}, "", out);
    else if (name == "ReplicationController")
      check_workload(kind, object, out);
    else
      check_others(kind, object, out);
  } else if (group == "apps" || group == "batch") {
    check_workload(kind, object, out);
  } else if (group == "networking.k8s.io") {
    if (name == "Ingress") check_ingress(object, out);
    if (name == "NetworkPolicy") check_network_policy(object, out);
  } else if (group == "rbac.authorization.k8s.io") {
    if (name == "Role" || name == "ClusterRole")
      check_role(kind, object, out);
    else
      check_binding(kind, object, out);
  } else if (group == "apiextensions.k8s.io" && name == "CustomResourceDefinition") {
    check_definition(object, out);
  } else if (group == "policy" && name == "PodDisruptionBudget") {
    check_disruption_budget(object, out);
  } else if (group == "autoscaling" && name == "HorizontalPodAutoscaler") {
    check_autoscaler(object, out);
  } else {
    check_others(kind, object, out);
  }
  if (is_named_last(kind)) check_name_last(object["metadata"]["name"], out);
}

}  // namespace caisson::schema
