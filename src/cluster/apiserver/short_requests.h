// SPDX-License-Identifier: Apache-2.0
// Which requests are answered on the thread that reads them (http::ShortTest): those of one small object that wait for
// nobody. Internal to this room. Threads: any.
#pragma once
#include "cluster/apiserver/core.h"
#include "core/http/server.h"

namespace caisson::apiserver {

bool is_short(const Core& core, const http::Exchange& exchange);

}  // namespace caisson::apiserver
