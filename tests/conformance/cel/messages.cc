// SPDX-License-Identifier: Apache-2.0
#include "conformance/cel/messages.h"

#include <bit>

namespace caisson::conformance {
namespace {

constexpr std::string_view kProto2 = "cel.expr.conformance.proto2.", kProto3 = "cel.expr.conformance.proto3.";
constexpr std::string_view kScalars[] = {"int32",  "int64",   "uint32",  "uint64",   "sint32",
                                         "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
                                         "float",  "double",  "bool",    "string",   "bytes"};

// Proto2's defaults of TestAllTypes.
constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {
    {"single_int32", "-32"},  {"single_int64", "-64"},    {"single_uint32", "32"}, {"single_uint64", "64"},
    {"single_float", "3.0"},  {"single_double", "6.4"},   {"single_bool", "true"}, {"single_string", "empty"},
    {"single_bytes", "none"}, {"single_nested_enum", "1"}};

struct NameOf {
  std::string prefix;
  std::string_view local;
  bool is_proto2;
};
std::optional<NameOf> split_name(std::string_view name) {
  if (name.starts_with(kProto2)) return NameOf{std::string(kProto2), name.substr(kProto2.size()), true};
  if (name.starts_with(kProto3)) return NameOf{std::string(kProto3), name.substr(kProto3.size()), false};
  return std::nullopt;
}

bool is_integer_name(std::string_view name) {
  return name.find("int") != name.npos || name.find("fixed") != name.npos;
}
bool is_unsigned_name(std::string_view name) {
  return name.starts_with("uint") || name.starts_with("fixed");
}

// "int32_wrapper", "duration", "nested_enum" → a type's name.
std::string type_word(const std::string& prefix, std::string_view word) {
  for (const std::string_view scalar : kScalars) {
    if (word == scalar) return std::string(scalar);
  }
  static const std::map<std::string, std::string, std::less<>> kWords = {{"any", "Any"},
                                                                         {"duration", "Duration"},
                                                                         {"timestamp", "Timestamp"},
                                                                         {"struct", "Struct"},
                                                                         {"value", "Value"},
                                                                         {"list_value", "ListValue"},
                                                                         {"null_value", "NullValue"},
                                                                         {"field_mask", "FieldMask"},
                                                                         {"empty", "Empty"},
                                                                         {"int32_wrapper", "Int32Value"},
                                                                         {"int64_wrapper", "Int64Value"},
                                                                         {"uint32_wrapper", "UInt32Value"},
                                                                         {"uint64_wrapper", "UInt64Value"},
                                                                         {"float_wrapper", "FloatValue"},
                                                                         {"double_wrapper", "DoubleValue"},
                                                                         {"bool_wrapper", "BoolValue"},
                                                                         {"string_wrapper", "StringValue"},
                                                                         {"bytes_wrapper", "BytesValue"}};
  if (const auto found = kWords.find(word); found != kWords.end()) return "google.protobuf." + found->second;
  if (word == "enum" || word == "nested_enum") return prefix + "TestAllTypes.NestedEnum";
  if (word == "message" || word == "nested_message" || word == "lazy_message")
    return prefix + "TestAllTypes.NestedMessage";
  if (word == "nested_type") return prefix + "NestedTestAllTypes";
  if (word == "string_piece" || word == "cord") return "string";
  return "";
}

std::optional<FieldKind> by_name(const std::string& prefix, std::string_view name) {
  FieldKind out;
  if (name.starts_with("repeated_")) {
    out.name = type_word(prefix, name.substr(9));
    out.shape = FieldKind::Shape::repeated;
  } else if (name.starts_with("map_")) {
    const std::string_view rest = name.substr(4);
    const std::size_t bar = rest.find('_');
    if (bar == rest.npos) return std::nullopt;
    out.key = rest.substr(0, bar);
    out.name = type_word(prefix, rest.substr(bar + 1));
    out.shape = FieldKind::Shape::map;
  } else if (name.starts_with("single_") || name.starts_with("standalone_")) {
    out.name = type_word(prefix, name.substr(name.find('_') + 1));
  } else if (name.starts_with("optional_")) {
    out.name = type_word(prefix, name.substr(9));
    out.has_presence = true;
  } else if (name == "list_value" || name == "null_value") {
    out.name = type_word(prefix, name);
  }
  return out.name.empty() ? std::nullopt : std::optional(out);
}

Result<double> parse_double(std::string_view text) {
  if (text == "inf" || text == "infinity") return INFINITY;
  if (text == "-inf" || text == "-infinity") return -INFINITY;
  if (text == "nan") return NAN;
  double out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::int64_t enum_number(std::string_view name) {
  static const std::map<std::string, std::int64_t, std::less<>> kNames = {
      {"FOO", 0}, {"BAR", 1}, {"BAZ", 2}, {"GOO", 0}, {"GAR", 1}, {"GAZ", 2}, {"NULL_VALUE", 0}};
  if (const auto found = kNames.find(name); found != kNames.end()) return found->second;
  return parse_int(name).value_or(0);
}

// As protobuf's JSON form: what google.protobuf.Value can hold.
Result<cel::Value> json_form(const cel::Value& value) {
  switch (value.kind()) {
    case Kind::null:
    case Kind::boolean:
    case Kind::floating:
    case Kind::string:
      return value;
    case Kind::integer:
      if (std::abs(static_cast<double>(value.as_int())) <= 9007199254740991.0)
        return cel::Value(static_cast<double>(value.as_int()));
      return cel::Value::string(std::to_string(value.as_int()));
    case Kind::unsigned_integer:
      if (value.as_uint() <= 9007199254740991u) return cel::Value(static_cast<double>(value.as_uint()));
      return cel::Value::string(std::to_string(value.as_uint()));
    case Kind::bytes:
      return cel::Value::string(base64(value.as_bytes()));
    case Kind::timestamp:
      return cel::Value::string(cel::timestamp_text(value.as_timestamp()));
    case Kind::duration:
      return cel::Value::string(cel::duration_text(value.as_duration()));
    case Kind::list: {
      std::vector<cel::Value> items;
      for (std::size_t i = 0; i < value.size(); ++i) items.push_back(TRY(json_form(value.item(i))));
      return cel::Value::list(std::move(items));
    }
    case Kind::map: {
      std::vector<std::pair<cel::Value, cel::Value>> entries;
      for (std::size_t i = 0; i < value.size(); ++i) {
        const auto [key, member] = value.entry(i);
        const std::string text = key.is(Kind::string)             ? std::string(key.as_string())
                                 : key.is(Kind::unsigned_integer) ? std::to_string(key.as_uint())
                                                                  : key.debug_string();
        cel::Value inner = TRY(json_form(member));
        entries.emplace_back(cel::Value::string(text), std::move(inner));
      }
      return cel::Value::map(std::move(entries));
    }
    case Kind::object: {
      const auto* message = dynamic_cast<const Message*>(&value.as_object());
      if (message == nullptr) return refused("no JSON form");
      if (value.type().name() == "google.protobuf.FieldMask") {
        std::string joined;
        const auto paths = message->fields().find("paths");
        for (std::size_t i = 0; paths != message->fields().end() && i < paths->second.size(); ++i)
          joined += (i > 0 ? "," : "") + std::string(paths->second.item(i).as_string());
        return cel::Value::string(joined);
      }
      std::vector<std::pair<cel::Value, cel::Value>> entries;
      for (const auto& [name, member] : message->fields()) {
        cel::Value inner = TRY(json_form(member));
        entries.emplace_back(cel::Value::string(name), std::move(inner));
      }
      return cel::Value::map(std::move(entries));
    }
    default:
      return refused("no JSON form");
  }
}

bool is_default(const cel::Value& value) {
  switch (value.kind()) {
    case Kind::boolean:
      return !value.as_bool();
    case Kind::integer:
      return value.as_int() == 0;
    case Kind::unsigned_integer:
      return value.as_uint() == 0;
    case Kind::floating:
      return value.as_double() == 0 && !std::signbit(value.as_double());
    case Kind::string:
      return value.as_string().empty();
    case Kind::bytes:
      return value.as_bytes().empty();
    case Kind::list:
    case Kind::map:
      return value.size() == 0;
    default:
      return false;
  }
}

// Protobuf's wire format, as an Any carries it. Fields 1 to 15 of TestAllTypes are its scalars; any other field is kept
// as its bytes, so that two of them compare bytewise.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  Result<std::map<std::string, cel::Value>> run() {
    std::map<std::string, cel::Value> out;
    while (at_ < bytes_.size()) {
      const std::uint64_t tag = TRY(varint());
      const std::size_t begin = at_;
      std::uint64_t number = 0;
      if ((tag & 7) == 0) {
        number = TRY(varint());
      } else {
        const std::size_t length = (tag & 7) == 2 ? TRY(varint()) : (tag & 7) == 1 ? 8 : 4;
        if (length > bytes_.size() - at_) return refused("a field is cut short");
        number = fixed(length);
        at_ += length;
      }
      const std::string_view raw = bytes_.substr(begin, at_ - begin);
      const std::size_t field = tag >> 3;
      if (field == 0 || field > std::size(kScalars))
        out.insert_or_assign("#" + std::to_string(field), cel::Value::bytes(std::string(raw)));
      else
        out.insert_or_assign("single_" + std::string(kScalars[field - 1]), scalar(kScalars[field - 1], number, raw));
    }
    return out;
  }

 private:
  Result<std::uint64_t> varint() {
    std::uint64_t out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ >= bytes_.size()) break;
      const unsigned char byte = static_cast<unsigned char>(bytes_[at_++]);
      out |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return out;
    }
    return refused("a number is cut short");
  }
  std::uint64_t fixed(std::size_t length) const {
    std::uint64_t out = 0;
    for (std::size_t i = std::min<std::size_t>(length, 8); i-- > 0;)
      out = out << 8 | static_cast<unsigned char>(bytes_[at_ + i]);
    return out;
  }
  static cel::Value scalar(std::string_view name, std::uint64_t number, std::string_view raw) {
    if (name == "double") return cel::Value(std::bit_cast<double>(number));
    if (name == "float")
      return cel::Value(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(number))));
    if (name == "bool") return cel::Value(number != 0);
    if (name == "string") return cel::Value::string(raw.substr(1));
    if (name == "bytes") return cel::Value::bytes(std::string(raw.substr(1)));
    if (is_unsigned_name(name)) return cel::Value(number);
    if (name.starts_with("sint")) return cel::Value(static_cast<std::int64_t>((number >> 1) ^ (0 - (number & 1))));
    return cel::Value(static_cast<std::int64_t>(number));
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

Result<cel::Value> Messages::unpack(std::string_view type_url, std::string_view bytes) const {
  const std::string name(type_url.substr(type_url.rfind('/') + 1));
  if (type_url.empty() || !split_name(name)) return refused("conversion error: an Any of unknown type");
  auto fields = TRY(WireReader(bytes).run());
  return cel::Value(std::make_shared<const Message>(shared_from_this(), name, std::move(fields)));
}

std::optional<FieldKind> Messages::field(std::string_view message, std::string_view name) const {
  if (message == "google.protobuf.FieldMask" && name == "paths")
    return FieldKind{"string", FieldKind::Shape::repeated, "", false, ""};
  const auto known = split_name(message);
  if (!known) return std::nullopt;
  const std::string& prefix = known->prefix;
  std::optional<FieldKind> out;
  if (known->local == "TestAllTypes") {
    if (name == "oneof_type") return FieldKind{prefix + "NestedTestAllTypes", FieldKind::Shape::single, "", true, ""};
    if (name == "oneof_bool") return FieldKind{"bool", FieldKind::Shape::single, "", true, ""};
    if (known->is_proto2 && name.starts_with(prefix)) {
      const std::string_view extension = name.substr(name.rfind('.') + 1);
      if (extension == "int32_ext") return FieldKind{"int32", FieldKind::Shape::single, "", true, ""};
      if (extension == "int64_ext") return FieldKind{"int64", FieldKind::Shape::single, "", true, ""};
      if (extension.find("repeated") != extension.npos)
        return FieldKind{prefix + "TestAllTypes", FieldKind::Shape::repeated, "", false, ""};
      if (extension.find("enum") != extension.npos)
        return FieldKind{prefix + "TestAllTypes.NestedEnum", FieldKind::Shape::single, "", true, ""};
      return FieldKind{prefix + "TestAllTypes", FieldKind::Shape::single, "", true, ""};
    }
    static constexpr std::string_view kReservedNames[] = {
        "as",      "break",     "const",  "continue", "else", "for",   "function", "if",    "import", "let", "loop",
        "package", "namespace", "return", "var",      "void", "while", "in",       "false", "true",   "null"};
    for (const std::string_view reserved : kReservedNames) {
      if (name == reserved) return FieldKind{"bool", FieldKind::Shape::single, "", known->is_proto2, ""};
    }
    out = by_name(prefix, name);
    if (out && out->shape == FieldKind::Shape::single) {
      out->has_presence = out->has_presence || known->is_proto2 || name == "single_nested_enum";
      for (const auto& [field, text] : kDefaults) {
        if (known->is_proto2 && name == field) out->default_text = text;
      }
    }
  } else if (known->local == "NestedTestAllTypes") {
    if (name == "child") out = FieldKind{prefix + "NestedTestAllTypes", FieldKind::Shape::single, "", true, ""};
    if (name == "payload") out = FieldKind{prefix + "TestAllTypes", FieldKind::Shape::single, "", true, ""};
  } else if (known->local == "TestAllTypes.NestedMessage" && name == "bb") {
    out = FieldKind{"int32", FieldKind::Shape::single, "", known->is_proto2, ""};
  } else if (known->local == "TestRequired" && name == "required_int32") {
    out = FieldKind{"int32", FieldKind::Shape::single, "", true, ""};
  }
  return out;
}

std::optional<Type> Messages::find_type(std::string_view name) const {
  if (is_well_known(name)) {
    static constexpr std::string_view kOthers[] = {"Any", "Duration", "Timestamp", "Struct", "Value", "ListValue"};
    bool known =
        !wrapped_scalar(name).empty() || name == "google.protobuf.FieldMask" || name == "google.protobuf.Empty";
    for (const std::string_view other : kOthers) known = known || name.substr(16) == other;
    return known ? std::optional(type_of(std::string(name))) : std::nullopt;
  }
  const auto known = split_name(name);
  if (!known) return std::nullopt;
  for (const std::string_view local :
       {"TestAllTypes", "NestedTestAllTypes", "TestAllTypes.NestedMessage", "TestRequired"}) {
    if (known->local == local) return Type::object(std::string(name));
  }
  return std::nullopt;
}

Type Messages::type_of(const std::string& name) {
  if (name == "bool") return TypeKind::boolean;
  if (name == "string") return TypeKind::string;
  if (name == "bytes") return TypeKind::bytes;
  if (name == "float" || name == "double") return TypeKind::floating;
  if (is_enum(name)) return TypeKind::integer;
  if (!is_well_known(name))
    return is_integer_name(name) && name.find('.') == name.npos
               ? Type(is_unsigned_name(name) ? TypeKind::unsigned_integer : TypeKind::integer)
               : Type::object(name);
  if (const std::string scalar = wrapped_scalar(name); !scalar.empty()) return Type::wrapper(type_of(scalar).kind());
  const std::string_view word = std::string_view(name).substr(16);
  if (word == "Duration") return TypeKind::duration;
  if (word == "Timestamp") return TypeKind::timestamp;
  if (word == "Struct") return Type::map(TypeKind::string, Type());
  if (word == "ListValue") return Type::list(Type());
  if (word == "NullValue") return TypeKind::null;
  if (word == "FieldMask" || word == "Empty") return Type::object(name);
  return Type();
}

std::optional<Type> Messages::find_field(std::string_view type, std::string_view name) const {
  if (is_well_known(type)) {
    if (const std::string scalar = wrapped_scalar(type); !scalar.empty() && name == "value") return type_of(scalar);
    if (type == "google.protobuf.FieldMask" && name == "paths") return Type::list(TypeKind::string);
    return type == "google.protobuf.Empty" ? std::nullopt : std::optional(Type());
  }
  const auto kind = field(type, name);
  if (!kind) return std::nullopt;
  const Type one = type_of(kind->name);
  if (kind->shape == FieldKind::Shape::repeated) return Type::list(one);
  if (kind->shape == FieldKind::Shape::map) return Type::map(type_of(kind->key), one);
  return one;
}

std::optional<cel::Value> Messages::find_constant(std::string_view name) const {
  const std::size_t dot = name.rfind('.');
  if (name == "google.protobuf.NullValue.NULL_VALUE") return cel::Value();
  if (dot == name.npos || !is_enum(name.substr(0, dot))) return std::nullopt;
  const auto known = split_name(name.substr(0, dot));
  if (!known || (known->local != "GlobalEnum" && known->local != "TestAllTypes.NestedEnum")) return std::nullopt;
  const std::string_view word = name.substr(dot + 1);
  if (word.size() != 3) return std::nullopt;
  return cel::Value(enum_number(word));
}

cel::Value Messages::default_of(const FieldKind& field) const {
  if (field.shape == FieldKind::Shape::repeated) return cel::Value::list({});
  if (field.shape == FieldKind::Shape::map) return cel::Value::map({}).value();
  const Type type = type_of(field.name);
  const std::string& text = field.default_text;
  switch (type.kind()) {
    case TypeKind::boolean:
      return cel::Value(text == "true");
    case TypeKind::integer:
      return cel::Value(parse_int(text).value_or(0));
    case TypeKind::unsigned_integer:
      return cel::Value(static_cast<std::uint64_t>(parse_int(text).value_or(0)));
    case TypeKind::floating:
      return cel::Value(*parse_double(text));
    case TypeKind::string:
      return cel::Value::string(text);
    case TypeKind::bytes:
      return cel::Value::bytes(text);
    case TypeKind::duration:
      return cel::Value(Duration(0));
    case TypeKind::timestamp:
      return cel::Value(cel::Timestamp{});
    case TypeKind::list:
      return cel::Value::list({});
    case TypeKind::map:
      return cel::Value::map({}).value();
    case TypeKind::object:
      return cel::Value(
          std::make_shared<const Message>(shared_from_this(), field.name, std::map<std::string, cel::Value>{}));
    default:
      return {};
  }
}

Result<cel::Value> Messages::fit_one(const std::string& name, const cel::Value& value) const {
  if (is_well_known(name)) {
    if (const std::string scalar = wrapped_scalar(name); !scalar.empty()) return fit_one(scalar, value);
    const std::string_view word = std::string_view(name).substr(16);
    if (word == "Any") return value;
    if (word == "NullValue")
      return value.is(Kind::null) || value.is(Kind::integer) ? Result<cel::Value>(cel::Value()) : refused("not null");
    const Kind wanted = word == "Duration"    ? Kind::duration
                        : word == "Timestamp" ? Kind::timestamp
                        : word == "Struct"    ? Kind::map
                        : word == "ListValue" ? Kind::list
                                              : value.kind();
    if (value.kind() != wanted) return refused("a value does not fit " + name);
    if (word == "Struct") {
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (!value.entry(i).first.is(Kind::string)) return refused("bad key type");
      }
    }
    return word == "Duration" || word == "Timestamp" || word == "FieldMask" || word == "Empty"
               ? Result<cel::Value>(value)
               : json_form(value);
  }
  if (is_enum(name) || name == "int32" || name == "sint32" || name == "sfixed32") {
    if (!value.is(Kind::integer)) return refused("a value does not fit " + name);
    if (value.as_int() > INT32_MAX || value.as_int() < INT32_MIN) return refused("int32 range");
    return value;
  }
  if (name == "uint32" || name == "fixed32") {
    if (!value.is(Kind::unsigned_integer)) return refused("a value does not fit " + name);
    if (value.as_uint() > UINT32_MAX) return refused("uint32 range");
    return value;
  }
  if (name == "float") {
    if (!value.is(Kind::floating)) return refused("a value does not fit float");
    return cel::Value(static_cast<double>(static_cast<float>(value.as_double())));
  }
  const Type type = type_of(name);
  if (value.type().kind() != type.kind() || (type.is(TypeKind::object) && value.type().name() != name))
    return refused("a value of type " + value.type().str() + " does not fit " + name);
  return value;
}

Result<std::optional<cel::Value>> Messages::fit(const FieldKind& field, const cel::Value& value) const {
  using Shape = FieldKind::Shape;
  const bool keeps_null = field.name == "google.protobuf.Any" || field.name == "google.protobuf.Value" ||
                          field.name == "google.protobuf.NullValue";
  const TypeKind kind = type_of(field.name).kind();
  const bool nullable = kind == TypeKind::wrapper || kind == TypeKind::object || kind == TypeKind::duration ||
                        kind == TypeKind::timestamp;
  if (field.shape == Shape::single) {
    if (value.is(Kind::null) && nullable) return std::optional<cel::Value>();
    cel::Value fitted = TRY(fit_one(field.name, value));
    if (!field.has_presence && !nullable && field.name != "google.protobuf.Any" && is_default(fitted) &&
        !is_well_known(field.name))
      return std::optional<cel::Value>();
    return std::optional(std::move(fitted));
  }
  if (value.kind() != (field.shape == Shape::repeated ? Kind::list : Kind::map))
    return refused("unsupported field type");
  std::vector<cel::Value> items;
  std::vector<std::pair<cel::Value, cel::Value>> entries;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const cel::Value one = field.shape == Shape::repeated ? value.item(i) : value.entry(i).second;
    if (one.is(Kind::null) && !keeps_null) {
      if (!nullable) return refused("null does not fit " + field.name);
      continue;
    }
    cel::Value fitted = TRY(fit_one(field.name, one));
    if (field.shape == Shape::repeated)
      items.push_back(std::move(fitted));
    else
      entries.emplace_back(value.entry(i).first, std::move(fitted));
  }
  if (items.empty() && entries.empty()) return std::optional<cel::Value>();
  if (field.shape == Shape::repeated) return std::optional(cel::Value::list(std::move(items)));
  return std::optional(TRY(cel::Value::map(std::move(entries))));
}

Result<cel::Value> Messages::make(std::string_view type,
                                  std::span<const std::pair<std::string, cel::Value>> fields) const {
  const std::string name(type);
  if (is_well_known(name) && name != "google.protobuf.FieldMask" && name != "google.protobuf.Empty") {
    if (const std::string scalar = wrapped_scalar(name); !scalar.empty()) {
      if (fields.empty()) return default_of({scalar, FieldKind::Shape::single, "", false, ""});
      return fit_one(scalar, fields[0].second);
    }
    const std::string_view word = std::string_view(name).substr(16);
    if (word == "Any") {
      std::string type_url, bytes;
      for (const auto& [field, value] : fields) {
        if (field == "type_url") type_url = value.as_string();
        if (field == "value") bytes = value.as_bytes();
      }
      return unpack(type_url, bytes);
    }
    if (word == "Duration" || word == "Timestamp") {
      std::int64_t seconds = 0, nanos = 0;
      for (const auto& [field, value] : fields) (field == "seconds" ? seconds : nanos) = value.as_int();
      if (word == "Duration") return cel::Value(Duration(seconds * 1'000'000'000 + nanos));
      return cel::Value(cel::Timestamp{seconds, static_cast<std::int32_t>(nanos)});
    }
    if (fields.empty()) return default_of({name, FieldKind::Shape::single, "", false, ""});
    return json_form(fields[0].second);
  }
  std::map<std::string, cel::Value> out;
  for (const auto& [field_name, value] : fields) {
    const auto kind = field(name, field_name);
    if (!kind) return refused("no such field '" + field_name + "'");
    auto fitted = TRY(fit(*kind, value));
    if (fitted) out.insert_or_assign(field_name, *std::move(fitted));
  }
  return cel::Value(std::make_shared<const Message>(shared_from_this(), name, std::move(out)));
}

Result<cel::Value> Messages::read_field(const FieldKind& field, const Proto& text) const {
  const std::string& name = field.name;
  if (text.is_message) return read(name, text);
  if (is_enum(name)) return cel::Value(enum_number(text.text));
  const Type type = type_of(name);
  switch (type.kind()) {
    case TypeKind::boolean:
      return cel::Value(text.text == "true");
    case TypeKind::integer:
      return cel::Value(parse_int(text.text).value_or(0));
    case TypeKind::unsigned_integer: {
      std::uint64_t out = 0;
      std::from_chars(text.text.data(), text.text.data() + text.text.size(), out);
      return cel::Value(out);
    }
    case TypeKind::floating: {
      const double number = TRY(parse_double(text.text));
      return cel::Value(name == "float" ? static_cast<double>(static_cast<float>(number)) : number);
    }
    case TypeKind::string:
      return cel::Value::string(text.text);
    case TypeKind::bytes:
      return cel::Value::bytes(text.text);
    default:
      return cel::Value();
  }
}

Result<cel::Value> Messages::read_any(const Proto& text) const {
  for (const auto& [name, inner] : text.fields) {
    if (!name.starts_with("[")) continue;
    const std::size_t slash = name.rfind('/');
    return read(name.substr(slash + 1, name.size() - slash - 2), inner);
  }
  return unpack(text.get("type_url"), text.get("value"));
}

Result<cel::Value> Messages::read(std::string_view type, const Proto& text) const {
  const std::string name(type);
  if (const std::string scalar = wrapped_scalar(name); !scalar.empty()) {
    const FieldKind kind{scalar, FieldKind::Shape::single, "", false, ""};
    const Proto* value = text.find("value");
    return value == nullptr ? default_of(kind) : read_field(kind, *value);
  }
  const auto number = [&](std::string_view field) { return parse_int(text.get(field)).value_or(0); };
  if (name == "google.protobuf.Any") return read_any(text);
  if (name == "google.protobuf.Duration")
    return cel::Value(Duration(number("seconds") * 1'000'000'000 + number("nanos")));
  if (name == "google.protobuf.Timestamp")
    return cel::Value(cel::Timestamp{number("seconds"), static_cast<std::int32_t>(number("nanos"))});
  if (name == "google.protobuf.Value") {
    if (text.fields.empty()) return cel::Value();
    const auto& [kind, inner] = text.fields[0];
    if (kind == "number_value") return cel::Value(TRY(parse_double(inner.text)));
    if (kind == "string_value") return cel::Value::string(inner.text);
    if (kind == "bool_value") return cel::Value(inner.text == "true");
    if (kind == "list_value") return read("google.protobuf.ListValue", inner);
    if (kind == "struct_value") return read("google.protobuf.Struct", inner);
    return cel::Value();
  }
  if (name == "google.protobuf.ListValue") {
    std::vector<cel::Value> items;
    for (const auto& [field, inner] : text.fields) items.push_back(TRY(read("google.protobuf.Value", inner)));
    return cel::Value::list(std::move(items));
  }
  if (name == "google.protobuf.Struct") {
    std::vector<std::pair<cel::Value, cel::Value>> entries;
    for (const auto& [field, inner] : text.fields) {
      const Proto* value = inner.find("value");
      cel::Value member = value == nullptr ? cel::Value() : TRY(read("google.protobuf.Value", *value));
      entries.emplace_back(cel::Value::string(inner.get("key")), std::move(member));
    }
    return cel::Value::map(std::move(entries));
  }
  std::map<std::string, cel::Value> out;
  std::map<std::string, std::vector<cel::Value>> repeated;
  std::map<std::string, std::vector<std::pair<cel::Value, cel::Value>>> maps;
  for (const auto& [written, inner] : text.fields) {
    const std::string field_name = written.starts_with("[") ? written.substr(1, written.size() - 2) : written;
    const auto kind = field(name, field_name);
    if (!kind) return refused(name + " has no field " + field_name);
    if (kind->shape == FieldKind::Shape::repeated) {
      repeated[field_name].push_back(TRY(read_field(*kind, inner)));
    } else if (kind->shape == FieldKind::Shape::map) {
      const FieldKind key_kind{kind->key, FieldKind::Shape::single, "", false, ""};
      const Proto* key = inner.find("key");
      const Proto* value = inner.find("value");
      cel::Value key_value = key == nullptr ? default_of(key_kind) : TRY(read_field(key_kind, *key));
      FieldKind one = *kind;
      one.shape = FieldKind::Shape::single;
      cel::Value member = value == nullptr ? default_of(one) : TRY(read_field(one, *value));
      maps[field_name].emplace_back(std::move(key_value), std::move(member));
    } else {
      cel::Value value = TRY(read_field(*kind, inner));
      if (kind->has_presence || inner.is_message || is_well_known(kind->name) || !is_default(value))
        out.insert_or_assign(field_name, std::move(value));
    }
  }
  for (auto& [field_name, items] : repeated) out.insert_or_assign(field_name, cel::Value::list(std::move(items)));
  for (auto& [field_name, entries] : maps) {
    cel::Value map = TRY(cel::Value::map(std::move(entries)));
    out.insert_or_assign(field_name, std::move(map));
  }
  if (name == "google.protobuf.FieldMask" || name == "google.protobuf.Empty" || split_name(name))
    return cel::Value(std::make_shared<const Message>(shared_from_this(), name, std::move(out)));
  return refused("unknown message " + name);
}

}  // namespace caisson::conformance
