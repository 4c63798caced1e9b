// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/protobuf.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <map>

#include "cluster/schema/kind_files.h"
#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

constexpr int kDepthMax = 100;
constexpr std::string_view kMagic("k8s\0", 4);

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

Error malformed(std::string_view what) {
  return {ErrorCode::bad_request, "proto: " + std::string(what)};
}

// One message as it stands on the wire: tags, then what belongs to each.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }

  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return malformed("unexpected end of the message");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return malformed("integer overflow");
  }
  Result<std::string_view> bytes() {
    const std::uint64_t size = TRY(varint());
    return take(size);
  }
  Result<std::uint64_t> fixed(std::size_t width) {
    const std::string_view raw = TRY(take(width));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < width; ++i)
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
    return value;
  }
  Result<void> skip(std::uint32_t type) {
    if (type == kVarint) {
      TRY(varint());
    } else if (type == kBytes) {
      TRY(bytes());
    } else if (type == kFixed64 || type == kFixed32) {
      TRY(fixed(type == kFixed64 ? 8 : 4));
    } else {
      return malformed("illegal wireType " + std::to_string(type));
    }
    return {};
  }

 private:
  Result<std::string_view> take(std::uint64_t size) {
    if (size > rest_.size()) return malformed("unexpected end of the message");
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::string_view rest_;
};

// Calls `each(number, wire type, reader)` for every field; `each` consumes it.
template <class F>
Result<void> for_each_field(std::string_view bytes, F each) {
  Reader reader(bytes);
  while (!reader.done()) {
    const std::uint64_t tag = TRY(reader.varint());
    if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return malformed("illegal tag");
    TRY(each(static_cast<std::uint32_t>(tag >> 3), static_cast<std::uint32_t>(tag & 7), reader));
  }
  return {};
}

// The field `number` of a message of few fields; absent: empty, 0.
Result<std::string_view> bytes_of(std::string_view message, std::uint32_t wanted) {
  std::string_view out;
  TRY(for_each_field(message, [&](std::uint32_t number, std::uint32_t type, Reader& reader) -> Result<void> {
    if (number != wanted || type != kBytes) return reader.skip(type);
    out = TRY(reader.bytes());
    return {};
  }));
  return out;
}
Result<std::int64_t> integer_of(std::string_view message, std::uint32_t wanted) {
  std::int64_t out = 0;
  TRY(for_each_field(message, [&](std::uint32_t number, std::uint32_t type, Reader& reader) -> Result<void> {
    if (number != wanted || type != kVarint) return reader.skip(type);
    out = static_cast<std::int64_t>(TRY(reader.varint()));
    return {};
  }));
  return out;
}

// --- kinds/protobuf.yaml

struct WireField {
  std::uint32_t number = 0;
  std::string_view name;    // of the member; "@core.v1.VolumeSource": a message whose members are the holder's own
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

// "core.v1.PodSpec" of "io.k8s.api.core.v1.PodSpec".
std::string_view short_name(std::string_view full) {
  std::size_t at = full.size();
  for (int dots = 0; dots < 3 && at != std::string_view::npos; ++dots) at = full.rfind('.', at - 1);
  return at == std::string_view::npos ? full : full.substr(at + 1);
}

// --- values

Result<Value> text_value(std::string_view bytes) {
  if (!is_valid_utf8(bytes)) return malformed("a string is not valid UTF-8");
  return Value(bytes);
}

Result<Value> time_value(std::string_view bytes, Format format) {
  if (bytes.empty()) return Value();  // Go's zero time is null in JSON
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
    TRY(for_each_field(bytes, [&](std::uint32_t number, std::uint32_t wire_type, Reader& reader) -> Result<void> {
      const auto found = std::find_if(wire.begin(), wire.end(), [&](const WireField& f) { return f.number == number; });
      if (found == wire.end()) return reader.skip(wire_type);
      if (found->name.starts_with('@')) return embedded(found->name.substr(1), type, wire_type, reader, out);
      const Member* member = type.find(found->name);
      if (!member) return reader.skip(wire_type);
      return this->member(*found, *member->field, type, wire_type, reader, out);
    }));
    --depth_;
    return {};
  }

 private:
  Result<void> embedded(std::string_view name, const ObjectType& type, std::uint32_t wire_type, Reader& reader,
                        Value& out) {
    const WireMessage* wire = find_message(name);
    if (!wire || wire_type != kBytes) return reader.skip(wire_type);
    const std::string_view bytes = TRY(reader.bytes());
    return message(*wire, type, bytes, out);
  }

  Result<void> member(const WireField& wire, const Field& field, const ObjectType& holder, std::uint32_t wire_type,
                      Reader& reader, Value& out) {
    if (field.type == FieldType::list) return item(wire.name, field, wire_type, reader, out);
    if (field.type == FieldType::map) return entry(wire.name, field, wire_type, reader, out);
    Value value;
    if (field.type == FieldType::any && holder.name.ends_with(".JSONSchemaProps") && wire_type == kBytes) {
      const std::string_view bytes = TRY(reader.bytes());
      value = TRY(schema_or(wire.name, holder, bytes));
    } else {
      value = TRY(single(field, wire_type, reader, out[wire.name]));
    }
    const bool zero = (value.is_bool() && !value.as_bool()) || (value.is_number() && value.as_double() == 0) ||
                      (value.is_string() && value.as_string().empty());
    if (!zero || wire.zero_counts) out.set(wire.name, std::move(value));
    return {};
  }

  Result<void> item(std::string_view name, const Field& list, std::uint32_t wire_type, Reader& reader, Value& out) {
    if (!list.element) return reader.skip(wire_type);
    const FieldType type = list.element->type;
    const bool packed = wire_type == kBytes && (type == FieldType::integer || type == FieldType::boolean);
    if (!packed) {
      Value value = TRY(single(*list.element, wire_type, reader, Value()));
      out.edit(name).push_back(std::move(value));
      return {};
    }
    const std::string_view bytes = TRY(reader.bytes());
    for (Reader many(bytes); !many.done();) {
      Value value = TRY(single(*list.element, kVarint, many, Value()));
      out.edit(name).push_back(std::move(value));
    }
    return {};
  }

  // A map is a list of messages {1: key, 2: value}.
  Result<void> entry(std::string_view name, const Field& map, std::uint32_t wire_type, Reader& reader, Value& out) {
    if (wire_type != kBytes || !map.element) return reader.skip(wire_type);
    const std::string_view bytes = TRY(reader.bytes());
    std::string_view key;
    Value value;
    bool there = false;
    TRY(for_each_field(bytes, [&](std::uint32_t number, std::uint32_t type, Reader& part) -> Result<void> {
      if (number == 1 && type == kBytes) {
        key = TRY(part.bytes());
      } else if (number == 2) {
        value = TRY(single(*map.element, type, part, Value()));
        there = true;
      } else {
        return part.skip(type);
      }
      return {};
    }));
    if (!is_valid_utf8(key)) return malformed("a key is not valid UTF-8");
    if (!there && map.element->type == FieldType::string) value = Value("");
    if (!there && map.element->type == FieldType::object) value = Value::map();
    out.edit(name).set(key, std::move(value));
    return {};
  }

  Result<Value> single(const Field& field, std::uint32_t wire_type, Reader& reader, Value before) {
    if (wire_type == kVarint) {
      const std::uint64_t value = TRY(reader.varint());
      if (field.type == FieldType::boolean) return Value(value != 0);
      if (field.type != FieldType::integer) return malformed("wrong wireType for a field");
      return Value(field.format == Format::int32 ? static_cast<std::int64_t>(static_cast<std::int32_t>(value))
                                                 : static_cast<std::int64_t>(value));
    }
    if (wire_type == kFixed64 && field.type == FieldType::number)
      return Value(std::bit_cast<double>(TRY(reader.fixed(8))));
    if (wire_type != kBytes) return malformed("wrong wireType for a field");
    const std::string_view bytes = TRY(reader.bytes());
    switch (field.type) {
      case FieldType::string:
        return string_value(field, bytes);
      case FieldType::int_or_string:
        return int_or_string(bytes);
      case FieldType::any:
        return raw_json(bytes);
      case FieldType::object:
        return object(field, bytes, std::move(before));
      case FieldType::list:
        return wrapped_list(field, bytes);
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
    const WireMessage* wire = field.object ? find_message(short_name(field.object->name)) : nullptr;
    Value out = before.is_map() ? std::move(before) : Value::map();
    if (wire) TRY(message(*wire, *field.object, bytes, out));
    return out;
  }

  // A list as the value of a map is a message {1: items}: ExtraValue.
  Result<Value> wrapped_list(const Field& list, std::string_view bytes) {
    Value holder = Value::map();
    TRY(for_each_field(bytes, [&](std::uint32_t number, std::uint32_t type, Reader& reader) -> Result<void> {
      return number == 1 ? item("items", list, type, reader, holder) : reader.skip(type);
    }));
    return holder.contains("items") ? holder["items"] : Value::list();
  }

  // JSON, JSONSchemaPropsOrBool (allows, schema), …OrArray (schema, schemas): several shapes in JSON.
  Result<Value> schema_or(std::string_view name, const ObjectType& props, std::string_view bytes) {
    if (name != "items" && name != "additionalProperties" && name != "additionalItems") return raw_json(bytes);
    const WireMessage& wire = *find_message(short_name(props.name));
    const std::uint32_t schema_number = name == "items" ? 1 : 2;
    bool allows = false;
    Value schema, list;
    TRY(for_each_field(bytes, [&](std::uint32_t number, std::uint32_t type, Reader& reader) -> Result<void> {
      if (type == kVarint && number == 1) {
        allows = TRY(reader.varint()) != 0;
        return {};
      }
      if (type != kBytes || number > 2) return reader.skip(type);
      const std::string_view part = TRY(reader.bytes());
      Value made = Value::map();
      TRY(message(wire, props, part, made));
      if (number == schema_number)
        schema = std::move(made);
      else
        list.push_back(std::move(made));
      return {};
    }));
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
