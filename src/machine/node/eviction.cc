// SPDX-License-Identifier: Apache-2.0
#include "machine/node/eviction.h"

#include <algorithm>
#include <tuple>

#include "cluster/kube/quantity.h"
#include "machine/node/plan.h"

namespace caisson::node {
namespace {

constexpr Duration kPressureStays = std::chrono::minutes(5);

std::uint64_t bytes_of(const Value& quantity) {
  const std::string text = quantity.scalar_text();
  if (text.empty()) return 0;
  const auto parsed = kube::parse_quantity(text);
  return parsed.ok() && *parsed > 0 ? static_cast<std::uint64_t>(*parsed) : 0;
}

std::uint64_t requested(const kube::Object& pod, std::string_view resource) {
  std::uint64_t sum = 0;
  for (const auto& container : pod.spec()["containers"].items())
    sum += bytes_of(container["resources"]["requests"][resource]);
  return sum;
}

std::optional<std::string> over_limit(const PodUse& use) {
  for (const auto& volume : use.pod.spec()["volumes"].items()) {
    const Value& empty = volume["emptyDir"];
    const std::uint64_t limit = bytes_of(empty["sizeLimit"]);
    const auto used = use.usage.volumes.find(volume["name"].str());
    if (limit == 0 || empty["medium"].as_string() == "Memory" || used == use.usage.volumes.end()) continue;
    if (used->second > limit)
      return "Usage of EmptyDir volume \"" + volume["name"].str() + "\" exceeds the limit \"" +
             empty["sizeLimit"].scalar_text() + "\". ";
  }
  std::uint64_t total = 0;
  bool every_container = true;
  for (const auto& container : use.pod.spec()["containers"].items()) {
    const Value& wanted = container["resources"]["limits"]["ephemeral-storage"];
    const std::uint64_t limit = bytes_of(wanted);
    every_container = every_container && limit > 0;
    total += limit;
    const auto used = use.usage.containers.find(container["name"].str());
    if (limit == 0 || used == use.usage.containers.end()) continue;
    if (used->second.disk_bytes + used->second.log_bytes > limit)
      return "Container " + container["name"].str() + " exceeded its local ephemeral storage limit \"" +
             wanted.scalar_text() + "\". ";
  }
  if (every_container && total > 0 && use.usage.disk_bytes() > total)
    return std::string("Pod ephemeral local storage usage exceeds the total limit of containers. ");
  return std::nullopt;
}

}  // namespace

Pressure pressure_of(const HostResources& host, const EvictionThresholds& thresholds) {
  const auto share = static_cast<std::uint64_t>(static_cast<double>(host.disk_bytes) * thresholds.disk_share);
  const auto pids = static_cast<std::uint64_t>(static_cast<double>(host.pids_max) * thresholds.pids_share);
  return {.memory = host.memory_available_bytes < thresholds.memory_bytes,
          .disk = host.disk_available_bytes<std::min(thresholds.disk_bytes, share), .pids = host.pids_max> 0 &&
                  host.pids_max - std::min(host.pids, host.pids_max) < pids};
}

Pressure PressureHistory::update(const Pressure& seen, Time now) {
  const auto one = [now](bool is, Time& last) {
    if (is) last = now;
    return last != Time{} && now - last < kPressureStays;
  };
  return {.memory = one(seen.memory, memory_), .disk = one(seen.disk, disk_), .pids = one(seen.pids, pids_)};
}

bool has_disk_limit(const kube::Object& pod) {
  for (const auto& volume : pod.spec()["volumes"].items())
    if (bytes_of(volume["emptyDir"]["sizeLimit"]) > 0 && volume["emptyDir"]["medium"].as_string() != "Memory")
      return true;
  for (const auto& container : pod.spec()["containers"].items())
    if (bytes_of(container["resources"]["limits"]["ephemeral-storage"]) > 0) return true;
  return false;
}

std::vector<Eviction> over_own_limits(const std::vector<PodUse>& pods) {
  std::vector<Eviction> out;
  for (const auto& use : pods)
    if (auto message = over_limit(use)) out.push_back({use.pod.uid(), *std::move(message)});
  return out;
}

std::optional<Eviction> first_under_pressure(const std::vector<PodUse>& pods, const Pressure& pressure) {
  if (!pressure.any()) return std::nullopt;
  const std::string_view resource = pressure.memory ? "memory" : pressure.disk ? "ephemeral-storage" : "pids";
  const PodUse* chosen = nullptr;
  std::tuple<bool, std::int64_t, std::int64_t> best;
  for (const auto& use : pods) {
    const std::int64_t priority = use.pod.spec()["priority"].as_int(0);
    const std::uint64_t used = pressure.memory ? use.usage.memory_bytes()
                               : pressure.disk ? use.usage.disk_bytes()
                                               : use.usage.pids();
    if (priority >= kCriticalPriority || used == 0) continue;
    const auto over = static_cast<std::int64_t>(used) - static_cast<std::int64_t>(requested(use.pod, resource));
    const std::tuple rank(over > 0, -priority, over);
    if (chosen && rank <= best) continue;
    chosen = &use;
    best = rank;
  }
  if (!chosen) return std::nullopt;
  return Eviction{chosen->pod.uid(), "The node was low on resource: " + std::string(resource) + ". "};
}

}  // namespace caisson::node
