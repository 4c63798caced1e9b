// SPDX-License-Identifier: Apache-2.0
// Decides what a pod needs next, and computes its status: pure functions of the pod's object, its state and the time.
// Follows the kubelet of Kubernetes 1.33 (computePodActions, getPhase, convertToAPIContainerStatuses). Any thread.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/kube/object.h"
#include "machine/node/pod_state.h"

namespace caisson::node {

inline constexpr std::string_view kStepsAnnotation = "caisson.dev/steps";  // "ordered"
inline constexpr std::string_view kEvicted = "Evicted";                    // PodState::killed_reason
inline constexpr std::string_view kStepsContinueAnnotation =
    "caisson.dev/steps-continue";  // names whose failure does not stop the rest

struct Plan {
  std::vector<std::string> start;                          // now, in this order
  std::vector<std::string> stop;                           // sidecars whose work is over
  std::vector<std::string> skip;                           // steps after one that failed: they end as "Skipped"
  std::vector<std::pair<std::string, Duration>> back_off;  // wait that long before the next start: CrashLoopBackOff
  bool finished = false;                                   // every container has ended and none starts again
  bool operator==(const Plan&) const = default;
};
Plan plan(const kube::Object& pod, const PodState& state, Time now);

// How long to wait before a container that ended `crashes` times in a row is started again: nothing, 10 s, 20 s … 5
// min.
Duration restart_delay(int crashes);
// The count after an end: a run of ten minutes makes the next crash the first one.
int crashes_after(int before, Duration ran);

// The pod's `status`, whole: phase, conditions, container statuses, addresses. Conditions that the node does not own
// are kept from the object; transition times move only with the status. `terminating`: the pod is being ended, so it is
// not ready any more.
Value pod_status(const kube::Object& pod, const PodState& state, const std::string& host_ip, bool terminating,
                 Time now);

std::string qos_class(const kube::Object& pod);  // "Guaranteed", "Burstable", "BestEffort"
bool is_sidecar(const Value& init_container);    // restartPolicy: Always
// Every init and main container of the pod with its spec: init containers first. Ephemeral ones are found by name only.
std::vector<const Value*> all_containers(const kube::Object& pod);
const Value* find_container(const kube::Object& pod, std::string_view name);
bool is_finished_phase(std::string_view phase);  // Succeeded or Failed

}  // namespace caisson::node
