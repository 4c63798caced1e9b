// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/ignore.h"

#include <fnmatch.h>

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "delivery/gitops/compare.h"
#include "delivery/gitops/jq.h"

namespace caisson::gitops {
namespace {

using Path = std::vector<Value>;

bool rule_matches(const IgnoreRule& rule, const ResourceId& id) {
  const auto fits = [](const std::string& want, const std::string& have) {
    return want.empty() || fnmatch(want.c_str(), have.c_str(), 0) == 0;
  };
  return (rule.group == id.group || (!rule.group.empty() && fits(rule.group, id.group))) && fits(rule.kind, id.kind) &&
         fits(rule.name, id.name) && fits(rule.ns, id.ns);
}

std::optional<std::size_t> position(const Value& step, const Value& list) {
  std::optional<std::int64_t> index;
  if (step.is_int()) index = step.as_int();
  if (step.is_string()) index = parse_int(step.as_string());
  if (!index || *index < 0 || static_cast<std::size_t>(*index) >= list.size()) return std::nullopt;
  return static_cast<std::size_t>(*index);
}

const Value* find_at(const Value& object, const Path& path) {
  const Value* at = &object;
  for (const Value& step : path) {
    if (at->is_map()) {
      at = at->find(step.as_string());
      if (!at) return nullptr;
    } else {
      const auto index = position(step, *at);
      if (!index) return nullptr;
      at = &(*at)[*index];
    }
  }
  return at;
}

void remove_at(Value& object, const Path& path, std::size_t at = 0) {
  if (at >= path.size()) return;
  const bool last = at + 1 == path.size();
  if (object.is_map()) {
    if (last)
      object.erase(path[at].as_string());
    else if (object.contains(path[at].as_string()))
      remove_at(object.edit(path[at].as_string()), path, at + 1);
    return;
  }
  const auto index = position(path[at], object);
  if (!index) return;
  if (last)
    object.erase_at(*index);
  else
    remove_at(object.edit(*index), path, at + 1);
}

// Only where the place before it is there in `object`.
void put_at(Value& object, const Path& path, const Value& value, std::size_t at = 0) {
  const bool last = at + 1 == path.size();
  if (object.is_map()) {
    if (last)
      object.set(path[at].as_string(), value);
    else if (object.contains(path[at].as_string()))
      put_at(object.edit(path[at].as_string()), path, value, at + 1);
    return;
  }
  const auto index = position(path[at], object);
  if (!index) return;
  if (last)
    object.edit(*index) = value;
  else
    put_at(object.edit(*index), path, value, at + 1);
}

const Value* item_with(const Value& list, const Value& keys, std::size_t& index) {
  for (index = 0; index < list.size(); ++index) {
    const Value& one = list[index];
    const auto same = [&](const document::MapEntry& entry) { return one[entry.key] == entry.value; };
    if (std::all_of(keys.entries().begin(), keys.entries().end(), same)) return &one;
  }
  return nullptr;
}

// The leaves of FieldsV1 that stand in `object`, as paths in it.
void owned_paths(const Value& owned, const Value& object, Path& at, std::vector<Path>& out) {
  for (const auto& [key, deeper] : owned.entries()) {
    Value step;
    const Value* there = nullptr;
    if (key.starts_with("f:")) {
      step = Value(key.substr(2));
      there = object.find(key.substr(2));
    } else if (key.starts_with("k:")) {
      const auto keys = json::parse(key.substr(2));
      std::size_t index = 0;
      if (keys.ok()) there = item_with(object, *keys, index);
      step = Value(index);
    }
    if (!there) continue;
    at.push_back(step);
    if (deeper.empty())
      out.push_back(at);
    else
      owned_paths(deeper, *there, at, out);
    at.pop_back();
  }
}

Result<std::vector<Path>> paths_of(const IgnoreRule& rule, const Value& object, const Value& live) {
  std::vector<Path> out;
  for (const std::string& pointer : rule.json_pointers) {
    const auto segments = document::parse_pointer(pointer);
    if (segments.ok() && !segments->empty()) out.emplace_back(segments->begin(), segments->end());
  }
  for (const std::string& manager : rule.managers) {
    for (const Value& entry : live["metadata"]["managedFields"].items()) {
      Path at;
      if (entry["manager"].as_string() == manager) owned_paths(entry["fieldsV1"], object, at, out);
    }
  }
  for (const std::string& expression : rule.jq_paths) {
    auto paths = TRY(jq_paths(expression, object));
    out.insert(out.end(), paths.begin(), paths.end());
  }
  std::erase_if(out, [](const Path& path) { return path.empty(); });
  return out;
}

// Later items of a list go first, so that the positions of the earlier ones stay true.
void remove_all(Value& object, std::vector<Path> paths) {
  std::sort(paths.begin(), paths.end(), [](const Path& a, const Path& b) {
    return std::lexicographical_compare(b.begin(), b.end(), a.begin(), a.end(), [](const Value& x, const Value& y) {
      if (x.is_int() && y.is_int()) return x.as_int() < y.as_int();
      return x.scalar_text() < y.scalar_text();
    });
  });
  for (const Path& path : paths) remove_at(object, path);
}

}  // namespace

void read_ignore_fields(const Value& value, IgnoreRule& rule) {
  for (const Value& one : value["jsonPointers"].items()) rule.json_pointers.push_back(one.str());
  for (const Value& one : value["jqPathExpressions"].items()) rule.jq_paths.push_back(one.str());
  for (const Value& one : value["managedFieldsManagers"].items()) rule.managers.push_back(one.str());
}

Result<void> ignore(const std::vector<IgnoreRule>& rules, const ResourceId& id, Value& desired, Value& live) {
  const Value as_is = live;
  for (const IgnoreRule& rule : rules) {
    if (!rule_matches(rule, id)) continue;
    for (Value* object : {&desired, &live}) remove_all(*object, TRY(paths_of(rule, *object, as_is)));
  }
  return {};
}

Result<Value> respect_ignored(const std::vector<IgnoreRule>& rules, const ResourceId& id, Value desired,
                              const Value& live) {
  for (const IgnoreRule& rule : rules) {
    if (!rule_matches(rule, id)) continue;
    remove_all(desired, TRY(paths_of(rule, desired, live)));
    for (const Path& path : TRY(paths_of(rule, live, live))) {
      if (const Value* value = find_at(live, path)) put_at(desired, path, *value);
    }
  }
  return desired;
}

}  // namespace caisson::gitops
