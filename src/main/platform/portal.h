// SPDX-License-Identifier: Apache-2.0
// The portal: git's smart HTTP, webhooks, health, and a page that says what is here, behind one port. And the
// registry's rights, asked of the API.
#pragma once
#include <string>

#include "artifact/registry/registry.h"
#include "cluster/kube/client.h"
#include "core/http/server.h"
#include "delivery/git/git_server.h"

namespace caisson::platform {

// `builds` answers /builds/{ns}/{name}/log for whoever may get that Build.
http::Handler make_portal(git::GitServer& git, http::Handler hooks, http::Handler builds);

// GET /builds/{ns}/{name}/log?follow, passed on to the agent after TokenReview and SubjectAccessReview (get
// builds.caisson.dev).
http::Handler make_build_logs(kube::Client& client, std::string agent_socket);

// Rights of a registry request, by TokenReview and SubjectAccessReview: get or update on images.caisson.dev in the
// namespace that is the repository's first path segment.
std::function<Result<void>(const registry::Credentials&, std::string_view, registry::Action)> make_registry_rights(
    kube::Client& client);

// A project's rules, from the annotations of its Namespace: registry.caisson.dev/immutable-tags ("v*,1.*") and
// registry.caisson.dev/quota ("10Gi"). No Namespace: no rules. Errors: invalid, with the annotation, so that a slip
// opens nothing.
std::function<Result<registry::ProjectRules>(std::string_view)> make_registry_rules(kube::Client& client);

}  // namespace caisson::platform
