// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/table.h"

#include "cluster/schema/cells.h"
#include "cluster/schema/json_path.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

// Custom columns: cellForJSONValue of apiextensions' tableconvertor.
Value path_cell(const Column& column, const Value& object, Time now) {
  const std::vector<Value> found = json_path(object, column.path);
  if (found.empty()) return Value();
  const Value& first = found[0];
  if (column.type == "date") return first.is_string() ? Value(age_cell(first, now)) : Value();
  if (column.type == "integer") return first.is_number() ? Value(first.as_int()) : Value();
  if (column.type == "number") return first.is_number() ? first : Value();
  if (column.type == "boolean") return first.is_bool() ? first : Value();
  if (found.size() == 1 && first.is_string()) return first;
  std::string text;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i) text += " ";
    text += found[i].is_map() || found[i].is_list() ? json::write(found[i]) : found[i].scalar_text();
  }
  return text;
}

Value row_conditions(const KindSchema& kind, const Value& object) {
  if (!kind.resource.group.empty() || kind.resource.kind != "Pod") return Value();
  const std::string_view phase = object["status"]["phase"].as_string();
  if (phase != "Succeeded" && phase != "Failed") return Value();
  const bool fine = phase == "Succeeded";
  return Value(
      std::vector<Value>{Value{{"type", "Completed"},
                               {"status", "True"},
                               {"reason", phase},
                               {"message", fine ? "The pod has completed successfully." : "The pod failed."}}});
}

}  // namespace

Value partial_metadata(const Value& object) {
  Value metadata = object["metadata"];
  // Upstream writes this one only into whole DaemonSets.
  constexpr std::string_view kTemplateGeneration = "deprecated.daemonset.template.generation";
  if (metadata["annotations"].contains(kTemplateGeneration)) {
    metadata.edit("annotations").erase(kTemplateGeneration);
    if (metadata["annotations"].empty()) metadata.erase("annotations");
  }
  return Value{{"kind", "PartialObjectMetadata"}, {"apiVersion", "meta.k8s.io/v1"}, {"metadata", std::move(metadata)}};
}

Value table_columns(const KindSchema& kind) {
  Value out = Value::list();
  for (const Column& column : kind.columns) {
    out.push_back(
        Value{{"name", column.name},
              {"type", column.type},
              {"format", column.format},
              {"description", column.description == column.name ? column.name + " of the object" : column.description},
              {"priority", column.priority}});
  }
  return out;
}

std::vector<Value> table_cells(const KindSchema& kind, const Value& object, Time now) {
  std::vector<Value> out;
  out.reserve(kind.columns.size());
  for (const Column& column : kind.columns) {
    if (!column.computed.empty()) {
      out.push_back(cell(column.computed, object, now));
    } else if (!kind.custom && column.type == "date") {  // the default table of kinds without a printer
      out.push_back(json_path(object, column.path).empty() ? Value() : json_path(object, column.path)[0]);
    } else {
      out.push_back(path_cell(column, object, now));
    }
  }
  return out;
}

Value table(const KindSchema& kind, std::span<const Value> objects, Time now, IncludeObject include) {
  Value rows = Value::list();
  for (const Value& object : objects) {
    Value row{{"cells", Value(table_cells(kind, object, now))}};
    if (Value conditions = row_conditions(kind, object); !conditions.is_null())
      row.set("conditions", std::move(conditions));
    if (include == IncludeObject::none) row.set("object", Value());  // upstream's RawExtension writes null
    if (include == IncludeObject::metadata) row.set("object", partial_metadata(object));
    if (include == IncludeObject::object) row.set("object", object);
    rows.push_back(std::move(row));
  }
  return Value{{"kind", "Table"},
               {"apiVersion", "meta.k8s.io/v1"},
               {"metadata", Value::map()},
               {"columnDefinitions", table_columns(kind)},
               {"rows", std::move(rows)}};
}

}  // namespace caisson::schema
