// SPDX-License-Identifier: Apache-2.0
// ServiceAddresses: cluster IPs and node ports of Services: fixed ones as asked, others from the pool. What is taken is
// read from the store, so nothing can leak. Follows pkg/registry/core/service (1.33), one IPv4 range. Call with
// Core::pools held.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "cluster/apiserver/request.h"

namespace caisson::apiserver {

class ServiceAddresses {
 public:
  // Errors: bad_request for a range that is none.
  static Result<std::unique_ptr<ServiceAddresses>> make(store::Store& store, const std::string& cidr, int port_first,
                                                        int port_last);

  // Fills spec.clusterIP(s), families and node ports of `service`, and takes away what its type does not have.
  // `before`: null on create. Errors: invalid for an address or port that is taken or out of range.
  Result<void> assign(Request& request, const Value& before, Value& service) const;
  std::string at(std::uint32_t offset) const;  // the range's address with this offset

 private:
  ServiceAddresses(store::Store& store, std::uint32_t base, std::uint32_t size, int first, int last)
      : store_(store), base_(base), size_(size), port_first_(first), port_last_(last) {}
  struct Taken;
  Taken taken(const Request& request) const;
  Result<void> assign_ip(Request& request, const Taken& taken, const Value& before, Value& spec) const;
  static Result<void> check_families(Request& request, const Value& spec);
  Result<void> assign_health_port(Request& request, const Taken& taken, const Value& before, Value& spec) const;
  Result<void> assign_ports(Request& request, const Taken& taken, const Value& before, Value& spec) const;

  store::Store& store_;
  std::uint32_t base_, size_;
  int port_first_, port_last_;
};

}  // namespace caisson::apiserver
