// SPDX-License-Identifier: Apache-2.0
// What a sample of lines has in common: patterns (lines that differ in what varies only) and the fields that parsers
// would find. As Grafana's log views ask for them. Pure functions.
#pragma once
#include "observe/logs/logql/engine.h"

namespace caisson::logs {

// {"status":"success","data":[{"pattern":"GET <_> took <_>","samples":[[seconds,count]]}]}, the most frequent first.
std::string patterns_json(const std::vector<logql::FoundLine>& lines, std::int64_t step);
// {"fields":[{"label":"status","type":"int","cardinality":3,"parsers":["json"]}],"limit":1000}
std::string fields_json(const std::vector<logql::FoundLine>& lines, std::size_t limit);
// The values of one such field, at most `limit`: {"values":["200","404"],"limit":1000}
std::string field_values_json(const std::vector<logql::FoundLine>& lines, const std::string& name, std::size_t limit);

}  // namespace caisson::logs
