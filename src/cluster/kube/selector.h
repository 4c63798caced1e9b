// SPDX-License-Identifier: Apache-2.0
// Label and field selectors: the text form ("app=web,tier in (a,b),!old") and metav1.LabelSelector. Any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::kube {

class LabelSelector {
 public:
  LabelSelector() = default;                                  // matches everything
  static Result<LabelSelector> parse(std::string_view text);  // bad_request, in Kubernetes' words
  static Result<LabelSelector> from(
      const Value& label_selector);                    // matchLabels and matchExpressions; null matches nothing
  static LabelSelector of(const Value& match_labels);  // a plain map, as Service.spec.selector
  bool matches(const Value& labels) const;
  bool everything() const { return requirements_.empty() && !nothing_; }
  std::string str() const;
  // The value when the selector demands key=value, for indexes; "" otherwise.
  std::string_view required_value(std::string_view key) const;

 private:
  enum class Op { in, not_in, exists, not_exists, greater, less };
  struct Requirement {
    std::string key;
    Op op;
    std::vector<std::string> values;
  };
  std::vector<Requirement> requirements_;
  bool nothing_ = false;
};

// "metadata.name=x,status.phase!=Running": = , == and != over paths of the object.
class FieldSelector {
 public:
  FieldSelector() = default;
  static Result<FieldSelector> parse(std::string_view text);
  bool matches(const Value& object) const;
  bool everything() const { return terms_.empty(); }
  std::string str() const;
  std::string_view required_value(std::string_view path) const;
  std::vector<std::string> paths() const;

 private:
  struct Term {
    std::string path, value;
    bool equal;
  };
  std::vector<Term> terms_;
};

}  // namespace caisson::kube
