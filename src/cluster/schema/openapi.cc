// SPDX-License-Identifier: Apache-2.0
// One walk makes both versions; they differ in where schemas live and in how a parameter and a body are written down.
#include "cluster/schema/openapi.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "cluster/schema/descriptions.h"
#include "cluster/schema/openapi_special.h"
#include "core/base/hash.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

std::string group_version_path(const Resource& r) {
  return r.group.empty() ? "api/" + r.version : "apis/" + r.group + "/" + r.version;
}

Value gvk(const Resource& r) {
  return Value{{"group", r.group}, {"kind", r.kind}, {"version", r.version}};
}

void describe(Value& made, const std::string& text) {
  if (!text.empty()) made.set("description", text);
}

// The descriptions of a definition's schema onto what was made of its fields.
void describe_like(Value& made, const Value& source) {
  describe(made, source["description"].str());
  for (std::string_view below : {"items", "additionalProperties"}) {
    if (made[below].is_map() && source[below].is_map()) describe_like(made.edit(below), source[below]);
  }
  for (const auto& [name, property] : source["properties"].entries()) {
    if (made["properties"].contains(name)) describe_like(made.edit({"properties", name}), property);
  }
}

Value schema_in(const Value& definition, std::string_view version) {
  for (const Value& one : definition["spec"]["versions"].items())
    if (one["name"].as_string() == version) return one["schema"]["openAPIV3Schema"];
  return Value();
}

class Document {
 public:
  Document(const Schema& schema, int version, const DefinitionReader& definitions)
      : schema_(schema),
        definitions_(definitions),
        v2_(version == 2),
        ref_(v2_ ? "#/definitions/" : "#/components/schemas/") {}

  void add(const KindSchema& kind) {
    type(kind.root(), kind.type_name, &kind);
    if (!kind.crd_name.empty()) defined(kind, schema_in(definitions_(kind.crd_name), kind.resource.version));
    add_list(kind);
    for (const Subresource& sub : kind.subresources) add_body(sub);
    add_paths(kind);
  }
  Value finish();

 private:
  void type(const Field& field, const std::string& name, const KindSchema* kind);
  // Of the member of a type (which may be nameless), or of an item or value of it.
  struct Owner {
    const ObjectType& type;
    std::string_view member;
  };
  Value schema(const Field& field, const Owner& owner, bool described = true);
  Value element(const Field& field, const Owner& owner);
  Value named(const std::string& name, bool more);
  void add_special(const SpecialType& special);
  void defined(const KindSchema& kind, const Value& source);
  Value object(const ObjectType& type);
  Value reference(const std::string& name) const { return Value{{"$ref", ref_ + name}}; }
  void add_list(const KindSchema& kind);
  void add_body(const Subresource& sub);
  void add_paths(const KindSchema& kind);
  Value operation(const KindSchema& kind, std::string_view action, const std::string& answer,
                  std::initializer_list<std::string_view> query, const std::string& body) const;
  Value parameter(std::string_view name, std::string_view in, std::string_view type) const;
  Value meta(std::string_view name);

  const Schema& schema_;
  const DefinitionReader& definitions_;
  Descriptions descriptions_;
  bool v2_;
  std::string ref_;
  std::map<std::string, Value> schemas_;
  std::map<std::string, Value> paths_;
};

void Document::type(const Field& field, const std::string& name, const KindSchema* kind) {
  if (schemas_.count(name)) return;
  schemas_[name] = Value();  // stops recursion
  Value made = object(*field.object);
  if (kind) made.set("x-kubernetes-group-version-kind", Value(std::vector<Value>{gvk(kind->resource)}));
  schemas_[name] = std::move(made);
}

// A kind of a CustomResourceDefinition. v3 has all that its schema says; apiVersion, kind and metadata are the API's
// own.
void Document::defined(const KindSchema& kind, const Value& source) {
  Value& made = schemas_[kind.type_name];
  const std::string object_type = "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata";
  for (std::string_view name : {"apiVersion", "kind", "metadata"})
    describe(made.edit({"properties", name}), descriptions_.field(object_type, name));
  if (v2_ || !source.is_map()) return describe_like(made, source);
  Value whole = source, properties = made["properties"];
  for (const auto& [name, property] : source["properties"].entries())
    if (name != "apiVersion" && name != "kind" && name != "metadata") properties.set(name, property);
  whole.set("properties", std::move(properties));
  whole.set("x-kubernetes-group-version-kind", made["x-kubernetes-group-version-kind"]);
  made = std::move(whole);
}

Value Document::object(const ObjectType& type) {
  Value out{{"type", "object"}};
  Value properties = Value::map(), required = Value::list();
  if (!type.name.empty()) describe(out, descriptions_.type(type.name));
  for (const Member& member : type.members) {
    Value property = schema(*member.field, {type, member.name});
    if (!type.name.empty()) describe(property, descriptions_.field(type.name, member.name));
    properties.set(member.name, std::move(property));
    if (member.required) required.push_back(member.name);
  }
  if (!properties.empty()) out.set("properties", std::move(properties));
  if (!required.empty()) out.set("required", std::move(required));
  if (type.preserve_unknown) out.set("x-kubernetes-preserve-unknown-fields", true);
  if (type.embedded_resource) out.set("x-kubernetes-embedded-resource", true);
  if (type.atomic) out.set("x-kubernetes-map-type", "atomic");
  return out;
}

void scalar(const Field& field, Value& out) {
  static constexpr std::string_view kTypes[] = {"",       "boolean", "integer", "number", "string",
                                                "string", "array",   "object",  "object"};
  static constexpr std::string_view kFormats[] = {"",          "int32", "int64", "float",    "double", "date-time",
                                                  "date-time", "",      "byte",  "duration", ""};
  const std::string_view type = kTypes[static_cast<int>(field.type)];
  if (!type.empty()) out.set("type", type);
  const std::string_view format =
      field.type == FieldType::int_or_string ? "int-or-string" : kFormats[static_cast<int>(field.format)];
  if (!format.empty()) out.set("format", format);
  if (field.type == FieldType::any) out.set("x-kubernetes-preserve-unknown-fields", true);
}

// A reference that has siblings (`more`: a description, a default) stands below allOf in v3.
Value Document::named(const std::string& name, bool more) {
  if (v2_ || !more) return reference(name);
  return Value{{"allOf", Value(std::vector<Value>{reference(name)})}};
}

// Items of lists and values of maps are never absent: v3 says which value Go would give them.
Value Document::element(const Field& field, const Owner& owner) {
  Value out = schema(field, owner, false);
  if (v2_ || owner.type.in_crd) return out;
  if (field.object && out.contains("$ref"))
    return Value{{"allOf", Value(std::vector<Value>{std::move(out)})}, {"default", Value::map()}};
  if (field.type == FieldType::string && field.format == Format::none) out.set("default", "");
  if (field.type == FieldType::integer) out.set("default", 0);
  return out;
}

void merging(const Field& field, Value& out) {
  if (field.type == FieldType::list) {
    if (field.list_type == ListType::set) out.set("x-kubernetes-list-type", "set");
    if (field.list_type == ListType::map) {
      out.set("x-kubernetes-list-map-keys", Value::list_of(field.list_keys));
      out.set("x-kubernetes-list-type", "map");
    }
    if (field.list_type == ListType::atomic && !field.patch_merges) out.set("x-kubernetes-list-type", "atomic");
  }
  if (field.type == FieldType::map && field.atomic_map) out.set("x-kubernetes-map-type", "atomic");
  if (!field.patch_keys.empty()) out.set("x-kubernetes-patch-merge-key", field.patch_keys[0]);
  if (field.patch_merges)
    out.set("x-kubernetes-patch-strategy", field.patch_replaces_keys ? "merge,retainKeys" : "merge");
  else if (field.patch_replaces_keys)
    out.set("x-kubernetes-patch-strategy", "retainKeys");
}

Value Document::schema(const Field& field, const Owner& owner, bool described) {
  Value out = Value::map();
  if (field.type == FieldType::object && field.object && !field.object->name.empty()) {
    type(field, field.object->name, nullptr);
    out = named(field.object->name, described);
  } else if (field.type == FieldType::object && field.object) {
    out = object(*field.object);
  } else if (const SpecialType* special =
                 owner.type.in_crd ? nullptr : special_type(owner.type.name, owner.member, field)) {
    add_special(*special);
    out = named(std::string(special->name), described);
  } else {
    scalar(field, out);
  }
  if (field.type == FieldType::list && field.element) out.set("items", element(*field.element, owner));
  if (field.type == FieldType::map && field.element) out.set("additionalProperties", element(*field.element, owner));
  if (field.has_default && !v2_) out.set("default", field.default_value);
  merging(field, out);
  if (field.constraints && !field.constraints->allowed.empty()) {
    std::vector<Value> allowed = field.constraints->allowed;  // by the alphabet, whatever order messages name them in
    std::sort(allowed.begin(), allowed.end(),
              [](const Value& a, const Value& b) { return a.scalar_text() < b.scalar_text(); });
    out.set("enum", Value(std::move(allowed)));
  }
  return out;
}

void Document::add_special(const SpecialType& special) {
  Value& made = schemas_[std::string(special.name)];
  if (!made.is_null()) return;
  auto read = json::parse(v2_ ? special.v2 : special.v3);
  made = read.ok() ? std::move(read).value() : Value::map();
  describe(made, std::string(special.description));
}

Value Document::meta(std::string_view name) {
  const std::string full = "io.k8s.apimachinery.pkg.apis.meta.v1." + std::string(name);
  if (schemas_.count(full)) return reference(full);
  if (const ObjectType* found = find_type(schema_, "meta.v1." + std::string(name))) {
    schemas_[full] = Value();
    schemas_[full] = object(*found);
  }
  return reference(full);
}

void Document::add_list(const KindSchema& kind) {
  if (!kind.has_verb("list")) return;
  const std::string name = kind.type_name + "List";
  Value properties{{"apiVersion", Value{{"type", "string"}}},
                   {"items", Value{{"type", "array"}, {"items", reference(kind.type_name)}}},
                   {"kind", Value{{"type", "string"}}},
                   {"metadata", named("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta", true)}};
  meta("ListMeta");
  for (std::string_view field : {"apiVersion", "items", "kind", "metadata"})
    describe(properties.edit(field), descriptions_.field(name, field));
  Resource list = kind.resource;
  list.kind = kind.list_kind;
  schemas_[name] = Value{{"description", "A list of " + kind.resource.kind + " objects."},
                         {"type", "object"},
                         {"required", Value(std::vector<Value>{Value("items")})},
                         {"properties", std::move(properties)},
                         {"x-kubernetes-group-version-kind", Value(std::vector<Value>{gvk(list)})}};
}

void Document::add_body(const Subresource& sub) {
  if (sub.kind.empty() || sub.version.empty()) return;
  if (const KindPtr body = schema_.find(sub.group, sub.version, sub.kind))
    type(body->root(), body->type_name, body.get());
}

Value Document::parameter(std::string_view name, std::string_view in, std::string_view type) const {
  Value out{{"name", name}, {"in", in}};
  if (in == "path") out.set("required", true);
  if (v2_) {
    out.set("type", type);
    out.set("uniqueItems", true);
  } else {
    out.set("schema", Value{{"type", type}, {"uniqueItems", true}});
  }
  return out;
}

Value Document::operation(const KindSchema& kind, std::string_view action, const std::string& answer,
                          std::initializer_list<std::string_view> query, const std::string& body) const {
  Value parameters = Value::list();
  for (std::string_view name : query) {
    const bool flag = name == "force" || name == "watch";
    parameters.push_back(parameter(name, "query",
                                   flag                                              ? "boolean"
                                   : name == "gracePeriodSeconds" || name == "limit" ? "integer"
                                                                                     : "string"));
  }
  std::string id(action == "put" ? "replace" : action == "get" ? "read" : action == "post" ? "create" : action);
  for (char c : group_version_path(kind.resource)) {
    if (c != '/' && c != '.') id += c;
  }
  Value out{{"operationId", id + (kind.resource.namespaced ? "Namespaced" : "") + kind.resource.kind}};
  const bool patch = action == "patch";
  static const std::vector<std::string> kPatches = {"application/json-patch+json", "application/merge-patch+json",
                                                    "application/strategic-merge-patch+json",
                                                    "application/apply-patch+yaml"};
  Value response = Value::map();
  if (v2_) {
    out.set("consumes", Value::list_of(patch ? kPatches : std::vector<std::string>{"*/*"}));
    out.set("produces", Value::list_of({"application/json", "application/yaml"}));
    out.set("schemes", Value::list_of({"https"}));
    if (!body.empty()) {
      parameters.push_back(
          Value{{"name", "body"}, {"in", "body"}, {"required", action != "delete"}, {"schema", reference(body)}});
    }
    response = Value{{"description", "OK"}, {"schema", reference(answer)}};
  } else {
    Value content = Value::map();
    for (std::string_view type : {"application/json", "application/yaml"})
      content.set(type, Value{{"schema", reference(answer)}});
    response = Value{{"description", "OK"}, {"content", std::move(content)}};
    if (!body.empty()) {
      Value accepted = Value::map();
      for (const std::string& type : patch ? kPatches : std::vector<std::string>{"*/*"})
        accepted.set(type, Value{{"schema", reference(body)}});
      Value request{{"content", std::move(accepted)}};
      if (action != "delete") request.set("required", true);
      out.set("requestBody", std::move(request));
    }
  }
  if (!parameters.empty()) out.set("parameters", std::move(parameters));
  out.set("responses", Value{{"200", std::move(response)}, {"401", Value{{"description", "Unauthorized"}}}});
  out.set("x-kubernetes-action", action);
  out.set("x-kubernetes-group-version-kind", gvk(kind.resource));
  return out;
}

void Document::add_paths(const KindSchema& kind) {
  const std::string base = "/" + group_version_path(kind.resource) +
                           (kind.resource.namespaced ? "/namespaces/{namespace}" : "") + "/" + kind.resource.plural;
  const std::string& self = kind.type_name;
  const std::string list = self + "List";
  meta("DeleteOptions");
  meta("Status");
  meta("Patch");
  meta("WatchEvent");
  meta("APIResourceList");
  const std::string prefix = "io.k8s.apimachinery.pkg.apis.meta.v1.";
  Value scope = Value::list();
  if (kind.resource.namespaced) scope.push_back(parameter("namespace", "path", "string"));
  scope.push_back(parameter("pretty", "query", "string"));
  Value of_list{{"parameters", scope}};
  if (kind.has_verb("list")) {
    of_list.set("get", operation(kind, "list", list,
                                 {"allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit",
                                  "resourceVersion", "watch"},
                                 ""));
  }
  if (kind.has_verb("create"))
    of_list.set("post", operation(kind, "post", self, {"dryRun", "fieldManager", "fieldValidation"}, self));
  paths_[base] = std::move(of_list);
  if (!kind.has_verb("get")) return;
  Value named = Value::list();
  named.push_back(parameter("name", "path", "string"));
  for (const Value& one : scope.items()) named.push_back(one);
  Value of_one{{"parameters", named}};
  of_one.set("get", operation(kind, "get", self, {}, ""));
  if (kind.has_verb("update"))
    of_one.set("put", operation(kind, "put", self, {"dryRun", "fieldManager", "fieldValidation"}, self));
  if (kind.has_verb("patch")) {
    of_one.set("patch", operation(kind, "patch", self, {"dryRun", "fieldManager", "fieldValidation", "force"},
                                  prefix + "Patch"));
  }
  if (kind.has_verb("delete")) {
    of_one.set("delete", operation(kind, "delete", prefix + "Status",
                                   {"dryRun", "gracePeriodSeconds", "propagationPolicy"}, prefix + "DeleteOptions"));
  }
  paths_[base + "/{name}"] = std::move(of_one);
}

Value Document::finish() {
  Value schemas = Value::map(), paths = Value::map();
  for (auto& [name, value] : schemas_) schemas.set(name, std::move(value));
  for (auto& [name, value] : paths_) paths.set(name, std::move(value));
  Value info{{"title", "Kubernetes"}, {"version", "v1.33.0"}};
  const Value bearer{{"BearerToken", Value{{"type", "apiKey"}, {"in", "header"}, {"name", "authorization"}}}};
  if (v2_) {
    return Value{{"swagger", "2.0"},
                 {"info", std::move(info)},
                 {"paths", std::move(paths)},
                 {"definitions", std::move(schemas)},
                 {"securityDefinitions", bearer},
                 {"security", Value(std::vector<Value>{Value{{"BearerToken", Value::list()}}})}};
  }
  return Value{{"openapi", "3.0.0"},
               {"info", std::move(info)},
               {"paths", std::move(paths)},
               {"components", Value{{"schemas", std::move(schemas)}, {"securitySchemes", bearer}}}};
}

// Of all that the documents of built-in kinds are made from: clients keep a document for as long as its hash stays.
const std::string& built_in_hash() {
  static const std::string kHash = [] {
    std::string all;
    for (const auto& files : {kind_files(), description_files()})
      for (const KindFile& file : files) all.append(file.path).append(file.json);
    return sha256_hex(all);
  }();
  return kHash;
}

}  // namespace

Value openapi_v3_index(const Schema& schema) {
  Value paths = Value::map();
  std::set<std::string> seen;
  for (const KindPtr& kind : schema.all()) {
    const std::string path = group_version_path(kind->resource);
    if (!kind->served || !seen.insert(path).second) continue;
    const std::string hash =
        sha256_hex(path + built_in_hash() + std::to_string(kind->custom ? schema.generation() : 1)).substr(0, 32);
    paths.set(path, Value{{"serverRelativeURL", "/openapi/v3/" + path + "?hash=" + hash}});
  }
  return Value{{"paths", std::move(paths)}};
}

std::optional<Value> openapi_v3(const Schema& schema, std::string_view group_version,
                                const DefinitionReader& definitions) {
  Document document(schema, 3, definitions);
  bool any = false;
  for (const KindPtr& kind : schema.all()) {
    if (!kind->served || group_version_path(kind->resource) != group_version) continue;
    document.add(*kind);
    any = true;
  }
  if (!any) return std::nullopt;
  return document.finish();
}

Value openapi_v2(const Schema& schema, const DefinitionReader& definitions) {
  Document document(schema, 2, definitions);
  for (const KindPtr& kind : schema.all()) {
    if (kind->served) document.add(*kind);
  }
  return document.finish();
}

}  // namespace caisson::schema
