// SPDX-License-Identifier: Apache-2.0
// JSON over HTTP, as git hosts and generator plug-ins speak it: one header of credentials, lists in pages, errors that
// name the URL and say the host's own words. Internal to the room. Blocks (network); any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

struct HostAccess {
  std::string base;                              // "https://api.github.com"; slashes at its end do not count
  std::string header, value;                     // of the credentials; empty value: none
  bool verify = true;                            // the host's certificate
  std::string ca_pem;                            // empty: the system's
  Duration time_max = std::chrono::seconds(20);  // of one request
};

// What a host's own provider in an ApplicationSet says of it ("github", "gitlab" or "gitea"): where its API is, and in
// which header it wants a token. Errors: invalid, when Gitea's `api` is missing.
Result<HostAccess> host_access(std::string_view kind, const Value& settings, const std::string& token);

class HostApi {
 public:
  explicit HostApi(HostAccess access);

  // Errors: not_found for 404; unavailable for other answers of 400 and more.
  Result<Value> get(const std::string& path) const;
  Result<Value> post(const std::string& path, const Value& body) const;
  // Every page of a list. `path` has a query already; `size_name` is its parameter of the page's size.
  Result<std::vector<Value>> pages(const std::string& path, const std::string& size_name) const;

 private:
  Result<Value> ask(const std::string& method, const std::string& path, const std::string& body) const;
  HostAccess access_;
};

}  // namespace caisson::gitops
