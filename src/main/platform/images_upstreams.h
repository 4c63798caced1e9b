// SPDX-License-Identifier: Apache-2.0
// The registries behind ours, as the cluster's objects name them:
// - ConfigMap caisson-system/registry-upstreams, key registries.yaml: mirrors and TLS settings (registry/upstreams.h);
// - Secret caisson-system/registry-upstreams of type kubernetes.io/dockerconfigjson: logins of registries and mirrors;
// - a Namespace's annotations registry.caisson.dev/proxy-of ("docker.io", "ghcr.io/team"): the project's repositories
// are
//   that registry's, and registry.caisson.dev/proxy-secret: a Secret of that Namespace with its login.
// They are read for each request, so a change counts at once. Any thread.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "artifact/registry/upstreams.h"
#include "cluster/kube/client.h"
#include "machine/node/images.h"

namespace caisson::platform {

// For RegistryOptions::upstream. Errors: bad_request with the object and field that is wrong; not_found with a Secret
// that is named and absent.
std::function<Result<std::optional<registry::Upstream>>(std::string_view repository)> make_registry_upstreams(
    kube::Client& client);

// Whether a repository stands for another registry's: whose tags the collector lets expire.
std::function<Result<bool>(std::string_view repository)> make_is_proxied(kube::Client& client);

// Pulls by the same mirrors and logins, those of the pod first, into the stores; what an upstream's tag meant when it
// was last pulled through serves while the upstream is away.
std::unique_ptr<node::ImageSource> make_upstream(content::BlobStore& blobs, content::TagIndex& tags,
                                                 kube::Client& client);

// `images`, where a name of ours that stands for another registry's means that one.
std::unique_ptr<node::ImageProvider> make_proxied_images(node::ImageProvider& images, kube::Client& client,
                                                         content::RegistryNames names);

}  // namespace caisson::platform
