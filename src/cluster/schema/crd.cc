// SPDX-License-Identifier: Apache-2.0
// CustomResourceDefinitions: their structural schemas (apiextensions.k8s.io/v1) become fields like those of the kind
// files.
#include <algorithm>

#include "cluster/schema/compile.h"
#include "cluster/schema/rules_cel.h"
#include "core/document/make_map.h"

namespace caisson::schema {
namespace {

class CrdCompiler {
 public:
  CrdCompiler(FieldMemory& memory, const ObjectType* object_meta) : memory_(memory), object_meta_(object_meta) {}
  Result<const Field*> root(const Value& schema, const std::string& name);

 private:
  Result<const Field*> field(const Value& schema, const std::string& at);
  Result<void> object(Field& made, const Value& schema, const std::string& at);
  Field* string_field() {
    Field& made = memory_.fields.emplace_back();
    made.type = FieldType::string;
    return &made;
  }

  FieldMemory& memory_;
  const ObjectType* object_meta_;
};

Error invalid(const std::string& at, const std::string& what) {
  return {ErrorCode::invalid, at + ": " + what};
}

FieldType type_of(const Value& schema) {
  const std::string_view type = schema["type"].as_string();
  if (schema["x-kubernetes-int-or-string"].as_bool()) return FieldType::int_or_string;
  if (type == "boolean") return FieldType::boolean;
  if (type == "integer") return FieldType::integer;
  if (type == "number") return FieldType::number;
  if (type == "string") return FieldType::string;
  if (type == "array") return FieldType::list;
  if (type == "object") return schema["additionalProperties"].is_null() ? FieldType::object : FieldType::map;
  return FieldType::any;
}

Format format_of(std::string_view text) {
  if (text == "int32") return Format::int32;
  if (text == "int64") return Format::int64;
  if (text == "float") return Format::float_;
  if (text == "double") return Format::double_;
  if (text == "date-time") return Format::time;
  if (text == "byte") return Format::byte;
  if (text == "duration") return Format::duration;
  return text.empty() ? Format::none : Format::other;
}

std::optional<std::int64_t> bound(const Value& value) {
  if (value.is_null()) return std::nullopt;
  return value.as_int();
}

std::unique_ptr<const Constraints> constraints_of(const Value& schema) {
  static constexpr std::string_view kKeys[] = {
      "enum",     "minimum",    "maximum",       "minLength",     "maxLength",   "minItems",
      "maxItems", "multipleOf", "minProperties", "maxProperties", "pattern",     "format",
      "allOf",    "anyOf",      "oneOf",         "not",           "uniqueItems", "x-kubernetes-validations"};
  if (std::none_of(std::begin(kKeys), std::end(kKeys), [&](std::string_view key) { return schema.contains(key); }))
    return nullptr;
  auto made = std::make_unique<Constraints>();
  for (const Value& allowed : schema["enum"].items()) made->allowed.push_back(allowed);
  if (schema["minimum"].is_number()) made->minimum = schema["minimum"].as_double();
  if (schema["maximum"].is_number()) made->maximum = schema["maximum"].as_double();
  if (schema["multipleOf"].is_number()) made->multiple_of = schema["multipleOf"].as_double();
  made->exclusive_minimum = schema["exclusiveMinimum"].as_bool();
  made->exclusive_maximum = schema["exclusiveMaximum"].as_bool();
  made->length_min = bound(schema["minLength"]);
  made->length_max = bound(schema["maxLength"]);
  made->items_min = bound(schema["minItems"]);
  made->items_max = bound(schema["maxItems"]);
  made->properties_min = bound(schema["minProperties"]);
  made->properties_max = bound(schema["maxProperties"]);
  made->pattern = schema["pattern"].str();
  made->format = schema["format"].str();
  for (std::string_view key : {"allOf", "anyOf", "oneOf", "not", "x-kubernetes-validations"}) {
    if (schema.contains(key)) made->source.set(key, schema[key]);
  }
  return made;
}

Result<void> CrdCompiler::object(Field& made, const Value& schema, const std::string& at) {
  ObjectType& type = memory_.types.emplace_back();
  made.object = &type;
  type.in_crd = true;
  type.preserve_unknown = schema["x-kubernetes-preserve-unknown-fields"].as_bool();
  type.embedded_resource = schema["x-kubernetes-embedded-resource"].as_bool();
  type.atomic = made.atomic_map = schema["x-kubernetes-map-type"].as_string() == "atomic";
  for (const auto& [name, property] : schema["properties"].entries()) {
    Member member{name, nullptr};
    member.field = TRY(field(property, at + ".properties[" + std::string(name) + "]"));
    for (const Value& required : schema["required"].items())
      member.required = member.required || required.as_string() == name;
    type.members.push_back(member);
  }
  if (type.embedded_resource) {
    for (std::string_view name : {"apiVersion", "kind"}) {
      if (!schema["properties"].contains(name)) type.members.push_back({document::intern(name), string_field(), true});
    }
    Field& meta = memory_.fields.emplace_back();
    meta.type = FieldType::object;
    meta.object = object_meta_;
    std::erase_if(type.members, [](const Member& member) { return member.name == "metadata"; });
    type.members.push_back({document::intern("metadata"), &meta});
  }
  std::sort(type.members.begin(), type.members.end(), [](const Member& a, const Member& b) { return a.name < b.name; });
  return {};
}

Result<const Field*> CrdCompiler::field(const Value& schema, const std::string& at) {
  Field& made = memory_.fields.emplace_back();
  made.type = type_of(schema);
  made.format = format_of(schema["format"].as_string());
  made.nullable = schema["nullable"].as_bool();
  if (const Value* value = schema.find("default"); value && !value->is_null()) {
    made.has_default = true;
    made.default_value = *value;
  }
  const bool preserves = schema["x-kubernetes-preserve-unknown-fields"].as_bool();
  if (made.type == FieldType::any && !preserves && !schema["x-kubernetes-embedded-resource"].as_bool()) {
    return invalid(at + ".type", "Required value: must not be empty for specified object fields");
  }
  if (made.type == FieldType::any && schema["properties"].is_map()) made.type = FieldType::object;
  switch (made.type) {
    case FieldType::list: {
      if (!schema["items"].is_map()) return invalid(at + ".items", "Required value: must be specified");
      made.element = TRY(field(schema["items"], at + ".items"));
      const std::string_view list_type = schema["x-kubernetes-list-type"].as_string();
      made.list_type = list_type == "map" ? ListType::map : list_type == "set" ? ListType::set : ListType::atomic;
      for (const Value& key : schema["x-kubernetes-list-map-keys"].items()) made.list_keys.push_back(key.str());
      if (made.list_type == ListType::map && made.list_keys.empty()) {
        return invalid(at + ".x-kubernetes-list-map-keys",
                       "Required value: must not be empty if x-kubernetes-list-type is map");
      }
      break;
    }
    case FieldType::map:
      made.atomic_map = schema["x-kubernetes-map-type"].as_string() == "atomic";
      if (schema["additionalProperties"].is_map()) {
        made.element = TRY(field(schema["additionalProperties"], at + ".additionalProperties"));
      } else {
        made.element = &memory_.fields.emplace_back();  // additionalProperties: true
      }
      break;
    case FieldType::object:
      TRY(object(made, schema, at));
      break;
    default:
      break;
  }
  made.constraints = constraints_of(schema);
  return &made;
}

// The root: apiVersion, kind and metadata are the API's own whatever the definition says of them.
Result<const Field*> CrdCompiler::root(const Value& schema, const std::string& at) {
  Value of_object = schema;
  if (!of_object.is_map()) of_object = Value{{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  if (of_object["type"].as_string() != "object") {
    return invalid(at + ".type", "Invalid value: \"" + of_object["type"].str() + "\": must be object at the root");
  }
  Value properties = of_object["properties"];
  for (std::string_view name : {"apiVersion", "kind", "metadata"}) properties.erase(name);
  of_object.set("properties", properties.is_null() ? Value::map() : properties);
  Field& made = memory_.fields.emplace_back();
  made.type = FieldType::object;
  TRY(object(made, of_object, at));
  made.constraints = constraints_of(of_object);
  auto& members = const_cast<ObjectType*>(made.object)->members;
  Field& meta = memory_.fields.emplace_back();
  meta.type = FieldType::object;
  meta.object = object_meta_;
  members.push_back({document::intern("apiVersion"), string_field()});
  members.push_back({document::intern("kind"), string_field()});
  members.push_back({document::intern("metadata"), &meta});
  std::sort(members.begin(), members.end(), [](const Member& a, const Member& b) { return a.name < b.name; });
  return &made;
}

std::vector<std::string> strings(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

void add_columns(KindSchema& kind, const Value& columns) {
  kind.columns.push_back({"Name", "string", "name", "Name must be unique within a namespace.", 0, "", "name"});
  for (const Value& entry : columns.items()) {
    Column column;
    column.name = entry["name"].str();
    column.type = entry["type"].str();
    column.format = entry["format"].str();
    column.description = entry["description"].str();
    column.priority = entry["priority"].as_int();
    column.path = entry["jsonPath"].str();
    kind.columns.push_back(std::move(column));
  }
  if (columns.empty()) {
    kind.columns.push_back({"Age", "date", "", "Creation time of the object.", 0, ".metadata.creationTimestamp", ""});
  }
}

void add_subresources(KindSchema& kind, const Value& subresources) {
  if (subresources["status"].is_map())
    kind.subresources.push_back({"status", "", "", "", {"get", "patch", "update"}, "", "", ""});
  if (const Value& scale = subresources["scale"]; scale.is_map()) {
    kind.subresources.push_back({"scale",
                                 "autoscaling",
                                 "v1",
                                 "Scale",
                                 {"get", "patch", "update"},
                                 scale["specReplicasPath"].str(),
                                 scale["statusReplicasPath"].str(),
                                 scale["labelSelectorPath"].str()});
  }
}

}  // namespace

Result<std::vector<std::shared_ptr<KindSchema>>> compile_crd(const Value& crd, const ObjectType* object_meta,
                                                             std::shared_ptr<const void> built_in) {
  const Value& spec = crd["spec"];
  const Value& names = spec["names"];
  std::string storage;
  for (const Value& version : spec["versions"].items()) {
    if (version["storage"].as_bool()) storage = version["name"].str();
  }
  if (spec["versions"].empty())
    return invalid("spec.versions", "Required value: must have exactly one version marked as storage version");
  if (storage.empty())
    return invalid("spec.versions", "Invalid value: must have exactly one version marked as storage version");
  std::vector<std::shared_ptr<KindSchema>> out;
  std::size_t index = 0;
  for (const Value& version : spec["versions"].items()) {
    const std::string at = "spec.versions[" + std::to_string(index++) + "].schema.openAPIV3Schema";
    auto memory = std::make_shared<FieldMemory>();
    memory->built_in = built_in;
    auto kind = std::make_shared<KindSchema>();
    kind->resource = {spec["group"].str(), version["name"].str(), names["kind"].str(), names["plural"].str(),
                      spec["scope"].as_string() == "Namespaced"};
    kind->singular = names["singular"].is_string() ? names["singular"].str() : std::string();
    if (kind->singular.empty()) {
      for (char c : kind->resource.kind) kind->singular += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    kind->list_kind = names["listKind"].is_string() ? names["listKind"].str() : kind->resource.kind + "List";
    kind->short_names = strings(names["shortNames"]);
    kind->categories = strings(names["categories"]);
    kind->verbs = {"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"};
    kind->storage_version = storage;
    kind->served = version["served"].as_bool();
    kind->custom = true;
    kind->crd_name = crd["metadata"]["name"].str();
    std::string reversed;  // "com.example.v1.Widget"
    for (std::size_t end = kind->resource.group.size(); end != std::string::npos && end != 0;) {
      const std::size_t dot = kind->resource.group.rfind('.', end - 1);
      const std::size_t from = dot == std::string::npos ? 0 : dot + 1;
      reversed += kind->resource.group.substr(from, end - from) + ".";
      end = dot;
    }
    kind->type_name = reversed + kind->resource.version + "." + kind->resource.kind;
    for (const Value& field : version["selectableFields"].items()) {
      const std::string path = field["jsonPath"].str();
      kind->selectable_fields.push_back(path.starts_with('.') ? path.substr(1) : path);
    }
    add_columns(*kind, version["additionalPrinterColumns"]);
    add_subresources(*kind, version["subresources"]);
    kind->root_field = TRY(CrdCompiler(*memory, object_meta).root(version["schema"]["openAPIV3Schema"], at));
    mark_walks(*memory);
    memory->rules = TRY(CelRules::compile(version["schema"]["openAPIV3Schema"], at));
    kind->memory = memory;
    out.push_back(std::move(kind));
  }
  return out;
}

}  // namespace caisson::schema
