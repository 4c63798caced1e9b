// SPDX-License-Identifier: Apache-2.0
// What the agent serves on run/agent.sock (docs/architecture.md): pods' logs and streams by the node, build logs by the
// builder, layers' tars, health.
#pragma once
#include "artifact/build/builder.h"
#include "artifact/content/layer_store.h"
#include "core/http/server.h"
#include "machine/node/node.h"

namespace caisson::platform {

// Of a node beside the first: pods, health, and for root POST /shutdown?usualMs=&criticalMs=, which answers
// {"running": [pods]} when pods have ended (node::Node::shut_down).
http::Handler make_node_handler(node::Node& node);
http::Handler make_agent_handler(node::Node& node, build::Builder& builder, content::LayerStore& layers);

}  // namespace caisson::platform
