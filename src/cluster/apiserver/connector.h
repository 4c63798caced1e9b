// SPDX-License-Identifier: Apache-2.0
// Connector: logs, exec, attach and port-forward of Pods, passed on to the agent of the Pod's node
// (docs/architecture.md, "What the agent serves"). Each open stream has threads of its own, at most kStreamsMax
// streams; none of http::Server's workers waits for one.
#pragma once
#include <memory>

#include "cluster/apiserver/core.h"
#include "core/http/server.h"

namespace caisson::apiserver {

class Connector {
 public:
  explicit Connector(Core& core);
  ~Connector();  // ends all streams, joins

  static bool connects(std::string_view subresource);
  // Answers the exchange, now or as the stream goes on. The request is authorized.
  void connect(const http::ExchangePtr& exchange, Request& request);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::apiserver
