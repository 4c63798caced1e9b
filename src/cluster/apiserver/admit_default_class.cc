// SPDX-License-Identifier: Apache-2.0
// DefaultStorageClass and DefaultIngressClass (plugin/pkg/admission/storage/storageclass/setdefault, …/network/
// defaultingressclass, Kubernetes 1.33): a claim or an Ingress that names no class gets the one annotated as default;
// of several the newest, and by name among those of one second.
#include "cluster/apiserver/admit.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;

Value default_of(const AdmissionRequest& request, const schema::Resource& classes,
                 std::initializer_list<std::string_view> annotations) {
  Value best;
  for (const Value& one : request.list(classes, "")) {
    const Value& metadata = one["metadata"];
    const bool marked = std::any_of(annotations.begin(), annotations.end(), [&](std::string_view key) {
      return metadata["annotations"][key].as_string() == "true";
    });
    // Listed by name: an equal time keeps the first.
    if (marked && (best.is_null() ||
                   metadata["creationTimestamp"].as_string() > best["metadata"]["creationTimestamp"].as_string()))
      best = one;
  }
  return best;
}

class DefaultStorageClass : public Admission {
 public:
  std::string_view name() const override { return "DefaultStorageClass"; }

  Result<void> mutate(const AdmissionRequest& request, Value& claim) const override {
    static const schema::Resource kClasses{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false};
    if (request.operation != Operation::create || !request.subresource.empty() ||
        request.kind.resource != schema::kPersistentVolumeClaims)
      return {};
    const Value& metadata = claim["metadata"];
    if (claim["spec"].contains("storageClassName") ||
        metadata["annotations"].contains("volume.beta.kubernetes.io/storage-class"))
      return {};
    const Value found =
        default_of(request, kClasses,
                   {"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"});
    if (!found.is_null()) claim.edit("spec").set("storageClassName", found["metadata"]["name"]);
    return {};
  }
};

class DefaultIngressClass : public Admission {
 public:
  std::string_view name() const override { return "DefaultIngressClass"; }

  Result<void> mutate(const AdmissionRequest& request, Value& ingress) const override {
    static const schema::Resource kClasses{"networking.k8s.io", "v1", "IngressClass", "ingressclasses", false};
    if (request.operation != Operation::create || !request.subresource.empty() ||
        request.kind.resource != schema::kIngresses)
      return {};
    if (ingress["spec"].contains("ingressClassName") ||
        ingress["metadata"]["annotations"].contains("kubernetes.io/ingress.class"))
      return {};
    const Value found = default_of(request, kClasses, {"ingressclass.kubernetes.io/is-default-class"});
    if (!found.is_null()) ingress.edit("spec").set("ingressClassName", found["metadata"]["name"]);
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_default_storage_class() {
  return std::make_shared<DefaultStorageClass>();
}
std::shared_ptr<Admission> make_default_ingress_class() {
  return std::make_shared<DefaultIngressClass>();
}

}  // namespace caisson::apiserver
