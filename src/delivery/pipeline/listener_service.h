// SPDX-License-Identifier: Apache-2.0
// EventListener → the Service el-NAME, behind which this process listens: where upstream runs a Deployment. Its type,
// port and class are those of spec.resources.kubernetesResource; TLS is that pod's TLS_CERT and TLS_KEY. Internal to
// the room. Any thread.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <vector>

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
  // Where one listener's requests come in. A port that another took the place of stays open for a while: who looked the
  // Service up just before still comes by it.
  struct Ports {
    std::string certificate;  // hash of it and its key; empty: plain HTTP
    int now = 0;              // 0: none yet
    std::vector<std::pair<int, Time>> replaced;
  };
  // The port of this listener with this certificate; opened once, and again for another certificate.
  Result<int> port_of(const kube::ObjectKey& key, const http::TlsOptions* tls);
  // Closes those that were replaced long enough ago, and says when the next one is due.
  std::optional<Duration> close_replaced(const kube::ObjectKey& key);
  void close_all(const kube::ObjectKey& key);  // the listener is gone
  Result<void> write_status(const kube::Object& listener, const std::string& url);

  kube::Client& client_;
  Clock& clock_;
  const PipelineOptions options_;
  std::mutex mutex_;
  std::map<kube::ObjectKey, Ports> ports_;  // by listener; GUARDED_BY(mutex_)
};

// What a listener wants of the API: pure.
kube::Object listener_service(const kube::Object& listener, bool tls, int target_port);
kube::Object listener_slice(const kube::Object& listener, const kube::Object& service, const std::string& address);

}  // namespace caisson::pipeline
