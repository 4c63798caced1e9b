// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/volume_topology.h"

#include <algorithm>

#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/volumes.h"

namespace caisson::controllers {
namespace {

bool is_bound(const Object& claim) {
  return claim.status()["phase"].as_string() == "Bound" && !claim.spec()["volumeName"].as_string().empty();
}

// allowedTopologies: one term must hold, with each of its labels.
bool is_allowed(const Value& topologies, const Object& node) {
  if (topologies.empty()) return true;
  for (const Value& term : topologies.items()) {
    const auto expressions = term["matchLabelExpressions"].items();
    const bool holds = std::all_of(expressions.begin(), expressions.end(), [&](const Value& expression) {
      const auto values = expression["values"].items();
      return std::any_of(values.begin(), values.end(), [&](const Value& value) {
        return node.label(expression["key"].as_string()) == value.as_string();
      });
    });
    if (holds) return true;
  }
  return false;
}

bool can_bind(const ClaimDemand& demand, const Object& node) {
  std::vector<Object> here;
  for (const Object& volume : demand.candidates) {
    if (volume_fits_node(volume, node)) here.push_back(volume);
  }
  return find_volume(demand.claim, here) != nullptr || (demand.can_provision && is_allowed(demand.topologies, node));
}

}  // namespace

bool VolumeDemand::has_unbound() const {
  return std::any_of(claims.begin(), claims.end(), [](const ClaimDemand& demand) { return !demand.is_bound(); });
}

std::vector<std::string> claim_names(const Object& pod) {
  std::vector<std::string> out;
  for (const Value& volume : pod.spec()["volumes"].items()) {
    if (const std::string name = volume["persistentVolumeClaim"]["claimName"].str(); !name.empty()) out.push_back(name);
    if (!volume["ephemeral"].is_null()) out.push_back(pod.name() + "-" + volume["name"].str());
  }
  return out;
}

bool volume_fits_node(const Object& volume, const Object& node) {
  const Value& required = volume.spec()["nodeAffinity"]["required"];
  return required.is_null() || matches_node_selector(required, node);
}

VolumeDemand volume_demand(const Object& pod, const VolumeLookup& look) {
  VolumeDemand out;
  for (const std::string& name : claim_names(pod)) {
    const auto claim = look.claim({pod.ns(), name});
    if (!claim) {
      out.problem = "persistentvolumeclaim \"" + name + "\" not found.";
      return out;
    }
    if (claim->deleting()) {
      out.problem = "persistentvolumeclaim \"" + name + "\" is being deleted.";
      return out;
    }
    ClaimDemand demand;
    demand.claim = *claim;
    if (is_bound(*claim)) {
      demand.volume = look.volume(claim->spec()["volumeName"].str());
      if (!demand.volume) {
        out.problem = "persistentvolume \"" + claim->spec()["volumeName"].str() + "\" not found.";
        return out;
      }
      if (const std::string_view node = claim->annotation(kSelectedNode); !node.empty()) out.chosen_node = node;
    } else {
      const auto storage_class = look.storage_class(claim->spec()["storageClassName"].str());
      if (!storage_class || (*storage_class)["volumeBindingMode"].as_string() != "WaitForFirstConsumer") {
        out.problem = "pod has unbound immediate PersistentVolumeClaims.";
        return out;
      }
      demand.candidates = look.volumes();
      demand.can_provision = (*storage_class)["provisioner"].as_string() != "kubernetes.io/no-provisioner";
      demand.topologies = (*storage_class)["allowedTopologies"];
    }
    out.claims.push_back(std::move(demand));
  }
  return out;
}

std::string refuse_volumes(const VolumeDemand& demand, const Object& node) {
  for (const ClaimDemand& one : demand.claims) {
    if (one.is_bound() && !volume_fits_node(*one.volume, node)) return "node(s) had volume node affinity conflict";
  }
  for (const ClaimDemand& one : demand.claims) {
    if (!one.is_bound() && !can_bind(one, node)) return "node(s) didn't find available persistent volumes to bind";
  }
  return "";
}

}  // namespace caisson::controllers
