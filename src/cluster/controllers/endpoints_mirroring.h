// SPDX-License-Identifier: Apache-2.0
// Endpoints that people write for a Service without a selector, shown as EndpointSlices, which is what everything
// reads. Source: pkg/controller/endpointslicemirroring (v1.33).
#pragma once
#include <vector>

#include "cluster/kube/object.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

constexpr std::size_t kMirroredPerSubsetMax = 1000;

// What one slice must hold.
struct MirroredSlice {
  std::string address_type;  // IPv4 or IPv6
  Value ports, endpoints;
  bool operator==(const MirroredSlice&) const = default;
};
// Of each subset one slice for each address family that it has; addresses beyond kMirroredPerSubsetMax are left out.
std::vector<MirroredSlice> plan_mirrored(const kube::Object& endpoints);
// Whether `endpoints` of `service` are to be mirrored: the service has no selector and nobody said skip-mirror.
bool is_mirrored(const kube::Object& endpoints, const kube::Object& service);

void add_endpoints_mirroring(kube::Runtime& runtime);

}  // namespace caisson::controllers
