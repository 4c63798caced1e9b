// SPDX-License-Identifier: Apache-2.0
// File name patterns: Go's path.Match for COPY, moby's patternmatcher for .dockerignore and --exclude ("**" spans
// folders, "!" brings back, the last match wins, a match of a parent folder counts). Matching takes time linear in
// pattern × name. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::build {

bool has_wildcards(std::string_view pattern);  // * ? or [ without an escape before it
bool is_valid_pattern(std::string_view pattern);
bool matches_name(std::string_view pattern, std::string_view name);   // * and ? stop at '/'
bool matches_path(std::string_view pattern, std::string_view path);   // and "**" spans folders
bool matches_shell(std::string_view pattern, std::string_view text);  // * and ? match anything; no classes

class IgnoreRules {
 public:
  // Lines of a .dockerignore: comments, blanks, a byte order mark. Errors: bad_request with the line.
  static Result<IgnoreRules> parse(std::string_view text);
  static Result<IgnoreRules> of(const std::vector<std::string>& patterns);  // as they are: --exclude
  bool empty() const { return rules_.empty(); }
  bool brings_back() const { return brings_back_; }  // has a "!" rule: folders can't be skipped whole
  bool ignores(std::string_view path) const;         // relative, clean

 private:
  struct Rule {
    std::string pattern;
    bool negated = false;
  };
  Result<void> add(std::string_view pattern);
  std::vector<Rule> rules_;
  bool brings_back_ = false;
};

}  // namespace caisson::build
