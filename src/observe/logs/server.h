// SPDX-License-Identifier: Apache-2.0
// Server: logs as a running whole. It takes pushes and containers' logs, answers Loki's HTTP API, and tends the store.
//
// Configuration is an object: ConfigMap caisson-system/loki, key loki.yaml, with limits_config.retention_period,
// retention_stream (selector, priority, period), deletion_mode, and compactor.delete_request_cancel_period as Loki has
// them; read when the server starts. Any thread.
#pragma once
#include "core/http/server.h"
#include "observe/logs/source/container_logs.h"
#include "observe/metrics/rules/manager.h"
#include "observe/metrics/scrape/discovery.h"

namespace caisson::logs {

struct ServerOptions {
  std::string directory;  // <data>/logs-store
  StoreOptions store;
  std::string agent_socket;  // empty: no containers' logs
  std::string node;
  std::function<std::vector<metrics::GroupView>()> rules;  // over logs, for Loki's API; empty: there are none
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> open(ServerOptions options, metrics::ObjectLister list, Clock& clock);
  ~Server();
  void start();

  // Loki's paths: /loki/api/v1/…, /api/prom/push, /otlp/v1/logs, /ready. `parameters`: of the URL and of a form body.
  void handle(const http::ExchangePtr& exchange, std::string_view path, const http::Query& parameters);
  Store& store();
  // Kinds that `list` is asked for.
  static std::vector<kube::Resource> kinds();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What is said of a container by the objects: app (labels app.kubernetes.io/name, app, k8s-app, else the workload's
// name), the commit that its Application synced, and the trace that changed its workload. Pure but for `list`.
SourceLabels describe_container(const metrics::ObjectLister& list, const ContainerSource& source,
                                const std::string& node);

}  // namespace caisson::logs
