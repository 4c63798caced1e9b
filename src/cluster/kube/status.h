// SPDX-License-Identifier: Apache-2.0
// metav1.Status, the API's way to say an error, and ErrorCode are one set of reasons; here is the table. Pure
// functions; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::kube {

std::string_view status_reason(ErrorCode code);  // "NotFound"
int http_status(ErrorCode code);                 // 404
// What an answer of 400 and more means: by the reason of its Status body, else by the HTTP status.
Error error_from_response(int http_status, std::string_view body);

}  // namespace caisson::kube
