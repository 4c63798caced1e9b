// SPDX-License-Identifier: Apache-2.0
#include "security/policy/variables.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/number.h"
#include "security/policy/anchor.h"
#include "security/policy/context.h"
#include "security/policy/scalar_pattern.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kTextMax = 4u << 20;
constexpr int kRoundsMax = 64;  // of variables whose values hold variables
constexpr int kDepthMax = 200;

// The end of "{{ … }}" that begins at `from`; 0: there is none. Inside may be braces of one level: "{{ {a: b} }}".
std::size_t variable_end(std::string_view text, std::size_t from) {
  std::size_t at = from + 2;
  while (at < text.size()) {
    if (text[at] == '}') return at + 1 < text.size() && text[at + 1] == '}' ? at + 2 : 0;
    if (text[at] == '{') {
      const std::size_t close = text.find_first_of("{}", at + 1);
      if (close == std::string_view::npos || text[close] == '{') return 0;
      at = close + 1;
    } else {
      ++at;
    }
  }
  return 0;
}

struct Variable {
  std::string_view text;        // with braces
  std::string_view expression;  // without
  bool shallow = false;         // {{- x }}: what it gives is not looked at again
};

Variable variable_of(std::string_view text) {
  Variable variable{text, trim(text.substr(2, text.size() - 4)), false};
  if (variable.expression.starts_with("-")) {
    variable.shallow = true;
    variable.expression = trim(variable.expression.substr(1));
  }
  return variable;
}

using Path = std::vector<std::string>;

class Substitution {
 public:
  Substitution(const Value& document, Context& context) : document_(document), context_(context) {}

  // Of a text that is one variable and nothing else: its value, as it is.
  Result<Value> only(std::string_view variable) { return query(variable_of(variable)); }

  Result<Value> value(const Value& given) {
    if (static_cast<int>(path_.size()) > kDepthMax) return Error{ErrorCode::bad_request, "nested too deeply"};
    switch (given.kind()) {
      case ValueKind::string:
        return text(given);
      case ValueKind::list: {
        if (!has_variables(given)) return given;
        std::vector<Value> items;
        for (std::size_t i = 0; i < given.size(); ++i) {
          path_.push_back(std::to_string(i));
          items.push_back(TRY(value(given[i])));
          path_.pop_back();
        }
        return Value(std::move(items));
      }
      case ValueKind::map:
        return map(given);
      default:
        return given;
    }
  }

 private:
  Result<Value> map(const Value& given) {
    if (!has_variables(given)) return given;
    Value out = Value::map();
    for (const auto& entry : given.entries()) {
      const Value key = TRY(text(Value(entry.key)));
      if (!key.is_string())
        return Error{ErrorCode::bad_request,
                     "expected string after substituting variables in key \"" + std::string(entry.key) + "\""};
      path_.emplace_back(entry.key);
      Value member = TRY(value(entry.value));
      path_.pop_back();
      out.set(key.as_string(), std::move(member));
    }
    return out;
  }

  Result<Value> text(const Value& given) {
    if (!has_variables(given)) return given;
    std::string text = TRY(references(given.str()));
    for (int round = 0;; ++round) {
      const auto found = variables_in(text);
      if (found.empty()) break;
      if (round >= kRoundsMax) return Error{ErrorCode::bad_request, "variables refer to one another endlessly"};
      bool shallow = false;
      const std::string before = text;
      for (const std::string_view occurrence : variables_in(before)) {
        const Variable variable = variable_of(occurrence);
        Value result = TRY(query(variable));
        if (variable.text.size() == before.size()) return result;
        TRY(replace(text, variable, result));
        shallow = variable.shallow;
      }
      if (shallow) break;
    }
    return Value(replace_all(std::move(text), "\\{{", "{{"));
  }

  Result<void> replace(std::string& text, const Variable& variable, const Value& result) {
    std::string shown =
        result.is_string() ? result.str() : json::write(result, {.escape_html = true, .sort_keys = true});
    if (variable.shallow) shown = replace_all(std::move(shown), "{{", "\\{{");
    // The occurrence that was seen: the first that no backslash stands before.
    std::size_t at = text.find(variable.text);
    while (at != std::string::npos && at > 0 && text[at - 1] == '\\') at = text.find(variable.text, at + 1);
    if (at == std::string::npos) return {};
    text.replace(at, variable.text.size(), shown);
    if (text.size() > kTextMax) return Error{ErrorCode::too_large, "a text with its variables substituted is too long"};
    return {};
  }

  Result<Value> query(const Variable& variable) {
    std::string own;
    std::string_view expression = variable.expression;
    if (expression == "@") expression = own = here();
    if (context_.is_delete() && expression.find("request.object") != std::string_view::npos)
      expression = own = replace_all(std::string(expression), "request.object", "request.oldObject");
    auto result = context_.query(expression);
    if (result.ok()) return result;
    return std::move(result).error().in("failed to resolve " + std::string(expression) + " at path " + path_text());
  }

  // What {{@}} stands for: the value of the resource at this place of the pattern.
  std::string here() const {
    std::string out = context_.has("target") ? "target" : "request.object";
    for (const std::string& part : path_) {
      const std::string_view key = parse_anchor(part).key;
      if (parse_int(key))
        out += "[" + std::string(key) + "]";
      else
        out += ".\"" + std::string(key) + "\"";
    }
    return out;
  }

  std::string path_text() const {
    std::string out;
    for (const std::string& part : path_) out += "/" + part;
    return out;
  }

  // --- $(../other) stands for the value at another place of the same document
  Result<std::string> references(std::string text) {
    std::size_t at = 0;
    while ((at = text.find("$(", at)) != std::string::npos) {
      const std::size_t end = text.find(')', at);
      const std::size_t blank = text.find(' ', at);
      if (end == std::string::npos || blank < end || end == at + 2) {
        at += 2;
        continue;
      }
      if (at > 0 && text[at - 1] == '\\') {  // \$( … ) is the text itself
        text.erase(at - 1, 1);
        at += 1;
        continue;
      }
      const std::string shown = TRY(referenced(text.substr(at + 2, end - at - 2)));
      text.replace(at, end + 1 - at, shown);
      at += shown.size();
    }
    return text;
  }

  Result<std::string> referenced(const std::string& reference) {
    const std::string_view op = leading_operator(reference);
    const std::string_view given = std::string_view(reference).substr(op.size());
    const std::string absolute =
        given.starts_with("/") ? path_clean(given) : path_clean(path_text() + "/" + std::string(given));
    const Value* found = &document_;
    for (const std::string_view part : split(std::string_view(absolute).substr(1), '/')) found = member(*found, part);
    if (found->is_null() || found->is_map() || found->is_list())
      return Error{ErrorCode::bad_request, "failed to resolve $(" + reference + ") at path " + path_text()};
    return std::string(op) + found->scalar_text();
  }

  static const Value* member(const Value& in, std::string_view name) {
    if (in.is_list()) {
      const auto index = parse_int(name);
      return &in[index && *index >= 0 ? static_cast<std::size_t>(*index) : in.size()];
    }
    for (const auto& entry : in.entries())
      if (parse_anchor(entry.key).key == name) return &entry.value;
    return &document::kNull;
  }

  const Value& document_;
  Context& context_;
  Path path_;
};

// "{{ expression }}" and nothing else: most texts with variables are that.
bool is_one_variable(std::string_view text) {
  return text.starts_with("{{") && text.ends_with("}}") && variable_end(text, 0) == text.size() &&
         text.find("$(") == std::string_view::npos;
}

bool text_has_variables(std::string_view text) {
  return text.find("{{") != std::string_view::npos || text.find("$(") != std::string_view::npos;
}

}  // namespace

std::vector<std::string_view> variables_in(std::string_view text) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; (at = text.find("{{", at)) != std::string_view::npos;) {
    const bool escaped = at > 0 && text[at - 1] == '\\';
    const std::size_t end = escaped ? 0 : variable_end(text, at);
    if (end == 0) {
      ++at;
      continue;
    }
    found.push_back(text.substr(at, end - at));
    at = end;
  }
  return found;
}

bool has_variables(const Value& document) {
  if (document.is_string()) return text_has_variables(document.as_string());
  for (const auto& entry : document.entries())
    if (text_has_variables(entry.key) || has_variables(entry.value)) return true;
  return std::any_of(document.items().begin(), document.items().end(), has_variables);
}

Result<Value> substitute(const Value& document, Context& context) {
  if (!has_variables(document)) return document;
  if (is_one_variable(document.as_string())) return Substitution(document, context).only(document.as_string());
  return Substitution(document, context).value(document);
}

Template::Template(Value document, bool compiles)
    : document_(std::move(document)), has_variables_(has_variables(document_)) {
  if (!has_variables_ || !compiles || !is_one_variable(document_.as_string())) return;
  const Variable variable = variable_of(document_.as_string());
  if (variable.expression == "@") return;  // depends on where it stands
  auto compiled = jmespath::Expression::compile(variable.expression);
  if (!compiled.ok()) return;  // said when it is asked for
  variable_ = std::move(compiled).value();
  names_object_ = variable.expression.find("request.object") != std::string_view::npos;
}

Result<Value> Template::substitute(Context& context) const {
  if (!has_variables_) return document_;
  if (!variable_ || (names_object_ && context.is_delete())) return policy::substitute(document_, context);
  auto found = context.query(*variable_);
  if (found.ok()) return found;
  return std::move(found).error().in("failed to resolve " + variable_->text() + " at path ");
}

Result<std::string> substitute_text(std::string_view text, Context& context) {
  const Value result = TRY(substitute(Value(text), context));
  return result.is_string() ? result.str() : json::write(result);
}

}  // namespace caisson::policy
