// SPDX-License-Identifier: Apache-2.0
// Server: alerts as a running whole. It takes alerts (from rules in this process, or by API v2), tells receivers, and
// keeps silences and what was sent in <directory>/notified.json.
//
// Configuration is objects: Secret caisson-system/alertmanager, whose key alertmanager.yaml is Alertmanager's own file
// and whose keys ending in .tmpl are its templates; and AlertmanagerConfig objects. One that can't be read is logged,
// and what was in force before goes on. Any thread.
#pragma once
#include "core/http/server.h"
#include "observe/alerts/manager.h"
#include "observe/metrics/rules/manager.h"
#include "observe/metrics/scrape/discovery.h"

namespace caisson::alerts {

struct ServerOptions {
  std::string directory, external_url;
  std::int64_t refresh_ms = 5'000;
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> open(ServerOptions options, metrics::ObjectLister list, Clock& clock);
  ~Server();
  void start();
  void receive(const std::vector<metrics::AlertNotice>& notices);
  void handle(const http::ExchangePtr& exchange, std::string_view path);  // below the mount: "/api/v2/alerts"
  static std::vector<kube::Resource> kinds();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The rules that a platform has without being asked: crash loops, pulls that fail, rollouts that are stuck, pressure …
Result<std::vector<metrics::RuleGroup>> default_rules();

}  // namespace caisson::alerts
