// SPDX-License-Identifier: Apache-2.0
// Containers' logs, and the platform's own, taken into the store without an agent program: the agent (root) offers its
// log files over one stream, this follows it (machine/node/log_stream.h has the frames). What was taken is part of the
// record of its lines, so that a kill at any moment neither loses nor repeats a line. One thread, which sleeps while
// nothing is logged.
#pragma once
#include <functional>
#include <memory>

#include "core/http/client.h"
#include "observe/logs/store/store.h"

namespace caisson::logs {

// A container's file: <namespace>_<pod>_<uid>/<container>/<attempt>.log.
struct ContainerSource {
  std::string ns, pod, uid, container;
  static std::optional<ContainerSource> parse(std::string_view source);
};

struct SourceLabels {
  Labels labels;    // namespace, pod, container, app, node; "stream" is added by line
  Labels metadata;  // commit, trace_id: of each line, not of the stream, as every rollout has others
};

struct ContainerLogsOptions {
  http::ClientOptions agent;
  std::string node;
  // What the objects say of a container when its log is seen first.
  std::function<SourceLabels(const ContainerSource&)> describe;
};

class ContainerLogs {
 public:
  ContainerLogs(Store& store, ContainerLogsOptions options);
  ~ContainerLogs();
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::logs
