// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/when.h"

#include <algorithm>
#include <charconv>

namespace caisson::gitops {
namespace {

constexpr int kDepthMax = 50;

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool truth(const Value& value) {
  return value.as_bool();
}

class Evaluator {
 public:
  Evaluator(std::string_view text, const Value& environment) : text_(text), environment_(environment) {}

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

  // Both sides are read, since what does not exist is nil and no error.
  Result<Value> either(int depth) {
    if (depth > kDepthMax) return wrong("it nests too deeply");
    Value left = TRY(both(depth + 1));
    while (take("||") || take("or")) {
      const Value right = TRY(both(depth + 1));
      left = Value(truth(left) || truth(right));
    }
    return left;
  }

  Result<Value> both(int depth) {
    Value left = TRY(negation(depth + 1));
    while (take("&&") || take("and")) {
      const Value right = TRY(negation(depth + 1));
      left = Value(truth(left) && truth(right));
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
    const Value left = TRY(primary(depth));
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
      const Value right = TRY(primary(depth));
      return Value(!holds("in", left, right));
    }
    for (std::string_view one : kOperators) {
      if (!take(one)) continue;
      const Value right = TRY(primary(depth));
      return Value(holds(one, left, right) != negated);
    }
    return left;
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
        skip();
        if (at_ < text_.size() && text_[at_] == '(') return wrong("functions are not supported: " + std::string(name));
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

  Result<Value> list(int depth) {
    Value out = Value::list();
    if (take("]")) return out;
    for (;;) {
      out.push_back(TRY(either(depth + 1)));
      if (take("]")) return out;
      if (!take(",")) return wrong("a , or ] is missing");
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
  std::size_t at_ = 0;
};

}  // namespace

Result<Value> evaluate_when(std::string_view text, const Value& environment) {
  return Evaluator(text, environment).run();
}

}  // namespace caisson::gitops
