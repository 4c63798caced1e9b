// SPDX-License-Identifier: Apache-2.0
// The grammar and the messages are those of apimachinery's pkg/labels/selector.go.
#include "cluster/kube/selector.h"

#include <algorithm>
#include <optional>

#include "core/base/text.h"

namespace caisson::kube {
namespace {

enum class Token {
  end,
  identifier,
  comma,
  open,
  close,
  equals,
  double_equals,
  not_equals,
  in,
  not_in,
  greater,
  less,
  bang
};

struct Lexeme {
  Token token;
  std::string text;
};

bool is_special(char c) {
  return std::string_view("=!(),><").find(c) != std::string_view::npos;
}
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // Where a value may stand, "in" and "notin" are ordinary words.
  Lexeme peek(bool values = false) const {
    std::size_t at = at_;
    return lex(at, values);
  }
  Lexeme take(bool values = false) { return lex(at_, values); }

 private:
  Lexeme lex(std::size_t& at, bool values) const {
    while (at < text_.size() && is_blank(text_[at])) ++at;
    if (at >= text_.size()) return {Token::end, ""};
    if (is_special(text_[at])) return lex_symbol(at);
    const std::size_t start = at;
    while (at < text_.size() && !is_special(text_[at]) && !is_blank(text_[at])) ++at;
    std::string word(text_.substr(start, at - start));
    if (!values && word == "in") return {Token::in, word};
    if (!values && word == "notin") return {Token::not_in, word};
    return {Token::identifier, word};
  }

  Lexeme lex_symbol(std::size_t& at) const {
    struct Symbol {
      std::string_view text;
      Token token;
    };
    static constexpr Symbol kSymbols[] = {{"==", Token::double_equals}, {"!=", Token::not_equals}, {"=", Token::equals},
                                          {"!", Token::bang},           {"(", Token::open},        {")", Token::close},
                                          {",", Token::comma},          {">", Token::greater},     {"<", Token::less}};
    for (const Symbol& symbol : kSymbols) {
      if (text_.substr(at, symbol.text.size()) == symbol.text) {
        at += symbol.text.size();
        return {symbol.token, std::string(symbol.text)};
      }
    }
    return {Token::end, ""};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Error found(const Lexeme& lexeme, std::string_view expected) {
  return {ErrorCode::bad_request, "found '" + lexeme.text + "', expected: " + std::string(expected)};
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name_part(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_subdomain(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > 253 || !plain(text.front()) || !plain(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-' || c == '.'; });
}

Result<void> check_key(std::string_view key) {
  const auto slash = key.find('/');
  const std::string_view name = slash == std::string_view::npos ? key : key.substr(slash + 1);
  if (slash != std::string_view::npos && !is_subdomain(key.substr(0, slash))) {
    return Error{
        ErrorCode::bad_request,
        "key: Invalid value: \"" + std::string(key) +
            "\": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
            "'.', and "
            "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"};
  }
  if (is_name_part(name)) return {};
  return Error{ErrorCode::bad_request,
               "key: Invalid value: \"" + std::string(key) +
                   "\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
                   "with an alphanumeric "
                   "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                   "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"};
}

Result<void> check_value(std::size_t index, std::string_view key, std::string_view value) {
  if (value.empty() || is_name_part(value)) return {};
  return Error{ErrorCode::bad_request, "values[" + std::to_string(index) + "][" + std::string(key) +
                                           "]: Invalid value: \"" + std::string(value) +
                                           "\": a valid label must be an empty string or consist of alphanumeric "
                                           "characters, '-', '_' or '.', and must start and "
                                           "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
                                           "'12345', regex used for validation is "
                                           "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"};
}

Result<std::vector<std::string>> parse_values(Lexer& lexer) {
  const Lexeme open = lexer.take(true);
  if (open.token != Token::open) return Error{ErrorCode::bad_request, "found '" + open.text + "' expected: '('"};
  std::vector<std::string> values;
  bool wants_value = true;
  for (;;) {
    const Lexeme lexeme = lexer.take(true);
    if (lexeme.token == Token::identifier && wants_value) {
      values.push_back(lexeme.text);
      wants_value = false;
    } else if (lexeme.token == Token::comma) {
      if (wants_value) values.emplace_back();  // "in (,a)" holds the empty value
      wants_value = true;
    } else if (lexeme.token == Token::close) {
      if (wants_value) values.emplace_back();
      std::sort(values.begin(), values.end());
      values.erase(std::unique(values.begin(), values.end()), values.end());
      return values;
    } else {
      return found(lexeme, wants_value ? "',', ')' or identifier" : "',' or ')'");
    }
  }
}

}  // namespace

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  const auto requirement = [](Lexer& lexer) -> Result<Requirement> {
    Requirement out;
    bool negated = lexer.peek().token == Token::bang;
    if (negated) lexer.take();
    const Lexeme key = lexer.take(true);
    if (key.token != Token::identifier) return found(key, "identifier");
    TRY(check_key(key.text));
    out.key = key.text;
    const Token next = lexer.peek().token;
    if (next == Token::end || next == Token::comma) {
      out.op = negated ? Op::not_exists : Op::exists;
      return out;
    }
    const Lexeme op = lexer.take();
    switch (op.token) {
      case Token::in:
        out.op = Op::in;
        break;
      case Token::not_in:
        out.op = Op::not_in;
        break;
      case Token::equals:
      case Token::double_equals:
        out.op = Op::in;
        break;
      case Token::not_equals:
        out.op = Op::not_in;
        break;
      case Token::greater:
        out.op = Op::greater;
        break;
      case Token::less:
        out.op = Op::less;
        break;
      default:
        return found(op, "in, notin, =, ==, !=, gt, lt");
    }
    if (negated) return found(op, "',' or 'end of string'");
    if (op.token == Token::in || op.token == Token::not_in) {
      out.values = TRY(parse_values(lexer));
    } else {
      const Token value = lexer.peek(true).token;
      if (value == Token::end || value == Token::comma) {
        out.values = {""};
      } else {
        const Lexeme lexeme = lexer.take(true);
        if (lexeme.token != Token::identifier) return found(lexeme, "identifier");
        out.values = {lexeme.text};
      }
    }
    if ((out.op == Op::greater || out.op == Op::less) && !parse_int(out.values[0])) {
      return Error{ErrorCode::bad_request, "values[0]: Invalid value: \"" + out.values[0] +
                                               "\": for 'Gt', 'Lt' operators, the value must be an integer"};
    }
    for (std::size_t i = 0; i < out.values.size(); ++i) TRY(check_value(i, out.key, out.values[i]));
    return out;
  };

  LabelSelector out;
  Lexer lexer(text);
  if (lexer.peek().token == Token::end) return out;
  for (;;) {
    const Lexeme first = lexer.peek(true);
    if (first.token != Token::identifier && first.token != Token::bang) {
      const Error error = out.requirements_.empty() ? found(first, "!, identifier, or 'end of string'")
                                                    : found(first, "identifier after ','");
      return Error{ErrorCode::bad_request, "unable to parse requirement: " + error.message};
    }
    Requirement parsed = TRY(requirement(lexer).in("unable to parse requirement"));
    out.requirements_.push_back(std::move(parsed));
    const Lexeme next = lexer.take();
    if (next.token == Token::end) break;
    if (next.token != Token::comma) {
      return Error{ErrorCode::bad_request,
                   "unable to parse requirement: " + found(next, "',' or 'end of string'").message};
    }
  }
  std::stable_sort(out.requirements_.begin(), out.requirements_.end(),
                   [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
  return out;
}

Result<LabelSelector> LabelSelector::from(const Value& label_selector) {
  LabelSelector out;
  if (label_selector.is_null()) {
    out.nothing_ = true;
    return out;
  }
  out = of(label_selector["matchLabels"]);
  for (const Value& expression : label_selector["matchExpressions"].items()) {
    Requirement requirement;
    requirement.key = expression["key"].str();
    const std::string_view op = expression["operator"].as_string();
    if (op == "In")
      requirement.op = Op::in;
    else if (op == "NotIn")
      requirement.op = Op::not_in;
    else if (op == "Exists")
      requirement.op = Op::exists;
    else if (op == "DoesNotExist")
      requirement.op = Op::not_exists;
    else if (op == "Gt")
      requirement.op = Op::greater;  // node selectors only
    else if (op == "Lt")
      requirement.op = Op::less;
    else
      return Error{ErrorCode::bad_request, "\"" + std::string(op) + "\" is not a valid label selector operator"};
    for (const Value& value : expression["values"].items()) requirement.values.push_back(value.scalar_text());
    const bool wants_values = requirement.op == Op::in || requirement.op == Op::not_in;
    if (wants_values && requirement.values.empty()) {
      return Error{ErrorCode::bad_request,
                   "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"};
    }
    std::sort(requirement.values.begin(), requirement.values.end());
    out.requirements_.push_back(std::move(requirement));
  }
  std::stable_sort(out.requirements_.begin(), out.requirements_.end(),
                   [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
  return out;
}

LabelSelector LabelSelector::of(const Value& match_labels) {
  LabelSelector out;
  for (const auto& entry : match_labels.entries()) {
    out.requirements_.push_back({std::string(entry.key), Op::in, {entry.value.scalar_text()}});
  }
  std::stable_sort(out.requirements_.begin(), out.requirements_.end(),
                   [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
  return out;
}

bool LabelSelector::matches(const Value& labels) const {
  if (nothing_) return false;
  for (const Requirement& requirement : requirements_) {
    const Value* value = labels.find(requirement.key);
    const std::string_view text = value ? value->as_string() : std::string_view();
    const auto listed = [&] {
      return std::find(requirement.values.begin(), requirement.values.end(), text) != requirement.values.end();
    };
    bool holds = false;
    switch (requirement.op) {
      case Op::in:
        holds = value && listed();
        break;
      case Op::not_in:
        holds = !value || !listed();
        break;
      case Op::exists:
        holds = value;
        break;
      case Op::not_exists:
        holds = !value;
        break;
      case Op::greater:
      case Op::less: {
        const auto have = parse_int(text);
        const auto bound = requirement.values.empty() ? std::nullopt : parse_int(requirement.values[0]);
        holds = have && bound && (requirement.op == Op::greater ? *have > *bound : *have < *bound);
        break;
      }
    }
    if (!holds) return false;
  }
  return true;
}

std::string LabelSelector::str() const {
  std::vector<std::string> parts;
  for (const Requirement& requirement : requirements_) {
    const bool one = requirement.values.size() == 1;
    const std::string values = one ? requirement.values[0] : join(requirement.values, ",");
    switch (requirement.op) {
      case Op::in:
        parts.push_back(requirement.key + (one ? "=" + values : " in (" + values + ")"));
        break;
      case Op::not_in:
        parts.push_back(requirement.key + (one ? "!=" + values : " notin (" + values + ")"));
        break;
      case Op::exists:
        parts.push_back(requirement.key);
        break;
      case Op::not_exists:
        parts.push_back("!" + requirement.key);
        break;
      case Op::greater:
        parts.push_back(requirement.key + ">" + values);
        break;
      case Op::less:
        parts.push_back(requirement.key + "<" + values);
        break;
    }
  }
  return join(parts, ",");
}

std::string_view LabelSelector::required_value(std::string_view key) const {
  for (const Requirement& requirement : requirements_) {
    if (requirement.op == Op::in && requirement.key == key && requirement.values.size() == 1)
      return requirement.values[0];
  }
  return {};
}

}  // namespace caisson::kube
