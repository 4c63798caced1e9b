// SPDX-License-Identifier: Apache-2.0
// GET /federate?match[]=…: the newest sample of every selected series, in the text format with its time, and with an
// empty instance where it has none, so that it does not get that of whoever scrapes this. Any thread.
#pragma once
#include "core/http/message.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

http::Response federate(const Tsdb& storage, std::int64_t now_ms, const http::Query& parameters);

}  // namespace caisson::metrics
