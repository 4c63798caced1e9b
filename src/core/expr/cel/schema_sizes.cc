// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/schema_sizes.h"

#include <algorithm>

#include "core/expr/cel/schema.h"

namespace caisson::cel {
namespace {

using document::Value;

constexpr int kDepthMax = 64;
constexpr std::uint64_t kTextBytesMax = kRequestBytesMax - 2;        // without the quotes
constexpr std::uint64_t kDurationBytesMax = 32, kTimeBytesMax = 32;  // "9999-12-31T23:59:59.999999999Z", quoted
constexpr std::uint64_t kDateBytes = 12, kTimeBytesMin = 22, kDurationBytesMin = 4;

bool is_either(const Value& schema) {
  return schema["x-kubernetes-int-or-string"].as_bool();
}
bool is_map(const Value& schema) {
  return schema["type"].as_string() == "object" && schema["additionalProperties"].is_map();
}

std::uint64_t stated(const Value& number) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number.as_int()));
}

std::uint64_t bytes_min_at(const Value& schema, int depth) {
  if (depth > kDepthMax) return 1;
  if (is_either(schema)) return 1;
  const std::string_view type = schema["type"].as_string(), format = schema["format"].as_string();
  if (type == "array" || is_map(schema)) return 2;
  if (type == "object") {
    std::uint64_t size = 2;  // {}
    for (const Value& name : schema["required"].items()) {
      const Value* property = schema["properties"].find(name.as_string());
      // What has a default need not be sent.
      if (property == nullptr || property->contains("default")) continue;
      size += name.as_string().size() + bytes_min_at(*property, depth + 1) + 4;
    }
    return size;
  }
  if (type == "string") {
    if (format == "duration") return kDurationBytesMin;
    if (format == "date") return kDateBytes;
    if (format == "date-time") return kTimeBytesMin;
    return 2;
  }
  return type == "boolean" ? 4 : 1;
}

std::uint64_t text_max(const Value& schema) {
  const std::string_view format = schema["format"].as_string();
  if (format == "duration") return kDurationBytesMax;
  if (format == "date") return kDateBytes;
  if (format == "date-time") return kTimeBytesMax;
  if (const Value& most = schema["maxLength"]; !most.is_null()) return stated(most);
  if (format == "byte" || schema["enum"].empty()) return kTextBytesMax;
  std::uint64_t longest = 0;
  for (const Value& one : schema["enum"].items()) longest = std::max<std::uint64_t>(longest, one.as_string().size());
  return longest;
}

const Value& property_at(const Value& schema, std::string_view written) {
  for (const auto& [name, property] : schema["properties"].entries())
    if (escape_property(name) == written) return property;
  if (!schema["x-kubernetes-embedded-resource"].as_bool()) return document::kNull;
  // What every object has, said or not.
  static const Value text{{"type", "string"}};
  static const Value metadata{{"type", "object"}, {"properties", Value{{"name", text}, {"generateName", text}}}};
  if (written == "apiVersion" || written == "kind") return text;
  return written == "metadata" ? metadata : document::kNull;
}

}  // namespace

std::uint64_t bytes_min(const Value& schema) {
  return bytes_min_at(schema, 0);
}

std::uint64_t elements_max(const Value& schema) {
  if (is_either(schema)) return kTextBytesMax;
  const std::string_view type = schema["type"].as_string();
  if (type == "string") return text_max(schema);
  if (type == "array") {
    if (const Value& most = schema["maxItems"]; !most.is_null()) return stated(most);
    return (kRequestBytesMax - 2) / (bytes_min(schema["items"]) + 1);
  }
  if (is_map(schema)) {
    if (const Value& most = schema["maxProperties"]; !most.is_null()) return stated(most);
    return (kRequestBytesMax - 2) / (bytes_min(schema["additionalProperties"]) + 6);
  }
  return 0;
}

std::optional<std::uint64_t> elements_max_at(const Value& schema, std::span<const std::string> path) {
  const Value* at = &schema;
  for (const std::string& step : path) {
    if (step == "@keys") {
      if (!is_map(*at)) return {};
      return 0;  // upstream's type of keys has no size
    }
    at = step == "@items"    ? &(*at)["items"]
         : step == "@values" ? &(*at)["additionalProperties"]
                             : &property_at(*at, step);
    if (!at->is_map()) return {};
  }
  return elements_max(*at);
}

}  // namespace caisson::cel
