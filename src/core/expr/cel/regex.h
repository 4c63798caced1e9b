// SPDX-License-Identifier: Apache-2.0
// Regular expressions of RE2, the last ones kept compiled. Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::cel {

class Regex {
 public:
  static Result<Regex> compile(std::string_view pattern);  // bad_request with RE2's words
  bool matches(std::string_view text) const;               // anywhere in the text
  // The first match; nothing when there is none.
  std::vector<std::string_view> find_all(std::string_view text, std::size_t count_max) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace caisson::cel
