// SPDX-License-Identifier: Apache-2.0
// The policies as admission webhooks of another Kubernetes: an AdmissionReview (admission.k8s.io/v1) in, its answer out.
// Mutations go back as JSON Patch. Pure but for what the policies look up; any thread.
#pragma once
#include <functional>
#include <string>

#include "cluster/apiserver/admission.h"

namespace caisson::policy {

enum class WebhookStage { mutate, validate };

// Reads an object of that cluster (a Namespace, for its labels); null when it is not there.
using FindObject = std::function<Value(const schema::Resource&, std::string_view ns, std::string_view name)>;

// Errors: bad_request when `review` is no AdmissionReview with a request.
Result<Value> answer_review(const apiserver::Admission& policies, const Value& review, WebhookStage stage,
                            const FindObject& find);

// RFC 6902: what makes `after` of `before`. Lists of one length are changed item by item, others are replaced.
Value json_patch_between(const Value& before, const Value& after);

// The MutatingWebhookConfiguration or ValidatingWebhookConfiguration by which a cluster asks at `url` (https://…, to
// which /mutate or /validate is added). `ca_pem`: who signed its certificate. When nobody answers in 10 seconds the write
// goes on or is refused, as `ignore_failures` says; the system's own namespaces are not asked about.
Value webhook_configuration(WebhookStage stage, const std::string& url, const std::string& ca_pem,
                            bool ignore_failures);

}  // namespace caisson::policy
