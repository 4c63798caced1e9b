// SPDX-License-Identifier: Apache-2.0
#include <sys/statvfs.h>

#include <map>

#include "observe/metrics/sources/machine.h"

namespace caisson::metrics {
namespace {

struct Claimed {
  std::vector<Label> labels;
  struct statvfs s {};
};

std::vector<Claimed> claimed_volumes(const std::vector<kube::Object>& pods, const VolumePath& path_of) {
  std::map<std::string, Claimed> found;  // by claim: many pods may share one
  for (const kube::Object& pod : pods)
    for (const Value& volume : pod.spec()["volumes"].items()) {
      const std::string claim = volume["persistentVolumeClaim"]["claimName"].str();
      if (claim.empty()) continue;
      const std::string path = path_of(pod, volume["name"].str());
      Claimed one{{{"namespace", pod.ns()}, {"persistentvolumeclaim", claim}}};
      if (path.empty() || ::statvfs(path.c_str(), &one.s) != 0) continue;
      found.emplace(pod.ns() + "/" + claim, std::move(one));
    }
  std::vector<Claimed> all;
  for (auto& [key, one] : found) all.push_back(std::move(one));
  return all;
}

void volumes(Families& out, const std::vector<Claimed>& all) {
  const auto each = [&](const char* name, const char* help, auto value) {
    out.family(std::string("kubelet_volume_stats_") + name, "gauge", help);
    for (const Claimed& one : all) out.add(one.labels, static_cast<double>(value(one.s)));
  };
  using S = struct statvfs;
  each("capacity_bytes", "Capacity in bytes of the volume.", [](const S& s) { return s.f_blocks * s.f_frsize; });
  each("available_bytes", "Number of available bytes in the volume.",
       [](const S& s) { return s.f_bavail * s.f_frsize; });
  each("used_bytes", "Number of used bytes in the volume.",
       [](const S& s) { return (s.f_blocks - s.f_bfree) * s.f_frsize; });
  each("inodes", "Maximum number of inodes in the volume.", [](const S& s) { return s.f_files; });
  each("inodes_free", "Number of free inodes in the volume.", [](const S& s) { return s.f_ffree; });
  each("inodes_used", "Number of used inodes in the volume.", [](const S& s) { return s.f_files - s.f_ffree; });
}

}  // namespace

Exposition kubelet_state(const std::string& node, const std::vector<kube::Object>& pods, const VolumePath& path_of) {
  Families out;
  out.family("kubelet_node_name", "gauge", "The node's name. The count is always 1.");
  out.add({{"node", node}}, 1);
  double running = 0;
  std::map<std::string, double> containers{{"created", 0}, {"exited", 0}, {"running", 0}};
  for (const kube::Object& pod : pods) {
    if (pod.status()["phase"].as_string() == "Running") ++running;
    for (const Value& status : pod.status()["containerStatuses"].items()) {
      const Value& state = status["state"];
      if (state["running"].is_map())
        ++containers["running"];
      else if (state["terminated"].is_map())
        ++containers["exited"];
    }
  }
  out.family("kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox.");
  out.add({}, running);
  out.family("kubelet_running_containers", "gauge", "Number of containers currently running.");
  for (const auto& [state, count] : containers)
    if (state != "created") out.add({{"container_state", state}}, count);
  volumes(out, claimed_volumes(pods, path_of));
  return out.take();
}

}  // namespace caisson::metrics
