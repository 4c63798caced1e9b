// SPDX-License-Identifier: Apache-2.0
// vars: $(NAME) in known fields becomes the value of a field of another object. "$$" is a dollar sign.
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

using Values = std::map<std::string, Value>;

// A text that is one reference takes the value's type.
Value expand(std::string_view text, const Values& values) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    const char next = text[i + 1];
    const std::size_t close = next == '(' ? text.find(')', i) : std::string_view::npos;
    if (close == std::string_view::npos) {
      out += next == '$' ? "$" : std::string("$") + next;
      ++i;
      continue;
    }
    const std::string name(text.substr(i + 2, close - i - 2));
    const auto found = values.find(name);
    const bool scalar =
        found != values.end() && !found->second.is_map() && !found->second.is_list() && !found->second.is_null();
    if (scalar && i == 0 && close + 1 == text.size()) return found->second;
    out += scalar ? found->second.scalar_text() : "$(" + name + ")";
    i = close;
  }
  return Value(out);
}

void expand_place(Value& place, const Values& values) {
  if (place.is_string()) {
    if (place.as_string().find('$') != std::string_view::npos) place = expand(place.as_string(), values);
  } else if (place.is_list()) {
    for (std::size_t i = 0; i < place.size(); ++i) {
      if (place[i].is_string()) expand_place(place.edit(i), values);
    }
  } else if (place.is_map()) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : place.entries()) {
      if (value.is_string() && value.as_string().find('$') != std::string_view::npos) keys.emplace_back(key);
    }
    for (const std::string& key : keys) expand_place(place.edit(key), values);
  }
}

Result<Value> value_of(const Variable& variable, const ResourceMap& resources) {
  for (const Resource& resource : resources.all()) {
    for (const std::string& name : resource.variables) {
      if (name != variable.name) continue;
      const Value* found = look_up(resource.object, split_field_path(variable.field_path));
      if (found == nullptr)
        return Error{ErrorCode::invalid,
                     "var " + name + ": " + resource.id().str() + " has no field " + variable.field_path};
      return *found;
    }
  }
  return Error{ErrorCode::invalid, "var " + variable.name + ": no resource is " + variable.object.str()};
}

}  // namespace

Result<void> resolve_variables(const Accumulated& all, ResourceMap& resources) {
  Values values;
  for (const auto& [name, variable] : all.variables) {
    Value value = TRY(value_of(variable, resources));
    values.emplace(name, std::move(value));
  }
  if (values.empty()) return {};
  PlacesByKind by_kind(all.config->variables);
  for (Resource& resource : resources.all()) {
    for (const Place& place : by_kind.of(resource.object)) {
      auto done = visit_place(resource.object, place, Create::nothing, [&](Value& value) -> Result<void> {
        expand_place(value, values);
        return {};
      });
      if (!done.ok()) return std::move(done).error().in(resource.id().str());
    }
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
