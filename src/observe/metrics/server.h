// SPDX-License-Identifier: Apache-2.0
// Server: metrics as a running whole. It keeps targets and rules as the objects say (looked at every few seconds),
// scrapes, evaluates, serves the HTTP API, and tends the storage.
//
// Configuration is objects: ServiceMonitor, PodMonitor, Probe and PrometheusRule; ConfigMaps labelled
// caisson.dev/rules=true (or by another language's label), whose every key is a rule file; and ConfigMap
// caisson-system/prometheus with a prometheus.yml (global, scrape_configs, remote_write). What can't be read is logged
// once and counted (caisson_metrics_config_problems), and the rest goes on. Any thread.
#pragma once
#include "core/http/message.h"
#include "observe/metrics/rules/manager.h"
#include "observe/metrics/scrape/discovery.h"
#include "observe/metrics/scrape/scraper.h"

namespace caisson::metrics {

// Rules in another language than PromQL. What they record is stored with all else, their alerts go the same way.
struct RuleLanguage {
  std::string name;       // "logql"
  std::string map_label;  // ConfigMaps that have this label, whatever its value, hold files of such rules
  CheckExpression check;
  RuleQuery query;
};

struct ServerOptions {
  std::string directory;     // <data>/metrics
  std::string external_url;  // "http://localhost:8080/prometheus"
  TsdbOptions storage;
  std::int64_t refresh_ms = 5'000;
  std::vector<RuleLanguage> languages;
  std::vector<RuleGroup> default_rules;  // go when ConfigMap caisson-system/prometheus has default_rules: false
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> open(ServerOptions options, ObjectLister list, AlertSink alerts, Clock& clock);
  ~Server();

  void add(Source source);
  void start();

  // `path` is below the mount ("/api/v1/query", "/federate", "/-/healthy"); `parameters` those of the URL and of a form
  // body.
  http::Response answer(std::string_view method, std::string_view path, const http::Query& parameters);
  // POST /api/v1/write (remote/receiver.h).
  http::Response write(const http::Headers& headers, std::string_view body);
  Tsdb& storage();
  std::vector<GroupView> rule_groups(std::string_view language) const;  // "": in PromQL
  // Kinds that `list` is asked for.
  static std::vector<kube::Resource> kinds();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::metrics
