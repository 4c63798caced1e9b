// SPDX-License-Identifier: Apache-2.0
// Tenants of metrics and logs, by the header X-Scope-OrgID as Mimir and Loki have it. Off until ConfigMap
// caisson-system/tenants is there: then its key overrides.yaml names the tenants and their limits, in Mimir's and
// Loki's words. A request without the header is the platform's own tenant. Storages are opened when a tenant is first
// asked for; its limits hold until the server starts again. Any thread.
#pragma once
#include "core/base/clock.h"
#include "observe/logs/server.h"
#include "observe/metrics/tenant.h"

namespace caisson::platform {

struct TenantLimits {
  metrics::TenantLimits metrics;
  logs::StoreOptions logs;
};

// Names are letters, digits, '_', '-' and '.' (not at the begin), 150 at most. Errors: bad_request, by field.
Result<std::map<std::string, TenantLimits>> parse_tenants(const std::string& overrides_yaml);

class Tenants {
 public:
  struct Tenant {
    std::unique_ptr<metrics::Tenant> metrics;
    std::unique_ptr<logs::Server> logs;
  };

  // `directory` of metrics and of logs: those of tenants are <directory>/tenants/<name>.
  Tenants(std::string metrics_directory, std::string logs_directory, metrics::ObjectLister list, Clock& clock);
  ~Tenants();
  void start();

  // Who the request is of: empty when it names nobody, or there are no tenants. Errors: forbidden for a name that is
  // not in the ConfigMap; unavailable when that can't be read.
  Result<std::string> name_of(const http::Headers& headers);
  // REQUIRES: a name that name_of() gave.
  Result<std::shared_ptr<Tenant>> open(const std::string& name);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::platform
