// SPDX-License-Identifier: Apache-2.0
// What admission fills into Pods: ServiceAccount and its token volume (plugin/pkg/admission/serviceaccount),
// DefaultTolerationSeconds; TaintNodesByCondition of Nodes; Kubernetes 1.33.
#include "cluster/apiserver/admit.h"
#include "core/base/random.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;

constexpr std::string_view kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::int64_t kTokenSeconds = 3607;  // upstream's hour and seven seconds
constexpr std::int64_t kTolerationSeconds = 300;

bool creates_pod(const AdmissionRequest& request) {
  return request.operation == Operation::create && request.subresource.empty() &&
         request.kind.resource == schema::kPods;
}

bool writes_pod(const AdmissionRequest& request) {
  return creates_pod(request) || (request.operation == Operation::update && request.subresource.empty() &&
                                  request.kind.resource == schema::kPods);
}

Value token_volume(const std::string& name) {
  const Value token{{"serviceAccountToken", Value{{"expirationSeconds", kTokenSeconds}, {"path", "token"}}}};
  const Value ca{{"configMap", Value{{"items", Value(std::vector<Value>{Value{{"key", "ca.crt"}, {"path", "ca.crt"}}})},
                                     {"name", "kube-root-ca.crt"}}}};
  const Value field{{"fieldRef", Value{{"apiVersion", "v1"}, {"fieldPath", "metadata.namespace"}}},
                    {"path", "namespace"}};
  const Value ns{{"downwardAPI", Value{{"items", Value(std::vector<Value>{field})}}}};
  return Value{{"name", name},
               {"projected", Value{{"defaultMode", 420}, {"sources", Value(std::vector<Value>{token, ca, ns})}}}};
}

// Mounts the token where no mount of the container is at its path. Gives whether one was added.
bool mount_token(Value& containers, const std::string& volume) {
  bool added = false;
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const Value mounts = containers[i]["volumeMounts"];
    const bool there = std::any_of(mounts.items().begin(), mounts.items().end(),
                                   [](const Value& mount) { return mount["mountPath"].as_string() == kMountPath; });
    if (there) continue;
    containers.edit(i)
        .edit("volumeMounts")
        .push_back(Value{{"mountPath", kMountPath}, {"name", volume}, {"readOnly", true}});
    added = true;
  }
  return added;
}

// The account of a namespace that was made a moment ago is on its way: upstream asks ten times, too.
Value awaited_default(const AdmissionRequest& request) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    for (Value& account : request.list(schema::kServiceAccounts, request.ns))
      if (account["metadata"]["name"].as_string() == "default") return std::move(account);
  }
  return {};
}

class ServiceAccountPlugin : public Admission {
 public:
  std::string_view name() const override { return "ServiceAccount"; }

  Result<void> mutate(const AdmissionRequest& request, Value& pod) const override {
    if (!creates_pod(request)) return {};
    Value& spec = pod.edit("spec");
    std::string account = spec["serviceAccountName"].str();
    if (account.empty()) account = spec["serviceAccount"].str();
    if (account.empty()) account = "default";
    Value found = request.find(schema::kServiceAccounts, request.ns, account);
    if (found.is_null() && account == "default") found = awaited_default(request);
    if (found.is_null())
      return Error{ErrorCode::forbidden, "pods \"" + pod["metadata"]["name"].str() +
                                             "\" is forbidden: error looking up service account " + request.ns + "/" +
                                             account + ": serviceaccount \"" + account + "\" not found"};
    spec.set("serviceAccountName", account).set("serviceAccount", account);
    if (spec["imagePullSecrets"].empty() && !found["imagePullSecrets"].empty())
      spec.set("imagePullSecrets", found["imagePullSecrets"]);
    const bool automount = spec["automountServiceAccountToken"].is_null()
                               ? found["automountServiceAccountToken"].as_bool(true)
                               : spec["automountServiceAccountToken"].as_bool();
    if (!automount) return {};
    // A volume of this kind that is there already (a pod that was read back and created again) is used.
    std::string volume;
    for (const Value& v : spec["volumes"].items())
      if (v["name"].as_string().starts_with("kube-api-access-")) volume = v["name"].str();
    const bool fresh = volume.empty();
    if (fresh) volume = "kube-api-access-" + random_name_suffix(5);
    bool mounted = spec["containers"].is_list() && mount_token(spec.edit("containers"), volume);
    if (!spec["initContainers"].empty()) mounted = mount_token(spec.edit("initContainers"), volume) || mounted;
    if (mounted && fresh) spec.edit("volumes").push_back(token_volume(volume));
    return {};
  }
};

class PodDefaults : public Admission {
 public:
  std::string_view name() const override { return "PodDefaults"; }

  Result<void> mutate(const AdmissionRequest& request, Value& pod) const override {
    // Also of an update, whose sender may not have seen what was filled in before.
    if (!writes_pod(request)) return {};
    Value& spec = pod.edit("spec");
    for (const std::string_view key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
      tolerate(spec, key);
    return {};
  }

 private:
  static void tolerate(Value& spec, std::string_view key) {
    for (const Value& toleration : spec["tolerations"].items()) {
      const std::string_view k = toleration["key"].as_string(), effect = toleration["effect"].as_string();
      if ((k.empty() || k == key) && (effect.empty() || effect == "NoExecute")) return;
    }
    spec.edit("tolerations")
        .push_back(Value{
            {"effect", "NoExecute"}, {"key", key}, {"operator", "Exists"}, {"tolerationSeconds", kTolerationSeconds}});
  }
};

// A new Node takes no Pods before it has said that it is ready.
class TaintNodes : public Admission {
 public:
  std::string_view name() const override { return "TaintNodesByCondition"; }

  Result<void> mutate(const AdmissionRequest& request, Value& node) const override {
    constexpr std::string_view kNotReady = "node.kubernetes.io/not-ready";
    if (request.operation != Operation::create || !request.subresource.empty() ||
        request.kind.resource != schema::kNodes)
      return {};
    for (const Value& taint : node["spec"]["taints"].items())
      if (taint["key"].as_string() == kNotReady && taint["effect"].as_string() == "NoSchedule") return {};
    node.edit({"spec", "taints"}).push_back(Value{{"effect", "NoSchedule"}, {"key", kNotReady}});
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_taint_nodes() {
  return std::make_shared<TaintNodes>();
}
std::shared_ptr<Admission> make_service_account() {
  return std::make_shared<ServiceAccountPlugin>();
}
std::shared_ptr<Admission> make_pod_defaults() {
  return std::make_shared<PodDefaults>();
}

}  // namespace caisson::apiserver
