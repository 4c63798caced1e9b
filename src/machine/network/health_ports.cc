// SPDX-License-Identifier: Apache-2.0
// See health_ports.h.
#include "machine/network/health_ports.h"

#include <mutex>

#include "core/document/json.h"
#include "core/http/server.h"

namespace caisson::network {

struct HealthPorts::Port {
  std::mutex mutex;
  HealthCheck check;  // GUARDED_BY(mutex)
  std::optional<http::Server> server;
};

int health_check_port(const kube::Object& service) {
  const Value& spec = service.spec();
  const bool local = spec["type"].as_string() == "LoadBalancer" && spec["externalTrafficPolicy"].as_string() == "Local";
  return local && !service.deleting() ? static_cast<int>(spec["healthCheckNodePort"].as_int()) : 0;
}

std::string health_answer(const HealthCheck& check) {
  return json::write(Value{{"service", Value{{"namespace", check.service.ns}, {"name", check.service.name}}},
                           {"localEndpoints", check.endpoints},
                           {"serviceProxyHealthy", true}});
}

HealthPorts::HealthPorts() = default;
HealthPorts::~HealthPorts() = default;

std::map<int, Error> HealthPorts::set(const std::map<int, HealthCheck>& checks) {
  std::map<int, Error> failed;
  std::erase_if(ports_, [&](const auto& one) { return !checks.contains(one.first); });
  for (const auto& [number, check] : checks) {
    std::unique_ptr<Port>& port = ports_[number];
    if (port) {
      const std::lock_guard lock(port->mutex);
      port->check = check;
      continue;
    }
    port = std::make_unique<Port>();
    port->check = check;
    auto server = http::Server::start({.connections_max = 64, .workers = 1});
    Result<int> listening = server.ok() ? Result<int>(0) : Result<int>(server.error());
    if (server.ok()) {
      port->server.emplace(std::move(server).value());
      listening = port->server->listen("0.0.0.0", number, [port = port.get()](const http::ExchangePtr& exchange) {
        const std::lock_guard lock(port->mutex);
        exchange->respond({.status = port->check.endpoints > 0 ? 200 : 503,
                           .headers = {{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}},
                           .body = health_answer(port->check)});
      });
    }
    if (listening.ok()) continue;
    failed.emplace(number, listening.error());
    ports_.erase(number);
  }
  return failed;
}

}  // namespace caisson::network
