// SPDX-License-Identifier: Apache-2.0
#include "main/platform/tenants.h"

#include <condition_variable>
#include <thread>

#include "cluster/schema/resource.h"
#include "core/base/log.h"
#include "core/document/yaml.h"
#include "observe/metrics/model/format.h"

namespace caisson::platform {
namespace {

constexpr std::size_t kNameMax = 150;
constexpr auto kMaintainEvery = std::chrono::minutes(1);
constexpr double kMegabyte = 1 << 20;

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kNameMax || name[0] == '.') return false;
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") ==
         std::string_view::npos;
}

Result<double> positive(const Value& value) {
  if (value.is_number() && value.as_double() > 0) return value.as_double();
  return Error{ErrorCode::bad_request, "'" + value.scalar_text() + "' is not a number above 0"};
}

Result<void> read_field(std::string_view field, const Value& value, TenantLimits& limits) {
  if (field == "ingestion_rate")
    limits.metrics.ingestion_rate = TRY(positive(value));
  else if (field == "ingestion_burst_size")
    limits.metrics.ingestion_burst_size = TRY(positive(value));
  else if (field == "max_global_series_per_user")
    limits.metrics.max_global_series_per_user = static_cast<std::size_t>(TRY(positive(value)));
  else if (field == "compactor_blocks_retention_period")
    limits.metrics.retention_ms = TRY(metrics::parse_duration(value.as_string()));
  else if (field == "ingestion_rate_mb")
    limits.logs.rate_bytes = TRY(positive(value)) * kMegabyte;
  else if (field == "ingestion_burst_size_mb")
    limits.logs.burst_bytes = TRY(positive(value)) * kMegabyte;
  else if (field == "max_global_streams_per_user")
    limits.logs.streams_max = static_cast<std::size_t>(TRY(positive(value)));
  else if (field == "retention_period")
    limits.logs.retention.period = TRY(metrics::parse_duration(value.as_string())) * 1'000'000;
  else
    return Error{ErrorCode::bad_request, "no such limit here"};
  return {};
}

}  // namespace

Result<std::map<std::string, TenantLimits>> parse_tenants(const std::string& overrides_yaml) {
  const Value document = TRY(yaml::read(overrides_yaml, {.name = "overrides.yaml"}));
  std::map<std::string, TenantLimits> tenants;
  for (const auto& tenant : document["overrides"].entries()) {
    const std::string name(tenant.key);
    if (!is_name(name)) return Error{ErrorCode::bad_request, "overrides: '" + name + "' can't be the name of a tenant"};
    TenantLimits& limits = tenants[name];
    for (const auto& field : tenant.value.entries())
      TRY(read_field(field.key, field.value, limits).in("overrides." + name + "." + std::string(field.key)));
  }
  return tenants;
}

struct Tenants::Impl {
  std::string metrics_directory, logs_directory;
  metrics::ObjectLister list;
  Clock& clock;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // GUARDED_BY(mutex), as what follows
  std::string version;    // of the ConfigMap that was read last
  bool on = false;        // there is one
  Result<std::map<std::string, TenantLimits>> named = std::map<std::string, TenantLimits>();
  std::map<std::string, std::shared_ptr<Tenant>> opened;
  std::thread thread;

  // REQUIRES: mutex.
  void read_config() {
    for (const kube::Object& map : list(schema::kConfigMaps)) {
      if (map.ns() != "caisson-system" || map.name() != "tenants") continue;
      const std::string now = map.uid() + "/" + map.resource_version();
      if (now == version) return;
      version = now;
      on = true;
      named = parse_tenants(map["data"]["overrides.yaml"].str());
      if (!named.ok()) log::warning("ConfigMap caisson-system/tenants is not read", {{"error", named.error()}});
      return;
    }
    on = false;
    version.clear();
  }

  void tend() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      changed.wait_for(lock, kMaintainEvery, [this] { return stopping; });
      const auto all = opened;
      lock.unlock();
      for (const auto& [name, tenant] : all)
        if (const auto done = tenant->metrics->maintain(); !done.ok())
          log::error("metrics of a tenant not maintained", {{"tenant", name}, {"error", done.error()}});
      lock.lock();
    }
  }
};

Tenants::Tenants(std::string metrics_directory, std::string logs_directory, metrics::ObjectLister list, Clock& clock)
    : impl_(new Impl{std::move(metrics_directory), std::move(logs_directory), std::move(list), clock}) {}

Tenants::~Tenants() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Tenants::start() {
  impl_->thread = std::thread([this] { impl_->tend(); });
}

Result<std::string> Tenants::name_of(const http::Headers& headers) {
  const std::string name(headers.get("X-Scope-OrgID"));
  if (name.empty()) return name;
  const std::lock_guard lock(impl_->mutex);
  impl_->read_config();
  if (!impl_->on) return std::string();
  if (!impl_->named.ok())
    return Error{ErrorCode::unavailable, "ConfigMap caisson-system/tenants: " + impl_->named.error().message};
  if (!impl_->named->contains(name))
    return Error{ErrorCode::forbidden, "ConfigMap caisson-system/tenants names no tenant '" + name + "'"};
  return name;
}

Result<std::shared_ptr<Tenants::Tenant>> Tenants::open(const std::string& name) {
  const std::lock_guard lock(impl_->mutex);
  if (const auto at = impl_->opened.find(name); at != impl_->opened.end()) return at->second;
  TenantLimits limits;
  if (impl_->named.ok() && impl_->named->contains(name)) limits = impl_->named->at(name);
  const std::string below = "/tenants/" + name;
  auto tenant = std::make_shared<Tenant>();
  tenant->metrics = TRY(metrics::Tenant::open(impl_->metrics_directory + below, limits.metrics, impl_->clock));
  const metrics::ObjectLister nothing = [](const kube::Resource&) { return std::vector<kube::Object>(); };
  tenant->logs = TRY(
      logs::Server::open({.directory = impl_->logs_directory + below, .store = limits.logs}, nothing, impl_->clock));
  tenant->logs->start();
  impl_->opened.emplace(name, tenant);
  return tenant;
}

}  // namespace caisson::platform
