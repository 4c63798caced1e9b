// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/token.h"

#include "observe/metrics/model/format.h"

namespace caisson::metrics::promql {
namespace {

constexpr std::string_view kSpellings[] = {"",         "",           "",
                                           "",         "",           "",
                                           "",         "(",          ")",
                                           "{",        "}",          "[",
                                           "]",        ",",          "=",
                                           ":",        "+",          "-",
                                           "*",        "/",          "%",
                                           "^",        "==",         "!=",
                                           "<",        "<=",         ">",
                                           ">=",       "</",         ">/",
                                           "=~",       "!~",         "@",
                                           "atan2",    "and",        "or",
                                           "unless",   "sum",        "avg",
                                           "count",    "min",        "max",
                                           "group",    "stddev",     "stdvar",
                                           "topk",     "bottomk",    "count_values",
                                           "quantile", "limitk",     "limit_ratio",
                                           "offset",   "smoothed",   "anchored",
                                           "by",       "without",    "on",
                                           "ignoring", "group_left", "group_right",
                                           "fill",     "fill_left",  "fill_right",
                                           "bool",     "start",      "end",
                                           "step",     "range",      "max_of",
                                           "min_of"};

}  // namespace

std::string_view spelling(Tok type) {
  return kSpellings[static_cast<int>(type)];
}

bool is_aggregation(Tok type) {
  return type >= Tok::sum && type <= Tok::limit_ratio;
}

bool takes_parameter(Tok aggregation) {
  return aggregation == Tok::topk || aggregation == Tok::bottomk || aggregation == Tok::count_values ||
         aggregation == Tok::quantile || aggregation == Tok::limitk || aggregation == Tok::limit_ratio;
}

bool is_comparison(Tok type) {
  return type >= Tok::eq && type <= Tok::ge;
}

bool is_set_operator(Tok type) {
  return type == Tok::and_ || type == Tok::or_ || type == Tok::unless;
}

bool is_binary_operator(Tok type) {
  return (type >= Tok::add && type <= Tok::trim_lower) || (type >= Tok::atan2 && type <= Tok::unless);
}

bool is_keyword(Tok type) {
  return type >= Tok::atan2;
}

namespace {

std::string shortened(const std::string& text) {
  return text.size() > 10 ? quote(text.substr(0, 10)) + "..." : quote(text);
}

}  // namespace

std::string describe(const Token& token) {
  switch (token.type) {
    case Tok::end:
      return "end of input";
    case Tok::error:
      return "error";
    case Tok::identifier:
      return "identifier " + quote(token.text);
    case Tok::metric_identifier:
      return "metric identifier " + quote(token.text);
    case Tok::string:
      return "string " + shortened(token.text);
    case Tok::number:
      return "number " + shortened(token.text);
    case Tok::duration:
      return "duration " + shortened(token.text);
    default:
      break;
  }
  if (token.type >= Tok::offset && token.type <= Tok::bool_) return "<" + token.text + ">";
  if (token.type >= Tok::add && token.type <= Tok::unless) return "<op:" + token.text + ">";
  if (is_aggregation(token.type)) return "<aggr:" + token.text + ">";
  return quote(token.text);
}

}  // namespace caisson::metrics::promql
