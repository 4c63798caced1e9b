// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/go_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

namespace caisson::render::helm {

std::string go_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Inf" : "+Inf";
  char buffer[64];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string text(buffer, scientific.ptr);
  const std::size_t e = text.find('e');
  const int exponent = std::stoi(text.substr(e + 1));
  if (exponent < -4 || exponent >= 6) return text;
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return std::string(buffer, fixed.ptr);
}

std::string go_quote(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string go_text(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return "<nil>";
    case ValueKind::floating:
      return go_float(value.as_double());
    case ValueKind::list: {
      std::string out = "[";
      for (const Value& item : value.items()) out += (out.size() > 1 ? " " : "") + go_text(item);
      return out + "]";
    }
    case ValueKind::map: {
      std::vector<std::string_view> keys;
      for (const auto& entry : value.entries()) keys.push_back(entry.key);
      std::sort(keys.begin(), keys.end());
      std::string out = "map[";
      for (const std::string_view key : keys)
        out += (out.size() > 4 ? " " : "") + std::string(key) + ":" + go_text(value[key]);
      return out + "]";
    }
    default:
      return value.scalar_text();
  }
}

std::string go_json_kind(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return "null";
    case ValueKind::boolean:
      return "bool";
    case ValueKind::string:
      return "string";
    case ValueKind::list:
      return "array";
    case ValueKind::map:
      return "object";
    default:
      return "number";
  }
}

}  // namespace caisson::render::helm
