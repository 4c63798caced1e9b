// SPDX-License-Identifier: Apache-2.0
// What .Capabilities tells a chart about the cluster it is meant for. Any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::render::helm {

inline constexpr std::string_view kHelmVersion = "v3.22.0";  // whose behaviour this folder has

struct KubeVersion {
  std::string version;  // "v1.30.0"
  std::string major, minor;
  bool operator==(const KubeVersion&) const = default;
};

struct Capabilities {
  KubeVersion kube_version;
  std::vector<std::string> api_versions;  // "apps/v1", and "apps/v1/Deployment" where a cluster was asked
};

// What Helm takes without a cluster: the API versions of its client library, Kubernetes 1.37.
Capabilities default_capabilities();
// "1.30", "v1.30.4+k3s1". Errors: bad_request.
Result<KubeVersion> parse_kube_version(std::string_view text);

}  // namespace caisson::render::helm
