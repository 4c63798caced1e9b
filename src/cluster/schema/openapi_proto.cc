// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/openapi_proto.h"

#include <iterator>

#include "core/base/protobuf.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

// One message while it is written: fields with their numbers in openapi/v2/OpenAPIv2.proto of gnostic-models 0.6.
class Message {
 public:
  Message& text(int number, const Value& value) {
    if (value.is_string()) bytes(number, value.as_string());
    return *this;
  }
  Message& texts(int number, const Value& list) {
    for (const Value& item : list.items()) bytes(number, item.as_string());
    return *this;
  }
  Message& flag(int number, const Value& value) {
    if (value.as_bool()) out_.integer(field(number), 1);
    return *this;
  }
  Message& integer(int number, const Value& value) {
    if (value.is_int()) out_.integer(field(number), static_cast<std::uint64_t>(value.as_int()));
    return *this;
  }
  Message& number(int number, const Value& value) {
    if (value.is_number()) out_.real(field(number), value.as_double());
    return *this;
  }
  Message& bytes(int number, std::string_view value) {
    out_.bytes(field(number), value);
    return *this;
  }
  Message& message(int number, const Message& value) { return bytes(number, value.out_.str()); }
  // Any{yaml}: JSON is YAML.
  Message& any(int number, const Value& value) {
    return value.is_null() ? *this : message(number, Message().bytes(2, json::write(value)));
  }
  Message& extensions(int number, const Value& holder) {
    for (const auto& [key, value] : holder.entries())
      if (key.starts_with("x-")) message(number, Message().bytes(1, key).any(2, value));
    return *this;
  }
  std::string str() && { return out_.take(); }

 private:
  static std::uint32_t field(int number) { return static_cast<std::uint32_t>(number); }
  protobuf::Writer out_;
};

Message schema_message(const Value& schema);

// Definitions and Properties are alike: lists of named schemas.
Message named_schemas(const Value& schemas) {
  Message out;
  for (const auto& [name, schema] : schemas.entries())
    out.message(1, Message().bytes(1, name).message(2, schema_message(schema)));
  return out;
}

Message schema_message(const Value& schema) {
  Message out;
  out.text(1, schema["$ref"]).text(2, schema["format"]).text(3, schema["title"]).text(4, schema["description"]);
  out.any(5, schema["default"]).number(6, schema["multipleOf"]).number(7, schema["maximum"]);
  out.flag(8, schema["exclusiveMaximum"]).number(9, schema["minimum"]).flag(10, schema["exclusiveMinimum"]);
  out.integer(11, schema["maxLength"]).integer(12, schema["minLength"]).text(13, schema["pattern"]);
  out.integer(14, schema["maxItems"]).integer(15, schema["minItems"]).flag(16, schema["uniqueItems"]);
  out.integer(17, schema["maxProperties"]).integer(18, schema["minProperties"]).texts(19, schema["required"]);
  for (const Value& allowed : schema["enum"].items()) out.any(20, allowed);
  if (const Value& more = schema["additionalProperties"]; more.is_map())
    out.message(21, Message().message(1, schema_message(more)));
  else if (!more.is_null())
    out.message(21, Message().flag(2, more));
  if (const Value& type = schema["type"]; type.is_string()) out.message(22, Message().text(1, type));
  if (const Value& items = schema["items"]; items.is_map())
    out.message(23, Message().message(1, schema_message(items)));
  for (const Value& part : schema["allOf"].items()) out.message(24, schema_message(part));
  if (schema["properties"].is_map()) out.message(25, named_schemas(schema["properties"]));
  return out.extensions(31, schema);
}

// ParametersItem{Parameter{BodyParameter | NonBodyParameter}}; a reference stays one.
Message parameter_message(const Value& parameter) {
  if (parameter.contains("$ref")) return Message().message(2, Message().text(1, parameter["$ref"]));
  const std::string_view in = parameter["in"].as_string();
  if (in == "body") {
    Message body;
    body.text(1, parameter["description"]).text(2, parameter["name"]).text(3, parameter["in"]);
    body.flag(4, parameter["required"]).message(5, schema_message(parameter["schema"]));
    return Message().message(1, Message().message(1, body));
  }
  const bool path = in == "path";
  Message other;
  other.flag(1, parameter["required"]).text(2, parameter["in"]).text(3, parameter["description"]);
  other.text(4, parameter["name"]).text(path ? 5 : 6, parameter["type"]).text(path ? 6 : 7, parameter["format"]);
  other.flag(path ? 19 : 20, parameter["uniqueItems"]);
  return Message().message(1, Message().message(2, Message().message(path ? 4 : 3, other)));
}

Message operation_message(const Value& operation) {
  Message responses, out;
  for (const auto& [code, response] : operation["responses"].entries()) {
    Message value;
    value.text(1, response["description"]);
    if (response["schema"].is_map()) value.message(2, Message().message(1, schema_message(response["schema"])));
    responses.message(1, Message().bytes(1, code).message(2, Message().message(1, value)));
  }
  out.texts(1, operation["tags"]).text(3, operation["description"]).text(5, operation["operationId"]);
  out.texts(6, operation["produces"]).texts(7, operation["consumes"]);
  for (const Value& parameter : operation["parameters"].items()) out.message(8, parameter_message(parameter));
  out.message(9, responses).texts(10, operation["schemes"]);
  return out.extensions(13, operation);
}

Message path_message(const Value& path) {
  static constexpr std::pair<std::string_view, int> kMethods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"options", 6}, {"head", 7}, {"patch", 8}};
  Message out;
  for (const auto& [method, number] : kMethods)
    if (path[method].is_map()) out.message(number, operation_message(path[method]));
  for (const Value& parameter : path["parameters"].items()) out.message(9, parameter_message(parameter));
  return out;
}

}  // namespace

std::string openapi_protobuf(const Value& document) {
  Message paths, out;
  for (const auto& [name, path] : document["paths"].entries())
    paths.message(2, Message().bytes(1, name).message(2, path_message(path)));
  out.text(1, document["swagger"]);
  out.message(2, Message().text(1, document["info"]["title"]).text(2, document["info"]["version"]));
  out.message(8, paths).message(9, named_schemas(document["definitions"]));
  return std::move(out).str();
}

}  // namespace caisson::schema
