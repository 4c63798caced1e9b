// SPDX-License-Identifier: Apache-2.0
// The tree of a parsed query. Durations are nanoseconds. Not changed after parsing.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "observe/logs/logql/token.h"
#include "observe/metrics/model/labels.h"

namespace caisson::logs::logql {

using metrics::Matcher;

// --- stages of a pipeline

enum class LineMatch : std::uint8_t { equal, not_equal, regex, not_regex, pattern, not_pattern };
struct LineFilter {
  LineMatch match = LineMatch::equal;
  struct One {
    std::string text;
    bool is_ip = false;
    bool operator==(const One&) const = default;
  };
  std::vector<One> any;  // |= "a" or "b"
};

struct Extraction {
  std::string label, path;
};
enum class ParserKind : std::uint8_t { json, logfmt, regexp, unpack, pattern };
struct Parser {
  ParserKind kind = ParserKind::json;
  std::string text;                     // of regexp and pattern
  std::vector<Extraction> extractions;  // of json and logfmt; empty: everything
  bool strict = false, keep_empty = false;
};

enum class Compare : std::uint8_t { eq, ne, lt, le, gt, ge };
struct LabelFilter {
  enum class Kind : std::uint8_t { matcher, ip, duration, bytes, number, both, either };
  Kind kind = Kind::matcher;
  Compare compare = Compare::eq;
  Matcher matcher;
  std::string label, text;  // of the others; text: the address range of ip
  double number = 0;        // nanoseconds, bytes or the number
  std::unique_ptr<LabelFilter> left, right;
};

struct LineFormat {
  std::string text;
};
struct LabelFormat {
  struct One {
    std::string label, value;
    bool rename = false;  // value is the name of a label; else a template
  };
  std::vector<One> all;
};
struct Decolorize {};
struct NamedMatcher {
  std::string name;
  std::optional<Matcher> matcher;
};
struct DropKeep {
  bool drop = true;
  std::vector<NamedMatcher> names;
};

using Stage =
    std::variant<LineFilter, Parser, std::shared_ptr<const LabelFilter>, LineFormat, LabelFormat, Decolorize, DropKeep>;

struct Selector {
  std::vector<Matcher> matchers;
  std::vector<Stage> stages;
};

struct Unwrap {
  std::string label, conversion;  // "", bytes, duration, duration_seconds
  std::vector<std::shared_ptr<const LabelFilter>> filters;
};

// --- expressions

struct Grouping {
  bool without = false;
  std::vector<std::string> labels;
};

enum class Cardinality : std::uint8_t { one_to_one, many_to_one, one_to_many };
struct Matching {
  Cardinality card = Cardinality::one_to_one;
  bool on = false, is_written = false;
  std::vector<std::string> labels, include;
};

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

struct RangeAggregation {
  std::string op;
  Selector selector;
  std::int64_t range = 0, offset = 0;
  std::optional<Unwrap> unwrap;
  std::optional<Grouping> grouping;
  double param = 0;  // of quantile_over_time
  bool has_param = false;
};
struct VectorAggregation {
  std::string op;
  ExprPtr inner;
  Grouping grouping;
  bool has_grouping = false;
  std::int64_t k = 0;  // of topk and its kin
};
struct Binary {
  Tok op = Tok::add;
  ExprPtr left, right;
  bool return_bool = false;
  Matching matching;
};
struct LabelReplace {
  ExprPtr inner;
  std::string destination, replacement, source, pattern;
};
struct VectorLiteral {
  double value = 0;
};
struct Literal {
  double value = 0;
};

struct Expr {
  std::variant<Selector, RangeAggregation, VectorAggregation, Binary, LabelReplace, VectorLiteral, Literal> node;
  bool is_log() const { return std::holds_alternative<Selector>(node); }
};

}  // namespace caisson::logs::logql
