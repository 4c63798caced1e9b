// SPDX-License-Identifier: Apache-2.0
// How commands reach registries: by the credentials of ~/.docker/config.json (DOCKER_CONFIG), which `caisson login` and
// `docker login` write, credential helpers included; the platform's own also by the kubeconfig that other commands use.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "artifact/content/reference.h"
#include "artifact/registry/registry_client.h"
#include "main/cli/session.h"

namespace caisson::cli {

// Every host as it is written, localhost too: a command talks to what its user names.
Result<content::Reference> parse_image(const std::string& text);
registry::RegistryClient make_registry_client(const Global& global);
std::function<std::optional<registry::Login>(std::string_view host)> registry_logins(const Global& global);

// What a command at a registry ended with; of a missing login, how to have one.
Result<int> at_registry(Result<int> result);

// The registry of the platform in the data directory, as "localhost:5000". Errors: not_found, without a platform there.
Result<std::string> own_registry(const Global& global);

// Layers that are fetched when they are asked for, each checked against its digest while it streams. `reference` and
// the client outlive it.
std::unique_ptr<content::LayerSource> make_remote_layers(registry::RegistryClient& client,
                                                         const content::Reference& reference);

// "~/.cache/caisson" (XDG_CACHE_HOME).
std::string user_cache_dir();

}  // namespace caisson::cli
