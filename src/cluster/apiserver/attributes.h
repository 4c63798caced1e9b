// SPDX-License-Identifier: Apache-2.0
// Attributes: what a request asks for, as authorization looks at it. Kubernetes' authorizer.Attributes.
#pragma once
#include <string>

namespace caisson::apiserver {

struct Attributes {
  std::string verb;
  bool is_resource = true;
  std::string group, resource, subresource, name, ns;
  std::string path;  // of a non-resource request
};

}  // namespace caisson::apiserver
