// SPDX-License-Identifier: Apache-2.0
// What a service manager that started this program is told: sd_notify(3)'s protocol, a datagram to the socket that the
// environment variable NOTIFY_SOCKET names.
#pragma once
#include <string_view>

#include "core/base/result.h"

namespace caisson::platform {

// `state` is "READY=1" or "STOPPING=1". Does nothing when no service manager asked for it.
Result<void> notify_service_manager(std::string_view state);

}  // namespace caisson::platform
