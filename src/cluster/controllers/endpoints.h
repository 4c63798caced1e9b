// SPDX-License-Identifier: Apache-2.0
// Where a Service leads: EndpointSlices, and Endpoints for those who still read them. A pod that is being deleted is
// not ready from that moment, so that traffic leaves it before its processes are told to end. Source:
// staging/src/k8s.io/endpointslice, pkg/controller/endpoint (v1.33).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

constexpr std::size_t kSliceEndpointsMax = 100;

// What the slices of a service must hold: for each set of resolved ports its endpoints, sorted by pod name.
struct PortGroup {
  Value ports;  // of an EndpointSlice
  std::vector<Value> endpoints;
  bool operator==(const PortGroup&) const = default;
};
std::vector<PortGroup> plan_endpoints(const Object& service, const std::vector<Object>& pods,
                                      const std::map<std::string, std::string>& zones);
// subsets of an Endpoints object.
Value plan_subsets(const Object& service, const std::vector<Object>& pods);

void add_endpoints(kube::Runtime& runtime);

}  // namespace caisson::controllers
