// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/set_values.h"

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/go_template/datum.h"
#include "delivery/render/helm/go_text.h"

namespace caisson::render::helm {
namespace {

constexpr std::int64_t kIndexMax = 65536;
constexpr int kLevelsMax = 30;

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

// What a step of the grammar ended with.
enum class End { more, input };

std::string_view go_type(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return "nil";
    case ValueKind::boolean:
      return "bool";
    case ValueKind::integer:
      return "int64";
    case ValueKind::floating:
      return "float64";
    case ValueKind::string:
      return "string";
    case ValueKind::list:
      return "[]interface {}";
    case ValueKind::map:
      return "map[string]interface {}";
  }
  return "";
}

Error conversion(const Value& from, std::string_view wanted) {
  return bad("unable to parse key: interface conversion: interface {} is " + std::string(go_type(from)) + ", not " +
             std::string(wanted));
}

Value typed(const std::string& text) {
  if (equals_ignoring_case(text, "true")) return true;
  if (equals_ignoring_case(text, "false")) return false;
  if (equals_ignoring_case(text, "null")) return Value();
  if (text == "0") return 0;
  if (!text.empty() && text[0] != '0') {
    if (const auto number = parse_int(text)) return Value(static_cast<long long>(*number));
  }
  return text;
}

// The length of the JSON value that `text` begins with, white space before it included; 0 when it begins none.
std::size_t json_length(std::string_view text) {
  std::size_t at = text.find_first_not_of(" \t\r\n");
  if (at == std::string_view::npos) return 0;
  if (text[at] != '{' && text[at] != '[' && text[at] != '"') {
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text.substr(at).starts_with(word)) return at + word.size();
    }
    const std::size_t end = text.find_first_not_of("+-.0123456789eE", at);
    return end == std::string_view::npos ? text.size() : end == at ? 0 : end;
  }
  int depth = 0;
  bool quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\')
        ++at;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      --depth;
    }
    if (!quoted && depth == 0) return at + 1;
  }
  return 0;
}

class Parser {
 public:
  Parser(std::string_view text, SetKind kind, const ReadFile& read_file)
      : rest_(text), kind_(kind), read_file_(read_file) {}

  Result<void> parse(Value& into) {
    while (TRY(key(into, 0)) == End::more) {
    }
    return {};
  }

 private:
  // Text up to one of `stops`, which is consumed. `stop` is 0 at the end of the input.
  struct Piece {
    std::string text;
    char stop = 0;
  };
  Piece until(std::string_view stops) {
    Piece out;
    while (!rest_.empty()) {
      char c = rest_[0];
      rest_.remove_prefix(1);
      if (stops.find(c) != std::string_view::npos) {
        out.stop = c;
        return out;
      }
      if (c == '\\' && kind_ != SetKind::literal) {
        if (rest_.empty()) return out;
        c = rest_[0];
        rest_.remove_prefix(1);
      }
      out.text += c;
    }
    return out;
  }

  Result<End> key(Value& data, int level) {
    const Piece piece = until(kind_ == SetKind::literal ? "=[." : "=[,.");
    switch (piece.stop) {
      case '=':
        return assign(data, piece.text);
      case '[':
        return indexed(data, piece.text, level);
      case '.':
        return nested(data, piece.text, level + 1);
      case ',':
        return bad("key " + go_quote(piece.text) + " has no value (cannot end with ,)");
      default:
        if (piece.text.empty()) return End::input;
        return bad("key " + go_quote(piece.text) + " has no value");
    }
  }

  static void set(Value& data, const std::string& name, Value value) {
    if (!name.empty()) data.set(name, std::move(value));
  }

  Result<End> assign(Value& data, const std::string& name) {
    End end = End::more;
    Value value = TRY(right_side(end));
    set(data, name, std::move(value));
    return end;
  }

  Result<End> nested(Value& data, const std::string& name, int level) {
    if (level > kLevelsMax)
      return bad("value name nested level is greater than maximum supported nested level of " +
                 std::to_string(kLevelsMax));
    const Value* there = data.find(name);
    if (there != nullptr && !there->is_map()) return conversion(*there, "map[string]interface {}");
    Value inner = there != nullptr ? std::move(data.edit(name)) : Value::map();
    const End end = TRY(key(inner, level));
    const bool empty = inner.empty();
    if (empty && end == End::more) return bad("key map " + go_quote(name) + " has no value");
    if (!empty || there != nullptr) set(data, name, std::move(inner));
    return end;
  }

  Result<std::size_t> index() {
    const Piece piece = until("]");
    if (piece.stop == 0) return bad("error parsing index: EOF");
    const auto number = parse_int(piece.text);
    if (!number) return bad("error parsing index: strconv.Atoi: parsing " + go_quote(piece.text) + ": invalid syntax");
    if (*number < 0) return bad("negative " + std::to_string(*number) + " index not allowed");
    if (*number > kIndexMax) {
      return bad("index of " + std::to_string(*number) + " is greater than maximum supported index of " +
                 std::to_string(kIndexMax));
    }
    return static_cast<std::size_t>(*number);
  }

  Result<End> indexed(Value& data, const std::string& name, int level) {
    const std::size_t at = TRY(index());
    const Value* there = data.find(name);
    if (there != nullptr && !there->is_list()) return conversion(*there, "[]interface {}");
    Value list = there != nullptr ? std::move(data.edit(name)) : Value::list();
    const End end = TRY(item(list, at, level));
    set(data, name, std::move(list));
    return end;
  }

  static void set_at(Value& list, std::size_t at, Value value) {
    while (list.size() <= at) list.push_back(Value());
    list.edit(at) = std::move(value);
  }

  Result<End> item(Value& list, std::size_t at, int level) {
    const Piece piece = until("[.=");
    if (!piece.text.empty()) return bad("unexpected data at end of array index: " + go_quote(piece.text));
    if (piece.stop == 0) return End::input;
    Value inner = at < list.size() ? list[at] : Value();
    End end = End::more;
    if (piece.stop == '=') {
      inner = TRY(right_side(end));
      end = End::more;  // as Helm: the end of the input is met again by the next key
    } else if (piece.stop == '[') {
      const std::size_t next = TRY(index());
      if (inner.is_null()) inner = Value::list();
      if (!inner.is_list()) return conversion(inner, "[]interface {}");
      end = TRY(item(inner, next, level));
    } else {
      if (!inner.is_map()) inner = Value::map();
      end = TRY(key(inner, level));
    }
    set_at(list, at, std::move(inner));
    return end;
  }

  Result<Value> read(std::string text) {
    switch (kind_) {
      case SetKind::value:
        return typed(text);
      case SetKind::file:
        return Value(TRY(read_file_(text)));
      default:
        return Value(text);
    }
  }

  Result<Value> right_side(End& end) {
    if (kind_ == SetKind::literal) {
      const std::string_view all = std::exchange(rest_, {});
      return Value(all);
    }
    if (kind_ == SetKind::json) return json_value();
    if (rest_.empty()) {
      end = End::input;
      return Value("");
    }
    if (rest_[0] == '{') {
      rest_.remove_prefix(1);
      return list_value();
    }
    return read(until(",").text);
  }

  Result<Value> list_value() {
    Value list = Value::list();
    while (true) {
      Piece piece = until(",}");
      if (piece.stop == 0) return bad("list must terminate with '}'");
      list.push_back(TRY(read(std::move(piece.text))));
      if (piece.stop == ',') continue;
      if (rest_.starts_with(',')) rest_.remove_prefix(1);
      return list;
    }
  }

  // Blanks, and the comma after them: was there nothing else?
  bool skip_blank() {
    while (!rest_.empty()) {
      const char c = rest_[0];
      if (c != ',' && c != ' ' && (c < '\t' || c > '\r')) return false;
      rest_.remove_prefix(1);
      if (c == ',') return true;
    }
    return true;
  }

  Result<Value> json_value() {
    if (skip_blank()) return Value();
    const std::size_t length = json_length(rest_);
    if (length == 0) return bad("invalid JSON value");
    const Value value = TRY(json::parse(rest_.substr(0, length)));
    rest_.remove_prefix(length);
    skip_blank();
    return go_template::with_json_numbers(value);
  }

  std::string_view rest_;
  const SetKind kind_;
  const ReadFile& read_file_;
};

}  // namespace

Result<void> set_values(Value& values, std::string_view text, SetKind kind, const ReadFile& read_file) {
  return Parser(text, kind, read_file).parse(values);
}

}  // namespace caisson::render::helm
