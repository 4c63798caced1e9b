// SPDX-License-Identifier: Apache-2.0
// EventListener → the Service el-NAME, behind which this process listens: where upstream runs a Deployment. Its type,
// port and class are those of spec.resources.kubernetesResource; TLS is that pod's TLS_CERT and TLS_KEY. Internal to
// the room. Any thread.
#pragma once
#include <map>
#include <mutex>

#include "cluster/kube/reconciler.h"
#include "delivery/pipeline/pipeline.h"

namespace caisson::pipeline {

// One event for a listener: answers 202 with its id, as upstream's sink; 403 when no signature was right.
void receive_event(kube::Client& client, const kube::ObjectKey& listener, const http::ExchangePtr& exchange);

class ListenerReconciler final : public kube::Reconciler {
 public:
  ListenerReconciler(kube::Runtime& runtime, const PipelineOptions& options);
  std::string_view name() const override { return "event-listener-service"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override;

 private:
  // The port of this listener with this certificate; opened once, and again for another certificate.
  Result<int> port_of(const kube::ObjectKey& key, const http::TlsOptions* tls);
  Result<void> write_status(const kube::Object& listener, const std::string& url);

  kube::Client& client_;
  Clock& clock_;
  const PipelineOptions options_;
  std::mutex mutex_;
  std::map<std::string, int> ports_;  // by listener and hash of its certificate; GUARDED_BY(mutex_)
};

// What a listener wants of the API: pure.
kube::Object listener_service(const kube::Object& listener, bool tls, int target_port);
kube::Object listener_slice(const kube::Object& listener, const kube::Object& service, const std::string& address);

}  // namespace caisson::pipeline
