// SPDX-License-Identifier: Apache-2.0
// The "backend" lines of the text table (ingress_table.h): one for each port of a Service that Ingresses and
// IngressRoutes lead to, with its ready endpoints. One thread.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "machine/network/ingress_table.h"

namespace caisson::network {

struct BackendName {
  kube::ObjectKey service;
  std::string port;    // name or number
  std::string scheme;  // "http", "https", "grpc", "grpcs"
};

class BackendTable {
 public:
  explicit BackendTable(const IngressWorld& world) : world_(world) {}
  // Gives the backend's id, making its line at first; what is missing is added to `warnings` then.
  std::string add(const BackendName& name, std::vector<std::string>& warnings);
  std::string lines() const;
  const std::set<std::string>& addresses() const { return addresses_; }  // of endpoints in use

 private:
  const IngressWorld& world_;
  std::map<std::string, std::string> lines_;  // by id
  std::map<std::string, std::string> missing_;
  std::set<std::string> addresses_;
};

}  // namespace caisson::network
