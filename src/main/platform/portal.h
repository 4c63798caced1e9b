// SPDX-License-Identifier: Apache-2.0
// The portal: git's smart HTTP, webhooks, health, and a page that says what is here, behind one port. And the registry's rights, asked of
// the API.
#pragma once
#include <string>

#include "artifact/registry/registry.h"
#include "cluster/kube/client.h"
#include "core/http/server.h"
#include "delivery/git/git_server.h"

namespace caisson::platform {

http::Handler make_portal(git::GitServer& git, http::Handler hooks);

// Rights of a registry request, by TokenReview and SubjectAccessReview: get or update on images.caisson.dev in the namespace that is the
// repository's first path segment.
std::function<Result<void>(const registry::Credentials&, std::string_view, registry::Action)> make_registry_rights(kube::Client& client);

}  // namespace caisson::platform
