// SPDX-License-Identifier: Apache-2.0
// As upstream's String() methods write a query.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "observe/logs/logql/parser.h"
#include "observe/logs/logql/printer.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

using metrics::quote;

std::string_view sign(LineMatch match) {
  constexpr std::array<std::string_view, 6> kSigns{"|=", "!=", "|~", "!~", "|>", "!>"};
  return kSigns[static_cast<std::size_t>(match)];
}

std::string_view sign(Compare compare) {
  constexpr std::array<std::string_view, 6> kSigns{"==", "!=", "<", "<=", ">", ">="};
  return kSigns[static_cast<std::size_t>(compare)];
}

}  // namespace

std::string duration_text(std::int64_t ns) {
  if (ns % 1'000'000 == 0)
    return ns < 0 ? "-" + metrics::format_duration(-ns / 1'000'000) : metrics::format_duration(ns / 1'000'000);
  return format_duration(Duration(ns));
}

std::string_view operator_text(Tok op) {
  switch (op) {
    case Tok::or_op:
      return "or";
    case Tok::and_op:
      return "and";
    case Tok::unless_op:
      return "unless";
    case Tok::cmp_eq:
      return "==";
    case Tok::neq:
      return "!=";
    case Tok::lt:
      return "<";
    case Tok::lte:
      return "<=";
    case Tok::gt:
      return ">";
    case Tok::gte:
      return ">=";
    case Tok::add:
      return "+";
    case Tok::sub:
      return "-";
    case Tok::mul:
      return "*";
    case Tok::div:
      return "/";
    case Tok::mod:
      return "%";
    default:
      return "^";
  }
}

namespace {

struct StageText {
  std::string operator()(const LineFilter& f) const {
    std::string out(sign(f.match));
    for (std::size_t i = 0; i < f.any.size(); ++i) {
      out += i == 0 ? " " : " or ";
      out += f.any[i].is_ip ? "ip(" + quote(f.any[i].text) + ")" : quote(f.any[i].text);
    }
    return out;
  }
  std::string operator()(const Parser& p) const {
    constexpr std::array<std::string_view, 5> kNames{"json", "logfmt", "regexp", "unpack", "pattern"};
    std::string out = "| " + std::string(kNames[static_cast<std::size_t>(p.kind)]);
    if (p.strict) out += " --strict";
    if (p.keep_empty) out += " --keep-empty";
    if (!p.text.empty()) out += " " + quote(p.text);
    for (std::size_t i = 0; i < p.extractions.size(); ++i)
      out += (i == 0 ? " " : ",") + p.extractions[i].label + "=" + quote(p.extractions[i].path);
    return out;
  }
  std::string operator()(const std::shared_ptr<const LabelFilter>& f) const { return "| " + print(*f); }
  std::string operator()(const LineFormat& f) const { return "| line_format " + quote(f.text); }
  std::string operator()(const LabelFormat& f) const {
    std::string out = "| label_format ";
    for (std::size_t i = 0; i < f.all.size(); ++i)
      out += (i == 0 ? "" : ",") + f.all[i].label + "=" + (f.all[i].rename ? f.all[i].value : quote(f.all[i].value));
    return out;
  }
  std::string operator()(const Decolorize&) const { return "| decolorize"; }
  std::string operator()(const DropKeep& d) const {
    std::string out = d.drop ? "| drop " : "| keep ";
    for (std::size_t i = 0; i < d.names.size(); ++i)
      out += (i == 0 ? "" : ",") + (d.names[i].matcher ? d.names[i].matcher->str() : d.names[i].name);
    return out;
  }
};

std::string grouping_text(const Grouping& grouping) {
  return std::string(grouping.without ? "without" : "by") + " (" + join(grouping.labels, ",") + ")";
}

// go-humanize's Bytes without its blank: 999B, 1.0kB, 12MB.
std::string size_text(double bytes) {
  constexpr std::array<std::string_view, 7> kUnits{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  if (bytes < 10) return metrics::format_fixed(bytes) + "B";
  std::size_t unit = 0;
  double scale = 1;
  while (unit + 1 < kUnits.size() && bytes / scale >= 1000) scale *= 1000, ++unit;
  const double value = std::floor(bytes / scale * 10 + 0.5) / 10;
  char text[32];
  std::snprintf(text, sizeof text, value < 10 ? "%.1f" : "%.0f", value);
  return text + std::string(kUnits[unit]);
}

struct NodeText {
  std::string operator()(const Selector& s) const { return print(s); }
  std::string operator()(const RangeAggregation& r) const {
    std::string out = r.op + "(";
    if (r.has_param) out += metrics::format_fixed(r.param) + ",";
    out += print(r.selector);
    if (r.unwrap) {
      out += " | unwrap " +
             (r.unwrap->conversion.empty() ? r.unwrap->label : r.unwrap->conversion + "(" + r.unwrap->label + ")");
      for (const auto& filter : r.unwrap->filters) out += " | " + print(*filter);
    }
    out += "[" + duration_text(r.range) + "]";
    if (r.offset != 0) out += " offset " + duration_text(r.offset);
    out += ")";
    if (r.grouping) out += " " + grouping_text(*r.grouping);
    return out;
  }
  std::string operator()(const VectorAggregation& v) const {
    std::string out = v.op;
    if (v.has_grouping && (v.grouping.without || !v.grouping.labels.empty())) out += " " + grouping_text(v.grouping);
    out += "(";
    if (v.k > 0) out += std::to_string(v.k) + ",";
    return out + print(*v.inner) + ")";
  }
  std::string operator()(const Binary& b) const {
    std::string out = "(" + print(*b.left) + " " + std::string(operator_text(b.op));
    if (b.return_bool) out += " bool";
    const Matching& m = b.matching;
    if (m.is_written) out += std::string(m.on ? " on " : " ignoring ") + "(" + join(m.labels, ",") + ")";
    if (m.card != Cardinality::one_to_one) {
      out += m.card == Cardinality::many_to_one ? " group_left" : " group_right";
      if (!m.include.empty()) out += " (" + join(m.include, ",") + ")";
    }
    return out + " " + print(*b.right) + ")";
  }
  std::string operator()(const LabelReplace& l) const {
    return "label_replace(" + print(*l.inner) + "," + quote(l.destination) + "," + quote(l.replacement) + "," +
           quote(l.source) + "," + quote(l.pattern) + ")";
  }
  std::string operator()(const VectorLiteral& v) const {
    char text[352];  // the largest double has 309 digits before the point
    std::snprintf(text, sizeof text, "vector(%f)", v.value);
    return text;
  }
  std::string operator()(const Literal& l) const { return metrics::format_general(l.value); }
};

}  // namespace

std::string print_stage(const Stage& stage) {
  return std::visit(StageText(), stage);
}

std::string print(const LabelFilter& f) {
  using Kind = LabelFilter::Kind;
  switch (f.kind) {
    case Kind::matcher:
      return f.matcher.str();
    case Kind::ip:
      return f.label + (f.compare == Compare::eq ? "=" : "!=") + "ip(" + quote(f.text) + ")";
    case Kind::both:
      return "( " + print(*f.left) + " , " + print(*f.right) + " )";
    case Kind::either:
      return "( " + print(*f.left) + " or " + print(*f.right) + " )";
    case Kind::duration:
      return f.label + std::string(sign(f.compare)) + format_duration(Duration(static_cast<std::int64_t>(f.number)));
    case Kind::bytes:
      return f.label + std::string(sign(f.compare)) + size_text(f.number);
    default:
      return f.label + std::string(sign(f.compare)) + metrics::format_fixed(f.number);
  }
}

std::string print(const Selector& selector) {
  std::string out = "{";
  for (std::size_t i = 0; i < selector.matchers.size(); ++i) out += (i == 0 ? "" : ", ") + selector.matchers[i].str();
  out += "}";
  for (const Stage& stage : selector.stages) out += " " + std::visit(StageText(), stage);
  return out;
}

std::string print(const Expr& expr) {
  return std::visit(NodeText(), expr.node);
}

}  // namespace caisson::logs::logql
