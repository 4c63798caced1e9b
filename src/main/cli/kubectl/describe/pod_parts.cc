// SPDX-License-Identifier: Apache-2.0
// Containers, volumes and templates: what the pages of pods and of workloads share.
#include <algorithm>

#include "cluster/kube/resource_usage.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "main/cli/kubectl/describe/describe.h"

namespace caisson::cli::kubectl {
namespace {

const Value& named(const Value& list, const Value& name) {
  for (const Value& item : list.items()) {
    if (item["name"] == name) return item;
  }
  return document::kNull;
}

void put_lines(Page& page, int level, std::string_view text) {
  for (const std::string_view line : split(text, '\n')) page.put(level, std::string(line) + "\n");
}

std::string ports_text(const Value& ports, const char* number) {
  std::vector<std::string> out;
  for (const Value& port : ports.items()) {
    const std::string protocol = port["protocol"].as_string().empty() ? "TCP" : port["protocol"].str();
    out.push_back(std::to_string(port[number].as_int()) + "/" + protocol);
  }
  return join(out, ", ");
}

void put_ports(Page& page, std::string_view title, const std::string& text) {
  page.field(2, std::string(title) + (text.find(',') == std::string::npos ? "" : "s"), or_none(text));
}

void put_seccomp(Page& page, int level, const Value& context) {
  const Value& profile = context["seccompProfile"];
  if (profile.is_null()) return;
  page.field(level, "SeccompProfile", profile["type"].str());
  if (profile["type"].as_string() == "Localhost")
    page.field(level, "LocalhostProfile", profile["localhostProfile"].str());
}

void put_state(Page& page, std::string_view title, const Value& state) {
  if (const Value& running = state["running"]; !running.is_null()) {
    page.field(2, title, "Running");
    page.field(3, "Started", long_time(running["startedAt"]));
    return;
  }
  const Value& over = state["terminated"];
  page.field(2, title, over.is_null() ? "Waiting" : "Terminated");
  const Value& told = over.is_null() ? state["waiting"] : over;
  if (!told["reason"].as_string().empty()) page.field(3, "Reason", told["reason"].str());
  if (over.is_null()) return;
  if (!over["message"].as_string().empty()) page.field(3, "Message", over["message"].str());
  page.field(3, "Exit Code", std::to_string(over["exitCode"].as_int()));
  if (over["signal"].as_int() > 0) page.field(3, "Signal", over["signal"].scalar_text());
  page.field(3, "Started", long_time(over["startedAt"]));
  page.field(3, "Finished", long_time(over["finishedAt"]));
}

void put_quantities(Page& page, const char* title, const Value& quantities) {
  if (quantities.empty()) return;
  page.put(2, std::string(title) + ":\n");
  for (const std::string& name : sorted_keys(quantities)) page.field(3, name, quantities[name].scalar_text());
}

// The path of a URL as Go's net/url writes it: a '?' in a probe's path is part of it, and escaped.
std::string url_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.~/$&+,:;=@!'()*").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : percent_encode(std::string(1, c));
  }
  return out;
}

std::string probe_text(const Value& probe) {
  const auto n = [&](const char* key, int otherwise) { return std::to_string(probe[key].as_int(otherwise)); };
  const std::string timing = "delay=" + n("initialDelaySeconds", 0) + "s timeout=" + n("timeoutSeconds", 0) +
                             "s period=" + n("periodSeconds", 0) + "s #success=" + n("successThreshold", 0) +
                             " #failure=" + n("failureThreshold", 0);
  if (const Value& exec = probe["exec"]; !exec.is_null()) return "exec " + go_list(exec["command"]) + " " + timing;
  if (const Value& http = probe["httpGet"]; !http.is_null()) {
    const std::string port = http["port"].scalar_text(), path = http["path"].str();
    return "http-get " + to_lower(http["scheme"].as_string("HTTP")) + "://" + http["host"].str() +
           (port.empty() ? "" : ":" + port) + (path.empty() || path[0] == '/' ? "" : "/") + url_path(path) + " " +
           timing;
  }
  if (const Value& tcp = probe["tcpSocket"]; !tcp.is_null())
    return "tcp-socket " + tcp["host"].str() + ":" + tcp["port"].scalar_text() + " " + timing;
  if (const Value& grpc = probe["grpc"]; !grpc.is_null())
    return "grpc <pod>:" + grpc["port"].scalar_text() + " " + grpc["service"].str() + " " + timing;
  return "unknown " + timing;
}

// What a fieldRef of a pod reads, as far as the object itself says it.
std::string field_of(const Value& pod, std::string_view path) {
  if (path == "metadata.name" || path == "metadata.namespace" || path == "metadata.uid")
    return pod["metadata"][path.substr(9)].str();
  for (const std::string_view map : {"labels", "annotations"}) {
    const std::string prefix = "metadata." + std::string(map);
    if (!path.starts_with(prefix)) continue;
    std::string_view rest = path.substr(prefix.size());
    if (rest.empty()) {
      std::vector<std::string> out;
      for (const std::string& key : sorted_keys(pod["metadata"][map]))
        out.push_back(key + "=\"" + pod["metadata"][map][key].str() + "\"");
      return join(out, "\n");
    }
    if (rest.starts_with("['") && rest.ends_with("']"))
      return pod["metadata"][map][rest.substr(2, rest.size() - 4)].str();
  }
  return "";
}

// What a resourceFieldRef of a container reads, in units of its divisor, rounded up.
std::string resource_of_container(const Value& container, const Value& reference) {
  const std::string_view path = reference["resource"].as_string();
  const auto dot = path.find('.');
  if (dot == std::string_view::npos) return "";
  const std::int64_t amount = kube::amount_of(container["resources"][path.substr(0, dot)][path.substr(dot + 1)]).milli;
  std::int64_t divisor = kube::amount_of(reference["divisor"]).milli;
  if (divisor <= 0) divisor = 1000;
  const std::int64_t count = (amount + divisor - 1) / divisor;
  if (count == 0 && path.starts_with("limits.")) return "node allocatable";
  return std::to_string(count);
}

void put_variable(Page& page, const Value& variable, const Value& container, const Value& pod) {
  const std::string name = variable["name"].str();
  const Value& from = variable["valueFrom"];
  if (from.is_null()) {
    bool first = true;
    for (const std::string_view line : split(variable["value"].as_string(), '\n')) {
      page.put(3, (first ? name + ":\t" : "\t") + std::string(line) + "\n");
      first = false;
    }
  } else if (const Value& field = from["fieldRef"]; !field.is_null()) {
    const std::string path = field["fieldPath"].str(), value = pod.is_null() ? "" : field_of(pod, path);
    page.field(3, name, value + " (" + std::string(field["apiVersion"].as_string("v1")) + ":" + path + ")");
  } else if (const Value& resource = from["resourceFieldRef"]; !resource.is_null()) {
    page.field(3, name, resource_of_container(container, resource) + " (" + resource["resource"].str() + ")");
  } else if (const Value& secret = from["secretKeyRef"]; !secret.is_null()) {
    page.field(3, name,
               "<set to the key '" + secret["key"].str() + "' in secret '" + secret["name"].str() +
                   "'>\tOptional: " + (secret["optional"].as_bool() ? "true" : "false"));
  } else if (const Value& map = from["configMapKeyRef"]; !map.is_null()) {
    page.field(3, name,
               "<set to the key '" + map["key"].str() + "' of config map '" + map["name"].str() +
                   "'>\tOptional: " + (map["optional"].as_bool() ? "true" : "false"));
  }
}

void put_environment(Page& page, const Value& container, const Value& pod) {
  if (!container["envFrom"].empty()) {
    page.put(2, "Environment Variables from:\n");
    for (const Value& source : container["envFrom"].items()) {
      const bool is_map = !source["configMapRef"].is_null();
      const Value& reference = is_map ? source["configMapRef"] : source["secretRef"];
      const std::string prefix = source["prefix"].str();
      page.put(3, reference["name"].str() + "\t" + (is_map ? "ConfigMap" : "Secret") +
                      (prefix.empty() ? "" : " with prefix '" + prefix + "'") +
                      "\tOptional: " + (reference["optional"].as_bool() ? "true" : "false") + "\n");
    }
  }
  page.put(2, container["env"].empty() ? "Environment:\t<none>\n" : "Environment:\n");
  for (const Value& variable : container["env"].items()) put_variable(page, variable, container, pod);
}

void put_mounts(Page& page, const Value& container) {
  std::vector<Value> mounts(container["volumeMounts"].items().begin(), container["volumeMounts"].items().end());
  page.put(2, mounts.empty() ? "Mounts:\t<none>\n" : "Mounts:\n");
  std::stable_sort(mounts.begin(), mounts.end(), [](const Value& a, const Value& b) {
    return a["mountPath"].as_string() < b["mountPath"].as_string();
  });
  for (const Value& mount : mounts) {
    std::string flags = mount["readOnly"].as_bool() ? "ro" : "rw";
    if (const std::string path = mount["subPath"].str(); !path.empty()) flags += ",path=\"" + path + "\"";
    page.put(3, mount["mountPath"].str() + " from " + mount["name"].str() + " (" + flags + ")\n");
  }
  const Value& devices = container["volumeDevices"];
  if (devices.empty()) return;
  page.put(2, "Devices:\n");
  for (const Value& device : devices.items())
    page.put(3, device["devicePath"].str() + " from " + device["name"].str() + "\n");
}

void put_container(Page& page, const Value& container, const Value& status, const Value& pod, std::string_view indent) {
  const bool known = !status.is_null();
  page.put(1, std::string(indent.empty() ? "" : " ") + container["name"].str() + ":\n");
  if (known) page.field(2, "Container ID", status["containerID"].str());
  page.field(2, "Image", container["image"].str());
  if (known) page.field(2, "Image ID", status["imageID"].str());
  put_ports(page, "Port", ports_text(container["ports"], "containerPort"));
  put_ports(page, "Host Port", ports_text(container["ports"], "hostPort"));
  put_seccomp(page, 2, container["securityContext"]);
  for (const char* title : {"Command", "Args"}) {
    const Value& words = container[title[0] == 'C' ? "command" : "args"];
    if (words.empty()) continue;
    page.put(2, std::string(title) + ":\n");
    for (const Value& word : words.items()) put_lines(page, 3, word.as_string());
  }
  if (known) {
    put_state(page, "State", status["state"]);
    if (!status["lastState"]["terminated"].is_null()) put_state(page, "Last State", status["lastState"]);
    page.field(2, "Ready", bool_text(status["ready"].as_bool()));
    page.field(2, "Restart Count", std::to_string(status["restartCount"].as_int()));
  }
  put_quantities(page, "Limits", container["resources"]["limits"]);
  put_quantities(page, "Requests", container["resources"]["requests"]);
  for (const auto& [title, key] :
       {std::pair("Liveness", "livenessProbe"), {"Readiness", "readinessProbe"}, {"Startup", "startupProbe"}}) {
    if (!container[key].is_null()) page.field(2, title, probe_text(container[key]));
  }
  put_environment(page, container, pod);
  put_mounts(page, container);
}

void put_optional_source(Page& page, int level, const char* type, const char* name_title, const Value& source,
                         const char* name_key) {
  page.field(level, "Type", type);
  page.field(level, name_title, source[name_key].str());
  page.field(level, "Optional", source["optional"].as_bool() ? "true" : "false");
}

void put_projected(Page& page, const Value& projected, int level) {
  page.field(level, "Type", "Projected (a volume that contains injected data from multiple sources)");
  for (const Value& source : projected["sources"].items()) {
    if (const Value& secret = source["secret"]; !secret.is_null()) {
      page.field(level, "SecretName", secret["name"].str());
      page.field(level, "Optional", secret["optional"].as_bool() ? "true" : "false");
    } else if (!source["downwardAPI"].is_null()) {
      page.field(level, "DownwardAPI", "true");
    } else if (const Value& map = source["configMap"]; !map.is_null()) {
      page.field(level, "ConfigMapName", map["name"].str());
      page.field(level, "Optional", map["optional"].as_bool() ? "true" : "false");
    } else if (const Value& token = source["serviceAccountToken"]; !token.is_null()) {
      page.field(level, "TokenExpirationSeconds", std::to_string(token["expirationSeconds"].as_int(3600)));
    }
  }
}

void put_csi(Page& page, const Value& csi, int level) {
  page.field(level, "Type", "CSI (a Container Storage Interface (CSI) volume source)");
  page.field(level, "Driver", csi["driver"].str());
  page.field(level, "FSType", csi["fsType"].str());
  page.field(level, "ReadOnly", csi["readOnly"].as_bool() ? "true" : "false");
  if (csi.contains("volumeHandle")) page.field(level, "VolumeHandle", csi["volumeHandle"].str());
  put_labels(page, std::string(static_cast<std::size_t>(level) * 2, ' ') + "VolumeAttributes", csi["volumeAttributes"]);
}

}  // namespace

void put_containers(Page& page, std::string_view title, const Value& containers, const Value& statuses,
                    const Value& pod, std::string_view indent) {
  page.put(0, std::string(indent) + std::string(title) + (containers.empty() ? ": <none>\n" : ":\n"));
  for (const Value& container : containers.items())
    put_container(page, container, named(statuses, container["name"]), pod, indent);
}

void put_volume_source(Page& page, const Value& volume, int level) {
  if (const Value& host = volume["hostPath"]; !host.is_null()) {
    page.field(level, "Type", "HostPath (bare host directory volume)");
    page.field(level, "Path", host["path"].str());
    page.field(level, "HostPathType", host["type"].is_null() ? "<none>" : host["type"].str());
  } else if (const Value& empty = volume["emptyDir"]; !empty.is_null()) {
    page.field(level, "Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
    page.field(level, "Medium", empty["medium"].str());
    page.field(level, "SizeLimit", scalar_or(empty["sizeLimit"], "<unset>"));
  } else if (const Value& secret = volume["secret"]; !secret.is_null()) {
    put_optional_source(page, level, "Secret (a volume populated by a Secret)", "SecretName", secret, "secretName");
  } else if (const Value& map = volume["configMap"]; !map.is_null()) {
    put_optional_source(page, level, "ConfigMap (a volume populated by a ConfigMap)", "Name", map, "name");
  } else if (const Value& nfs = volume["nfs"]; !nfs.is_null()) {
    page.field(level, "Type", "NFS (an NFS mount that lasts the lifetime of a pod)");
    page.field(level, "Server", nfs["server"].str());
    page.field(level, "Path", nfs["path"].str());
    page.field(level, "ReadOnly", nfs["readOnly"].as_bool() ? "true" : "false");
  } else if (const Value& claim = volume["persistentVolumeClaim"]; !claim.is_null()) {
    page.field(level, "Type", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)");
    page.field(level, "ClaimName", claim["claimName"].str());
    page.field(level, "ReadOnly", claim["readOnly"].as_bool() ? "true" : "false");
  } else if (const Value& downward = volume["downwardAPI"]; !downward.is_null()) {
    page.field(level, "Type", "DownwardAPI (a volume populated by information about the pod)");
    page.put(level, "Items:\n");
    for (const Value& item : downward["items"].items()) {
      const Value& field =
          item["fieldRef"].is_null() ? item["resourceFieldRef"]["resource"] : item["fieldRef"]["fieldPath"];
      page.put(level + 1, field.str() + " -> " + item["path"].str() + "\n");
    }
  } else if (const Value& projected = volume["projected"]; !projected.is_null()) {
    put_projected(page, projected, level);
  } else if (const Value& csi = volume["csi"]; !csi.is_null()) {
    put_csi(page, csi, level);
  } else if (const Value& local = volume["local"]; !local.is_null()) {
    page.field(level, "Type", "LocalVolume (a persistent volume backed by local storage on a node)");
    page.field(level, "Path", local["path"].str());
  } else if (const Value& ephemeral = volume["ephemeral"]; !ephemeral.is_null()) {
    page.field(level, "Type",
               "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)");
    put_claim_template(page, ephemeral["volumeClaimTemplate"]);
  } else if (const Value& image = volume["image"]; !image.is_null()) {
    page.field(level, "Type", "Image (a container image or OCI artifact)");
    page.field(level, "Reference", image["reference"].str());
    page.field(level, "PullPolicy", image["pullPolicy"].str());
  } else {
    page.put(level, "<unknown>\n");
  }
}

void put_volumes(Page& page, const Value& volumes, std::string_view indent) {
  page.put(0, std::string(indent) + (volumes.empty() ? "Volumes:\t<none>\n" : "Volumes:\n"));
  for (const Value& volume : volumes.items()) {
    page.put(1, std::string(indent.empty() ? "" : " ") + volume["name"].str() + ":\n");
    put_volume_source(page, volume, 2);
  }
}

void put_spread(Page& page, const Value& constraints, std::string_view indent) {
  if (constraints.empty()) return;
  std::vector<Value> sorted(constraints.items().begin(), constraints.items().end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const Value& a, const Value& b) {
    return a["topologyKey"].as_string() < b["topologyKey"].as_string();
  });
  page.put(0, std::string(indent) + "Topology Spread Constraints:");
  for (const Value& constraint : sorted) {
    std::string text = constraint["topologyKey"].str() + ":" + constraint["whenUnsatisfiable"].str() +
                       " when max skew " + constraint["maxSkew"].scalar_text() + " is exceeded";
    if (!constraint["labelSelector"].is_null()) text += " for selector " + selector_text(constraint["labelSelector"]);
    page.put(0, "\t" + text + "\n");
  }
}

void put_pod_template(Page& page, const Value& pod_template) {
  page.put(0, "Pod Template:\n");
  const Value &metadata = pod_template["metadata"], &spec = pod_template["spec"];
  put_labels(page, "  Labels", metadata["labels"]);
  if (!metadata["annotations"].empty()) put_annotations(page, "  Annotations", metadata["annotations"]);
  if (!spec["serviceAccountName"].as_string().empty())
    page.field(1, "Service Account", spec["serviceAccountName"].str());
  if (!spec["initContainers"].empty()) put_containers(page, "Init Containers", spec["initContainers"], {}, {}, "  ");
  put_containers(page, "Containers", spec["containers"], {}, {}, "  ");
  put_volumes(page, spec["volumes"], "  ");
  put_spread(page, spec["topologySpreadConstraints"], "  ");
  if (!spec["priorityClassName"].as_string().empty())
    page.field(1, "Priority Class Name", spec["priorityClassName"].str());
  put_labels(page, "  Node-Selectors", spec["nodeSelector"]);
  put_tolerations(page, "  Tolerations", spec["tolerations"]);
}

void describe_pod(Page& page, const Value& pod, const Related& related) {
  const Value &spec = pod["spec"], &status = pod["status"], &metadata = pod["metadata"];
  put_name(page, pod, true);
  if (!spec["priority"].is_null()) page.field(0, "Priority", spec["priority"].scalar_text());
  if (!spec["priorityClassName"].as_string().empty())
    page.field(0, "Priority Class Name", spec["priorityClassName"].str());
  if (!spec["runtimeClassName"].as_string().empty())
    page.field(0, "Runtime Class Name", spec["runtimeClassName"].str());
  if (!spec["serviceAccountName"].as_string().empty())
    page.field(0, "Service Account", spec["serviceAccountName"].str());
  const std::string node = spec["nodeName"].str();
  page.field(0, "Node", node.empty() ? "<none>" : node + "/" + status["hostIP"].str());
  if (!status["startTime"].is_null()) page.field(0, "Start Time", long_time(status["startTime"]));
  put_metadata(page, pod);
  if (!metadata["deletionTimestamp"].is_null() && status["reason"].as_string() != "NodeLost") {
    page.field(0, "Status", "Terminating (lasts " + since(metadata["deletionTimestamp"], related.now) + ")");
    page.field(0, "Termination Grace Period", std::to_string(metadata["deletionGracePeriodSeconds"].as_int()) + "s");
  } else {
    page.field(0, "Status", status["phase"].str());
  }
  if (!status["reason"].as_string().empty()) page.field(0, "Reason", status["reason"].str());
  if (!status["message"].as_string().empty()) page.field(0, "Message", status["message"].str());
  put_seccomp(page, 0, spec["securityContext"]);
  page.field(0, "IP", status["podIP"].str());
  page.put(0, status["podIPs"].empty() ? "IPs:\t<none>\n" : "IPs:\n");
  for (const Value& ip : status["podIPs"].items()) page.field(1, "IP", ip["ip"].str());
  put_controller(page, pod);
  if (!status["nominatedNodeName"].as_string().empty())
    page.field(0, "NominatedNodeName", status["nominatedNodeName"].str());
  if (!spec["initContainers"].empty())
    put_containers(page, "Init Containers", spec["initContainers"], status["initContainerStatuses"], pod, "");
  put_containers(page, "Containers", spec["containers"], status["containerStatuses"], pod, "");
  if (!spec["ephemeralContainers"].empty())
    put_containers(page, "Ephemeral Containers", spec["ephemeralContainers"], status["ephemeralContainerStatuses"], pod,
                   "");
  if (!spec["readinessGates"].empty()) {
    page.put(0, "Readiness Gates:\n  Type\tStatus\n");
    for (const Value& gate : spec["readinessGates"].items()) {
      std::string found = "<none>";
      for (const Value& c : status["conditions"].items()) {
        if (c["type"] == gate["conditionType"]) found = c["status"].str();
      }
      page.put(1, gate["conditionType"].str() + " \t" + found + " \n");
    }
  }
  if (!status["conditions"].empty()) {
    page.put(0, "Conditions:\n  Type\tStatus\n");
    for (const Value& c : status["conditions"].items())
      page.put(1, c["type"].str() + " \t" + c["status"].str() + " \n");
  }
  put_volumes(page, spec["volumes"], "");
  page.field(0, "QoS Class", status["qosClass"].as_string().empty() ? "BestEffort" : status["qosClass"].str());
  put_labels(page, "Node-Selectors", spec["nodeSelector"]);
  put_tolerations(page, "Tolerations", spec["tolerations"]);
  put_spread(page, spec["topologySpreadConstraints"], "");
  put_events(page, pod, related);
}

std::string mounted_claim_users(const std::vector<Value>& pods, std::string_view claim) {
  std::vector<std::string> names;
  for (const Value& pod : pods) {
    const auto volumes = pod["spec"]["volumes"].items();
    const bool uses = std::any_of(volumes.begin(), volumes.end(), [&](const Value& volume) {
      return volume["persistentVolumeClaim"]["claimName"].as_string() == claim ||
             (!volume["ephemeral"].is_null() && pod["metadata"]["name"].str() + "-" + volume["name"].str() == claim);
    });
    if (uses) names.push_back(pod["metadata"]["name"].str());
  }
  std::sort(names.begin(), names.end());
  return names.empty() ? "<none>" : join(names, "\n\t");
}

}  // namespace caisson::cli::kubectl
