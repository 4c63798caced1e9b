// SPDX-License-Identifier: Apache-2.0
// RE2 over lines: not anchored, as Go's regexp. (metrics::Regex is for label values.) Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::logs::logql {

class LineRegex {
 public:
  // Errors: bad_request "error parsing regexp: …".
  static Result<LineRegex> compile(std::string_view pattern);
  bool matches(std::string_view line) const;
  // By number, 0 the whole; what did not take part is empty. False: no match.
  bool groups(std::string_view line, std::vector<std::string_view>& out) const;
  const std::vector<std::string>& names() const;  // of the groups; "" where one has none
  // The text without characters of special meaning, when the pattern is nothing else.
  bool is_literal() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace caisson::logs::logql
