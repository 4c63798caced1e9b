// SPDX-License-Identifier: Apache-2.0
// JSON Pointer (RFC 6901), JSON Patch (RFC 6902), merge patch (RFC 7386). Strategic merge: strategic.cc. Differences:
// diff.cc.
#include "core/document/patch.h"

#include <charconv>
#include <optional>

namespace caisson::document {
namespace {

using Pointer = std::vector<std::string>;

// An index without leading zeros; "-" is `size`, the place behind the last item.
std::optional<std::size_t> index_of(const std::string& segment, std::size_t size, bool behind_last) {
  if (segment == "-") return behind_last ? std::optional(size) : std::nullopt;
  std::size_t index = 0;
  const auto read = std::from_chars(segment.data(), segment.data() + segment.size(), index);
  if (segment.empty() || read.ec != std::errc() || read.ptr != segment.data() + segment.size()) return std::nullopt;
  if (segment.size() > 1 && segment[0] == '0') return std::nullopt;
  return index < size + (behind_last ? 1 : 0) ? std::optional(index) : std::nullopt;
}

// The place that holds the last segment's member or item; nullptr when the way there does not exist.
Value* parent_of(Value& document, const Pointer& path) {
  Value* at = &document;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    if (at->is_map() && at->contains(path[i])) {
      at = &at->edit(path[i]);
    } else if (at->is_list()) {
      const auto index = index_of(path[i], at->size(), false);
      if (!index) return nullptr;
      at = &at->edit(*index);
    } else {
      return nullptr;
    }
  }
  return at;
}

struct Failure {
  const char* why = nullptr;
  bool bad() const { return why != nullptr; }
};

Failure add(Value& document, const Pointer& path, Value value) {
  if (path.empty()) {
    document = std::move(value);
    return {};
  }
  Value* parent = parent_of(document, path);
  if (parent == nullptr) return {"the path's parent does not exist"};
  if (parent->is_map()) {
    parent->set(path.back(), std::move(value));
    return {};
  }
  if (!parent->is_list()) return {"the path's parent is neither map nor list"};
  const auto index = index_of(path.back(), parent->size(), true);
  if (!index) return {"the index is outside the list"};
  parent->insert(*index, std::move(value));
  return {};
}

Failure remove(Value& document, const Pointer& path) {
  if (path.empty()) {
    document = Value();
    return {};
  }
  Value* parent = parent_of(document, path);
  if (parent == nullptr) return {"the path does not exist"};
  if (parent->is_map()) return {parent->erase(path.back()) ? nullptr : "the path does not exist"};
  const auto index = parent->is_list() ? index_of(path.back(), parent->size(), false) : std::nullopt;
  if (!index) return {"the path does not exist"};
  parent->erase_at(*index);
  return {};
}

Failure replace(Value& document, const Pointer& path, Value value) {
  if (path.empty()) {
    document = std::move(value);
    return {};
  }
  if (find_pointer(document, path) == nullptr) return {"the path does not exist"};
  Value* parent = parent_of(document, path);
  if (parent->is_map())
    parent->set(path.back(), std::move(value));
  else
    parent->edit(*index_of(path.back(), parent->size(), false)) = std::move(value);
  return {};
}

bool is_prefix(const Pointer& shorter, const Pointer& longer) {
  return shorter.size() < longer.size() && std::equal(shorter.begin(), shorter.end(), longer.begin());
}

Failure apply(Value& document, const Value& operation, const Pointer& path, const Pointer& from) {
  const std::string_view op = operation["op"].as_string();
  const Value* value = operation.find("value");
  if ((op == "add" || op == "replace" || op == "test") && value == nullptr) return {"value is missing"};
  if (op == "add") return add(document, path, *value);
  if (op == "remove") return remove(document, path);
  if (op == "replace") return replace(document, path, *value);
  if (op == "test") {
    const Value* found = find_pointer(document, path);
    if (found == nullptr) return {"the path does not exist"};
    return {*found == *value ? nullptr : "the value is another"};
  }
  const Value* source = find_pointer(document, from);
  if (source == nullptr) return {"from does not exist"};
  Value moved = *source;
  if (op == "copy") return add(document, path, std::move(moved));
  if (is_prefix(from, path)) return {"a value can't be moved into itself"};
  if (const Failure failure = remove(document, from); failure.bad()) return failure;
  return add(document, path, std::move(moved));
}

Error refused(std::size_t index, const Value& operation, std::string_view why) {
  std::string message = "operation " + std::to_string(index);
  if (operation["op"].is_string()) message += " (" + operation["op"].str();
  if (operation["op"].is_string() && operation["path"].is_string()) message += " " + operation["path"].str();
  if (operation["op"].is_string()) message += ")";
  return Error{ErrorCode::invalid, message.append(": ").append(why)};
}

}  // namespace

Result<std::vector<std::string>> parse_pointer(std::string_view pointer) {
  Pointer segments;
  if (pointer.empty()) return segments;
  if (pointer[0] != '/')
    return Error{ErrorCode::bad_request, "a JSON pointer must begin with '/': " + std::string(pointer)};
  for (const char c : pointer) {
    if (c == '/')
      segments.emplace_back();
    else
      segments.back() += c;
  }
  for (std::string& segment : segments) {
    std::string plain;
    for (std::size_t i = 0; i < segment.size(); ++i) {
      if (segment[i] != '~') {
        plain += segment[i];
        continue;
      }
      const char next = i + 1 < segment.size() ? segment[i + 1] : '\0';
      if (next != '0' && next != '1')
        return Error{ErrorCode::bad_request, "'~' in a JSON pointer must be ~0 or ~1: " + std::string(pointer)};
      plain += next == '0' ? '~' : '/';
      ++i;
    }
    segment = std::move(plain);
  }
  return segments;
}

const Value* find_pointer(const Value& document, const std::vector<std::string>& segments) {
  const Value* at = &document;
  for (const std::string& segment : segments) {
    if (at->is_list()) {
      const auto index = index_of(segment, at->size(), false);
      if (!index) return nullptr;
      at = &(*at)[*index];
    } else {
      at = at->find(segment);
      if (at == nullptr) return nullptr;
    }
  }
  return at;
}

Result<Value> json_patch(Value document, const Value& operations) {
  if (!operations.is_list()) return Error{ErrorCode::invalid, "a JSON patch must be a list of operations"};
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Value& operation = operations[i];
    if (!operation.is_map()) return refused(i, operation, "must be a map");
    const std::string_view op = operation["op"].as_string();
    const bool moves = op == "move" || op == "copy";
    if (!moves && op != "add" && op != "remove" && op != "replace" && op != "test") {
      return refused(i, operation, "op must be add, remove, replace, move, copy or test");
    }
    if (!operation["path"].is_string()) return refused(i, operation, "path is missing");
    if (moves && !operation["from"].is_string()) return refused(i, operation, "from is missing");
    auto path = parse_pointer(operation["path"].as_string());
    if (!path.ok()) return refused(i, operation, path.error().message);
    auto from = parse_pointer(operation["from"].as_string());
    if (!from.ok()) return refused(i, operation, from.error().message);
    const Failure failure = apply(document, operation, *path, *from);
    if (failure.bad()) return refused(i, operation, failure.why);
  }
  return document;
}

Value merge_patch(Value document, const Value& patch) {
  if (!patch.is_map()) return patch;
  if (!document.is_map()) document = Value::map();
  for (const MapEntry& entry : patch.entries()) {
    if (entry.value.is_null()) {
      document.erase(entry.key);
    } else if (entry.value.is_map()) {
      Value& member = document.edit(entry.key);
      member = merge_patch(std::exchange(member, Value()), entry.value);
    } else {
      document.set(entry.key, entry.value);
    }
  }
  return document;
}

Value merge_patch_between(const Value& from, const Value& to) {
  if (!from.is_map() || !to.is_map()) return to;
  Value patch = Value::map();
  for (const MapEntry& entry : from.entries()) {
    if (!to.contains(entry.key)) patch.set(entry.key, Value());
  }
  for (const MapEntry& entry : to.entries()) {
    const Value* before = from.find(entry.key);
    if (before != nullptr && *before == entry.value) continue;
    const bool both_maps = before != nullptr && before->is_map() && entry.value.is_map();
    patch.set(entry.key, both_maps ? merge_patch_between(*before, entry.value) : entry.value);
  }
  return patch;
}

}  // namespace caisson::document
