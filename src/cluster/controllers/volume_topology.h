// SPDX-License-Identifier: Apache-2.0
// What a pod's claims ask of the node it goes to: bound volumes stay where they are, and unbound claims that wait for
// their first consumer need a volume, or a class that makes one, for that node. Pure but for what it looks up; any
// thread. Source: pkg/scheduler/framework/plugins/{volumebinding,volumerestrictions} (v1.33).
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/object.h"

namespace caisson::controllers {

// On a claim that waits for its first consumer: the node that the scheduler chose, for which the volume is made.
inline constexpr std::string_view kSelectedNode = "volume.kubernetes.io/selected-node";

struct VolumeLookup {
  std::function<std::optional<kube::Object>(const kube::ObjectKey& key)> claim;
  std::function<std::optional<kube::Object>(const std::string&name)> volume, storage_class;
  std::function<std::vector<kube::Object>()> volumes;
};

struct ClaimDemand {
  kube::Object claim;
  std::optional<kube::Object> volume;    // that it is bound to
  std::vector<kube::Object> candidates;  // unbound: the volumes that there are
  bool can_provision = false;            // unbound: its class makes one, on nodes of `topologies`
  Value topologies;                      // allowedTopologies; null: anywhere
  bool is_bound() const { return volume.has_value(); }
};
struct VolumeDemand {
  std::string problem;  // what keeps the pod from every node, in the scheduler's words; "" for none
  std::vector<ClaimDemand> claims;
  std::string chosen_node;  // for which its unbound claims were bound before
  bool has_unbound() const;
};
VolumeDemand volume_demand(const kube::Object& pod, const VolumeLookup& look);

// Why `node` will not do; "" when it will.
std::string refuse_volumes(const VolumeDemand& demand, const kube::Object& node);

// Whether the volume can be reached from the node (spec.nodeAffinity).
bool volume_fits_node(const kube::Object& volume, const kube::Object& node);
// Names of the claims that the pod's volumes use, those that are made for it among them.
std::vector<std::string> claim_names(const kube::Object& pod);

}  // namespace caisson::controllers
