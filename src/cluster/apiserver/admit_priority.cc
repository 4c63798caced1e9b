// SPDX-License-Identifier: Apache-2.0
// Priority (plugin/pkg/admission/priority, Kubernetes 1.33): a Pod's number from its PriorityClass or from the default
// one, of which there is at most one; the system's own classes stay.
#include "cluster/apiserver/admit.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;

const schema::Resource& priority_classes() {
  static const schema::Resource kPriorityClasses{"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false};
  return kPriorityClasses;
}

Error forbidden(const std::string& resource, const Value& object, const std::string& why) {
  return Error{ErrorCode::forbidden, resource + " \"" + object["metadata"]["name"].str() + "\" is forbidden: " + why};
}

// Of several (made before this rule, or at the same moment) the one with the lowest value counts.
Value default_class(const AdmissionRequest& request) {
  Value lowest;
  for (const Value& one : request.list(priority_classes(), ""))
    if (one["globalDefault"].as_bool() && (lowest.is_null() || one["value"].as_int() < lowest["value"].as_int()))
      lowest = one;
  return lowest;
}

class Priority : public Admission {
 public:
  std::string_view name() const override { return "Priority"; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    const schema::Resource& resource = request.kind.resource;
    if (resource == priority_classes() && request.operation == Operation::remove && request.name.starts_with("system-"))
      return Error{ErrorCode::forbidden, resource.group_resource() + " \"" + request.name +
                                             "\" is forbidden: this is a system priority class and cannot be deleted"};
    if (resource != schema::kPods || request.operation != Operation::create || !request.subresource.empty()) return {};
    return set_priority(request, object);
  }

  Result<void> validate(const AdmissionRequest& request, const Value& object) const override {
    const bool writes = request.operation == Operation::create || request.operation == Operation::update;
    if (request.kind.resource != priority_classes() || !writes || !object["globalDefault"].as_bool()) return {};
    const Value there = default_class(request);
    if (there.is_null() || there["metadata"]["name"] == object["metadata"]["name"]) return {};
    return forbidden(request.kind.resource.group_resource(), object,
                     "PriorityClass " + there["metadata"]["name"].str() +
                         " is already marked as default. Only one default can exist");
  }

 private:
  static Result<void> set_priority(const AdmissionRequest& request, Value& pod) {
    Value& spec = pod.edit("spec");
    const std::string name = spec["priorityClassName"].str();
    const Value found = name.empty() ? default_class(request) : request.find(priority_classes(), "", name);
    if (found.is_null() && !name.empty())
      return forbidden("pods", pod, "no PriorityClass with name " + name + " was found");
    if (name.empty() && !found.is_null()) spec.set("priorityClassName", found["metadata"]["name"]);
    const std::int64_t priority = found["value"].as_int();
    if (spec["priority"].is_int() && spec["priority"].as_int() != priority)
      return forbidden("pods", pod,
                       "the integer value of priority (" + std::to_string(spec["priority"].as_int()) +
                           ") must not be provided in pod spec; priority admission controller computed " +
                           std::to_string(priority) + " from the given PriorityClass name");
    const std::string policy =
        found["preemptionPolicy"].is_null() ? "PreemptLowerPriority" : found["preemptionPolicy"].str();
    if (!spec["preemptionPolicy"].is_null() && spec["preemptionPolicy"].as_string() != policy)
      return forbidden("pods", pod,
                       "the string value of PreemptionPolicy (" + spec["preemptionPolicy"].str() +
                           ") must not be provided in pod spec; priority admission controller computed " + policy +
                           " from the given PriorityClass name");
    spec.set("priority", priority).set("preemptionPolicy", policy);
    return {};
  }
};

}  // namespace

std::shared_ptr<Admission> make_priority() {
  return std::make_shared<Priority>();
}

}  // namespace caisson::apiserver
