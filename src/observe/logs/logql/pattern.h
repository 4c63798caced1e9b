// SPDX-License-Identifier: Apache-2.0
// Patterns as `<ip> - <_> "<method> <_>"`: captures between literals. Any thread.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace caisson::logs::logql {

class Pattern {
 public:
  enum class Use { parser, filter };  // a filter has no named captures
  // Errors: bad_request.
  static Result<Pattern> parse(std::string_view text, Use use);
  // Name and text of each named capture, as far as the line goes along.
  std::vector<std::pair<std::string_view, std::string_view>> captures(std::string_view line) const;
  // The whole line is the pattern; a capture is at least one character.
  bool matches_whole(std::string_view line) const;

 private:
  struct Part {
    std::string text;  // a literal, or a capture's name ("_": none)
    bool capture = false;
  };
  std::vector<Part> parts_;
};

}  // namespace caisson::logs::logql
