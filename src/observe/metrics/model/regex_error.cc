// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/model/regex_error.h"

#include <re2/re2.h>

namespace caisson::metrics {
namespace {

std::string fault(const RE2& re) {
  switch (re.error_code()) {
    case RE2::ErrorMissingParen:
      return "missing closing )";
    case RE2::ErrorMissingBracket:
      return "missing closing ]";
    case RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case RE2::ErrorBadCharRange:
      return "invalid character class range";
    case RE2::ErrorBadCharClass:
      return "invalid character class";
    case RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    default:
      return re.error().substr(0, re.error().find(": "));
  }
}

}  // namespace

std::string regex_error(const RE2& re) {
  return "error parsing regexp: " + fault(re) + ": `" + re.error_arg() + "`";
}

}  // namespace caisson::metrics
