// SPDX-License-Identifier: Apache-2.0
// .helmignore: which files of a folder are no part of a chart. Helm's rules, not git's: the first rule that speaks
// decides, a rule with "!" ignores everything that does NOT match it, "**" is refused. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::render::helm {

// Go's path.Match: *, ?, [a-z], [^a], "\" quotes; none of them matches "/". Nothing: the pattern is malformed.
std::optional<bool> path_matches(std::string_view pattern, std::string_view name);

class IgnoreRules {
 public:
  IgnoreRules();  // only what is always ignored: dot files of templates/
  // Errors: bad_request for "**" and malformed patterns.
  static Result<IgnoreRules> parse(std::string_view text);
  // `path` is relative to the chart's folder.
  bool ignores(std::string_view path, bool directory) const;

 private:
  struct Rule {
    std::string pattern;
    std::size_t tail_size = 0;  // of what stands behind the last special character: names that fit end so
    bool negated = false, only_directories = false, whole_path = false;
  };
  Result<void> add(std::string_view line);
  std::vector<Rule> rules_;
};

}  // namespace caisson::render::helm
