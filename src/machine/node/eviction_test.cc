// SPDX-License-Identifier: Apache-2.0
#include "machine/node/eviction.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/document/yaml.h"
#include "machine/node/admit.h"

using namespace caisson;
using namespace caisson::node;
using namespace std::chrono_literals;

namespace {

PodUse use_of(const std::string& uid, const std::string& spec, PodUsage usage = {}) {
  const auto value = yaml::read("metadata: {name: p, namespace: ns, uid: " + uid + "}\nspec: " + spec + "\n");
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return {kube::Object(*value), std::move(usage)};
}
PodUsage memory(std::uint64_t bytes) {
  PodUsage usage;
  usage.containers["a"].memory_working_set_bytes = bytes;
  return usage;
}
PodUsage disk(std::uint64_t layer, std::uint64_t log = 0, std::map<std::string, std::uint64_t> volumes = {}) {
  PodUsage usage;
  usage.containers["a"].disk_bytes = layer;
  usage.containers["a"].log_bytes = log;
  usage.volumes = std::move(volumes);
  return usage;
}

}  // namespace

TEST_CASE("a pod that writes more than it may is named with the limit") {
  const std::string sized = "{containers: [{name: a}], volumes: [{name: v, emptyDir: {sizeLimit: 1Ki}}]}";
  CHECK(over_own_limits({use_of("u", sized, disk(0, 0, {{"v", 1024}}))}).empty());
  const auto volume = over_own_limits({use_of("u", sized, disk(0, 0, {{"v", 1025}}))});
  REQUIRE(volume.size() == 1);
  CHECK(volume[0] == Eviction{"u", "Usage of EmptyDir volume \"v\" exceeds the limit \"1Ki\". "});
  const std::string limited =
      "{containers: [{name: a, resources: {limits: {ephemeral-storage: 1Ki}}}], volumes: [{name: v, emptyDir: {}}]}";
  CHECK(over_own_limits({use_of("u", limited, disk(1000, 25))})[0].message ==
        "Container a exceeded its local ephemeral storage limit \"1Ki\". ");  // its logs count
  CHECK(over_own_limits({use_of("u", limited, disk(500, 0, {{"v", 600}}))})[0].message ==
        "Pod ephemeral local storage usage exceeds the total limit of containers. ");
  CHECK(over_own_limits({use_of("u", limited, disk(500, 0, {{"v", 500}}))}).empty());
}

TEST_CASE("under pressure goes who uses more than it asked for, then the least important, then the biggest") {
  const Pressure low{.memory = true};
  const std::string asks = "{containers: [{name: a, resources: {requests: {memory: 1Ki}}}]}",
                    nothing = "{containers: [{name: a}]}", important = "{priority: 100, containers: [{name: a}]}",
                    critical = "{priority: 2000000000, containers: [{name: a}]}";
  const auto first = [&](const std::vector<PodUse>& pods) {
    const auto chosen = first_under_pressure(pods, low);
    return chosen ? chosen->uid : "none";
  };
  CHECK(first({use_of("within", asks, memory(1000)), use_of("over", nothing, memory(10))}) == "over");
  CHECK(first({use_of("important", important, memory(5000)), use_of("plain", nothing, memory(10))}) == "plain");
  CHECK(first({use_of("small", nothing, memory(10)), use_of("big", nothing, memory(20))}) == "big");
  CHECK(first({use_of("critical", critical, memory(10))}) == "none");
  CHECK(first({use_of("idle", nothing)}) == "none");
  CHECK_FALSE(first_under_pressure({use_of("any", nothing, memory(10))}, {}));
}

TEST_CASE("pressure is what is left, stays for a while, and keeps new pods out") {
  HostResources host{.memory_bytes = 8ull << 30,
                     .memory_available_bytes = 200u << 20,
                     .disk_bytes = 100ull << 30,
                     .disk_available_bytes = 2ull << 30,
                     .pids = 100,
                     .pids_max = 1000};
  CHECK(pressure_of(host, {}) == Pressure{});
  host.memory_available_bytes = 50u << 20;
  host.pids = 960;
  CHECK(pressure_of(host, {}) == Pressure{.memory = true, .pids = true});
  host.disk_available_bytes = 1u << 20;
  CHECK(pressure_of(host, {}).disk);

  PressureHistory history;
  const Time start{1'700'000'000s};
  CHECK(history.update({}, start) == Pressure{});
  CHECK(history.update({.disk = true}, start).disk);
  CHECK(history.update({}, start + 4min).disk);
  CHECK_FALSE(history.update({}, start + 6min).disk);

  const auto plain = use_of("u", "{containers: [{name: a}]}").pod;
  CHECK_FALSE(refusal_under_pressure(plain, {}));
  CHECK(refusal_under_pressure(plain, {.memory = true})->message == "The node had condition: [MemoryPressure]. ");
  const auto asks = use_of("u", "{containers: [{name: a, resources: {requests: {memory: 1Ki}}}]}").pod;
  CHECK_FALSE(refusal_under_pressure(asks, {.memory = true}));
  CHECK(refusal_under_pressure(asks, {.disk = true}));
  CHECK_FALSE(refusal_under_pressure(use_of("u", "{priorityClassName: system-node-critical}").pod, {.disk = true}));
}

TEST_CASE("what lies on the disk is counted once") {
  const auto dir = TempDir::make();
  REQUIRE(write_file((*dir).path() + "/a", std::string(1u << 20, 'x')).ok());
  const auto one = disk_usage((*dir).path());
  CHECK(one >= (1u << 20));
  REQUIRE(::link(((*dir).path() + "/a").c_str(), ((*dir).path() + "/b").c_str()) == 0);
  CHECK(disk_usage((*dir).path()) == one);
  CHECK(disk_usage("/does/not/exist") == 0);
}
