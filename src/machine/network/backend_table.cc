// SPDX-License-Identifier: Apache-2.0
// See backend_table.h.
#include "machine/network/backend_table.h"

#include "core/base/encoding.h"
#include "machine/network/endpoints.h"

namespace caisson::network {

RoutedBackend make_backend(const BackendName& name, const IngressWorld& world) {
  const std::string shown = name.service.str() + ":" + name.port;
  RoutedBackend out{name, "backend\t" + name.id() + "\t" + name.scheme + "\t" + percent_encode(shown), {}, ""};
  const auto service = world.service(name.service);
  if (!service) {
    out.missing = "service " + name.service.str() + " does not exist";
    return out;
  }
  for (const ServicePort& port : service_ports(*service)) {
    if (port.name != name.port && std::to_string(port.port) != name.port) continue;
    for (const Backend& one : ready_backends(world.slices(name.service), port)) {
      out.line += "\t" + one.str();
      out.addresses.insert(one.ip);
    }
    return out;
  }
  out.missing = "service " + name.service.str() + " has no port " + name.port;
  return out;
}

std::string BackendTable::add(const BackendName& name, std::vector<std::string>& warnings) {
  const std::string id = name.id();
  auto found = backends_.find(id);
  if (found == backends_.end()) found = backends_.emplace(id, make_backend(name, world_)).first;
  if (!found->second.missing.empty()) warnings.push_back(found->second.missing);
  return id;
}

}  // namespace caisson::network
