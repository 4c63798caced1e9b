// SPDX-License-Identifier: Apache-2.0
// Names of images as people write them, with what they leave out. Follows distribution/reference and Kyverno's rule
// for the default registry. Any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::jmespath {

struct ImageName {
  std::string registry, path, name, tag, digest;  // "docker.io", "library/nginx", "nginx", "1.27", "sha256:…"

  std::string str() const;       // with the digest when it has one, else with the tag
  std::string with_tag() const;  // "docker.io/nginx:1.27"
};

// Errors: bad_request.
Result<ImageName> parse_image_name(std::string_view text, std::string_view default_registry = "docker.io");

}  // namespace caisson::jmespath
