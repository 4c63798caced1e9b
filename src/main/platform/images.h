// SPDX-License-Identifier: Apache-2.0
// Where the node's and the builder's images come from beyond our own registry: stand-ins here, upstream registries in
// images_upstreams.h.
#pragma once
#include <memory>

#include "artifact/bootstrap/bootstrap.h"
#include "artifact/build/build.h"
#include "artifact/content/reference.h"
#include "machine/node/images.h"

namespace caisson::platform {

struct Instance;
// Which hosts in an image's name mean the instance's own registry.
content::RegistryNames registry_names(const Instance& instance);

// Makes stand-ins; progress goes to the log.
std::unique_ptr<node::ImageSource> make_stand_ins(bootstrap::Bootstrap& bootstrap);

// The images behind FROM: found as the node finds those of pods.
std::function<Result<build::BaseImage>(const std::string&, const content::Platform&)> make_base_images(
    node::ImageProvider& images, content::BlobStore& blobs);

}  // namespace caisson::platform
