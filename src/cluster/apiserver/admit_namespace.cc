// SPDX-License-Identifier: Apache-2.0
// NamespaceLifecycle (plugin/namespace/lifecycle of apiserver 1.33): nothing is made in a namespace that is missing or
// going, and the built-in ones stay.
#include "cluster/apiserver/admit.h"

namespace caisson::apiserver {
namespace {

using Operation = AdmissionRequest::Operation;

bool is_namespace(const AdmissionRequest& request) {
  return request.kind.resource == schema::kNamespaces;
}

class NamespaceLifecycle : public Admission {
 public:
  std::string_view name() const override { return "NamespaceLifecycle"; }

  Result<void> mutate(const AdmissionRequest& request, Value& object) const override {
    (void)object;
    if (request.operation == Operation::remove && is_namespace(request))
      for (const std::string_view built_in : {"default", "kube-system", "kube-public", "caisson-system"})
        if (request.name == built_in)
          return Error{ErrorCode::forbidden,
                       "namespaces \"" + request.name + "\" is forbidden: this namespace may not be deleted"};
    if (request.operation != Operation::create || request.ns.empty() || is_namespace(request) ||
        request.kind.is_review())
      return {};
    const Value ns = request.find(schema::kNamespaces, "", request.ns);
    if (ns.is_null()) return Error{ErrorCode::not_found, "namespaces \"" + request.ns + "\" not found"};
    if (ns["metadata"]["deletionTimestamp"].is_null()) return {};
    const std::string resource = request.kind.resource.group_resource();
    const std::string name = object["metadata"]["name"].str();
    return Error{ErrorCode::forbidden, resource + " \"" + name +
                                           "\" is forbidden: unable to create new content in namespace " + request.ns +
                                           " because it is being terminated"};
  }
};

}  // namespace

std::shared_ptr<Admission> make_namespace_lifecycle() {
  return std::make_shared<NamespaceLifecycle>();
}

}  // namespace caisson::apiserver
