// SPDX-License-Identifier: Apache-2.0
// Charts in OCI registries: "oci://host/repository/chart". The layout is Helm's (helm/community HIP-6): a configuration
// blob with Chart.yaml as JSON, the .tgz as a layer, its provenance as another; a version's "+" is "_" in its tag.
// Logins are kept in docker's format. Blocks; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/registry/registry_client.h"
#include "core/base/result.h"
#include "delivery/render/helm/repository/home.h"
#include "delivery/render/helm/repository/repositories.h"

namespace caisson::render::helm {

inline constexpr std::string_view kChartLayerType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

bool is_oci(std::string_view url);

struct OciReference {
  std::string host, repository, tag, digest;  // the tag as in the registry: "1.0.0_build"
  // With or without "oci://". Errors: bad_request "invalid reference: …".
  static Result<OciReference> parse(std::string_view text);
  std::string str() const;  // "host/repository:tag"
};

struct OciChart {
  std::string archive;     // the .tgz
  std::string provenance;  // empty when there is none
  std::string digest;      // of the manifest
  std::string version;     // the tag, "+" restored
};

class ChartRegistry {
 public:
  explicit ChartRegistry(registry::ClientOptions options) : client_(std::move(options)) {}
  // With the logins of `home` and what `access` says.
  static Result<ChartRegistry> open(const Home& home, const Access& access);

  // Versions, newest first; tags that are none are left out.
  Result<std::vector<std::string>> versions(const OciReference& ref);
  // The version that `constraint` (a version, a range, or empty for the newest) means for `ref`. Errors: not_found.
  Result<std::string> choose(const OciReference& ref, const std::string& constraint);
  // `ref` has a tag or a digest.
  Result<OciChart> pull(const OciReference& ref, bool with_provenance);
  // To "REMOTE/name:version" of the chart's own name and version. Gives the reference and the manifest's digest.
  struct Pushed {
    std::string reference, digest;
  };
  // `created`: RFC 3339, for the annotation.
  Result<Pushed> push(const std::string& archive, const std::optional<std::string>& provenance, std::string_view remote,
                      const std::string& created);
  Result<void> check_login(const std::string& host) { return client_.check_login(host); }

 private:
  registry::RegistryClient client_;
};

// The login that Helm's file, or docker's, has for a host.
std::optional<registry::Login> known_login(const Home& home, const std::string& host);
Result<void> keep_login(const Home& home, const std::string& host, const registry::Login& login);
Result<void> forget_login(const Home& home, const std::string& host);  // fine when there is none

// The tag that `constraint` means among `versions`, newest first. Errors: not_found.
Result<std::string> choose_version(const std::vector<std::string>& versions, const std::string& constraint);

}  // namespace caisson::render::helm
