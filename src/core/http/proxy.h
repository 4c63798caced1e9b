// SPDX-License-Identifier: Apache-2.0
// Which proxy a request goes through, from the usual environment variables. Pure; any thread. Internal to the room.
#pragma once
#include <optional>
#include <string>

#include "core/http/message.h"

namespace caisson::http {

struct ProxyVariables {
  std::string http, https, no_proxy;
  static ProxyVariables from_environment();  // HTTPS_PROXY or https_proxy, and so on; lower case first, as curl
};

bool is_loopback(const std::string& host);
// NO_PROXY: "*", names (and what lies below them), addresses, address ranges "10.0.0.0/8", each with an optional
// ":port".
bool matches_no_proxy(const std::string& no_proxy, const std::string& host, int port);
// The proxy for `url`, whose port is filled in; nothing for a direct connection. Errors: bad_request for a proxy that
// is not http://.
Result<std::optional<Url>> proxy_for(const ProxyVariables& variables, const Url& url, int port);

}  // namespace caisson::http
