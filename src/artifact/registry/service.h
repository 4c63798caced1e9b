// SPDX-License-Identifier: Apache-2.0
// The registry behind make_registry. Of this room only. Any thread.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "artifact/content/reference.h"
#include "artifact/registry/answers.h"
#include "artifact/registry/pull_through.h"
#include "artifact/registry/registry.h"
#include "artifact/registry/routes.h"

namespace caisson::registry {

class Service {
 public:
  explicit Service(RegistryOptions options) : options_(std::move(options)) {
    if (options_.upstream) pull_through_ = std::make_unique<PullThrough>(options_.blobs, options_.tags);
  }
  void handle(const http::ExchangePtr& exchange);

 private:
  // The answer to give instead when the caller may not.
  std::optional<http::Response> refuse(const http::Exchange& exchange, std::string_view repository,
                                       Action action) const;
  http::Response challenge(std::string_view repository, const std::vector<std::string>& scopes, bool had_token) const;
  bool is_here(const content::Digest& digest) const;

  http::Response catalog(const http::Exchange& exchange) const;
  http::Response tag_list(const http::Exchange& exchange, const Route& route) const;
  void blob(const http::ExchangePtr& exchange, const Route& route);
  struct FoundBlob {
    std::uint64_t size = 0;
    // The bytes from `first` on, `length` of them.
    std::function<Result<content::ByteSource>(std::uint64_t first, std::uint64_t length)> open;
  };
  Result<FoundBlob> find_blob(const Route& route, const content::Digest& digest) const;
  // The route with the repository that `ns` asks for, as containerd asks its mirrors, unless the path names one that is
  // here. Errors: not_found.
  Result<Route> mirrored(const http::Exchange& exchange, Route route) const;
  Result<void> pull_manifest(const http::Exchange& exchange, const Route& route) const;

  // uploads.cc
  http::Response begin_upload(http::Exchange& exchange, const Route& route);
  http::Response upload(http::Exchange& exchange, const Route& route);
  http::Response append(http::Exchange& exchange, const Route& route, std::uint64_t size);
  http::Response finish(http::Exchange& exchange, const Route& route, const std::string& id);
  http::Response upload_state(int status, const Route& route, const std::string& id, std::uint64_t size) const;
  Result<std::uint64_t> take_body(http::Exchange& exchange, const std::string& id, std::uint64_t size);

  // manifests.cc
  void manifest(const http::ExchangePtr& exchange, const Route& route);
  http::Response get_manifest(const http::Exchange& exchange, const Route& route) const;
  http::Response put_manifest(http::Exchange& exchange, const Route& route);
  std::vector<std::string> tags_of(std::string_view repository, const content::Digest& digest) const;
  Result<void> check_rules(const Route& route, const content::Digest& digest, std::string_view bytes) const;
  Result<void> check_removal(const Route& route) const;
  http::Response delete_manifest(const Route& route);
  Result<content::Digest> manifest_digest(const http::Exchange& exchange, const Route& route) const;
  Result<void> check_parts(const Route& route, std::string_view bytes, std::string_view media_type) const;
  http::Response referrers(const http::Exchange& exchange, const Route& route) const;

  Result<std::optional<Upstream>> upstream_of(const Route& route) const;

  RegistryOptions options_;
  std::unique_ptr<PullThrough> pull_through_;  // absent: every repository is our own
};

}  // namespace caisson::registry
