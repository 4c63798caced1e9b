// SPDX-License-Identifier: Apache-2.0
// The page of a kind that has none of its own (custom resources and the rest): its fields, with their names as words.
#include <algorithm>
#include <cctype>

#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

bool is_upper(char c) {
  return std::isupper(static_cast<unsigned char>(c)) != 0;
}

// "podCIDRs" -> "pod", "CIDRs"? Words begin at an upper-case letter; a run of them is one word, less its last before a
// small one.
std::vector<std::string> camel_words(std::string_view name) {
  std::vector<std::string> words;
  for (const char c : name) {
    const bool starts = words.empty() || is_upper(c) != is_upper(words.back().back());
    if (starts) words.emplace_back();
    words.back() += c;
  }
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (!is_upper(words[i][0]) || is_upper(words[i + 1][0])) continue;
    words[i + 1].insert(words[i + 1].begin(), words[i].back());
    words[i].pop_back();
  }
  std::erase_if(words, [](const std::string& word) { return word.empty(); });
  return words;
}

std::string label_of(std::string_view field) {
  const bool plain = std::all_of(field.begin(), field.end(),
                                 [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '-'; });
  if (!plain) return std::string(field);
  std::vector<std::string> out;
  for (std::string word : camel_words(field)) {
    std::string upper = word;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    if (upper == "API" || upper == "URL" || upper == "UID" || upper == "OSB" || upper == "GUID")
      word = upper;
    else if (!word.empty())
      word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
    out.push_back(std::move(word));
  }
  return join(out, " ");
}

std::string scalar(const Value& value) {
  return value.is_null() ? "<nil>" : value.scalar_text();
}

void put_fields(Page& page, int level, const Value& content, const std::string& path) {
  static constexpr std::string_view kSkipped[] = {".metadata.name", ".metadata.namespace", ".metadata.labels",
                                                  ".metadata.annotations", ".metadata.managedFields"};
  for (const std::string& name : sorted_keys(content)) {
    const std::string at = path + "." + name;
    if (std::find(std::begin(kSkipped), std::end(kSkipped), at) != std::end(kSkipped)) continue;
    const Value& value = content[name];
    if (value.is_map()) {
      page.put(level, label_of(name) + ":\n");
      put_fields(page, level + 1, value, at);
    } else if (value.is_list()) {
      page.put(level, label_of(name) + ":\n");
      for (const Value& item : value.items()) {
        if (item.is_map())
          put_fields(page, level + 1, item, at);
        else
          page.put(level + 1, scalar(item) + "\n");
      }
    } else {
      page.field(level, label_of(name), scalar(value));
    }
  }
}

}  // namespace

void describe_any(Page& page, const Value& object, const Related& related) {
  put_name(page, object, true);
  put_metadata(page, object);
  put_fields(page, 0, object, "");
  put_events(page, object, related);
}

Describer describer_of(std::string_view group, std::string_view kind) {
  struct Entry {
    std::string_view group, kind;
    Describer describe;
  };
  static constexpr Entry kPages[] = {{"", "Pod", describe_pod},
                                     {"", "ReplicationController", describe_replication_controller},
                                     {"", "Service", describe_service},
                                     {"", "Endpoints", describe_endpoints},
                                     {"", "Secret", describe_secret},
                                     {"", "ConfigMap", describe_config_map},
                                     {"", "ServiceAccount", describe_service_account},
                                     {"", "Node", describe_node},
                                     {"", "Namespace", describe_namespace},
                                     {"", "ResourceQuota", describe_quota},
                                     {"", "LimitRange", describe_limit_range},
                                     {"", "PersistentVolume", describe_volume},
                                     {"", "PersistentVolumeClaim", describe_claim},
                                     {"apps", "Deployment", describe_deployment},
                                     {"apps", "ReplicaSet", describe_replica_set},
                                     {"apps", "StatefulSet", describe_stateful_set},
                                     {"apps", "DaemonSet", describe_daemon_set},
                                     {"batch", "Job", describe_job},
                                     {"batch", "CronJob", describe_cron_job},
                                     {"autoscaling", "HorizontalPodAutoscaler", describe_autoscaler},
                                     {"discovery.k8s.io", "EndpointSlice", describe_endpoint_slice},
                                     {"networking.k8s.io", "Ingress", describe_ingress},
                                     {"networking.k8s.io", "IngressClass", describe_ingress_class},
                                     {"networking.k8s.io", "NetworkPolicy", describe_network_policy},
                                     {"networking.k8s.io", "ServiceCIDR", describe_service_cidr},
                                     {"networking.k8s.io", "IPAddress", describe_ip_address},
                                     {"policy", "PodDisruptionBudget", describe_disruption_budget},
                                     {"rbac.authorization.k8s.io", "Role", describe_role},
                                     {"rbac.authorization.k8s.io", "ClusterRole", describe_role},
                                     {"rbac.authorization.k8s.io", "RoleBinding", describe_role_binding},
                                     {"rbac.authorization.k8s.io", "ClusterRoleBinding", describe_role_binding},
                                     {"certificates.k8s.io", "CertificateSigningRequest", describe_signing_request},
                                     {"scheduling.k8s.io", "PriorityClass", describe_priority_class},
                                     {"storage.k8s.io", "StorageClass", describe_storage_class},
                                     {"storage.k8s.io", "CSINode", describe_csi_node}};
  for (const Entry& entry : kPages) {
    if (entry.group == group && entry.kind == kind) return entry.describe;
  }
  return nullptr;
}

}  // namespace caisson::cli::kubectl
