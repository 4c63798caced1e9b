// SPDX-License-Identifier: Apache-2.0
// The client's end of a WebSocket (RFC 6455), after its handshake. Internal to the room.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/http/client_connection.h"

namespace caisson::http {

// Errors: unavailable when the server's answer is no acceptance of `key`, or of a subprotocol that was not offered.
Result<std::unique_ptr<ClientWebSocket>> make_client_websocket(std::unique_ptr<ClientConnection> connection,
                                                               const ResponseHead& head, const std::string& key,
                                                               const std::vector<std::string>& offered);
// The error that a refusal's status and body mean.
Error refused_websocket(const ResponseHead& head, ClientConnection& connection);

}  // namespace caisson::http
