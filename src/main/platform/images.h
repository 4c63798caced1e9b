// SPDX-License-Identifier: Apache-2.0
// Where the node's and the builder's images come from beyond our own registry: the upstream registry, and stand-ins.
#pragma once
#include <memory>

#include "artifact/bootstrap/bootstrap.h"
#include "machine/node/images.h"

namespace caisson::platform {

// Pulls into the stores with the credentials of the request.
std::unique_ptr<node::ImageSource> make_upstream(content::BlobStore& blobs);
// Makes stand-ins; progress goes to the log.
std::unique_ptr<node::ImageSource> make_stand_ins(bootstrap::Bootstrap& bootstrap);

}  // namespace caisson::platform
