// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/json_path.h"

#include <string>

#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Values = std::vector<Value>;

Values members(const Values& from, std::string_view name) {
  Values out;
  for (const Value& value : from) {
    if (name == "*") {
      for (const Value& item : value.items()) out.push_back(item);
      for (const auto& [key, child] : value.entries()) out.push_back(child);
    } else if (const Value* found = value.find(name)) {
      out.push_back(*found);
    }
  }
  return out;
}

std::string_view unquoted(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// "?(@.type=="Ready")", "?(@.name)"
Values filtered(const Values& from, std::string_view expression) {
  expression = expression.substr(2, expression.size() - 3);  // without ?( and )
  std::size_t at = std::string_view::npos;
  bool equal = true;
  for (std::string_view op : {"==", "!="}) {
    if (at = expression.find(op); at != std::string_view::npos) {
      equal = op == "==";
      break;
    }
  }
  std::string_view left = trim(expression.substr(0, at));
  if (left.starts_with('@')) left.remove_prefix(1);
  const std::string right(at == std::string_view::npos ? std::string_view() : unquoted(expression.substr(at + 2)));
  Values out;
  for (const Value& value : from) {
    for (const Value& item : value.items()) {
      const Values found = json_path(item, left);
      if (at == std::string_view::npos ? !found.empty() : !found.empty() && (found[0].scalar_text() == right) == equal)
        out.push_back(item);
    }
  }
  return out;
}

Values indexed(const Values& from, std::string_view index) {
  if (index == "*") return members(from, "*");
  if (index.starts_with("?(") && index.ends_with(')')) return filtered(from, index);
  if (index.starts_with('\'') || index.starts_with('"')) return members(from, unquoted(index));
  Values out;
  const auto number = parse_int(index);
  if (!number) return out;
  for (const Value& value : from) {
    const std::int64_t at = *number < 0 ? *number + static_cast<std::int64_t>(value.size()) : *number;
    if (value.is_list() && at >= 0 && at < static_cast<std::int64_t>(value.size()))
      out.push_back(value[static_cast<std::size_t>(at)]);
  }
  return out;
}

// Where the bracket that opens at `from` closes, quotes and parentheses respected.
std::size_t closing(std::string_view path, std::size_t from) {
  char quote = 0;
  for (std::size_t i = from + 1; i < path.size(); ++i) {
    if (quote) {
      if (path[i] == quote) quote = 0;
    } else if (path[i] == '"' || path[i] == '\'') {
      quote = path[i];
    } else if (path[i] == ']') {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::vector<Value> json_path(const Value& object, std::string_view path) {
  if (path.starts_with('{') && path.ends_with('}')) path = path.substr(1, path.size() - 2);
  if (path.starts_with('$')) path.remove_prefix(1);
  Values current{object};
  for (std::size_t i = 0; i < path.size();) {
    if (path[i] == '.') {
      std::size_t end = i + 1;
      std::string name;
      for (; end < path.size() && path[end] != '.' && path[end] != '['; ++end) {
        if (path[end] == '\\' && end + 1 < path.size()) ++end;  // "\." is a dot in a name
        name += path[end];
      }
      if (!name.empty()) current = members(current, name);
      i = end;
    } else if (path[i] == '[') {
      const std::size_t end = closing(path, i);
      if (end == std::string_view::npos) return {};
      current = indexed(current, path.substr(i + 1, end - i - 1));
      i = end + 1;
    } else {
      return {};
    }
  }
  return current;
}

}  // namespace caisson::schema
