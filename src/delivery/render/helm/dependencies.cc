// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 pkg/chartutil/dependencies.go.
#include <algorithm>
#include <map>
#include <memory>
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
    const bool named = std::any_of(
        chart.metadata.dependencies.begin(), chart.metadata.dependencies.end(), [&](const Dependency& dependency) {
          return existing.name() == dependency.name && version_satisfies(dependency.version, existing.metadata.version);
        });
    if (!named) out.push_back(existing);
  }
  for (Dependency& dependency : chart.metadata.dependencies) {
    if (const Chart* found = chart_for(chart.dependencies, dependency)) {
      out.push_back(*found);
      if (!dependency.alias.empty()) {
        for (Chart& child : out.back().dependencies) child.parent_name = found->name();
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
  for (Chart& child : chart.dependencies) child.parent_name.clear();
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

// --- import-values

// Values as Go has them: maps are shared. What is imported stays the child's own table, so that what a later import
// adds at the same place is seen in the child, too.
struct Tree;
using Table = std::map<std::string, Tree, std::less<>>;
struct Tree {
  Value leaf;                    // when it is no table
  std::shared_ptr<Table> table;  // null when it is none
};

Tree tree_of(const Value& value) {
  if (!value.is_map()) return {value, nullptr};
  Tree out{Value(), std::make_shared<Table>()};
  for (const auto& [key, member] : value.entries()) out.table->emplace(key, tree_of(member));
  return out;
}

Value value_of(const Tree& tree) {
  if (tree.table == nullptr) return tree.leaf;
  Value out = Value::map();
  for (const auto& [key, member] : *tree.table) out.set(key, value_of(member));
  return out;
}

// Of one key that both have.
void warn_of_conflict(const std::string& at, bool over_is_table, const Tree& given, Warnings& warnings) {
  const std::string text = go_text(value_of(given));
  if (given.table != nullptr)
    warnings.push_back("warning: cannot overwrite table with non table for " + at + " (" + text + ")");
  else if (over_is_table && !given.leaf.is_null())
    warnings.push_back("warning: destination for " + at + " is a table. Ignoring non-table value (" + text + ")");
}

// As merge_tables of values.cc with Nulls::kept, by reference.
void merge_trees(Table& over, Table& defaults, const std::string& prefix, Warnings& warnings) {
  if (&over == &defaults) return;
  for (const auto& [key, member] : over) {
    if (member.table == nullptr && member.leaf.is_null()) defaults[key] = Tree();
  }
  for (auto& [key, given] : defaults) {
    const auto there = over.find(key);
    const std::string at = prefix.empty() ? key : prefix + "." + key;
    if (there == over.end())
      over.emplace(key, given);
    else if (given.table != nullptr && there->second.table != nullptr)
      merge_trees(*there->second.table, *given.table, at, warnings);
    else
      warn_of_conflict(at, there->second.table != nullptr, given, warnings);
  }
}

std::shared_ptr<Table> table_in(const std::shared_ptr<Table>& root, std::string_view path) {
  std::shared_ptr<Table> at = root;
  for (const std::string_view part : split(path, '.')) {
    const auto found = at->find(part);
    if (found == at->end() || found->second.table == nullptr) return nullptr;
    at = found->second.table;
  }
  return at;
}

// `table` at "a.b" of an otherwise empty map; "." is the table itself.
std::shared_ptr<Table> nested_at(const std::string& path, std::shared_ptr<Table> table) {
  if (path == ".") return table;
  const auto parts = split(path, '.');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    auto outer = std::make_shared<Table>();
    outer->emplace(*part, Tree{Value(), std::move(table)});
    table = std::move(outer);
  }
  return table;
}

void take_imports(Dependency& dependency, const std::shared_ptr<Table>& values, Table& imported, Warnings& warnings) {
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
    auto table = table_in(values, dependency.name + "." + child);
    if (table == nullptr) {
      warnings.push_back("Warning: ImportValues missing table from chart " + dependency.name + ": \"" + child +
                         "\" is not a table");
      continue;
    }
    merge_trees(imported, *nested_at(parent, std::move(table)), "", warnings);
  }
  dependency.import_values = std::move(shown);
}

Result<void> import_values(Chart& chart, Warnings& warnings) {
  for (Chart& child : chart.dependencies) TRY(import_values(child, warnings));
  if (chart.metadata.dependencies.empty()) return {};
  Warnings ignored;
  chart.values = TRY(coalesce(chart, Value(), Nulls::kept, ignored));
  const bool any = std::any_of(chart.metadata.dependencies.begin(), chart.metadata.dependencies.end(),
                               [](const Dependency& dependency) { return !dependency.import_values.empty(); });
  if (!any) return {};
  const Tree values = tree_of(chart.values);
  Table imported;
  for (Dependency& dependency : chart.metadata.dependencies) take_imports(dependency, values.table, imported, warnings);
  const Tree copy = tree_of(value_of(values));  // the chart's own values win over what it imports
  merge_trees(*copy.table, imported, "", warnings);
  chart.values = value_of(copy);
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
