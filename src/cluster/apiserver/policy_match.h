// SPDX-License-Identifier: Apache-2.0
// Which requests an admission policy is for: MatchResources of admissionregistration.k8s.io/v1, as apiserver 1.33's
// pkg/admission/plugin/policy/matching decides it. Rules are taken as matchPolicy Equivalent takes them: a request in
// another version of the same resource matches, too. Pure; any thread.
#pragma once
#include "cluster/apiserver/admission.h"
#include "cluster/kube/selector.h"
#include "cluster/schema/schema.h"

namespace caisson::apiserver {

std::string_view operation_name(AdmissionRequest::Operation operation);  // "CREATE"

class ResourceMatch {
 public:
  // Of a MatchResources; null matches everything. Errors: bad_request for a selector that is none.
  static Result<ResourceMatch> from(const Value& match_resources);
  // `ns` is the namespace's object, null for what is cluster-scoped.
  bool matches(const AdmissionRequest& request, const Value& object, const Value& ns) const;
  // The kind in the version that the rules ask for (the request's own when they take it); null: none that is served.
  schema::KindPtr kind_for(const AdmissionRequest& request, const schema::Schema& schema) const;

 private:
  bool resources_match(const AdmissionRequest& request) const;
  Value rules_, excluded_;
  bool all_resources_ = true, exact_ = false;
  kube::LabelSelector namespaces_, objects_;
};

}  // namespace caisson::apiserver
