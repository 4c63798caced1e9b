// SPDX-License-Identifier: Apache-2.0
// One call of grpc.health.v1.Health/Check without TLS: what a gRPC probe asks. Speaks the little of HTTP/2 (RFC 9113)
// and HPACK (RFC 7541) that this call needs; follows the gRPC Health Checking Protocol. Any thread; blocks for at most
// the time given.
#pragma once
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::node {

// Fine when the service is SERVING; `service` "" asks for the server as a whole. Errors, in words for a probe's
// message: timeout; unavailable when nobody answers, the answer is no health response, or the service is not serving.
Result<void> grpc_health(const std::string& ip, int port, std::string_view service, Duration time_max);

}  // namespace caisson::node
