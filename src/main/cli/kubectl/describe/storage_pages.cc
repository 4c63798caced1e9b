// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

// "RWO,ROX": in kubectl's order, each once.
std::string access_modes(const Value& modes) {
  static constexpr std::pair<std::string_view, std::string_view> kModes[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  const auto have = modes.items();
  std::vector<std::string> out;
  for (const auto& [name, text] : kModes) {
    if (std::find(have.begin(), have.end(), Value(name)) != have.end()) out.emplace_back(text);
  }
  return join(out, ",");
}

std::string finalizers(const Value& object) {
  return go_list(object["metadata"]["finalizers"]);
}

std::string phase_of(const Value& object, const Related& related) {
  const Value& deleted = object["metadata"]["deletionTimestamp"];
  return deleted.is_null() ? object["status"]["phase"].str()
                           : "Terminating (lasts " + since(deleted, related.now) + ")";
}

std::string class_of(const Value& object) {
  const Value& annotated = object["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"];
  return annotated.is_null() ? object["spec"]["storageClassName"].str() : annotated.str();
}

void put_data_source(Page& page, const Value& source) {
  if (source.is_null()) return;
  page.put(0, "DataSource:\n");
  if (!source["apiGroup"].is_null()) page.field(1, "APIGroup", source["apiGroup"].str());
  page.field(1, "Kind", source["kind"].str());
  page.field(1, "Name", source["name"].str());
}

void put_claim_conditions(Page& page, const Value& conditions) {
  if (conditions.empty()) return;
  page.put(0, "Conditions:\n  Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage\n");
  page.put(0, "  ----\t------\t-----------------\t------------------\t------\t-------\n");
  for (const Value& c : conditions.items())
    page.put(1, c["type"].str() + " \t" + c["status"].str() + " \t" +
                    (c["lastProbeTime"].is_null() ? "Mon, 01 Jan 0001 00:00:00 +0000" : long_time(c["lastProbeTime"])) +
                    " \t" + long_time(c["lastTransitionTime"]) + " \t" + c["reason"].str() + " \t" +
                    c["message"].str() + "\n");
}

void put_node_affinity(Page& page, const Value& affinity) {
  page.put(0, "Node Affinity:\t");
  if (affinity.is_null() || affinity["required"].is_null()) return page.put(0, "<none>\n");
  page.put(0, "\n");
  page.put(1, "Required Terms:\t");
  const Value& terms = affinity["required"]["nodeSelectorTerms"];
  page.put(0, terms.empty() ? "<none>\n" : "\n");
  for (std::size_t i = 0; i < terms.size(); ++i) {
    page.put(2, "Term " + std::to_string(i) + ":\t");
    const Value& expressions = terms[i]["matchExpressions"];
    if (expressions.empty()) page.put(0, "<none>\n");
    for (std::size_t j = 0; j < expressions.size(); ++j) {
      const Value& expression = expressions[j];
      const std::string op = to_lower(expression["operator"].as_string()) == "notin"
                                 ? "not in"
                                 : to_lower(expression["operator"].as_string());
      const std::string values = expression["values"].empty() ? "" : " [" + list_text(expression["values"], ", ") + "]";
      if (j > 0) page.put(2, "\t");
      page.put(0, expression["key"].str() + " " + op + values + "\n");
    }
  }
}

}  // namespace

void put_claim_template(Page& page, const Value& claim) {
  page.put(2, "StorageClass:\t" + class_of(claim) + "\n");
  page.put(2, "Volume:\t" + claim["spec"]["volumeName"].str() + "\n");
  put_labels(page, "    Labels", claim["metadata"]["labels"]);
  put_annotations(page, "    Annotations", claim["metadata"]["annotations"]);
  page.field(2, "Capacity", "");
  page.field(2, "Access Modes", "");
  const Value& mode = claim["spec"]["volumeMode"];
  if (!mode.is_null()) page.field(2, "VolumeMode", mode.str());
}

void describe_claim(Page& page, const Value& claim, const Related& related) {
  const Value &spec = claim["spec"], &status = claim["status"];
  put_name(page, claim, true);
  page.field(0, "StorageClass", class_of(claim));
  page.field(0, "Status", phase_of(claim, related));
  page.field(0, "Volume", spec["volumeName"].str());
  put_metadata(page, claim);
  page.field(0, "Finalizers", finalizers(claim));
  const bool bound = !spec["volumeName"].as_string().empty();
  page.field(0, "Capacity", bound ? scalar_or(status["capacity"]["storage"], "0") : "");
  page.field(0, "Access Modes", bound ? access_modes(status["accessModes"]) : "");
  if (!spec["volumeMode"].is_null()) page.field(0, "VolumeMode", spec["volumeMode"].str());
  put_data_source(page, spec["dataSource"]);
  page.field(
      0, "Used By",
      mounted_claim_users(items_at(related, "/api/v1/namespaces/" + claim["metadata"]["namespace"].str() + "/pods"),
                          claim["metadata"]["name"].as_string()));
  put_claim_conditions(page, status["conditions"]);
  put_events(page, claim, related);
}

void describe_volume(Page& page, const Value& volume, const Related& related) {
  const Value &spec = volume["spec"], &status = volume["status"];
  put_name(page, volume, false);
  put_metadata(page, volume);
  page.field(0, "Finalizers", finalizers(volume));
  page.field(0, "StorageClass", class_of(volume));
  page.field(0, "Status", phase_of(volume, related));
  const Value& claim = spec["claimRef"];
  page.field(0, "Claim", claim.is_null() ? "" : claim["namespace"].str() + "/" + claim["name"].str());
  page.field(0, "Reclaim Policy", spec["persistentVolumeReclaimPolicy"].str());
  page.field(0, "Access Modes", access_modes(spec["accessModes"]));
  if (!spec["volumeMode"].is_null()) page.field(0, "VolumeMode", spec["volumeMode"].str());
  page.field(0, "Capacity", spec["capacity"]["storage"].scalar_text());
  put_node_affinity(page, spec["nodeAffinity"]);
  page.field(0, "Message", status["message"].str());
  page.put(0, "Source:\n");
  put_volume_source(page, spec, 2);
  put_events(page, volume, related);
}

void describe_storage_class(Page& page, const Value& storage_class, const Related& related) {
  const Value& annotations = storage_class["metadata"]["annotations"];
  put_name(page, storage_class, false);
  const bool is_default = annotations["storageclass.kubernetes.io/is-default-class"].as_string() == "true" ||
                          annotations["storageclass.beta.kubernetes.io/is-default-class"].as_string() == "true";
  page.field(0, "IsDefaultClass", is_default ? "Yes" : "No");
  page.field(0, "Annotations", labels_text(annotations));
  page.field(0, "Provisioner", storage_class["provisioner"].str());
  page.field(0, "Parameters", labels_text(storage_class["parameters"]));
  page.field(0, "AllowVolumeExpansion",
             storage_class["allowVolumeExpansion"].is_null()
                 ? "<unset>"
                 : bool_text(storage_class["allowVolumeExpansion"].as_bool()));
  if (storage_class["mountOptions"].empty()) {
    page.field(0, "MountOptions", "<none>");
  } else {
    page.put(0, "MountOptions:\n");
    for (const Value& option : storage_class["mountOptions"].items()) page.put(1, option.str() + "\n");
  }
  if (!storage_class["reclaimPolicy"].is_null()) page.field(0, "ReclaimPolicy", storage_class["reclaimPolicy"].str());
  if (!storage_class["volumeBindingMode"].is_null())
    page.field(0, "VolumeBindingMode", storage_class["volumeBindingMode"].str());
  if (const Value& topologies = storage_class["allowedTopologies"]; topologies.is_list()) {
    page.put(0, "AllowedTopologies:\t");
    page.put(0, topologies.empty() ? "<none>\n" : "\n");
    for (std::size_t i = 0; i < topologies.size(); ++i) {
      page.put(1, "Term " + std::to_string(i) + ":\t");
      bool first = true;
      for (const Value& expression : topologies[i]["matchLabelExpressions"].items()) {
        page.put(first ? 0 : 1, (first ? "" : "\t") + expression["key"].str() + " in [" +
                                    list_text(expression["values"], ", ") + "]\n");
        first = false;
      }
      if (first) page.put(0, "<none>\n");
    }
  }
  put_events(page, storage_class, related);
}

void describe_csi_node(Page& page, const Value& node, const Related& related) {
  put_name(page, node, false);
  put_metadata(page, node);
  page.field(0, "CreationTimestamp", long_time(node["metadata"]["creationTimestamp"]));
  page.put(0, "Spec:\n");
  if (!node["spec"]["drivers"].empty()) page.put(1, "Drivers:\n");
  for (const Value& driver : node["spec"]["drivers"].items()) {
    page.put(2, driver["name"].str() + ":\n");
    page.field(3, "Node ID", driver["nodeID"].str());
    if (!driver["allocatable"]["count"].is_null()) {
      page.put(3, "Allocatables:\n");
      page.field(4, "Count", driver["allocatable"]["count"].scalar_text());
    }
    if (!driver["topologyKeys"].is_null()) page.field(3, "Topology Keys", go_list(driver["topologyKeys"]));
  }
  put_events(page, node, related);
}

}  // namespace caisson::cli::kubectl
