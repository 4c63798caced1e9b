// SPDX-License-Identifier: Apache-2.0
// RuntimeClass (plugin/pkg/admission/runtimeclass, Kubernetes 1.33): a Pod gets the overhead and the scheduling rules
// of its RuntimeClass.
#include "cluster/apiserver/admit.h"

namespace caisson::apiserver {
namespace {

const schema::Resource& runtime_classes() {
  static const schema::Resource kRuntimeClasses{"node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false};
  return kRuntimeClasses;
}

bool creates_pod(const AdmissionRequest& request) {
  return request.operation == AdmissionRequest::Operation::create && request.subresource.empty() &&
         request.kind.resource == schema::kPods;
}

Error forbidden(const Value& pod, const std::string& why) {
  return Error{ErrorCode::forbidden, "pods \"" + pod["metadata"]["name"].str() + "\" is forbidden: " + why};
}

class RuntimeClass : public Admission {
 public:
  std::string_view name() const override { return "RuntimeClass"; }

  Result<void> mutate(const AdmissionRequest& request, Value& pod) const override {
    if (!creates_pod(request)) return {};
    const Value found = TRY(find(request, pod));
    const Value& overhead = found["overhead"]["podFixed"];
    if (!overhead.empty()) {
      const Value& stated = pod["spec"]["overhead"];
      if (!stated.empty() && !(stated == overhead))
        return forbidden(pod, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      pod.edit("spec").set("overhead", overhead);
    }
    for (const auto& [key, value] : found["scheduling"]["nodeSelector"].entries()) {
      const Value& stated = pod["spec"]["nodeSelector"][key];
      if (!stated.is_null() && !(stated == value))
        return forbidden(pod, "conflict: runtimeClass.scheduling.nodeSelector[" + std::string(key) + "] = " +
                                  value.str() + "; pod.spec.nodeSelector[" + std::string(key) + "] = " + stated.str());
      pod.edit({"spec", "nodeSelector"}).set(key, value);
    }
    for (const Value& toleration : found["scheduling"]["tolerations"].items()) {
      const auto has = pod["spec"]["tolerations"].items();
      if (std::find(has.begin(), has.end(), toleration) == has.end())
        pod.edit({"spec", "tolerations"}).push_back(toleration);
    }
    return {};
  }

  Result<void> validate(const AdmissionRequest& request, const Value& pod) const override {
    if (!creates_pod(request) || pod["spec"]["overhead"].empty()) return {};
    const Value found = TRY(find(request, pod));
    if (found["overhead"]["podFixed"].empty())
      return forbidden(pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    return {};
  }

 private:
  static Result<Value> find(const AdmissionRequest& request, const Value& pod) {
    const std::string name = pod["spec"]["runtimeClassName"].str();
    if (name.empty()) return Value();
    Value found = request.find(runtime_classes(), "", name);
    if (found.is_null()) return forbidden(pod, "pod rejected: RuntimeClass \"" + name + "\" not found");
    return found;
  }
};

}  // namespace

std::shared_ptr<Admission> make_runtime_class() {
  return std::make_shared<RuntimeClass>();
}

}  // namespace caisson::apiserver
