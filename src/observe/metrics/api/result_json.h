// SPDX-License-Identifier: Apache-2.0
// Results of queries as the JSON of the HTTP API ("Format overview" and "Expression query result formats" of upstream's
// documentation). Pure; any thread.
#pragma once
#include <string>

#include "observe/metrics/promql/engine.h"

namespace caisson::metrics {

void append_json(std::string& out, const Labels& labels);  // {"name":"value",…}

// {"resultType":…,"result":…}. A string's time is `t`, in milliseconds as all times.
void append_json(std::string& out, const promql::QueryResult& result, std::int64_t t);

}  // namespace caisson::metrics
