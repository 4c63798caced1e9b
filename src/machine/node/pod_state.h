// SPDX-License-Identifier: Apache-2.0
// What the node knows of one pod beside its object: data that the plan and the status are computed from, and that is
// kept in pods/<uid>/state.json, so that a killed agent goes on where it was. Any thread.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::node {

struct Terminated {
  int exit_code = 0;
  std::string reason, message;  // "Completed", "Error", "OOMKilled", "Skipped"
  Time started{}, finished{};
  std::string id;
  bool operator==(const Terminated&) const = default;
};

struct ContainerState {
  enum class Phase { waiting, running, terminated };
  Phase phase = Phase::waiting;
  std::string waiting_reason, waiting_message;  // "ContainerCreating", "ImagePullBackOff", "CrashLoopBackOff" …
  std::string id;                               // of the container that runs or ended last; empty: none was made yet
  std::string image_id;                         // "<repository>@sha256:…"
  Time started{};
  std::optional<Terminated> terminated;  // with Phase::terminated
  std::optional<Terminated> last;        // the run before
  int restarts = 0;
  int crashes = 0;            // ends in a row, for the back-off
  bool start_passed = false;  // no startup probe, or it succeeded
  bool ready = false;
  bool operator==(const ContainerState&) const = default;
};

struct PodState {
  std::string uid, ns, name;
  std::string ip;
  Time start{};                // when the node saw it
  bool sandbox = false;        // its network is there
  std::string pause_id;        // container that holds the shared process namespace; empty: none
  std::uint32_t user_ids = 0;  // what 0 of its user namespace is on the host (container::IdRange); 0: none of its own
  bool killed = false;         // ended by the node (deadline, eviction): nothing starts again
  std::string killed_reason, killed_message;
  std::map<std::string, ContainerState> containers;  // by name, init containers too
  bool operator==(const PodState&) const = default;
};

Value to_value(const PodState& state);
Result<PodState> pod_state_from(const Value& value);

}  // namespace caisson::node
