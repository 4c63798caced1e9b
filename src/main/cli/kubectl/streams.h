// SPDX-License-Identifier: Apache-2.0
// Pods that a command talks to, and the streams of a process in one: exec and attach over WebSocket
// (v5.channel.k8s.io, v4.channel.k8s.io), as kubectl 1.31 and later speak them.
#pragma once
#include <functional>

#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

// The pod behind "NAME", "pod/NAME", or the best pod of a workload or Service ("deploy/web"): bound, running and ready
// ones first. Waits up to --pod-running-timeout (a minute) for a workload to have one. Errors: kubectl's text.
Result<Value> pod_for(Call& call, const std::string& word);
// All pods of a workload or Service; of a pod itself.
Result<std::vector<Value>> pods_for(Call& call, const std::string& word);

// The container that -c, the pod's annotation or its order names. `says_default`: tells on standard error which of
// several was taken. Errors: the one named by -c is not there.
Result<std::string> container_for(const Call& call, const Value& pod, bool says_default);

struct StreamWishes {
  bool in = false, err = true, terminal = false;
};
// Where the bytes come from and go to; nothing set: this program's standard streams.
struct StreamEnds {
  std::function<Result<std::string>()> in;  // empty at the end
  std::function<Result<void>(std::string_view)> out;
};
// Runs until the remote process ends. `path` is that of the sub-resource, with its command and container.
// Gives the exit status. Errors: the connection's, what the server says of a process that could not be run.
Result<int> run_streams(const Call& call, const std::string& path, const StreamWishes& wishes,
                        const StreamEnds& ends = {});
// Waits until the container of the pod runs or is over, and attaches; prints its log when it was over before. Gives the
// exit status of the container where it is known, else 0.
Result<int> attach_when_running(Call& call, const std::string& pod, const std::string& container,
                                const StreamWishes& wishes);
// What -i and -t ask for; a terminal needs one at standard input.
StreamWishes wishes_of(const Call& call);
std::string exec_path(const Value& pod, const std::string& container, const std::vector<std::string>& command);

}  // namespace caisson::cli::kubectl
