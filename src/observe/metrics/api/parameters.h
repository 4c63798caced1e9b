// SPDX-License-Identifier: Apache-2.0
// Parameters of the HTTP API, read and refused as upstream does (web/api/v1/api.go of 3.15). Every error is bad_request
// and has upstream's text. Pure; any thread.
#pragma once
#include <optional>

#include "core/http/message.h"
#include "observe/metrics/model/labels.h"

namespace caisson::metrics {

// "2026-11-21T12:00:00Z", "1700000000.5", and the two that clients send for the first and the last time there is.
// Milliseconds.
Result<std::int64_t> parse_api_time(std::string_view text);
// "15s", "0.5" (seconds). Milliseconds.
Result<std::int64_t> parse_api_duration(std::string_view text);
// "U__http_2e_status": http.status. What is not written so stays as it is.
std::string unescaped_label_name(std::string_view name);

Error bad_parameter(std::string_view name, const std::string& why);

class Parameters {
 public:
  explicit Parameters(const http::Query& all) : all_(all) {}

  const http::Query& all() const { return all_; }
  std::string_view get(std::string_view name) const { return http::query_get(all_, name); }
  // `name` is not there, or one of its values is this one.
  bool allows(std::string_view name, std::string_view value) const;

  Result<std::int64_t> time(std::string_view name) const;  // must be there
  Result<std::int64_t> time(std::string_view name, std::int64_t otherwise) const;
  Result<std::optional<std::int64_t>> duration(std::string_view name) const;
  Result<std::size_t> limit() const;  // SIZE_MAX when there is none, or 0
  // Of every match[]. The errors are the selectors' own.
  Result<std::vector<std::vector<Matcher>>> selectors() const;

 private:
  const http::Query& all_;
};

// "strconv.Atoi: parsing …" for what is no number. `function` is what upstream reads it with.
Result<std::int64_t> parse_api_number(std::string_view text, std::string_view function = "Atoi");

}  // namespace caisson::metrics
