// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/json_schema/text.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"

namespace caisson::render::helm::json_schema {

std::string quoted(std::string_view text) {
  std::string inner = go_quote(text);
  inner = inner.substr(1, inner.size() - 2);
  inner = replace_all(std::move(inner), "\\\"", "\"");
  return "'" + replace_all(std::move(inner), "'", "\\'") + "'";
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + quoted(text);
  return out;
}

std::string shown(const Value& value) {
  if (value.is_string()) return quoted(value.as_string());
  if (value.is_list() || value.is_map()) return "value";
  return go_text(value);
}

std::string localized(double value) {
  static constexpr const char* kRaised[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  const std::string text = go_float(value);
  if (const std::size_t e = text.find('e'); e != std::string::npos) {
    std::string out = text.substr(0, e) + "×10";
    for (const char c : text.substr(e + 1)) {
      if (c == '-') out += "⁻";
      if (c >= '0' && c <= '9') out += kRaised[c - '0'];
    }
    return out;
  }
  std::string out = text;
  const std::size_t sign = out.starts_with('-') ? 1 : 0;
  for (std::size_t at = std::min(out.find('.'), out.size()); at > sign + 3;) out.insert(at -= 3, ",");
  return out;
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return "null";
    case ValueKind::boolean:
      return "boolean";
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

}  // namespace caisson::render::helm::json_schema
