// SPDX-License-Identifier: Apache-2.0
// Authentication: client certificate, bearer token, unix-socket peer; and impersonation headers. Follows apiserver's
// authenticator (pkg/authentication/request) 1.33. Threads: any.
#pragma once
#include <optional>

#include "cluster/apiserver/core.h"
#include "core/http/server.h"

namespace caisson::apiserver {

// Errors: unauthorized when nothing, or something wrong, was shown.
Result<User> authenticate(Core& core, const http::Exchange& exchange);
// The user whom Impersonate-User names, if any; `request` gets the errors' details. Errors: forbidden, bad_request.
Result<User> impersonate(Core& core, Request& request, const http::Headers& headers, User user);

}  // namespace caisson::apiserver
