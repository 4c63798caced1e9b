// SPDX-License-Identifier: Apache-2.0
// See static_pods.h.
#include "machine/node/static_pods.h"

#include <set>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::node {
namespace {

constexpr std::size_t kManifestBytesMax = 1u << 20;
constexpr std::size_t kManifestsMax = 250;

// The first reference to an API object, in words; empty: none.
std::string api_reference(const Value& spec) {
  for (const char* field : {"serviceAccountName", "serviceAccount"})
    if (!spec[field].as_string().empty()) return std::string("spec.") + field;
  if (!spec["imagePullSecrets"].empty()) return "spec.imagePullSecrets";
  for (const auto& volume : spec["volumes"].items())
    for (const char* kind : {"configMap", "secret", "projected", "persistentVolumeClaim", "ephemeral", "csi"})
      if (volume.contains(kind)) return "volume " + volume["name"].str() + " of kind " + kind;
  for (const char* list : {"initContainers", "containers"})
    for (const auto& container : spec[list].items()) {
      if (!container["envFrom"].empty()) return "envFrom of container " + container["name"].str();
      for (const auto& env : container["env"].items())
        for (const char* kind : {"configMapKeyRef", "secretKeyRef"})
          if (env["valueFrom"].contains(kind))
            return "environment variable " + env["name"].str() + " of container " + container["name"].str();
    }
  return {};
}

Value everything_tolerated() {
  return Value(std::vector<Value>{Value{{"operator", "Exists"}, {"effect", "NoExecute"}}});
}

}  // namespace

Result<kube::Object> mirror_pod(std::string_view manifest, const kube::Object& node) {
  if (manifest.size() > kManifestBytesMax) return Error{ErrorCode::invalid, "the manifest is larger than a mebibyte"};
  kube::Object pod(TRY(yaml::read(manifest)));
  if (pod.kind() != "Pod" || pod.api_version() != "v1")
    return Error{ErrorCode::invalid, "a manifest holds one Pod of v1, this one has kind \"" + pod.kind() + "\""};
  if (pod.name().empty()) return Error{ErrorCode::invalid, "metadata.name is missing"};
  if (const std::string reference = api_reference(pod.spec()); !reference.empty())
    return Error{ErrorCode::invalid, "a static pod may not refer to API objects: " + reference};
  const std::string hash = sha256_hex(json::write(pod.value())).substr(0, 32);
  Value& metadata = pod.edit({"metadata"});
  metadata.set("name", pod.name() + "-" + node.name());
  if (pod.ns().empty()) metadata.set("namespace", "default");
  for (const char* field : {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "generateName"})
    metadata.erase(field);
  metadata.set(
      "ownerReferences",
      Value(std::vector<Value>{Value{
          {"apiVersion", "v1"}, {"kind", "Node"}, {"name", node.name()}, {"uid", node.uid()}, {"controller", true}}}));
  pod.set_annotation(kConfigSource, "file");
  pod.set_annotation(kConfigHash, hash);
  pod.set_annotation(kConfigMirror, hash);
  Value& spec = pod.edit({"spec"});
  spec.set("nodeName", node.name());
  spec.set("automountServiceAccountToken", false);
  if (spec["tolerations"].empty()) spec.set("tolerations", everything_tolerated());
  pod.edit().erase("status");
  return pod;
}

StaticPodPlan plan_static_pods(const std::map<std::string, kube::Object>& wanted,
                               const std::vector<kube::Object>& live) {
  StaticPodPlan out;
  std::map<kube::ObjectKey, const kube::Object*> by_key;
  for (const auto& [file, pod] : wanted) by_key.try_emplace(pod.key(), &pod);
  std::set<kube::ObjectKey> there;
  for (const kube::Object& pod : live) {
    const auto found = by_key.find(pod.key());
    const bool same = found != by_key.end() && found->second->annotation(kConfigHash) == pod.annotation(kConfigHash);
    there.insert(pod.key());  // one that ends has its name until it is gone
    if (!same && !pod.deleting()) out.remove.push_back(pod);
  }
  for (const auto& [key, pod] : by_key)
    if (!there.contains(key)) out.create.push_back(*pod);
  return out;
}

Result<std::map<std::string, std::string>> read_manifests(const std::string& directory) {
  std::map<std::string, std::string> out;
  if (!is_directory(directory)) return out;
  const auto names = TRY(list_dir(directory));
  for (const auto& name : names) {
    if (name.starts_with('.') || !(name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json")))
      continue;
    if (out.size() == kManifestsMax)
      return Error{ErrorCode::invalid, directory + " holds more than " + std::to_string(kManifestsMax) + " manifests"};
    out[name] = TRY(read_file(path_join(directory, name), kManifestBytesMax + 1));
  }
  return out;
}

}  // namespace caisson::node
