// SPDX-License-Identifier: Apache-2.0
// Kubernetes' remote command protocol over WebSocket (v4.channel.k8s.io, v5.channel.k8s.io; apimachinery
// remotecommand): between a WebSocket and the descriptors of a process. Sessions own themselves and end with the
// process or the peer. Any thread.
#pragma once
#include <memory>
#include <string>

#include "artifact/container/containers.h"
#include "core/http/server.h"
#include "machine/node/fd_loop.h"

namespace caisson::node {

enum class Channel : std::uint8_t { in = 0, out = 1, err = 2, error = 3, resize = 4, close = 255 };

// The subprotocol to accept: v5 before v4. Errors: bad_request, which lists what is spoken.
Result<std::string> choose_protocol(std::string_view offered);

// The message on the error channel: Success, or Failure with the exit code as a cause.
std::string exit_message(int code);
std::string failure_message(std::string_view text);

struct StreamsWanted {
  bool in = false, out = false, err = false, terminal = false;
};
void serve_process(FdLoop& loop, std::shared_ptr<http::WebSocket> socket,
                   std::unique_ptr<container::ExecProcess> process, StreamsWanted wanted);
void serve_attachment(FdLoop& loop, std::shared_ptr<http::WebSocket> socket,
                      std::unique_ptr<container::Attachment> attachment, StreamsWanted wanted);
// Data of port i on channel 2i, errors on 2i+1; each channel begins with the port as two bytes, low first.
// `connections`: one a port, or -1.
void serve_ports(FdLoop& loop, std::shared_ptr<http::WebSocket> socket, std::vector<int> ports,
                 std::vector<UniqueFd> connections, std::vector<std::string> errors);

}  // namespace caisson::node
