// SPDX-License-Identifier: Apache-2.0
// Image references as people write them: "nginx:1.25", "ghcr.io/o/r@sha256:…", "localhost:5000/shop/web". Normalised as
// docker does (distribution/reference: "docker.io" and "library/" for bare names); every name of our own registry means
// the same: no registry at all. Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/digest.h"
#include "core/base/result.h"

namespace caisson::content {

struct Reference {
  std::string registry;    // "docker.io", "ghcr.io", "host:5000"; empty: our own registry
  std::string repository;  // "library/nginx", "shop/frontend"
  std::string tag;         // empty when only a digest was given
  std::optional<Digest> digest;

  bool is_ours() const { return registry.empty(); }
  // "docker.io/library/nginx:1.25"; of our own registry the name without a host: "shop/frontend:v1".
  std::string str() const;
  // As people know it: "nginx:1.25" for docker.io/library; the in-cluster name for our own registry.
  std::string familiar() const;
  bool operator==(const Reference&) const = default;
};

inline constexpr std::string_view kRegistryName = "registry.caisson.internal:5000";

// The hosts that mean our own registry. Always: kRegistryName and registry.caisson-system[.svc[.cluster.local]][:5000].
struct RegistryNames {
  int port = 5000;                     // localhost:<port>, 127.0.0.1:<port> and [::1]:<port> are ours
  std::vector<std::string> addresses;  // "10.43.0.3:5000", "10.42.0.1:5000"
  bool is_ours(std::string_view host) const;
};

// A reference without tag and digest gets the tag "latest". Errors: bad_request, which quotes the text and says what is
// wrong.
Result<Reference> parse_reference(std::string_view text, const RegistryNames& names);

bool is_valid_repository(
    std::string_view name);  // OCI distribution-spec 1.1, "Pulling manifests"; at most 255 characters
bool is_valid_tag(std::string_view tag);

}  // namespace caisson::content
