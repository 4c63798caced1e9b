// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/capabilities.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"

namespace caisson::render::helm {
namespace {

// Groups and versions that k8s.io/client-go v0.37 and apiextensions know.
constexpr std::string_view kKnown[] = {"admissionregistration.k8s.io/v1",
                                       "admissionregistration.k8s.io/v1beta1",
                                       "admissionregistration.k8s.io/v1alpha1",
                                       "internal.apiserver.k8s.io/v1alpha1",
                                       "apps/v1",
                                       "apps/v1beta2",
                                       "apps/v1beta1",
                                       "authentication.k8s.io/v1",
                                       "authentication.k8s.io/v1beta1",
                                       "authentication.k8s.io/v1alpha1",
                                       "authorization.k8s.io/v1",
                                       "authorization.k8s.io/v1beta1",
                                       "autoscaling/v2",
                                       "autoscaling/v1",
                                       "batch/v1",
                                       "batch/v1beta1",
                                       "certificates.k8s.io/v1",
                                       "certificates.k8s.io/v1beta1",
                                       "certificates.k8s.io/v1alpha1",
                                       "coordination.k8s.io/v1",
                                       "coordination.k8s.io/v1beta1",
                                       "coordination.k8s.io/v1alpha2",
                                       "v1",
                                       "discovery.k8s.io/v1",
                                       "discovery.k8s.io/v1beta1",
                                       "events.k8s.io/v1",
                                       "events.k8s.io/v1beta1",
                                       "extensions/v1beta1",
                                       "flowcontrol.apiserver.k8s.io/v1",
                                       "flowcontrol.apiserver.k8s.io/v1beta3",
                                       "flowcontrol.apiserver.k8s.io/v1beta2",
                                       "flowcontrol.apiserver.k8s.io/v1beta1",
                                       "lifecycle.k8s.io/v1alpha1",
                                       "networking.k8s.io/v1",
                                       "networking.k8s.io/v1beta1",
                                       "node.k8s.io/v1",
                                       "node.k8s.io/v1beta1",
                                       "node.k8s.io/v1alpha1",
                                       "policy/v1",
                                       "policy/v1beta1",
                                       "rbac.authorization.k8s.io/v1",
                                       "rbac.authorization.k8s.io/v1beta1",
                                       "rbac.authorization.k8s.io/v1alpha1",
                                       "resource.k8s.io/v1",
                                       "resource.k8s.io/v1beta2",
                                       "resource.k8s.io/v1beta1",
                                       "resource.k8s.io/v1alpha3",
                                       "scheduling.k8s.io/v1",
                                       "scheduling.k8s.io/v1beta1",
                                       "scheduling.k8s.io/v1alpha3",
                                       "storage.k8s.io/v1",
                                       "storage.k8s.io/v1beta1",
                                       "storage.k8s.io/v1alpha1",
                                       "storagemigration.k8s.io/v1",
                                       "storagemigration.k8s.io/v1beta1",
                                       "apiextensions.k8s.io/v1",
                                       "apiextensions.k8s.io/v1beta1"};

bool is_number(std::string_view text) {
  return !text.empty() && text.size() < 10 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Capabilities default_capabilities() {
  return {{"v1.37.0", "1", "37"}, {std::begin(kKnown), std::end(kKnown)}};
}

// As apimachinery's ParseGeneric: at least two numbers, and nothing of what follows them counts.
Result<KubeVersion> parse_kube_version(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error{ErrorCode::bad_request, "invalid kube version '" + std::string(text) + "': " + why};
  };
  std::string_view rest = trim(text);
  if (rest.starts_with('v')) rest.remove_prefix(1);
  std::string_view numbers = rest.substr(0, rest.find_first_not_of("0123456789."));
  numbers = numbers.substr(0, numbers.find(".."));
  while (numbers.ends_with('.')) numbers.remove_suffix(1);
  const auto parts = split(numbers, '.');
  const bool numeric = std::all_of(parts.begin(), parts.end(), is_number);
  if (!numeric) return bad("could not parse " + go_quote(text) + " as version");
  if (parts.size() < 2) return bad("illegal version string " + go_quote(text));
  for (const std::string_view part : parts) {
    if (part.size() > 1 && part[0] == '0')
      return bad("illegal zero-prefixed version component " + go_quote(part) + " in " + go_quote(text));
  }
  std::string version = "v";
  for (const std::string_view part : parts) version += (version.size() == 1 ? "" : ".") + std::string(part);
  return KubeVersion{version, std::string(parts[0]), std::string(parts[1])};
}

}  // namespace caisson::render::helm
