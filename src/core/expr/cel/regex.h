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
  // At most `count_max` matches that do not overlap, as Go's FindAllString has them.
  std::vector<std::string_view> find_all(std::string_view text, std::size_t count_max) const;
  // Every match replaced; "$1" and "${1}" in `replacement` are groups, "$$" is a dollar, as in Go.
  std::string replace_all(std::string_view text, std::string_view replacement) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace caisson::cel
