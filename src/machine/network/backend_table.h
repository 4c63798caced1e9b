// SPDX-License-Identifier: Apache-2.0
// The backends (ingress_table.h) that Ingresses and IngressRoutes lead to, each made once. One thread.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "machine/network/ingress_table.h"

namespace caisson::network {

class BackendTable {
 public:
  explicit BackendTable(const IngressWorld& world) : world_(world) {}
  // Gives the backend's id; what is missing is added to `warnings`.
  std::string add(const BackendName& name, std::vector<std::string>& warnings);
  std::map<std::string, RoutedBackend> take() { return std::move(backends_); }  // by id

 private:
  const IngressWorld& world_;
  std::map<std::string, RoutedBackend> backends_;
};

}  // namespace caisson::network
