// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/cel.h"

#include <charconv>

#include "core/base/text.h"

namespace caisson::pipeline {
namespace {

constexpr int kDepthMax = 100;
constexpr std::size_t kExpressionBytesMax = 16u << 10;

// A recursive-descent parser that evaluates as it goes. Where CEL does not evaluate (the other branch of ?:, the right
// side of a decided
// && or ||) it parses on with `live_` false, so that syntax is always checked.
class Evaluator {
 public:
  Evaluator(std::string_view text, const CelInput& input) : text_(text), input_(input) {}

  Result<Value> run() {
    Value value = TRY(ternary(0));
    skip_space();
    if (at_ < text_.size()) return fail("unexpected '" + std::string(text_.substr(at_, 10)) + "'");
    if (absent_) return std::move(*absent_);
    return value;
  }

 private:
  Error fail(const std::string& what) const {
    return Error{ErrorCode::bad_request, "CEL, position " + std::to_string(at_ + 1) + ": " + what};
  }

  // Parsing goes on, without evaluating.
  Value absent(Error error) {
    absent_ = std::move(error);
    live_ = false;
    return {};
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  bool take(std::string_view token) {
    skip_space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  bool peek(std::string_view token) {
    skip_space();
    return text_.substr(at_).starts_with(token);
  }
  static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
  }
  std::string_view take_name() {
    skip_space();
    const std::size_t begin = at_;
    if (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') return {};
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!text_.substr(at_).starts_with(word)) return false;
    if (at_ + word.size() < text_.size() && is_name_char(text_[at_ + word.size()])) return false;
    at_ += word.size();
    return true;
  }

  Result<Value> ternary(int depth) {
    if (depth > kDepthMax) return fail("nested too deeply");
    Value condition = TRY(either(depth + 1));
    if (!take("?")) return condition;
    if (live_ && !condition.is_bool()) return fail("the condition of ?: is not a boolean");
    const bool live = live_, first = condition.as_bool();
    live_ = live && first;
    Value yes = TRY(ternary(depth + 1));
    if (!take(":")) return fail("expected ':'");
    live_ = live && !first;
    Value no = TRY(ternary(depth + 1));
    live_ = live;
    return first ? yes : no;
  }

  // && and || absorb an error of one side when the other side decides (cel-spec, "Logical Operators").
  Result<Value> logic(int depth, std::string_view token, bool decides, Result<Value> (Evaluator::*side)(int)) {
    const bool live = live_;
    Value left = TRY((this->*side)(depth + 1));
    auto left_absent = std::exchange(absent_, std::nullopt);
    live_ = live;
    while (take(token)) {
      const bool decided = !left_absent && left.is_bool() && left.as_bool() == decides;
      live_ = live && !decided;
      Value right = TRY((this->*side)(depth + 1));
      auto right_absent = std::exchange(absent_, std::nullopt);
      live_ = live;
      if (!live || decided) continue;
      if ((!left_absent && !left.is_bool()) || (!right_absent && !right.is_bool()))
        return fail("a side of " + std::string(token) + " is not a boolean");
      if (!right_absent && right.as_bool() == decides) {
        left = Value(decides);
        left_absent.reset();
      } else if (!left_absent) {
        left = std::move(right);
        left_absent = std::move(right_absent);
      }
    }
    if (left_absent) return absent(std::move(*left_absent));
    return left;
  }
  Result<Value> either(int depth) { return logic(depth, "||", true, &Evaluator::both); }
  Result<Value> both(int depth) { return logic(depth, "&&", false, &Evaluator::relation); }

  Result<Value> relation(int depth) {
    Value left = TRY(sum(depth + 1));
    for (;;) {
      std::string_view operation;
      for (const std::string_view candidate : {"==", "!=", "<=", ">=", "<", ">"}) {
        if (take(candidate)) {
          operation = candidate;
          break;
        }
      }
      if (operation.empty() && take_word("in")) operation = "in";
      if (operation.empty()) return left;
      const Value right = TRY(sum(depth + 1));
      if (live_) left = TRY(compare(operation, left, right));
    }
  }

  Result<Value> compare(std::string_view operation, const Value& left, const Value& right) {
    if (operation == "==") return Value(left == right);
    if (operation == "!=") return Value(!(left == right));
    if (operation == "in") {
      if (right.is_map()) return Value(left.is_string() && right.contains(left.as_string()));
      if (!right.is_list()) return fail("'in' needs a list or a map");
      for (const Value& item : right.items()) {
        if (item == left) return Value(true);
      }
      return Value(false);
    }
    double order = 0;
    if (left.is_string() && right.is_string())
      order = left.as_string().compare(right.as_string());
    else if (left.is_number() && right.is_number())
      order = left.as_double() < right.as_double() ? -1 : left.as_double() > right.as_double() ? 1 : 0;
    else
      return fail("values of different types are compared with '" + std::string(operation) + "'");
    if (operation == "<") return Value(order < 0);
    if (operation == "<=") return Value(order <= 0);
    return operation == ">" ? Value(order > 0) : Value(order >= 0);
  }

  Result<Value> sum(int depth) {
    Value left = TRY(unary(depth + 1));
    while (take("+")) {
      const Value right = TRY(unary(depth + 1));
      if (!live_) continue;
      if (left.is_string() && right.is_string())
        left = Value(left.str() + right.str());
      else if (left.is_int() && right.is_int())
        left = Value(left.as_int() + right.as_int());
      else
        return fail("'+' needs two strings or two integers");
    }
    for (const std::string_view operation : {"-", "*", "/", "%"}) {
      if (peek(operation)) return fail("the operator '" + std::string(operation) + "' is not supported");
    }
    return left;
  }

  Result<Value> unary(int depth) {
    if (depth > kDepthMax) return fail("nested too deeply");
    skip_space();
    if (peek("!") && !peek("!=")) {
      take("!");
      const Value value = TRY(unary(depth + 1));
      if (live_ && !value.is_bool()) return fail("'!' needs a boolean");
      return Value(!value.as_bool());
    }
    return member(depth + 1);
  }

  Result<Value> member(int depth) {
    Value value = TRY(primary(depth + 1));
    for (;;) {
      if (take(".")) {
        const std::string name(take_name());
        if (name.empty()) return fail("expected a name after '.'");
        if (take("(")) {
          const auto arguments = TRY(call_arguments(depth + 1));
          value = live_ ? TRY(call(value, name, arguments)) : Value();
        } else if (live_) {
          value = TRY(field(value, name));
        }
      } else if (take("[")) {
        const Value index = TRY(ternary(depth + 1));
        if (!take("]")) return fail("expected ']'");
        if (live_) value = TRY(subscript(value, index));
      } else {
        return value;
      }
    }
  }

  Result<Value> field(const Value& value, const std::string& name) {
    if (const Value* found = value.find(name)) return *found;
    return absent(fail("no such field: " + name));
  }

  Result<Value> subscript(const Value& value, const Value& index) {
    if (value.is_map() && index.is_string()) return field(value, index.str());
    if (!value.is_list() || !index.is_int()) return fail("'[]' needs a list and an integer, or a map and a string");
    if (index.as_int() >= 0 && static_cast<std::size_t>(index.as_int()) < value.size())
      return value[static_cast<std::size_t>(index.as_int())];
    return absent(fail("index " + std::to_string(index.as_int()) + " is beyond the list"));
  }

  Result<std::vector<Value>> call_arguments(int depth) {
    std::vector<Value> out;
    if (take(")")) return out;
    do {
      out.push_back(TRY(ternary(depth + 1)));
    } while (take(","));
    if (!take(")")) return fail("expected ')'");
    return out;
  }

  Result<Value> call(const Value& on, const std::string& name, const std::vector<Value>& arguments) {
    const bool text = on.is_string();
    const auto argument = [&](std::size_t i) {
      return i < arguments.size() ? arguments[i].as_string() : std::string_view();
    };
    const bool one_string = arguments.size() == 1 && arguments[0].is_string();
    if (name == "startsWith" && text && one_string) return Value(on.as_string().starts_with(argument(0)));
    if (name == "endsWith" && text && one_string) return Value(on.as_string().ends_with(argument(0)));
    if (name == "contains" && text && one_string)
      return Value(on.as_string().find(argument(0)) != std::string_view::npos);
    if (name == "lowerAscii" && text && arguments.empty()) return Value(to_lower(on.as_string()));
    if (name == "size" && arguments.empty()) return size_of(on);
    if (name == "truncate" && text && arguments.size() == 1 && arguments[0].is_int())
      return Value(
          on.as_string().substr(0, static_cast<std::size_t>(std::max<std::int64_t>(0, arguments[0].as_int()))));
    if (name == "upperAscii" && text && arguments.empty()) {
      std::string upper = on.str();
      for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
      return Value(upper);
    }
    if (name == "split" && text && one_string) return split_text(on.str(), std::string(argument(0)));
    if (name == "match" && on == header_marker() && arguments.size() == 2)
      return Value(input_.headers.get(argument(0)) == argument(1));
    if (name == "canonical" && on == header_marker() && one_string) return Value(input_.headers.get(argument(0)));
    return fail("the function " + name + " is not supported here, or not with these arguments");
  }

  Result<Value> size_of(const Value& value) const {
    if (value.is_string()) return Value(value.as_string().size());
    if (value.is_list() || value.is_map()) return Value(value.size());
    return fail("size needs a string, a list or a map");
  }

  static Value split_text(const std::string& text, const std::string& separator) {
    Value out = Value::list();
    if (separator.empty()) return out.push_back(text), out;
    std::size_t at = 0;
    for (auto found = text.find(separator); found != std::string::npos; found = text.find(separator, at)) {
      out.push_back(text.substr(at, found - at));
      at = found + separator.size();
    }
    out.push_back(text.substr(at));
    return out;
  }

  Result<Value> has(int depth) {
    const bool live = live_;
    TRY(ternary(depth + 1));
    live_ = live;
    const bool found = !std::exchange(absent_, std::nullopt);
    if (!take(")")) return fail("expected ')'");
    return Value(found);
  }

  // The receiver of header.match: headers compare without case, so they are no plain map.
  static Value header_marker() { return Value{{"\x01header", true}}; }

  Result<Value> header_value() {
    if (peek(".")) return header_marker();
    Value map = Value::map();
    for (const auto& [name, value] : input_.headers.fields()) {
      Value list = map[name].is_null() ? Value::list() : map[name];
      list.push_back(value);
      map.set(name, list);
    }
    return map;
  }

  Result<Value> primary(int depth) {
    skip_space();
    if (at_ >= text_.size()) return fail("the expression ends too early");
    const char c = text_[at_];
    if (take("(")) {
      Value value = TRY(ternary(depth + 1));
      if (!take(")")) return fail("expected ')'");
      return value;
    }
    if (take("[")) {
      Value list = Value::list();
      if (take("]")) return list;
      do {
        list.push_back(TRY(ternary(depth + 1)));
      } while (take(","));
      if (!take("]")) return fail("expected ']'");
      return list;
    }
    if (c == '\'' || c == '"') return string_literal(c);
    if ((c >= '0' && c <= '9') || c == '-') return number_literal();
    const std::string name(take_name());
    if (name.empty()) return fail("unexpected '" + std::string(1, c) + "'");
    if (name == "true" || name == "false") return Value(name == "true");
    if (name == "null") return Value();
    if (name == "has" && take("(")) return has(depth + 1);
    if (name == "size" && take("(")) {
      const auto arguments = TRY(call_arguments(depth + 1));
      if (arguments.size() != 1) return fail("size needs one argument");
      return live_ ? size_of(arguments[0]) : Result<Value>(Value());
    }
    if (peek("(")) return fail("the function " + name + " is not supported here");
    if (name == "body") return input_.body;
    if (name == "extensions") return input_.extensions;
    if (name == "header") return header_value();
    return fail("unknown name " + name + " (body, header and extensions are known)");
  }

  Result<Value> string_literal(char quote) {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == quote) {
        ++at_;
        return Value(out);
      }
      if (c != '\\') {
        out.push_back(c);
        continue;
      }
      if (++at_ >= text_.size()) break;
      switch (text_[at_]) {
        case 'n':
          out.push_back('\n');
          break;
        case 't':
          out.push_back('\t');
          break;
        case 'r':
          out.push_back('\r');
          break;
        case '\\':
        case '\'':
        case '"':
        case '`':
          out.push_back(text_[at_]);
          break;
        default:
          return fail("the escape \\" + std::string(1, text_[at_]) + " is not supported");
      }
    }
    return fail("a string without its closing quote");
  }

  Result<Value> number_literal() {
    const char* begin = text_.data() + at_;
    const char* limit = text_.data() + text_.size();
    std::int64_t integer = 0;
    double floating = 0;
    const auto [end, error] = std::from_chars(begin, limit, integer);
    const auto [float_end, float_error] = std::from_chars(begin, limit, floating);
    if (float_error != std::errc()) return fail("not a number");
    at_ += static_cast<std::size_t>(std::max(float_end, end) - begin);
    if (error == std::errc() && end == float_end) return Value(static_cast<long long>(integer));
    return Value(floating);
  }

  const std::string_view text_;
  const CelInput& input_;
  std::size_t at_ = 0;
  bool live_ = true;  // what is parsed is also evaluated
  std::optional<Error>
      absent_;  // a field that is not there: the error of what surrounds it, unless && or || or has() absorb it
};

}  // namespace

Result<Value> evaluate_cel(std::string_view expression, const CelInput& input) {
  if (expression.size() > kExpressionBytesMax)
    return Error{ErrorCode::bad_request, "CEL: an expression longer than 16 KiB"};
  return Evaluator(expression, input).run();
}

Result<bool> cel_holds(std::string_view expression, const CelInput& input) {
  const Value value = TRY(evaluate_cel(expression, input));
  if (!value.is_bool())
    return Error{ErrorCode::bad_request, "CEL: the filter '" + std::string(expression) + "' is not a boolean"};
  return value.as_bool();
}

}  // namespace caisson::pipeline
