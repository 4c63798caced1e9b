// SPDX-License-Identifier: Apache-2.0
// A watch over HTTP: one JSON document a line, written from the store's delivery thread; no thread waits for it.
#pragma once
#include "cluster/apiserver/negotiate.h"
#include "cluster/apiserver/verbs.h"
#include "core/http/server.h"

namespace caisson::apiserver {

// Answers the exchange with a stream. Errors (nothing was answered): bad_request, invalid, expired as an event of the
// stream.
Result<void> start_watch(Core& core, Request& request, http::Exchange& exchange, const Representation& as);

}  // namespace caisson::apiserver
