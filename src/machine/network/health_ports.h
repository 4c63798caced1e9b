// SPDX-License-Identifier: Apache-2.0
// spec.healthCheckNodePort of Services with externalTrafficPolicy Local: a load balancer in front of several machines
// asks there whether this one has a ready pod. Answers as kube-proxy does (pkg/proxy/healthcheck): 200 or 503 and a
// JSON body. One thread at a time; the ports answer on threads of their own.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::network {

struct HealthCheck {
  kube::ObjectKey service;
  int endpoints = 0;  // ready, on this node
  bool operator==(const HealthCheck&) const = default;
};
int health_check_port(const kube::Object& service);  // 0: none
std::string health_answer(const HealthCheck& check);

class HealthPorts {
 public:
  HealthPorts();
  ~HealthPorts();
  // Makes the listening ports exactly these. Goes on after a port that can't be had; gives what was wrong, by port.
  std::map<int, Error> set(const std::map<int, HealthCheck>& checks);

 private:
  struct Port;
  std::map<int, std::unique_ptr<Port>> ports_;
};

}  // namespace caisson::network
