// SPDX-License-Identifier: Apache-2.0
// Authentication: client certificate, bearer token, unix-socket peer; and impersonation headers. Follows apiserver's
// authenticator (pkg/authentication/request) 1.33. Threads: any.
#pragma once
#include <optional>

#include "cluster/apiserver/core.h"
#include "core/http/server.h"

namespace caisson::apiserver {

// Who a bearer token speaks for: this server's own tokens, and those of the identity providers it knows. `audiences`:
// at least one must be the token's; empty: those of an API server. Errors: unauthorized, with why (for the log).
Result<User> verify_token(const Core& core, std::string_view token, const std::vector<std::string>& audiences = {});

// Errors: unauthorized when nothing, or something wrong, was shown.
Result<User> authenticate(Core& core, const http::Exchange& exchange);
// The user whom Impersonate-User names, if any; `request` gets the errors' details. Errors: forbidden, bad_request.
Result<User> impersonate(Core& core, Request& request, const http::Headers& headers, User user);

}  // namespace caisson::apiserver
