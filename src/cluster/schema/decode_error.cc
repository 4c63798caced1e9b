// SPDX-License-Identifier: Apache-2.0
// What Go's decoder (encoding/json, with the UnmarshalJSON of quantities, times and int-or-strings) would say of a
// body: the first wrong type, but rather what a type's own decoder refuses, since that ends the decoding.
#include <limits>
#include <map>

#include "cluster/schema/kind_files.h"
#include "cluster/schema/place.h"
#include "cluster/schema/validate.h"
#include "core/base/quantity.h"
#include "core/base/text.h"
#include "core/calendar/go_time.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

constexpr std::string_view kMicroTime = "2006-01-02T15:04:05.000000Z07:00";

// --- names of Go's types

// Member to type, of "core.v1.Secret" (kinds/go_types.yaml).
using NamedTypes = std::map<std::string_view, std::map<std::string_view, std::string_view>>;

const NamedTypes& named_types() {
  static const Value kSource = [] {
    for (const KindFile& file : kind_files())
      if (file.path == "go_types.yaml") return json::parse(file.json).value();
    return Value::map();
  }();
  static const NamedTypes kTypes = [] {
    NamedTypes types;
    for (const auto& [name, members] : kSource.entries())
      for (const std::string_view word : split(members.as_string(), ' '))
        types[name][word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
    return types;
  }();
  return kTypes;
}

// The last `parts` of a dotted name: "core.v1.PodSpec" of "io.k8s.api.core.v1.PodSpec".
std::string_view last_parts(std::string_view full, int parts) {
  std::size_t at = full.size();
  for (; parts > 0 && at != std::string_view::npos; --parts) at = full.rfind('.', at - 1);
  return at == std::string_view::npos ? full : full.substr(at + 1);
}

std::string_view named_type(const ObjectType& holder, std::string_view member) {
  const auto type = named_types().find(last_parts(holder.name, 3));
  if (type == named_types().end()) return {};
  const auto found = type->second.find(member);
  return found == type->second.end() ? std::string_view() : found->second;
}

std::string go_type(const Field& field) {
  switch (field.type) {
    case FieldType::any:
      return "interface {}";
    case FieldType::boolean:
      return "bool";
    case FieldType::integer:
      return field.format == Format::int64 ? "int64" : "int32";
    case FieldType::int_or_string:
      return "int32";
    case FieldType::number:
      return "float64";
    case FieldType::string:
      return field.format == Format::byte ? "[]uint8" : "string";
    case FieldType::list:
      return "[]" + (field.element ? go_type(*field.element) : "interface {}");
    case FieldType::map:
      return "map[string]" + (field.element ? go_type(*field.element) : "string");
    case FieldType::object:
      return field.object ? std::string(last_parts(field.object->name, 2)) : "map[string]interface {}";
  }
  return "";
}

// --- values

// Where encoding/base64 gives up; nullopt: it does not.
std::optional<std::size_t> base64_error_at(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::size_t at = 0, digits = 0;  // digits of the group of four that is being read
  const auto skip_newlines = [&] {
    while (at < text.size() && (text[at] == '\n' || text[at] == '\r')) ++at;
  };
  while (true) {
    skip_newlines();
    if (at == text.size()) return digits == 0 ? std::nullopt : std::optional(at - digits);
    const char c = text[at++];
    if (kAlphabet.find(c) != std::string_view::npos) {
      digits = (digits + 1) % 4;
      continue;
    }
    if (c != '=' || digits < 2) return at - 1;
    if (digits == 2) {
      skip_newlines();
      if (at == text.size()) return at;
      if (text[at] != '=') return at - 1;
      ++at;
    }
    skip_newlines();
    return at == text.size() ? std::nullopt : std::optional(at);
  }
}

// "2006-01-02T15:04:05Z", as nearly all times are written; others are read with all of Go's rules.
bool is_plain_time(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00Z";
  if (text.size() != kShape.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (kShape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != kShape[i]) return false;
  const auto below = [&](std::size_t at, std::string_view least, std::string_view most) {
    const std::string_view digits = text.substr(at, 2);
    return digits >= least && digits <= most;
  };
  return below(5, "01", "12") && below(8, "01", "28") && below(11, "00", "23") && below(14, "00", "59") &&
         below(17, "00", "59");
}

// As it may have been written; a fraction tells a number that was no integer.
std::string number_literal(const Value& value) {
  std::string text = value.scalar_text();
  if (!value.is_int() && text.find_first_of(".eE") == std::string::npos) text += ".0";
  return text;
}

bool fits(const Field& field, const Value& value) {
  if (!value.is_int()) return false;
  if (field.format == Format::int64) return true;
  return value.as_int() >= std::numeric_limits<std::int32_t>::min() &&
         value.as_int() <= std::numeric_limits<std::int32_t>::max();
}

std::string_view json_kind(const Value& value) {
  return value.is_map()      ? "object"
         : value.is_list()   ? "array"
         : value.is_bool()   ? "bool"
         : value.is_number() ? "number"
                             : "string";
}

class Decoder {
 public:
  // What ends the decoding, or else the first wrong type.
  std::optional<std::string> run(const Field& root, const Value& object, std::string_view kind) {
    kind_ = kind;
    field(root, object, Place(), {});
    return fatal_ ? fatal_ : wrong_;
  }

 private:
  // The struct and the member that is looked at (an item of the list that it is). What Go calls their types is asked
  // for when something is wrong.
  struct Within {
    const ObjectType* holder = nullptr;  // null: the kind itself
    std::string_view member = {};
    int items = 0;
  };

  void field(const Field& field, const Value& value, const Place& at, const Within& in) {
    if (value.is_null() || fatal_) return;
    switch (field.type) {
      case FieldType::any:
        return;
      case FieldType::boolean:
        return value.is_bool() ? void() : wrong_type(field, value, at, in);
      case FieldType::number:
        return value.is_number() ? void() : wrong_type(field, value, at, in);
      case FieldType::integer:
        return fits(field, value) ? void() : wrong_type(field, value, at, in);
      case FieldType::int_or_string:
        if (!value.is_string() && !fits(field, value)) end_with(wrong_text(field, value, at, in));
        return;
      case FieldType::string:
        return text(field, value, at, in);
      case FieldType::list:
        return list(field, value, at, in);
      case FieldType::map:
        if (!value.is_map()) return wrong_type(field, value, at, in);
        if (!field.element) return;
        for (const auto& [key, child] : value.entries()) this->field(*field.element, child, at, {in.holder});
        return;
      case FieldType::object:
        if (!value.is_map()) return wrong_type(field, value, at, in);
        return field.object ? object(*field.object, value, at) : void();
    }
  }

  void object(const ObjectType& type, const Value& value, const Place& at) {
    if (type.in_crd) {  // the rest is checked against its schema
      const Member* metadata = type.find("metadata");
      if (at.is_root() && metadata) field(*metadata->field, value["metadata"], Place::member(at, "metadata"), {&type});
      return;
    }
    for (const auto& [key, child] : value.entries()) {
      if (const Member* member = type.find(key)) field(*member->field, child, Place::member(at, key), {&type, key});
    }
  }

  void list(const Field& field, const Value& value, const Place& at, const Within& in) {
    if (!value.is_list()) return wrong_type(field, value, at, in);
    if (!field.element) return;
    for (const Value& item : value.items()) this->field(*field.element, item, at, {in.holder, in.member, in.items + 1});
  }

  void text(const Field& field, const Value& value, const Place& at, const Within& in) {
    if (field.format == Format::quantity) {
      const std::string literal = value.is_string() ? std::string(trim(value.as_string())) : json::write(value);
      if (!Quantity::parse(literal)) end_with(Quantity::refusal(literal).message);
      return;
    }
    const bool time = field.format == Format::time || field.format == Format::micro_time;
    if (!value.is_string()) return time ? end_with(wrong_text(field, value, at, in)) : wrong_type(field, value, at, in);
    if (time) {
      if (is_plain_time(value.as_string()) && field.format == Format::time) return;
      const std::string_view layout = field.format == Format::time ? calendar::kRfc3339 : kMicroTime;
      const auto parsed = calendar::parse_go_time(layout, value.as_string(), calendar::TimeZone::utc());
      if (!parsed.ok()) end_with(parsed.error().message);
    } else if (field.format == Format::byte) {
      if (const auto place = base64_error_at(value.as_string()))
        note("illegal base64 data at input byte " + std::to_string(*place));
    }
  }

  std::string wrong_text(const Field& field, const Value& value, const Place& at, const Within& in) const {
    const bool number = field.type == FieldType::integer || field.type == FieldType::int_or_string;
    std::string what(json_kind(value));
    if (number && value.is_number()) what += " " + number_literal(value);
    const std::string_view holder = in.holder ? last_parts(in.holder->name, 1) : kind_, named = type_named(in);
    return "json: cannot unmarshal " + what + " into Go struct field " + std::string(holder) + "." + at.str() +
           " of type " + (named.empty() ? go_type(field) : std::string(named));
  }
  // The name that the type has of its own; empty: none.
  static std::string_view type_named(const Within& in) {
    std::string_view name = in.holder && !in.member.empty() ? named_type(*in.holder, in.member) : std::string_view();
    for (int i = 0; i < in.items; ++i) name = name.starts_with("[]") ? name.substr(2) : std::string_view();
    return name;
  }
  void wrong_type(const Field& field, const Value& value, const Place& at, const Within& in) {
    if (!wrong_) note(wrong_text(field, value, at, in));
  }
  void note(std::string text) {
    if (!wrong_) wrong_ = std::move(text);
  }
  void end_with(std::string text) {
    if (!fatal_) fatal_ = std::move(text);
  }

  std::string_view kind_;
  std::optional<std::string> wrong_, fatal_;
};

}  // namespace

std::optional<Error> decode_error(const KindSchema& kind, const Value& object) {
  auto wrong = Decoder().run(kind.root(), object, kind.resource.kind);
  if (!wrong) return std::nullopt;
  return Error{ErrorCode::bad_request, *wrong};
}

}  // namespace caisson::schema
