// SPDX-License-Identifier: Apache-2.0
// relabel_config of Prometheus: rules that rewrite or drop label sets, in order. Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "observe/metrics/model/labels.h"

namespace caisson::metrics {

enum class RelabelAction : std::uint8_t {
  replace,
  keep,
  drop,
  keep_equal,
  drop_equal,
  hash_mod,
  label_map,
  label_drop,
  label_keep,
  lowercase,
  uppercase
};
// replace, keepequal, hashmod …, in any case of letters. Errors: bad_request.
Result<RelabelAction> relabel_action(std::string_view name);

struct RelabelRule {
  RelabelAction action = RelabelAction::replace;
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::string regex = "(.*)";
  std::string target_label;
  std::string replacement = "$1";
  std::uint64_t modulus = 0;
  bool operator==(const RelabelRule&) const = default;
};

class Relabeling {
 public:
  // Errors: bad_request for a rule that lacks what its action needs, or whose regular expression does not parse.
  static Result<Relabeling> compile(const std::vector<RelabelRule>& rules);
  // Nothing when a rule dropped the set.
  std::optional<Labels> apply(const Labels& labels) const;

 private:
  struct Step {
    RelabelRule rule;
    Regex regex;
  };
  std::vector<Step> steps_;
};

}  // namespace caisson::metrics
