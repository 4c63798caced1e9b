// SPDX-License-Identifier: Apache-2.0
// Pieces of answers. Pure functions.
#pragma once
#include <string>

#include "core/document/json.h"
#include "observe/logs/logql/engine.h"

namespace caisson::logs {

void append_labels(std::string& out, const Labels& labels);    // {"app":"shop"}
void append_seconds(std::string& out, std::int64_t t);         // 1700000000.123
std::string text_list(const std::vector<std::string>& texts);  // ["a","b"]

struct LineFormatOptions {
  bool categorize = false;  // labels by where they come from, as Grafana asks for
};
// [{"stream":{…},"values":[["<ns>","<line>"]]}]
std::string streams_json(const std::vector<logql::FoundLine>& lines, const LineFormatOptions& options);
std::string matrix_json(const logql::Matrix& matrix, const logql::Window& window);
std::string vector_json(const logql::Matrix& matrix, const logql::Window& window);

}  // namespace caisson::logs
