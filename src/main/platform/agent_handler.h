// SPDX-License-Identifier: Apache-2.0
// What the agent serves on run/agent.sock (docs/architecture.md): pods' logs and streams by the node, build logs by the
// builder, layers' tars, health.
#pragma once
#include "artifact/build/builder.h"
#include "artifact/content/layer_store.h"
#include "core/http/server.h"

namespace caisson::platform {

http::Handler make_agent_handler(http::Handler node, build::Builder& builder, content::LayerStore& layers);

}  // namespace caisson::platform
