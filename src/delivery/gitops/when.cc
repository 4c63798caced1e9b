// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/when.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "core/base/text.h"
#include "core/calendar/go_time.h"

namespace caisson::gitops {
namespace {

constexpr int kDepthMax = 50;

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool truth(const Value& value) {
  return value.as_bool();
}

// A time is a map of this one member, nanoseconds since 1970; a duration is a number of nanoseconds, as in Go.
constexpr std::string_view kTime = "\1time";
constexpr double kSecond = 1e9;

Value time_value(std::int64_t nanos) {
  return Value{{kTime, nanos}};
}
bool is_time(const Value& value) {
  return value.is_map() && value.contains(kTime);
}

std::optional<Value> time_constant(std::string_view name) {
  constexpr std::pair<std::string_view, double> kDurations[] = {{"Nanosecond", 1},        {"Microsecond", 1e3},
                                                                {"Millisecond", 1e6},     {"Second", kSecond},
                                                                {"Minute", 60 * kSecond}, {"Hour", 3600 * kSecond}};
  constexpr std::pair<std::string_view, std::string_view> kLayouts[] = {
      {"RFC3339", "2006-01-02T15:04:05Z07:00"},
      {"RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00"},
      {"RFC822", "02 Jan 06 15:04 MST"},
      {"RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"},
      {"Kitchen", "3:04PM"},
      {"Stamp", "Jan _2 15:04:05"},
      {"UnixDate", "Mon Jan _2 15:04:05 MST 2006"},
      {"ANSIC", "Mon Jan _2 15:04:05 2006"}};
  for (const auto& [known, nanos] : kDurations)
    if (name == known) return Value(nanos);
  for (const auto& [known, layout] : kLayouts)
    if (name == known) return Value(layout);
  return std::nullopt;
}

class Evaluator {
 public:
  Evaluator(std::string_view text, const Value& environment, Time now)
      : text_(text), environment_(environment), now_(now) {}

  Result<Value> run() {
    Value value = TRY(either(0));
    skip();
    if (at_ != text_.size()) return wrong("this is not understood: \"" + std::string(text_.substr(at_, 20)) + "\"");
    return value;
  }

 private:
  Error wrong(const std::string& why) const { return {ErrorCode::invalid, "at " + std::to_string(at_) + ": " + why}; }

  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  // A sign or a whole word.
  bool take(std::string_view token) {
    skip();
    if (!text_.substr(at_).starts_with(token)) return false;
    const bool word = name_character(token.back());
    if (word && at_ + token.size() < text_.size() && name_character(text_[at_ + token.size()])) return false;
    at_ += token.size();
    return true;
  }

  // The right side is read in any case; where the left one decides, its functions do not run.
  Result<Value> either(int depth) {
    if (depth > kDepthMax) return wrong("it nests too deeply");
    Value left = TRY(both(depth + 1));
    while (take("||") || take("or")) {
      const bool decided = truth(left);
      idle_ += decided;
      const Value right = TRY(both(depth + 1));
      idle_ -= decided;
      left = Value(decided || truth(right));
    }
    return left;
  }

  Result<Value> both(int depth) {
    Value left = TRY(negation(depth + 1));
    while (take("&&") || take("and")) {
      const bool decided = !truth(left);
      idle_ += decided;
      const Value right = TRY(negation(depth + 1));
      idle_ -= decided;
      left = Value(!decided && truth(right));
    }
    return left;
  }

  Result<Value> negation(int depth) {
    if (depth > kDepthMax) return wrong("it nests too deeply");
    skip();
    const bool sign = at_ + 1 < text_.size() && text_[at_] == '!' && text_[at_ + 1] != '=';
    if (sign) ++at_;
    if (sign || take("not")) {
      const Value value = TRY(negation(depth + 1));
      return Value(!truth(value));
    }
    return comparison(depth + 1);
  }

  Result<Value> comparison(int depth) {
    const Value left = TRY(sum(depth));
    static constexpr std::string_view kOperators[] = {"==", "!=", "<=",       ">=",         "<",
                                                      ">",  "in", "contains", "startsWith", "endsWith"};
    bool negated = false;
    const std::size_t before = at_;
    if (take("not")) {
      negated = true;
      if (!take("in")) {
        at_ = before;
        return left;
      }
      const Value right = TRY(sum(depth));
      return Value(!holds("in", left, right));
    }
    for (std::string_view one : kOperators) {
      if (!take(one)) continue;
      const Value right = TRY(sum(depth));
      return Value(holds(one, left, right) != negated);
    }
    return left;
  }

  Result<Value> sum(int depth) {
    Value left = TRY(product(depth));
    for (;;) {
      const bool plus = take("+");
      if (!plus && !take("-")) return left;
      const Value right = TRY(product(depth));
      if (plus && left.is_string() && right.is_string())
        left = Value(left.str() + right.str());
      else if (left.is_number() && right.is_number())
        left = Value(plus ? left.as_double() + right.as_double() : left.as_double() - right.as_double());
      else if (idle_ == 0)
        return wrong("only numbers can be added and subtracted, and texts added");
    }
  }

  Result<Value> product(int depth) {
    Value left = TRY(primary(depth));
    for (;;) {
      const bool times = take("*");
      if (!times && !take("/")) return left;
      const Value right = TRY(primary(depth));
      if (left.is_number() && right.is_number() && (times || right.as_double() != 0))
        left = Value(times ? left.as_double() * right.as_double() : left.as_double() / right.as_double());
      else if (idle_ == 0)
        return wrong("only numbers can be multiplied and divided");
    }
  }

  static bool holds(std::string_view op, const Value& a, const Value& b) {
    if (op == "==") return a == b;
    if (op == "!=") return !(a == b);
    if (op == "in") {
      if (b.is_map()) return b.contains(a.as_string());
      return std::any_of(b.items().begin(), b.items().end(), [&](const Value& one) { return one == a; });
    }
    if (op == "contains") return a.as_string().find(b.as_string()) != std::string_view::npos;
    if (op == "startsWith") return a.as_string().starts_with(b.as_string());
    if (op == "endsWith") return a.as_string().ends_with(b.as_string());
    if (a.is_string() && b.is_string()) {
      const int order = a.as_string().compare(b.as_string());
      return op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0;
    }
    if (!a.is_number() || !b.is_number()) return false;
    const double x = a.as_double(), y = b.as_double();
    return op == "<" ? x < y : op == "<=" ? x <= y : op == ">" ? x > y : x >= y;
  }

  Result<Value> primary(int depth) {
    if (depth > kDepthMax) return wrong("it nests too deeply");
    skip();
    if (at_ >= text_.size()) return wrong("it ends too early");
    if (take("(")) {
      Value value = TRY(either(depth + 1));
      if (!take(")")) return wrong("a ) is missing");
      return members(std::move(value), depth);
    }
    if (take("[")) return list(depth);
    if (text_[at_] == '\'' || text_[at_] == '"') return quoted();
    if (text_[at_] >= '0' && text_[at_] <= '9') return number();
    if (take("true")) return Value(true);
    if (take("false")) return Value(false);
    if (take("nil")) return Value();
    const std::string_view name = word();
    if (name.empty()) return wrong("a value is wanted");
    if ((name == "time" || name == "strings") && !environment_.contains(name)) return function(name, depth);
    if (!environment_.contains(name)) return wrong("\"" + std::string(name) + "\" is not known");
    return members(environment_[name], depth);
  }

  std::string_view word() {
    const std::size_t from = at_;
    while (at_ < text_.size() && name_character(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }

  Result<Value> members(Value value, int depth) {
    for (;;) {
      if (take("?.") || take(".")) {
        const std::string_view name = word();
        if (name.empty()) return wrong("a member's name is wanted");
        if (take("("))
          value = TRY(method(value, name, TRY(arguments(depth))));
        else
          value = Value(value[name]);
      } else if (take("[")) {
        const Value key = TRY(either(depth + 1));
        if (!take("]")) return wrong("a ] is missing");
        value = key.is_int() ? Value(value[static_cast<std::size_t>(std::max<std::int64_t>(0, key.as_int()))])
                             : Value(value[key.as_string()]);
      } else {
        return value;
      }
    }
  }

  // "time.Parse(…)", "time.Minute", "strings.ToLower(…)".
  Result<Value> function(std::string_view of, int depth) {
    if (!take(".")) return wrong("a function of " + std::string(of) + " is wanted");
    const std::string name = std::string(of) + "." + std::string(word());
    const bool called = take("(");
    if (!called) {
      const auto constant = of == "time" ? time_constant(std::string_view(name).substr(5)) : std::nullopt;
      if (!constant) return wrong(name + " is not known");
      return *constant;
    }
    const std::vector<Value> given = TRY(arguments(depth));
    return members(idle_ > 0 ? Value() : TRY(call(name, given)), depth);
  }

  Result<std::vector<Value>> arguments(int depth) {
    const Value all = TRY(list(depth, ")"));
    return std::vector<Value>(all.items().begin(), all.items().end());
  }

  Result<Value> call(const std::string& name, const std::vector<Value>& given) {
    const auto text = [&](std::size_t i) { return given[i].as_string(); };
    if (name == "time.Now" && given.empty()) return time_value(now_.time_since_epoch().count());
    if (name == "time.Parse" && given.size() == 1) {
      const auto time = parse_time(text(0));
      if (!time) return wrong("time.Parse: \"" + given[0].scalar_text() + "\" is no time of RFC 3339");
      return time_value(time->time_since_epoch().count());
    }
    if (name == "strings.ToUpper" && given.size() == 1) {
      std::string out(text(0));
      std::transform(out.begin(), out.end(), out.begin(),
                     [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
      return Value(out);
    }
    if (name == "strings.ToLower" && given.size() == 1) return Value(to_lower(text(0)));
    if (name == "strings.ReplaceAll" && given.size() == 3) {
      if (text(1).empty()) return wrong("strings.ReplaceAll: what is to be replaced is empty");
      std::string out(text(0));
      for (std::size_t at = out.find(text(1)); at != std::string::npos; at = out.find(text(1), at + text(2).size()))
        out.replace(at, text(1).size(), text(2));
      return Value(out);
    }
    return wrong(name + " is not known, or takes other arguments");
  }

  Result<Value> method(const Value& of, std::string_view name, const std::vector<Value>& given) {
    if (idle_ > 0) return Value();
    if (is_time(of)) {
      const std::int64_t nanos = of[kTime].as_int();
      if (given.empty() && (name == "UTC" || name == "Local")) return of;
      if (given.empty() && name == "Unix") return Value(static_cast<std::int64_t>(nanos / kSecond));
      if (given.size() == 1 && name == "Add" && given[0].is_number())
        return time_value(nanos + static_cast<std::int64_t>(given[0].as_double()));
      if (given.size() == 1 && name == "Format") {
        const Time time{std::chrono::nanoseconds(nanos)};
        return Value(
            calendar::format_go_time(calendar::GoTime::from(time, calendar::TimeZone::utc()), given[0].as_string()));
      }
      if (given.size() == 1 && is_time(given[0])) {
        const std::int64_t other = given[0][kTime].as_int();
        if (name == "Sub") return Value(static_cast<double>(nanos - other));
        if (name == "Before") return Value(nanos < other);
        if (name == "After") return Value(nanos > other);
        if (name == "Equal") return Value(nanos == other);
      }
    }
    if (of.is_number() && given.empty()) {
      if (name == "Seconds") return Value(of.as_double() / kSecond);
      if (name == "Minutes") return Value(of.as_double() / kSecond / 60);
      if (name == "Hours") return Value(of.as_double() / kSecond / 3600);
    }
    return wrong("there is no method " + std::string(name) + " for that");
  }

  Result<Value> list(int depth, std::string_view end = "]") {
    Value out = Value::list();
    if (take(end)) return out;
    for (;;) {
      out.push_back(TRY(either(depth + 1)));
      if (take(end)) return out;
      if (!take(",")) return wrong("a , or " + std::string(end) + " is missing");
    }
  }

  Result<Value> quoted() {
    const char quote = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != quote) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      out += text_[at_++];
    }
    if (at_ >= text_.size()) return wrong("a text does not end");
    ++at_;
    return Value(out);
  }

  Result<Value> number() {
    double value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) return wrong("a number can't be read");
    at_ = static_cast<std::size_t>(end - text_.data());
    return Value(value);
  }

  const std::string_view text_;
  const Value& environment_;
  const Time now_;
  std::size_t at_ = 0;
  int idle_ = 0;  // above 0: what is read has no say any more
};

}  // namespace

Result<Value> evaluate_when(std::string_view text, const Value& environment, Time now) {
  return Evaluator(text, environment, now).run();
}

}  // namespace caisson::gitops
