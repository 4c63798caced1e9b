// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/chartutil/dependencies.go.
#include <algorithm>
#include <optional>
#include <set>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/values.h"
#include "delivery/render/helm/version.h"

namespace caisson::render::helm {
namespace {

using Warnings = std::vector<std::string>;

// The value at "a.b.c" when it is no table.
const Value* leaf_at(const Value& values, const std::string& path) {
  const std::size_t dot = path.rfind('.');
  const Value* table = dot == std::string::npos ? &values : table_at(values, path.substr(0, dot));
  const Value* found = table == nullptr ? nullptr : table->find(dot == std::string::npos ? path : path.substr(dot + 1));
  return found != nullptr && !found->is_map() ? found : nullptr;
}

// The first of the dependency's paths that leads to a boolean decides.
void apply_conditions(Dependency& dependency, const Value& values, const std::string& path, Warnings& warnings) {
  for (const std::string_view condition : split(trim(dependency.condition), ',')) {
    if (condition.empty()) continue;
    const Value* found = leaf_at(values, path + std::string(condition));
    if (found == nullptr) continue;
    if (found->is_bool()) {
      dependency.enabled = found->as_bool();
      return;
    }
    warnings.push_back("Warning: Condition path '" + std::string(condition) + "' for chart " + dependency.name +
                       " returned non-bool value");
  }
}

// One tag that is true enables; without such a one, one that is false disables.
void apply_tags(Dependency& dependency, const Value& tags, Warnings& warnings) {
  bool any_true = false, any_false = false;
  for (const std::string& tag : dependency.tags) {
    const Value* found = tags.find(tag);
    if (found == nullptr) continue;
    if (!found->is_bool()) {
      warnings.push_back("Warning: Tag '" + tag + "' for chart " + dependency.name + " returned non-bool value");
      continue;
    }
    (found->as_bool() ? any_true : any_false) = true;
  }
  dependency.enabled = any_true || !any_false;
}

const Chart* chart_for(const std::vector<Chart>& charts, const Dependency& dependency) {
  for (const Chart& chart : charts) {
    if (chart.name() == dependency.name && version_satisfies(dependency.version, chart.metadata.version)) return &chart;
  }
  return nullptr;
}

// What lies in charts/ without being named comes first, then what Chart.yaml names, in its order, under its aliases.
std::vector<Chart> named_dependencies(Chart& chart) {
  std::vector<Chart> out;
  for (const Chart& existing : chart.dependencies) {
    const bool named = std::any_of(chart.metadata.dependencies.begin(), chart.metadata.dependencies.end(),
                                   [&](const Dependency& dependency) {
                                     return existing.name() == dependency.name &&
                                            version_satisfies(dependency.version, existing.metadata.version);
                                   });
    if (!named) out.push_back(existing);
  }
  for (Dependency& dependency : chart.metadata.dependencies) {
    if (const Chart* found = chart_for(chart.dependencies, dependency)) {
      out.push_back(*found);
      if (!dependency.alias.empty()) {
        out.back().metadata.name = dependency.alias;
        out.back().metadata.fields.set("name", dependency.alias);
      }
    }
    if (!dependency.alias.empty()) dependency.name = dependency.alias;
  }
  return out;
}

Result<void> choose(Chart& chart, const Value& values, const std::string& path, Warnings& warnings) {
  std::vector<Dependency>& dependencies = chart.metadata.dependencies;
  if (dependencies.empty()) return {};
  chart.dependencies = named_dependencies(chart);
  Warnings ignored;  // the same ones come again when the chart is rendered
  const Value all = TRY(coalesce(chart, values, Nulls::removed, ignored));
  const Value* tags = table_at(all, "tags");
  std::set<std::string> removed;
  for (Dependency& dependency : dependencies) {
    dependency.enabled = true;
    if (tags != nullptr) apply_tags(dependency, *tags, warnings);
    apply_conditions(dependency, all, path, warnings);
    if (!dependency.enabled) removed.insert(dependency.name);
  }
  std::erase_if(chart.dependencies, [&](const Chart& child) { return removed.contains(child.name()); });
  std::erase_if(dependencies, [&](const Dependency& dependency) { return removed.contains(dependency.name); });
  for (Chart& child : chart.dependencies) TRY(choose(child, all, path + child.name() + ".", warnings));
  return {};
}

// `table` at "a.b" of an otherwise empty map; "." is the table itself.
Value nested_at(const std::string& path, Value table) {
  if (path == ".") return table;
  const auto parts = split(path, '.');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    Value outer = Value::map();
    outer.set(*part, std::move(table));
    table = std::move(outer);
  }
  return table;
}

void take_imports(Dependency& dependency, const Value& values, Value& imported, Warnings& warnings) {
  std::vector<Value> shown;
  for (const Value& one : dependency.import_values) {
    std::string child, parent = ".";
    if (one.is_map()) {
      child = go_text(one["child"]);
      parent = go_text(one["parent"]);
    } else if (one.is_string()) {
      child = "exports." + one.str();
    } else {
      continue;
    }
    shown.push_back(Value{{"child", child}, {"parent", parent}});
    const Value* table = table_at(values, dependency.name + "." + child);
    if (table == nullptr) {
      warnings.push_back("Warning: ImportValues missing table from chart " + dependency.name + ": \"" + child +
                         "\" is not a table");
      continue;
    }
    imported = coalesce_tables(std::move(imported), nested_at(parent, *table), Nulls::kept, warnings);
  }
  dependency.import_values = std::move(shown);
}

Result<void> import_values(Chart& chart, Warnings& warnings) {
  for (Chart& child : chart.dependencies) TRY(import_values(child, warnings));
  if (chart.metadata.dependencies.empty()) return {};
  Warnings ignored;
  Value values = TRY(coalesce(chart, Value(), Nulls::kept, ignored));
  Value imported = Value::map();
  for (Dependency& dependency : chart.metadata.dependencies) take_imports(dependency, values, imported, warnings);
  chart.values = coalesce_tables(std::move(values), std::move(imported), Nulls::kept, warnings);
  return {};
}

}  // namespace

Result<void> process_dependencies(Chart& chart, const Value& values, Warnings& warnings) {
  TRY(choose(chart, values, "", warnings));
  return import_values(chart, warnings);
}

Result<void> check_dependencies(const Chart& chart) {
  std::string missing;
  for (const Dependency& dependency : chart.metadata.dependencies) {
    const bool there = std::any_of(chart.dependencies.begin(), chart.dependencies.end(),
                                   [&](const Chart& child) { return child.name() == dependency.name; });
    if (!there) missing += (missing.empty() ? "" : ", ") + dependency.name;
  }
  if (missing.empty()) return {};
  return Error{ErrorCode::not_found, "found in Chart.yaml, but missing in charts/ directory: " + missing};
}

}  // namespace caisson::render::helm
