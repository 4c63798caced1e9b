// SPDX-License-Identifier: Apache-2.0
// The envelope of the HTTP API: {"status":"success","data":…} or {"status":"error","errorType":…,"error":…}. Pure; any
// thread.
#pragma once
#include "core/document/value.h"
#include "core/http/message.h"

namespace caisson::metrics {

// Status and errorType by upstream's kinds of errors; bad_data where the code says nothing else. `invalid` is what went
// wrong while a query that can be read was evaluated: 422 execution.
http::Response error_response(const Error& error);
http::Response data_response(const Value& data);

}  // namespace caisson::metrics
