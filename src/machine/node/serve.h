// SPDX-License-Identifier: Apache-2.0
// What the agent answers for pods: logs, exec, attach, port-forward (docs/architecture.md). Exec, attach and
// port-forward speak the WebSocket protocols v4.channel.k8s.io and v5.channel.k8s.io: the first byte of a message is
// the channel. Any thread.
#pragma once
#include <memory>

#include "core/http/server.h"
#include "machine/node/fd_loop.h"
#include "machine/node/pods.h"

namespace caisson::node {

class Serving {
 public:
  explicit Serving(std::shared_ptr<Pods> pods);
  void handle(http::ExchangePtr exchange);

 private:
  Result<void> logs(http::Exchange& exchange, const std::string& ns, const std::string& pod,
                    const std::string& container);
  Result<void> exec(http::Exchange& exchange, const std::string& ns, const std::string& pod,
                    const std::string& container);
  Result<void> attach(http::Exchange& exchange, const std::string& ns, const std::string& pod,
                      const std::string& container);
  Result<void> port_forward(http::Exchange& exchange, const std::string& ns, const std::string& pod);
  // The id of the container that runs under that name. Errors: not_found, bad_request "… is not running".
  Result<std::string> running(const std::string& ns, const std::string& pod, const std::string& container);

  std::shared_ptr<Pods> pods_;
  FdLoop loop_;
};

}  // namespace caisson::node
