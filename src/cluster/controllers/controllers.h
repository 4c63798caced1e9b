// SPDX-License-Identifier: Apache-2.0
// The controllers of a cluster: what kube-controller-manager and kube-scheduler do upstream (Kubernetes 1.33), as
// reconcilers of one runtime. Each is level-triggered and may be killed at any instruction. src/main calls
// add_controllers once, before Runtime::start.
#pragma once
#include <string>

#include "cluster/kube/reconciler.h"
#include "core/base/trace.h"
#include "core/http/tls.h"

namespace caisson::schema {
class Schema;
}

namespace caisson::controllers {

struct ControllersOptions {
  std::string ca_pem;            // of the platform: ConfigMap kube-root-ca.crt of every namespace; empty: not made
  std::string volumes_root;      // folder of local volumes: <volumes_root>/<ns>_<claim>; empty: claims stay Pending
  SpanSink* spans = nullptr;     // where "schedule" is told; may be null
  std::size_t traces_max = 200;  // spans of older traces are deleted
  http::KeyPair signer;          // signs CertificateSigningRequests; without a key nobody does
  Duration event_ttl = std::chrono::hours(1);
  Duration node_grace = std::chrono::seconds(40);  // a node that is silent for longer is NotReady
  const schema::Schema* schema = nullptr;  // the server's: types of admission policies are checked; null: they are not
};

// The runtime owns what is added. `options.spans` and `options.schema` must outlive the runtime.
void add_controllers(kube::Runtime& runtime, const ControllersOptions& options);

}  // namespace caisson::controllers
