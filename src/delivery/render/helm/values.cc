// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/cli/values/options.go and pkg/chartutil/coalesce.go. There maps are references, and the tables
// within a global table are shared by a chart and its subcharts: what a subchart adds to them, the charts beside and
// above it see. Here values are copied, so coalesce_dependency hands those tables back.
#include "delivery/render/helm/values.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kGlobal = "global";

using Warnings = std::vector<std::string>;

std::string joined(std::string_view prefix, std::string_view key) {
  return prefix.empty() ? std::string(key) : std::string(prefix) + "." + std::string(key);
}

std::vector<std::string_view> keys_of(const Value& map) {
  std::vector<std::string_view> keys;
  for (const auto& entry : map.entries()) keys.push_back(entry.key);
  return keys;
}

void merge_tables(Value& over, Value defaults, const std::string& prefix, Nulls nulls, Warnings& warnings) {
  if (defaults.is_null()) return;
  if (over.is_null()) {
    over = std::move(defaults);
    return;
  }
  for (const std::string_view key : keys_of(defaults)) {
    const Value& given = defaults[key];
    const Value* there = over.find(key);
    if (there == nullptr) {
      over.set(key, given);
    } else if (there->is_null()) {
      // A null over a default removes it; over a null, or while merging, it stays.
      if (nulls == Nulls::removed && !given.is_null()) over.erase(key);
    } else if (given.is_map()) {
      if (there->is_map())
        merge_tables(over.edit(key), given, joined(prefix, key), nulls, warnings);
      else
        warnings.push_back("warning: cannot overwrite table with non table for " + joined(prefix, key) + " (" +
                           go_text(given) + ")");
    } else if (there->is_map() && !given.is_null()) {
      warnings.push_back("warning: destination for " + joined(prefix, key) + " is a table. Ignoring non-table value (" +
                         go_text(given) + ")");
    }
  }
}

bool is_child(const Chart& chart, std::string_view name) {
  return std::any_of(chart.dependencies.begin(), chart.dependencies.end(),
                     [&](const Chart& child) { return child.name() == name; });
}

// The chart's own defaults below `values`.
void coalesce_defaults(const Chart& chart, Value& values, const std::string& prefix, Nulls nulls, Warnings& warnings) {
  const std::string at = joined(prefix, chart.name());
  for (const auto& [key, given] : chart.values.entries()) {
    const Value* there = values.find(key);
    if (there == nullptr) {
      values.set(key, given);
    } else if (there->is_null()) {
      if (nulls == Nulls::removed) values.erase(key);
    } else if (there->is_map()) {
      if (given.is_map()) {
        merge_tables(values.edit(key), given, joined(at, key), is_child(chart, key) ? Nulls::kept : nulls, warnings);
      } else if (!given.is_null()) {
        warnings.push_back("warning: skipped value for " + joined(at, key) + ": Not a table.");
      }
    }
  }
}

// The globals of `from` into those of `into`, where `from` wins.
void hand_down_globals(Value& into, const Value& from, const std::string& prefix, Warnings& warnings) {
  const Value* given = from.find(kGlobal);
  const Value* there = into.find(kGlobal);
  if (there != nullptr && !there->is_map()) {
    warnings.push_back("warning: skipping globals because destination global is not a table.");
    return;
  }
  if (given != nullptr && !given->is_map()) {
    warnings.push_back("warning: skipping globals because source global is not a table.");
    return;
  }
  Value globals = there != nullptr ? *there : Value::map();
  if (given != nullptr) {
    for (const auto& [key, value] : given->entries()) {
      const Value* own = globals.find(key);
      if (value.is_map()) {
        Value table = value;
        if (own != nullptr && !own->is_map()) {
          warnings.push_back("Conflict: cannot merge map onto non-map for " + go_quote(key) + ". Skipping.");
          continue;
        }
        if (own != nullptr) merge_tables(table, *own, joined(prefix, key), Nulls::kept, warnings);
        globals.set(key, std::move(table));
      } else if (own != nullptr && own->is_map()) {
        warnings.push_back("key " + std::string(key) + " is table. Skipping");
      } else {
        globals.set(key, value);
      }
    }
  }
  into.set(kGlobal, std::move(globals));
}

// See the head of this file.
void take_back_shared_tables(Value& values, const Value& child) {
  const Value* globals = values.find(kGlobal);
  const Value& theirs = child[kGlobal];
  if (globals == nullptr || !globals->is_map() || !theirs.is_map()) return;
  for (const std::string_view key : keys_of(*globals)) {
    if (!values[kGlobal][key].is_map()) continue;
    for (const std::string_view inner : keys_of(values[kGlobal][key])) {
      const Value& ours = values[kGlobal][key][inner];
      const Value& grown = theirs[key][inner];
      if (ours.is_map() && grown.is_map() && !ours.shares_with(grown)) values.edit({kGlobal, key, inner}) = grown;
    }
  }
}

Result<void> coalesce_chart(const Chart& chart, Value& values, const std::string& prefix, Nulls nulls,
                            Warnings& warnings);

Result<void> coalesce_dependency(const Chart& parent, const Chart& child, Value& values, const std::string& prefix,
                                 Nulls nulls, Warnings& warnings) {
  const Value* there = values.find(child.name());
  if (there != nullptr && !there->is_map())
    return Error{ErrorCode::invalid, "type mismatch on " + child.name() + ": " + go_text(*there)};
  Value own = there != nullptr ? *there : Value::map();
  const std::string at = joined(prefix, parent.name());
  hand_down_globals(own, values, at, warnings);
  TRY(coalesce_chart(child, own, at, nulls, warnings));
  take_back_shared_tables(values, own);
  values.set(child.name(), std::move(own));
  return {};
}

Result<void> coalesce_chart(const Chart& chart, Value& values, const std::string& prefix, Nulls nulls,
                            Warnings& warnings) {
  coalesce_defaults(chart, values, prefix, nulls, warnings);
  for (const Chart& child : chart.dependencies) TRY(coalesce_dependency(chart, child, values, prefix, nulls, warnings));
  return {};
}

std::string_view flag_name(SetKind kind) {
  switch (kind) {
    case SetKind::value:
      return "--set";
    case SetKind::string:
      return "--set-string";
    case SetKind::json:
      return "--set-json";
    case SetKind::file:
      return "--set-file";
    case SetKind::literal:
      return "--set-literal";
  }
  return "";
}

Result<Value> read_values_file(const std::string& path, const ReadFile& read) {
  const std::string text = TRY(read(path));
  Value values = TRY(read_yaml(text).in("failed to parse " + path));
  if (values.is_null() || values.is_map()) return values;
  return Error{ErrorCode::invalid, "failed to parse " + path +
                                       ": error unmarshaling JSON: while decoding JSON: json: cannot unmarshal " +
                                       go_json_kind(values) + " into Go value of type map[string]interface {}"};
}

}  // namespace

Value merge_maps(Value base, const Value& over) {
  for (const auto& [key, value] : over.entries()) {
    const Value* there = base.find(key);
    if (value.is_map() && there != nullptr && there->is_map()) {
      Value inner = *there;
      base.set(key, merge_maps(std::move(inner), value));
    } else {
      base.set(key, value);
    }
  }
  return base;
}

Result<Value> merge_sources(const ValueSources& sources, const ReadFile& read) {
  Value values = Value::map();
  for (const std::string& path : sources.files) {
    const Value more = TRY(read_values_file(path, read));
    values = merge_maps(std::move(values), more);
  }
  for (const Value& document : sources.documents) values = merge_maps(std::move(values), document);
  for (const SetKind kind : {SetKind::json, SetKind::value, SetKind::string, SetKind::file, SetKind::literal}) {
    for (const auto& [given, text] : sources.sets) {
      if (given != kind) continue;
      auto done = set_values(values, text, kind, read);
      if (done.ok()) continue;
      if (kind == SetKind::json) return Error{ErrorCode::bad_request, "failed parsing --set-json data " + text};
      return std::move(done).error().in("failed parsing " + std::string(flag_name(kind)) + " data");
    }
  }
  return values;
}

Result<Value> coalesce(const Chart& chart, Value values, Nulls nulls, Warnings& warnings) {
  if (values.is_null()) values = Value::map();
  TRY(coalesce_chart(chart, values, "", nulls, warnings));
  return values;
}

Value coalesce_tables(Value over, Value defaults, Nulls nulls, Warnings& warnings) {
  merge_tables(over, std::move(defaults), "", nulls, warnings);
  return over;
}

const Value* table_at(const Value& values, std::string_view path) {
  const Value* at = &values;
  for (const std::string_view part : split(path, '.')) {
    at = at->find(part);
    if (at == nullptr || !at->is_map()) return nullptr;
  }
  return at;
}

}  // namespace caisson::render::helm
