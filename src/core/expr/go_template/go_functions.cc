// SPDX-License-Identifier: Apache-2.0
// text/template's own functions. Follows funcs.go of Go 1.26.
#include "core/expr/go_template/go_functions.h"

#include "core/base/encoding.h"
#include "core/expr/go_template/compare.h"
#include "core/expr/go_template/evaluator.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

Datum unboxed(const Datum& datum) {
  return datum.kind() == Kind::interface ? Datum() : datum;
}

// --- index, slice, len

Result<std::size_t> index_argument(const Datum& index, std::size_t limit) {
  if (!index.is_valid()) return invalid("cannot index slice/array with nil");
  if (!index.is_signed() && !index.is_unsigned()) {
    return invalid("cannot index slice/array with type " + std::string(index.type_name()));
  }
  const std::int64_t at = index.as_int();
  if (at < 0 || static_cast<std::uint64_t>(at) > limit) return invalid("index out of range: " + std::to_string(at));
  return static_cast<std::size_t>(at);
}

Result<Datum> item_of_map(const Datum& map, const Datum& key) {
  if (!key.is_valid()) return invalid("value is nil; should be of type string");
  if (key.type() != &kString) return invalid("value has type " + std::string(key.type_name()) + "; should be string");
  const auto found = map.as_map() ? map.as_map()->find(key.as_string()) : std::nullopt;
  if (found) return *found;
  return map.type()->element == &kString ? Datum("") : Datum::nil_of(*map.type()->element);
}

Result<Datum> item_of(const Datum& from, const Datum& index) {
  switch (from.kind()) {
    case Kind::string:
    case Kind::slice:
    case Kind::array: {
      const std::size_t at = TRY(index_argument(index, from.size()));
      if (at == from.size()) {  // Go's check lets it pass, and the access panics
        const bool is_string = from.is_string();
        return invalid(std::string("reflect: ") + (is_string ? "string" : "slice") + " index out of range");
      }
      if (!from.is_string()) return from.at(at);
      return Datum::scalar(kUint8, Value(static_cast<int>(static_cast<unsigned char>(from.as_string()[at]))));
    }
    case Kind::map:
      return item_of_map(from, index);
    case Kind::interface:
      return invalid("index of nil pointer");
    default:
      return invalid("can't index item of type " + std::string(from.type_name()));
  }
}

Result<Datum> fn_index(Call& call) {
  Datum item = unboxed(call[0]);
  if (!item.is_valid()) return invalid("index of untyped nil");
  for (std::size_t i = 1; i < call.size(); ++i) item = TRY(item_of(item, unboxed(call[i])));
  return item;
}

Result<Datum> fn_slice(Call& call) {
  const Datum item = unboxed(call[0]);
  if (!item.is_valid()) return invalid("slice of untyped nil");
  const std::size_t count = call.size() - 1;
  if (count > 3) return invalid("too many slice indexes: " + std::to_string(count));
  if (item.is_string() && count == 3) return invalid("cannot 3-index slice a string");
  if (!item.is_string() && item.kind() != Kind::slice) {
    return invalid("can't slice item of type " + std::string(item.type_name()));
  }
  std::size_t bounds[3] = {0, item.size(), item.size()};
  for (std::size_t i = 0; i < count; ++i) bounds[i] = TRY(index_argument(unboxed(call[i + 1]), item.size()));
  const auto crossed = [&](std::size_t low, std::size_t high) {
    return invalid("invalid slice index: " + std::to_string(bounds[low]) + " > " + std::to_string(bounds[high]));
  };
  if (bounds[0] > bounds[1]) return crossed(0, 1);
  if (count == 3 && bounds[1] > bounds[2]) return crossed(1, 2);
  const std::size_t size = bounds[1] - bounds[0];
  if (const List* list = item.as_list()) {
    const auto first = list->items().begin() + static_cast<std::ptrdiff_t>(bounds[0]);
    return Datum(make<List>(std::vector<Datum>(first, first + static_cast<std::ptrdiff_t>(size))), *item.type());
  }
  if (item.is_nil()) return item;
  return Datum::scalar(*item.type(), Value(item.as_string().substr(bounds[0], size)));
}

Result<Datum> fn_len(Call& call) {
  const Datum& item = call[0];
  switch (item.kind()) {
    case Kind::string:
    case Kind::slice:
    case Kind::array:
    case Kind::map:
      return Datum::integer(static_cast<std::int64_t>(item.size()));
    case Kind::invalid:  // Go's own words for a value that is none
      return invalid("reflect: call of reflect.Value.Type on zero Value");
    case Kind::interface:
      return invalid("len of nil pointer");
    default:
      return invalid(item.is_nil() ? "len of nil pointer" : "len of type " + std::string(item.type_name()));
  }
}

// --- printing

Result<std::string> printed(const Call& call) {
  if (call.size() == 1 && call[0].is_string()) return call[0].str();
  std::vector<Datum> shown;
  for (const Datum& argument : call.arguments) {
    shown.push_back(unboxed(argument).is_valid() ? argument : Datum("<no value>"));
  }
  return sprint(shown);
}

Result<Datum> fn_html(Call& call) {
  return Datum(html_escaped(TRY(printed(call))));
}
Result<Datum> fn_urlquery(Call& call) {
  return Datum(url_query_escaped(TRY(printed(call))));
}
Result<Datum> fn_print(Call& call) {
  return Datum(TRY(sprint(call.arguments)));
}
Result<Datum> fn_println(Call& call) {
  return Datum(TRY(sprintln(call.arguments)));
}
Result<Datum> fn_printf(Call& call) {
  return Datum(TRY(sprintf(call.text(0), call.arguments.subspan(1))));
}

Result<Datum> fn_js(Call& call) {
  const std::string text = TRY(printed(call));
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const Rune rune = decode_rune(rest);
    const auto byte = static_cast<unsigned char>(rest.front());
    if (rune.code >= 0x80) {
      if (is_printable(rune.code)) {
        out.append(rest.substr(0, rune.size));
      } else {
        out += "\\u";
        std::string digits;
        for (std::uint32_t code = rune.code; code || digits.size() < 4; code >>= 4)
          digits.insert(0, 1, kHex[code & 0xF]);
        out += digits;
      }
    } else if (byte == '\\' || byte == '\'' || byte == '"') {
      out += '\\';
      out += static_cast<char>(byte);
    } else if (byte < ' ' || byte == '<' || byte == '>' || byte == '&' || byte == '=') {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    } else {
      out += static_cast<char>(byte);
    }
    rest.remove_prefix(rune.size);
  }
  return Datum(out);
}

// --- comparison

Result<Datum> fn_not(Call& call) {
  return Datum(!is_true(call[0]));
}
Result<Datum> fn_eq(Call& call) {
  return Datum(TRY(equals_any(call[0], call.arguments.subspan(1))));
}
Result<Datum> fn_ne(Call& call) {
  return Datum(!TRY(equals_any(call[0], call.arguments.subspan(1))));
}
Result<Datum> fn_lt(Call& call) {
  return Datum(TRY(is_less(call[0], call[1])));
}
Result<Datum> fn_ge(Call& call) {
  return Datum(!TRY(is_less(call[0], call[1])));
}

Result<bool> is_at_most(const Call& call) {
  if (TRY(is_less(call[0], call[1]))) return true;
  return equals_any(call[0], call.arguments.subspan(1));
}
Result<Datum> fn_le(Call& call) {
  return Datum(TRY(is_at_most(call)));
}
Result<Datum> fn_gt(Call& call) {
  return Datum(!TRY(is_at_most(call)));
}

constexpr Function kGoFunctions[] = {
    {"and", "vv*", nullptr},
    {"call", "vv*", nullptr},
    {"eq", "vv*", fn_eq},
    {"ge", "vv", fn_ge},
    {"gt", "vv", fn_gt},
    {"html", "a*", fn_html},
    {"index", "vv*", fn_index},
    {"js", "a*", fn_js},
    {"le", "vv", fn_le},
    {"len", "v", fn_len},
    {"lt", "vv", fn_lt},
    {"ne", "vv", fn_ne},
    {"not", "v", fn_not},
    {"or", "vv*", nullptr},
    {"print", "a*", fn_print},
    {"printf", "sa*", fn_printf},
    {"println", "a*", fn_println},
    {"slice", "vv*", fn_slice},
    {"urlquery", "a*", fn_urlquery},
};

}  // namespace

FunctionTable go_functions() {
  return kGoFunctions;
}

Result<Datum> call_value(Execution& execution, std::string_view name, std::span<const Datum> values) {
  const Datum callee = unboxed(values[0]);
  if (!callee.is_valid()) return invalid("call of nil");
  if (callee.kind() != Kind::function) {
    return invalid("non-function " + std::string(name) + " of type " + std::string(callee.type_name()));
  }
  const Function& function = static_cast<const FunctionValue&>(*callee.node()).function();
  const Signature parameters = signature(function.parameters);
  const auto arguments = values.subspan(1);
  const bool fits =
      parameters.variadic ? arguments.size() >= parameters.fixed() : arguments.size() == parameters.size();
  if (!fits) {
    return invalid("wrong number of args for " + std::string(name) + ": got " + std::to_string(arguments.size()) +
                   " want " + (parameters.variadic ? "at least " : "") +
                   std::to_string(parameters.variadic ? parameters.fixed() : parameters.size()));
  }
  std::vector<Datum> fitted;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const char letter = parameters.letter(i);
    const Datum argument = unboxed(arguments[i]);
    const std::string place = "arg " + std::to_string(i) + ": ";
    const std::string wanted(parameter_name(letter));
    if (!argument.is_valid() && !can_be_nil(letter))
      return invalid(place + "value is nil; should be of type " + wanted);
    if (argument.is_valid() && !is_assignable(argument, letter)) {
      return invalid(place + "value has type " + std::string(argument.type_name()) + "; should be " + wanted);
    }
    fitted.push_back(argument.is_valid() ? argument : zero_of(letter));
  }
  Call call{execution, function.name, fitted, nullptr};
  return function.call(call);
}

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '\0':
        out += "\xEF\xBF\xBD";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string url_query_escaped(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        (byte < 0x80 && (is_letter(byte) || is_digit(byte))) || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 0xF];
    }
  }
  return out;
}

}  // namespace caisson::go_template
