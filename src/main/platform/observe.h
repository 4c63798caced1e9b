// SPDX-License-Identifier: Apache-2.0
// Observability in the platform: metrics, logs and alerts, put together and mounted. Paths, on the portal and on the
// API's port alike: /prometheus/… (Prometheus' HTTP API), /loki/… (Loki's, where it has it), /otlp/v1/logs,
// /alertmanager/… (Alertmanager's). Who may ask is decided as the API server decides: TokenReview of a bearer token (or
// of the password of Basic credentials, as a Grafana data source sends them), then SubjectAccessReview of the path as a
// non-resource URL with the verb get, or update for what changes something.
#pragma once
#include <memory>

#include "cluster/kube/reconciler.h"
#include "core/http/server.h"
#include "main/platform/instance.h"
#include "main/platform/nodes.h"

namespace caisson::platform {

class Observability {
 public:
  // Registers informers: before the runtime starts.
  static Result<std::unique_ptr<Observability>> open(const Instance& instance, kube::Runtime& runtime);
  ~Observability();

  // Answers the paths above; all else goes to `next`. The handlers borrow this object.
  http::Handler mounted_before(http::Handler next);
  // Counts requests for apiserver_request_….
  http::Handler metered(http::Handler next);
  void start();  // after the runtime

 private:
  struct Impl;
  explicit Observability(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The agent's part: /metrics/cadvisor and /metrics/kubelet of the node's pods, /metrics/node, on its socket.
http::Handler with_machine_metrics(http::Handler next, kube::Runtime& runtime, const NodePlace& place);

}  // namespace caisson::platform
