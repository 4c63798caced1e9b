// SPDX-License-Identifier: Apache-2.0
// JSON by RFC 8259: parsing with limits and positions, writing as Go's encoding/json does where bytes matter. Any
// thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::json {

struct ParseLimits {
  std::size_t depth_max = 200;
  std::size_t size_bytes_max = 256u << 20;
};

// Errors: bad_request "line 3, column 7: expected ',' or '}' after a member". Integers beyond 64 bits become floats. Of
// duplicate keys the last one counts, as in Go.
Result<Value> parse(std::string_view text, const ParseLimits& limits = {});

struct WriteOptions {
  int indent = 0;            // 0: compact
  bool escape_html = false;  // <, >, & as \u003c …, Go's default
  bool sort_keys = false;
};
std::string write(const Value& value, const WriteOptions& options = {});
void append(std::string& out, const Value& value);            // compact
void append_string(std::string& out, std::string_view text);  // quoted and escaped

}  // namespace caisson::json
