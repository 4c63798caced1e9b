// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/protobuf.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "cluster/schema/go_names.h"
#include "cluster/schema/kind_files.h"
#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/protobuf.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

using protobuf::Reader;
using protobuf::WireType;

constexpr int kDepthMax = 100;
constexpr std::string_view kMagic("k8s\0", 4);

Error malformed(std::string_view what) {
  return {ErrorCode::bad_request, "proto: " + std::string(what)};
}

// The field `number` of a message of few fields; absent: empty, 0.
Result<std::string_view> bytes_of(std::string_view message, std::uint32_t wanted) {
  std::string_view out;
  Reader field(message);
  while (TRY(field.next()))
    if (field.number() == wanted && field.type() == WireType::bytes) out = field.bytes();
  return out;
}
Result<std::int64_t> integer_of(std::string_view message, std::uint32_t wanted) {
  std::int64_t out = 0;
  Reader field(message);
  while (TRY(field.next()))
    if (field.number() == wanted && field.type() == WireType::varint) out = static_cast<std::int64_t>(field.integer());
  return out;
}

// --- kinds/protobuf.yaml

struct WireField {
  std::uint32_t number = 0;
  std::string_view name;     // of the member; "@core.v1.VolumeSource": a message whose members are the holder's own
  bool zero_counts = false;  // 0, false and "" are values; otherwise JSON leaves them out
};
using WireMessage = std::vector<WireField>;
struct WireTable {
  Value source;  // the names are its texts
  std::map<std::string_view, WireMessage> messages;
};

WireTable read_wire_table() {
  WireTable table;
  for (const KindFile& file : kind_files())
    if (file.path == "protobuf.yaml") table.source = json::parse(file.json).value();
  for (const auto& [name, fields] : table.source.entries()) {
    WireMessage& message = table.messages[name];
    for (const std::string_view word : split(fields.as_string(), ' ')) {
      const std::size_t equal = word.rfind('=');
      WireField field{0, word.substr(0, equal), word.ends_with('*')};
      std::from_chars(word.data() + equal + 1, word.data() + word.size(), field.number);
      message.push_back(field);
    }
  }
  return table;
}

const WireTable& wire_table() {
  static const WireTable kTable = read_wire_table();
  return kTable;
}

const WireMessage* find_message(std::string_view name) {
  const auto& messages = wire_table().messages;
  const auto found = messages.find(name);
  return found == messages.end() ? nullptr : &found->second;
}

// --- values

Result<Value> text_value(std::string_view bytes) {
  if (!is_valid_utf8(bytes)) return malformed("a string is not valid UTF-8");
  return Value(bytes);
}

Result<Value> time_value(std::string_view bytes, Format format) {
  if (bytes.empty()) return Value();                   // Go's zero time is null in JSON
  constexpr std::int64_t kSecondsMax = 9'000'000'000;  // what fits nanoseconds: beyond the year 2255
  const std::int64_t seconds = TRY(integer_of(bytes, 1)), nanos = TRY(integer_of(bytes, 2));
  if (seconds < -kSecondsMax || seconds > kSecondsMax || nanos < 0 || nanos >= 1'000'000'000)
    return malformed("a time is out of range");
  const Time time(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos));
  return Value(format == Format::micro_time ? format_time_micros(time) : format_time(time));
}

Result<Value> int_or_string(std::string_view bytes) {
  const std::int64_t type = TRY(integer_of(bytes, 1));
  if (type == 0) return Value(static_cast<std::int64_t>(static_cast<std::int32_t>(TRY(integer_of(bytes, 2)))));
  const std::string_view text = TRY(bytes_of(bytes, 3));
  return text_value(text);
}

Result<Value> raw_json(std::string_view bytes) {
  const std::string_view raw = TRY(bytes_of(bytes, 1));
  if (raw.empty()) return Value();
  auto value = json::parse(raw);
  if (!value.ok()) return malformed("embedded JSON: " + value.error().message);
  return value;
}

class Decoder {
 public:
  Result<void> message(const WireMessage& wire, const ObjectType& type, std::string_view bytes, Value& out) {
    if (++depth_ > kDepthMax) return malformed("nested too deeply");
    if (out.is_null()) out = Value::map();
    Reader part(bytes);
    while (TRY(part.next())) {
      const auto found =
          std::find_if(wire.begin(), wire.end(), [&](const WireField& f) { return f.number == part.number(); });
      if (found == wire.end()) continue;
      if (found->name.starts_with('@')) {
        TRY(embedded(found->name.substr(1), type, part, out));
      } else if (const Member* known = type.find(found->name)) {
        TRY(member(*found, *known->field, type, part, out));
      }
    }
    --depth_;
    return {};
  }

 private:
  Result<void> embedded(std::string_view name, const ObjectType& type, const Reader& part, Value& out) {
    const WireMessage* wire = find_message(name);
    return wire && part.type() == WireType::bytes ? message(*wire, type, part.bytes(), out) : Result<void>();
  }

  Result<void> member(const WireField& wire, const Field& field, const ObjectType& holder, const Reader& part,
                      Value& out) {
    if (field.type == FieldType::list) return item(wire.name, field, part, out);
    if (field.type == FieldType::map) return entry(wire.name, field, part, out);
    const bool is_schema =
        field.type == FieldType::any && holder.name.ends_with(".JSONSchemaProps") && part.type() == WireType::bytes;
    Value value = TRY(is_schema ? schema_or(wire.name, holder, part.bytes()) : single(field, part, out[wire.name]));
    const bool zero = (value.is_bool() && !value.as_bool()) || (value.is_number() && value.as_double() == 0) ||
                      (value.is_string() && value.as_string().empty());
    if (!zero || wire.zero_counts) out.set(wire.name, std::move(value));
    return {};
  }

  Result<void> item(std::string_view name, const Field& list, const Reader& part, Value& out) {
    if (!list.element) return {};
    const FieldType type = list.element->type;
    const bool packed = part.type() == WireType::bytes && (type == FieldType::integer || type == FieldType::boolean);
    if (!packed) {
      Value value = TRY(single(*list.element, part, Value()));
      out.edit(name).push_back(std::move(value));
      return {};
    }
    std::vector<std::uint64_t> numbers;
    TRY(part.integers(numbers));
    for (const std::uint64_t number : numbers) out.edit(name).push_back(integer(*list.element, number));
    return {};
  }

  // A map is a list of messages {1: key, 2: value}.
  Result<void> entry(std::string_view name, const Field& map, const Reader& part, Value& out) {
    if (part.type() != WireType::bytes || !map.element) return {};
    std::string_view key;
    Value value;
    bool there = false;
    Reader pair(part.bytes());
    while (TRY(pair.next())) {
      if (pair.number() == 1) key = pair.bytes();
      if (pair.number() != 2) continue;
      value = TRY(single(*map.element, pair, Value()));
      there = true;
    }
    if (!is_valid_utf8(key)) return malformed("a key is not valid UTF-8");
    if (!there && map.element->type == FieldType::string) value = Value("");
    if (!there && map.element->type == FieldType::object) value = Value::map();
    out.edit(name).set(key, std::move(value));
    return {};
  }

  // Of an integer or boolean field.
  static Value integer(const Field& field, std::uint64_t value) {
    if (field.type == FieldType::boolean) return Value(value != 0);
    return Value(field.format == Format::int32 ? static_cast<std::int64_t>(static_cast<std::int32_t>(value))
                                               : static_cast<std::int64_t>(value));
  }

  Result<Value> single(const Field& field, const Reader& part, Value before) {
    const bool whole = field.type == FieldType::integer || field.type == FieldType::boolean;
    if (whole && part.type() == WireType::varint) return integer(field, part.integer());
    if (field.type == FieldType::number && part.type() == WireType::fixed64) return Value(part.real());
    if (part.type() != WireType::bytes) return malformed("wrong wireType for a field");
    switch (field.type) {
      case FieldType::string:
        return string_value(field, part.bytes());
      case FieldType::int_or_string:
        return int_or_string(part.bytes());
      case FieldType::any:
        return raw_json(part.bytes());
      case FieldType::object:
        return object(field, part.bytes(), std::move(before));
      case FieldType::list:
        return wrapped_list(field, part.bytes());
      default:
        return malformed("wrong wireType for a field");
    }
  }

  static Result<Value> string_value(const Field& field, std::string_view bytes) {
    if (field.format == Format::time || field.format == Format::micro_time) return time_value(bytes, field.format);
    if (field.format == Format::byte) return Value(base64(bytes));
    if (field.format != Format::quantity) return text_value(bytes);
    const std::string_view text = TRY(bytes_of(bytes, 1));
    return text_value(text.empty() ? "0" : text);
  }

  // A message that comes in parts is one message (protobuf merges them).
  Result<Value> object(const Field& field, std::string_view bytes, Value before) {
    const WireMessage* wire = field.object ? find_message(last_parts(field.object->name, 3)) : nullptr;
    Value out = before.is_map() ? std::move(before) : Value::map();
    if (wire) TRY(message(*wire, *field.object, bytes, out));
    return out;
  }

  // A list as the value of a map is a message {1: items}: ExtraValue.
  Result<Value> wrapped_list(const Field& list, std::string_view bytes) {
    Value holder = Value::map();
    Reader part(bytes);
    while (TRY(part.next()))
      if (part.number() == 1) TRY(item("items", list, part, holder));
    return holder.contains("items") ? holder["items"] : Value::list();
  }

  // JSON, JSONSchemaPropsOrBool (allows, schema), …OrArray (schema, schemas): several shapes in JSON.
  Result<Value> schema_or(std::string_view name, const ObjectType& props, std::string_view bytes) {
    if (name != "items" && name != "additionalProperties" && name != "additionalItems") return raw_json(bytes);
    const WireMessage& wire = *find_message(last_parts(props.name, 3));
    const std::uint32_t schema_number = name == "items" ? 1 : 2;
    bool allows = false;
    Value schema, list;
    Reader part(bytes);
    while (TRY(part.next())) {
      if (part.number() == 1 && part.type() == WireType::varint) allows = part.integer() != 0;
      if (part.number() > 2 || part.type() != WireType::bytes) continue;
      Value made = Value::map();
      TRY(message(wire, props, part.bytes(), made));
      if (part.number() == schema_number)
        schema = std::move(made);
      else
        list.push_back(std::move(made));
    }
    if (!schema.is_null()) return schema;
    if (name == "items") return list.is_null() ? Value::list() : list;
    return Value(allows);
  }

  int depth_ = 0;
};

// "core.v1.Pod" of "v1" and "Pod"; options of requests are meta's in every group.
std::string type_of(std::string_view api_version, std::string_view kind) {
  if (kind.ends_with("Options")) return "meta.v1." + std::string(kind);
  const std::size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return "core." + std::string(api_version) + "." + std::string(kind);
  return std::string(api_version.substr(0, api_version.find('.') < slash ? api_version.find('.') : slash)) + "." +
         std::string(api_version.substr(slash + 1)) + "." + std::string(kind);
}

}  // namespace

bool omits_zero(std::string_view type, std::string_view member) {
  const WireMessage* message = find_message(last_parts(type, 3));
  if (!message) return false;
  const auto found =
      std::find_if(message->begin(), message->end(), [&](const WireField& field) { return field.name == member; });
  return found != message->end() && !found->zero_counts;
}

Result<Value> from_protobuf(const Schema& schema, std::string_view bytes) {
  if (!bytes.starts_with(kMagic))
    return Error{ErrorCode::bad_request,
                 "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"};
  const std::string_view envelope = bytes.substr(kMagic.size());
  const std::string_view type_meta = TRY(bytes_of(envelope, 1)), raw = TRY(bytes_of(envelope, 2));
  const std::string_view api_version = TRY(bytes_of(type_meta, 1)), kind = TRY(bytes_of(type_meta, 2));
  const std::string name = type_of(api_version, kind);
  const ObjectType* type = find_type(schema, name);
  const WireMessage* wire = find_message(name);
  if (!type || !wire || !is_valid_utf8(api_version) || !is_valid_utf8(kind))
    return Error{ErrorCode::bad_request, "no kind \"" + replace_all(std::string(kind), "\"", "") +
                                             "\" is registered for version \"" +
                                             replace_all(std::string(api_version), "\"", "") + "\""};
  Value object{{"kind", kind}, {"apiVersion", api_version}};
  TRY(Decoder().message(*wire, *type, raw, object));
  return object;
}

}  // namespace caisson::schema
