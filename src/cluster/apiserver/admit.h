// SPDX-License-Identifier: Apache-2.0
// The admission plug-ins of the server itself, in the order in which they run. Each follows the upstream plug-in of its
// name.
#pragma once
#include <memory>
#include <vector>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/schema/schema.h"
#include "core/base/clock.h"

namespace caisson::apiserver {

class Conversion;
class WebhookClient;

// What the plug-ins that ask others' servers work with. All outlive the plug-in.
struct WebhookEnvironment {
  const store::Store& store;
  const schema::Schema& schema;
  const Authorizer& authorizer;
  const Conversion& conversion;
  const WebhookClient& client;
};

std::shared_ptr<Admission> make_namespace_lifecycle();
std::shared_ptr<Admission> make_service_account();
std::shared_ptr<Admission> make_limit_ranger();
std::shared_ptr<Admission> make_taint_nodes();  // TaintNodesByCondition
std::shared_ptr<Admission> make_pod_security();
std::shared_ptr<Admission> make_priority();
std::shared_ptr<Admission> make_pod_defaults();  // DefaultTolerationSeconds
std::shared_ptr<Admission> make_default_storage_class();
std::shared_ptr<Admission> make_runtime_class();
std::shared_ptr<Admission> make_default_ingress_class();
std::shared_ptr<Admission> make_object_defaults(
    Clock& clock);  // what strategies fill: Namespace finalizers, CRD names, Job selectors …
std::shared_ptr<Admission> make_resource_quota(Clock& clock);
std::shared_ptr<Admission> make_pod_warnings();       // for Pods that are valid and hardly meant so
std::shared_ptr<Admission> make_unserved_warnings();  // a Warning for kinds and fields that nothing acts on
std::shared_ptr<Admission> make_validating_admission_policy(const store::Store& store, const schema::Schema& schema,
                                                            const Authorizer& authorizer, const Conversion& conversion);
std::shared_ptr<Admission> make_mutating_admission_policy(const store::Store& store, const schema::Schema& schema,
                                                          const Authorizer& authorizer);
std::shared_ptr<Admission> make_mutating_webhooks(const WebhookEnvironment& environment);
std::shared_ptr<Admission> make_validating_webhooks(const WebhookEnvironment& environment);

}  // namespace caisson::apiserver
