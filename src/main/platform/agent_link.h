// SPDX-License-Identifier: Apache-2.0
// What the server asks of the agent over <data>/run/agent.sock.
#pragma once
#include <memory>
#include <string>

#include "artifact/content/source.h"

namespace caisson::platform {

// Layers that are kept as trees, which only the agent can read.
std::unique_ptr<content::LayerSource> make_agent_layers(const std::string& agent_socket);

}  // namespace caisson::platform
