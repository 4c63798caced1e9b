// SPDX-License-Identifier: Apache-2.0
// See backend_table.h.
#include "machine/network/backend_table.h"

#include "core/base/encoding.h"
#include "machine/network/endpoints.h"

namespace caisson::network {

std::string BackendTable::add(const BackendName& name, std::vector<std::string>& warnings) {
  const std::string shown = name.service.str() + ":" + name.port, id = shown + "/" + name.scheme;
  if (lines_.contains(id)) {
    if (const auto missing = missing_.find(id); missing != missing_.end()) warnings.push_back(missing->second);
    return id;
  }
  std::string& line = lines_[id];
  line = "backend\t" + id + "\t" + name.scheme + "\t" + percent_encode(shown);
  const auto service = world_.service(name.service);
  if (!service) {
    missing_[id] = "service " + name.service.str() + " does not exist";
    warnings.push_back(missing_[id]);
    return id;
  }
  for (const ServicePort& port : service_ports(*service)) {
    if (port.name != name.port && std::to_string(port.port) != name.port) continue;
    for (const Backend& one : ready_backends(world_.slices(name.service), port)) {
      line += "\t" + one.str();
      addresses_.insert(one.ip);
    }
    return id;
  }
  missing_[id] = "service " + name.service.str() + " has no port " + name.port;
  warnings.push_back(missing_[id]);
  return id;
}

std::string BackendTable::lines() const {
  std::string out;
  for (const auto& [id, line] : lines_) out += line + "\n";
  return out;
}

}  // namespace caisson::network
