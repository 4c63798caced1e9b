// SPDX-License-Identifier: Apache-2.0
// Sub-resources that are no plain read or write of the object: scale, binding, eviction, token, finalize; and the
// review kinds, which are answered and never stored. The request is authorized already.
#pragma once
#include "cluster/apiserver/verbs.h"

namespace caisson::apiserver {

Result<Value> get_scale(Core& core, Request& request);
// PUT (`patch_type` unset) or PATCH of a Scale.
Result<Value> write_scale(Core& core, Request& request, const Value& body, std::optional<kube::PatchType> patch_type);
// POST .../binding, /eviction, /token. Errors: not_found for another sub-resource.
Result<Value> post_subresource(Core& core, Request& request, const Value& body);
// PUT /api/v1/namespaces/x/finalize.
Result<Value> finalize_namespace(Core& core, Request& request, const Value& body);
// SubjectAccessReview and its like, TokenReview, SelfSubjectReview. Sets `status` of the body.
Result<Value> review(Core& core, Request& request, Value body);

// Admission of exec, attach, portforward and proxy: what was asked is shown as PodExecOptions and its like.
Result<void> admit_connect(Core& core, Request& request, const http::Query& query);

}  // namespace caisson::apiserver
