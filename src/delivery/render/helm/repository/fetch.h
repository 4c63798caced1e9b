// SPDX-License-Identifier: Apache-2.0
// Indexes and charts over HTTP, as Helm 3.22 pkg/getter fetches them: the login goes to the repository's own host only,
// unless it says otherwise. Blocks; any thread.
#pragma once
#include <string>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/http/client.h"
#include "delivery/render/helm/repository/index.h"
#include "delivery/render/helm/repository/repositories.h"

namespace caisson::render::helm {

struct FetchLimits {
  Duration time_max = std::chrono::minutes(2);
  std::size_t bytes_max = kIndexBytesMax;
};

// The files that `access` names, read. Errors: what reading gives.
Result<http::ClientOptions> client_options(const Access& access);

// `repository` is the URL that `access` is for. Errors: "failed to fetch URL : 404 Not Found" (not_found), unavailable,
// too_large; bad_request "could not find protocol handler for: ftp".
Result<std::string> fetch(const std::string& url, const std::string& repository, const Access& access,
                          const FetchLimits& limits = {});

// index.yaml of `repository`, kept in the cache with the list of its charts. Errors: what fetch and parse_index give.
Result<Index> update_index(const Home& home, const Repository& repository, std::vector<std::string>& warnings,
                           const FetchLimits& limits = {});

}  // namespace caisson::render::helm
