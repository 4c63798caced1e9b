// SPDX-License-Identifier: Apache-2.0
// Helm's functions that need nothing but values. Follows pkg/engine of Helm 3.22: what can't be written is "", what
// can't be read is told by a member "Error".
#include <cmath>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/format.h"
#include "core/expr/go_template/function.h"
#include "core/expr/go_template/json_text.h"
#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/toml.h"
#include "core/expr/go_template/unicode.h"
#include "core/expr/go_template/yaml_first.h"

namespace caisson::go_template {
namespace {

std::string_view json_kind(const Value& value) {
  switch (value.kind()) {
    case ValueKind::boolean:
      return "bool";
    case ValueKind::integer:
    case ValueKind::floating:
      return "number";
    case ValueKind::string:
      return "string";
    case ValueKind::list:
      return "array";
    default:
      return "object";
  }
}

Error wrong_kind(const Value& value, const Type& wanted) {
  return Error{ErrorCode::invalid, "json: cannot unmarshal " + std::string(json_kind(value)) +
                                       " into Go value of type " + std::string(wanted.name)};
}

Datum error_dict(const std::string& message) {
  Map::Entries entries;
  entries.emplace("Error", Datum(message));
  return Datum(make<Map>(std::move(entries))).made();
}

Datum error_list(const std::string& message) {
  return Datum(make<List>(std::vector<Datum>{Datum(message)}));
}

// A document of which a map (or a list) is wanted; null is a nil one.
Result<Datum> as_kind(const Value& value, const Type& wanted) {
  if (value.is_null()) return Datum::nil_of(wanted);
  const bool fits = wanted.kind == Kind::map ? value.is_map() : value.is_list();
  if (!fits) return wrong_kind(value, wanted);
  return Datum::from(value).made();
}

// YAML has numbers that JSON can't write.
Result<void> check_json(const Value& value) {
  if (value.kind() == ValueKind::floating && !std::isfinite(value.as_double())) {
    return Error{ErrorCode::invalid, "json: unsupported value: " + format_float(value.as_double())};
  }
  for (const Value& item : value.items()) TRY(check_json(item));
  for (const document::MapEntry& entry : value.entries()) TRY(check_json(entry.value));
  return {};
}

Result<Datum> read_yaml(std::string_view text, const Type& wanted) {
  constexpr std::string_view kConverting = "error converting YAML to JSON";
  const Value first = TRY(read_first_yaml(text).in(kConverting));
  if (first.is_null()) return wanted.kind == Kind::map ? Datum(make<Map>()).made() : Datum(make<List>());
  TRY(check_json(first).in(kConverting));
  auto datum = as_kind(with_json_numbers(first), wanted);
  if (datum.ok()) return datum;
  return std::move(datum).error().in("error unmarshaling JSON: while decoding JSON");
}

Result<Datum> read_json(std::string_view text, const Type& wanted) {
  return as_kind(TRY(parse_json(text)), wanted);
}

Result<Datum> from_yaml(Call& call) {
  auto dict = read_yaml(call.text(0), kMap);
  return dict.ok() ? std::move(dict).value() : error_dict(dict.error().message);
}
Result<Datum> from_yaml_array(Call& call) {
  auto list = read_yaml(call.text(0), kList);
  return list.ok() ? std::move(list).value() : error_list(list.error().message);
}
Result<Datum> from_json(Call& call) {
  auto dict = read_json(call.text(0), kMap);
  return dict.ok() ? std::move(dict).value() : error_dict(dict.error().message);
}
Result<Datum> from_json_array(Call& call) {
  auto list = read_json(call.text(0), kList);
  return list.ok() ? std::move(list).value() : error_list(list.error().message);
}

std::string without_newline(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string valid_text(std::string_view text) {
  return from_runes(runes(text));
}

// encoding/json, which every value passes through on its way to YAML, makes U+FFFD of what is no character.
Value with_valid_texts(const Value& value) {
  if (value.is_string()) return is_valid_utf8(value.as_string()) ? value : Value(valid_text(value.as_string()));
  Value out = value;
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    Value changed = with_valid_texts(value[i]);
    if (!changed.shares_with(value[i])) out.edit(i) = std::move(changed);
  }
  for (const auto& [key, member] : value.entries()) {
    Value changed = with_valid_texts(member);
    const bool is_valid = is_valid_utf8(key);
    if (is_valid && changed.shares_with(member)) continue;
    if (!is_valid) out.erase(key);
    out.set(is_valid ? std::string(key) : valid_text(key), std::move(changed));
  }
  return out;
}

// What json.Marshal and back gives. A document that no template has opened has nothing to change.
Result<Value> through_json(const Datum& datum) {
  const Value value = TRY(datum.to_value());
  const Map* const map = datum.as_map();
  return map && map->document() ? value : with_valid_texts(value);
}

Result<Datum> to_yaml(Call& call) {
  const auto value = through_json(call[0]);
  if (!value.ok()) return Datum("");
  return Datum(without_newline(yaml::write(*value, {.sort_keys = true})));
}

// yaml.v3 writes a float as %g, "1e+06"; our writer as sigs.k8s.io/yaml, "1000000". So that one differs stands in the
// text as a word that nothing else in it begins with, until the text is made.
struct GoFloats {
  std::string word = "float64-";
  std::vector<std::string> texts;

  Value marked(const Value& value) {
    if (value.kind() == ValueKind::floating) {
      const auto text_or = to_text(Datum(value.as_double()));
      if (!text_or.ok() || text_or->find('e') == text_or->npos) return value;
      const std::string& text = *text_or;
      texts.push_back(text);
      return Value(word + std::to_string(texts.size()) + "-");
    }
    Value out = value;
    for (std::size_t i = 0; i < value.items().size(); ++i) out.edit(i) = marked(value[i]);
    for (const auto& [key, member] : value.entries()) out.edit(key) = marked(member);
    return out;
  }
};

Result<Datum> to_yaml_pretty(Call& call) {
  const auto value = through_json(call[0]);
  if (!value.ok()) return Datum("");
  GoFloats floats;
  for (const std::string plain = json::write(*value); plain.find(floats.word) != plain.npos;) floats.word += "x-";
  const Value marked = floats.marked(*value);
  std::string text = yaml::write(marked, {.sort_keys = true, .indent_sequences = true, .line_width = 0});
  for (std::size_t i = 0; i < floats.texts.size(); ++i)
    text = replace_all(std::move(text), floats.word + std::to_string(i + 1) + "-", floats.texts[i]);
  return Datum(without_newline(std::move(text)));
}

Result<Datum> to_json(Call& call) {
  const auto text = json_text(call[0], JsonStyle::escaped);
  return Datum(text.ok() ? *text : "");
}

Result<Datum> to_toml(Call& call) {
  if (!call[0].is_valid() || call[0].kind() == Kind::interface) {
    return Error{ErrorCode::invalid, "reflect: call of reflect.Value.Type on zero Value"};
  }
  const auto text = toml_text(call[0]);
  return Datum(text.ok() ? *text : text.error().message);
}

Result<Datum> from_toml(Call& call) {
  const auto value = parse_toml(call.text(0));
  return value.ok() ? Datum::from(*value).made() : error_dict(value.error().message);
}

Error author_says(std::string_view message) {
  return Error{ErrorCode::invalid,
               std::string(kAuthorMessageStart) + std::string(message) + std::string(kAuthorMessageEnd)};
}

Result<Datum> required(Call& call) {
  const Datum& given = call[1];
  const bool is_nil = !given.is_valid() || given.kind() == Kind::interface;
  if (!is_nil && !(given.type() == &kString && given.size() == 0)) return given;
  if (call.execution.options().lint) return Datum("");
  return author_says(call.text(0));
}

Result<Datum> fail(Call& call) {
  if (call.execution.options().lint) return Datum("");
  return author_says(call.text(0));
}

constexpr Function kHelmFunctions[] = {
    {"fail", "s", fail},
    {"fromJson", "s", from_json},
    {"fromJsonArray", "s", from_json_array},
    {"fromToml", "s", from_toml},
    {"fromYaml", "s", from_yaml},
    {"fromYamlArray", "s", from_yaml_array},
    {"required", "sa", required},
    {"toJson", "a", to_json},
    {"toToml", "a", to_toml},
    {"toYaml", "a", to_yaml},
    {"toYamlPretty", "a", to_yaml_pretty},
};

}  // namespace

FunctionTable helm_functions() {
  return kHelmFunctions;
}

}  // namespace caisson::go_template
