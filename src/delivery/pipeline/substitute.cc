// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/substitute.h"

#include <optional>

#include "core/base/text.h"

namespace caisson::pipeline {
namespace {

constexpr int kDepthMax = 100;

// "params["a.b"].c[0]" in parts: the name that a scope knows, the key of a map, an index ("*" or a number).
struct Reference {
  std::string name;
  std::optional<std::string> index;
};

// Quoted subscripts become parts of the name, so that params['x'] and params.x are one.
Reference parse_reference(std::string_view text) {
  Reference out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '[') {
      out.name.push_back(text[at++]);
      continue;
    }
    const auto end = text.find(']', at);
    if (end == std::string_view::npos) break;
    const std::string_view inside = text.substr(at + 1, end - at - 1);
    at = end + 1;
    const bool quoted =
        inside.size() >= 2 && (inside.front() == '"' || inside.front() == '\'') && inside.back() == inside.front();
    if (quoted)
      out.name += "." + std::string(inside.substr(1, inside.size() - 2));
    else if (at == text.size())
      out.index = std::string(inside);
    else
      out.name += "[" + std::string(inside) + "]";
  }
  return out;
}

struct Found {
  const Value* value = nullptr;
  std::optional<std::string> index;
};

// The value behind a reference: the name itself, or a key of a map that the name without its last part names.
Found look_up(std::string_view text, const Scope& scope) {
  if (text.starts_with("inputs.params.")) text.remove_prefix(7);  // the older name, which upstream still takes
  const Reference reference = parse_reference(text);
  if (const Value* value = scope.find(reference.name)) return {value, reference.index};
  for (auto dot = reference.name.rfind('.'); dot != std::string::npos && dot > 0;
       dot = reference.name.rfind('.', dot - 1)) {
    const Value* map = scope.find(std::string_view(reference.name).substr(0, dot));
    if (map == nullptr || !map->is_map()) continue;
    if (const Value* member = map->find(std::string_view(reference.name).substr(dot + 1)))
      return {member, reference.index};
  }
  return {};
}

// The next "$(…)" at or after `from`: where it begins and what is inside.
struct Hit {
  std::size_t begin = std::string_view::npos, end = 0;
  std::string_view inside;
};
Hit next_hit(std::string_view text, std::size_t from) {
  const auto begin = text.find("$(", from);
  if (begin == std::string_view::npos) return {};
  const auto close = text.find(')', begin);
  if (close == std::string_view::npos) return {};
  return {begin, close + 1, text.substr(begin + 2, close - begin - 2)};
}

Result<Value> element(const Found& found, std::string_view text) {
  if (!found.index) return *found.value;
  if (*found.index == "*") return *found.value;
  const auto number = parse_int(*found.index);
  if (!number || !found.value->is_list())
    return Error{ErrorCode::bad_request, "$(" + std::string(text) + ") is not an index into a list"};
  if (*number < 0 || static_cast<std::size_t>(*number) >= found.value->size())
    return Error{ErrorCode::bad_request,
                 "$(" + std::string(text) + "): the list has only " + std::to_string(found.value->size()) + " items"};
  return (*found.value)[static_cast<std::size_t>(*number)];
}

// A string that is one reference to a list or map, whole.
Result<std::optional<Value>> whole_reference(std::string_view text, const Scope& scope) {
  const Hit hit = next_hit(text, 0);
  if (hit.begin != 0 || hit.end != text.size()) return std::optional<Value>();
  const Found found = look_up(hit.inside, scope);
  if (found.value == nullptr) return std::optional<Value>();
  Value value = TRY(element(found, hit.inside));
  if (!value.is_list() && !value.is_map()) return std::optional<Value>();
  return std::optional<Value>(std::move(value));
}

Result<Value> replace(const Value& document, const Scope& scope, int depth);

Result<Value> replace_list(const Value& list, const Scope& scope, int depth) {
  Value out = Value::list();
  for (const Value& item : list.items()) {
    if (item.is_string()) {
      const auto whole = TRY(whole_reference(item.as_string(), scope));
      if (whole && whole->is_list()) {
        for (const Value& expanded : whole->items()) out.push_back(expanded);
        continue;
      }
    }
    out.push_back(TRY(replace(item, scope, depth + 1)));
  }
  return out;
}

Result<Value> replace(const Value& document, const Scope& scope, int depth) {
  if (depth > kDepthMax) return Error{ErrorCode::bad_request, "a document nested deeper than 100"};
  if (document.is_string()) {
    auto whole = TRY(whole_reference(document.as_string(), scope));
    if (whole) return std::move(*whole);
    return Value(TRY(substitute_text(document.as_string(), scope)));
  }
  if (document.is_list()) return replace_list(document, scope, depth);
  if (!document.is_map()) return document;
  Value out = document;
  for (const auto& entry : document.entries()) {
    const std::string key = TRY(substitute_text(entry.key, scope));
    Value value = TRY(replace(entry.value, scope, depth + 1));
    if (key != entry.key) out.erase(entry.key);
    out.set(key, std::move(value));
  }
  return out;
}

// Where to look on when "$(…)" is nobody's: "$(cat $(params.b))" holds one that may be somebody's.
std::size_t past(const Hit& hit) {
  const auto inner = hit.inside.find("$(");
  return inner == std::string_view::npos ? hit.end : hit.begin + 2 + inner;
}

void collect(const Value& document, std::vector<std::string>& out) {
  if (document.is_string()) {
    const std::string_view text = document.as_string();
    for (Hit hit = next_hit(text, 0); hit.begin != std::string_view::npos; hit = next_hit(text, past(hit))) {
      const Reference reference = parse_reference(hit.inside);
      out.push_back(reference.name + (reference.index ? "[" + *reference.index + "]" : ""));
    }
  }
  for (const Value& item : document.items()) collect(item, out);
  for (const auto& entry : document.entries()) collect(entry.value, out);
}

}  // namespace

const Value* Scope::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

Result<std::string> substitute_text(std::string_view text, const Scope& scope) {
  std::string out;
  std::size_t at = 0;
  for (Hit hit = next_hit(text, 0); hit.begin != std::string_view::npos; hit = next_hit(text, hit.end)) {
    out.append(text.substr(at, hit.begin - at));
    at = hit.begin;
    const Found found = look_up(hit.inside, scope);
    if (found.value == nullptr) {
      hit.end = past(hit);
      out.append(text.substr(at, hit.end - at));
      at = hit.end;
      continue;
    }
    const Value value = TRY(element(found, hit.inside));
    if (value.is_list() || value.is_map())
      return Error{ErrorCode::bad_request, "$(" + std::string(hit.inside) + ") is a " +
                                               std::string(document::kind_name(value.kind())) +
                                               " and can't stand inside text"};
    out.append(value.scalar_text());
    at = hit.end;
  }
  return out.append(text.substr(at));
}

Result<Value> substitute(const Value& document, const Scope& scope) {
  if (scope.empty()) return document;
  return replace(document, scope, 0);
}

Value rename_references(const Value& document, std::string_view from, std::string_view to) {
  if (document.is_string()) {
    const std::string_view text = document.as_string();
    std::string out;
    std::size_t at = 0;
    for (Hit hit = next_hit(text, 0); hit.begin != std::string_view::npos; hit = next_hit(text, past(hit))) {
      const std::string_view rest = hit.inside.starts_with(from) ? hit.inside.substr(from.size()) : "x";
      if (!rest.empty() && rest[0] != '[' && rest[0] != '.') continue;
      out.append(text.substr(at, hit.begin + 2 - at)).append(to);
      at = hit.begin + 2 + from.size();
    }
    return out.append(text.substr(at));
  }
  Value out = document;
  for (std::size_t i = 0; i < document.items().size(); ++i) out.edit(i) = rename_references(document[i], from, to);
  for (const auto& entry : document.entries()) out.set(entry.key, rename_references(entry.value, from, to));
  return out;
}

std::vector<std::string> references(const Value& document) {
  std::vector<std::string> out;
  collect(document, out);
  return out;
}

}  // namespace caisson::pipeline
