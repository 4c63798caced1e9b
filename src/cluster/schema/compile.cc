// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/compile.h"

#include <algorithm>

#include "cluster/schema/derive.h"
#include "cluster/schema/protobuf.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

using Rules =
    std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>>;  // type, field, attributes

const std::vector<std::string> kAllVerbs = {"create", "delete", "deletecollection", "get",
                                            "list",   "patch",  "update",           "watch"};

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view word : split(text, ' ')) {
    if (!word.empty()) out.emplace_back(word);
  }
  return out;
}

std::vector<std::string> parts(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (std::string_view part : split(text, separator)) out.emplace_back(part);
  return out;
}

Error wrong(std::string_view file, std::string_view what) {
  return {ErrorCode::internal, "kind file " + std::string(file) + ": " + std::string(what)};
}

struct Scalar {
  FieldType type;
  Format format;
};
const Scalar* find_scalar(std::string_view name) {
  static const std::map<std::string_view, Scalar> kScalars = {
      {"any", {FieldType::any, Format::none}},
      {"bool", {FieldType::boolean, Format::none}},
      {"int32", {FieldType::integer, Format::int32}},
      {"int64", {FieldType::integer, Format::int64}},
      {"number", {FieldType::number, Format::double_}},
      {"string", {FieldType::string, Format::none}},
      {"time", {FieldType::string, Format::time}},
      {"microtime", {FieldType::string, Format::micro_time}},
      {"quantity", {FieldType::string, Format::quantity}},
      {"bytes", {FieldType::string, Format::byte}},
      {"duration", {FieldType::string, Format::duration}},
      {"intstr", {FieldType::int_or_string, Format::none}},
  };
  const auto found = kScalars.find(name);
  return found == kScalars.end() ? nullptr : &found->second;
}

class Compiler {
 public:
  Result<Compiled> run(std::span<const KindFile> files);

 private:
  struct File {
    std::string name, home;  // "k8s/core.v1.yaml", "core.v1"
    Value value;
  };
  Result<void> read(std::span<const KindFile> files);
  void declare(const File& file);
  Result<void> fill(const File& file);
  Result<void> kinds(const File& file);
  Result<const Field*> field(const File& file, std::string_view text);
  Result<void> attribute(Field& field, Constraints& constraints, bool& constrained, std::string_view word);
  Result<void> columns(KindSchema& kind) const;
  void subresources(KindSchema& kind, const Value& entry) const;

  Compiled out_{std::make_shared<FieldMemory>(), {}, {}};
  std::vector<File> files_;
  Rules rules_;
  Value columns_, selectable_;
  std::map<std::string, ObjectType*, std::less<>> types_;
  std::map<std::string, const Field*, std::less<>> fields_;  // equal texts share one field
};

Result<void> Compiler::read(std::span<const KindFile> files) {
  for (const KindFile& file : files) {
    if (file.path == "protobuf.yaml") continue;  // read when the first such body comes: protobuf.cc
    Value value = TRY(json::parse(file.json));
    if (file.path == "columns.yaml") {
      columns_ = std::move(value);
    } else if (file.path == "selectable.yaml") {
      selectable_ = value["selectable"];
    } else if (file.path.starts_with("rules/")) {
      for (const auto& [type, members] : value.entries()) {
        for (const auto& [name, text] : members.entries()) rules_[std::string(type)][std::string(name)] = text.str();
      }
    } else {
      const std::size_t slash = file.path.rfind('/') + 1;
      std::string home(file.path.substr(slash, file.path.size() - slash - 5));
      files_.push_back({std::string(file.path), std::move(home), std::move(value)});
    }
  }
  return {};
}

void Compiler::declare(const File& file) {
  for (const auto& [name, members] : file.value["types"].entries()) {
    ObjectType& type = out_.memory->types.emplace_back();
    type.name = file.value["package"].str() + "." + std::string(name);
    type.derive = find_derive(file.home + "." + std::string(name));
    for (const std::string& flag : words(members["$"].as_string())) {
      if (flag == "open") type.preserve_unknown = true;
      if (flag == "atomic") type.atomic = true;
      if (flag == "embedded") type.embedded_resource = true;
    }
    types_[file.home + "." + std::string(name)] = &type;
  }
}

Result<void> Compiler::fill(const File& file) {
  const bool custom = file.value["custom"].as_bool();
  for (const auto& [name, members] : file.value["types"].entries()) {
    const std::string key = file.home + "." + std::string(name);
    ObjectType& type = *types_[key];
    auto rules = rules_.find(key);
    for (const auto& [member, text] : members.entries()) {
      if (member == "$") continue;
      std::string spec = text.str();
      if (rules != rules_.end()) {
        const auto extra = rules->second.find(member);
        if (extra != rules->second.end()) {
          spec += " " + extra->second;
          rules->second.erase(extra);
        }
      }
      auto made = field(file, spec);
      if (!made.ok()) return wrong(file.name, key + "." + std::string(member) + ": " + made.error().message);
      Member entry{member, *made};
      const std::vector<std::string> attributes = words(spec);
      const auto has = [&](std::string_view word) {
        return std::find(attributes.begin(), attributes.end(), word) != attributes.end();
      };
      entry.required = has("required");
      entry.non_empty = has("nonempty");
      type.members.push_back(entry);
    }
    type.in_crd = custom;
    if (rules != rules_.end() && !rules->second.empty())
      return wrong("rules", key + " has no field " + rules->second.begin()->first);
    if (rules != rules_.end()) rules_.erase(rules);
    std::sort(type.members.begin(), type.members.end(),
              [](const Member& a, const Member& b) { return a.name < b.name; });
    out_.types[key] = &type;
  }
  return {};
}

Result<void> Compiler::attribute(Field& field, Constraints& constraints, bool& constrained, std::string_view word) {
  const std::size_t equal = word.find('=');
  const std::string_view name = word.substr(0, equal);
  const std::string_view value = equal == std::string_view::npos ? std::string_view() : word.substr(equal + 1);
  const auto number = [&] { return static_cast<double>(parse_int(value).value_or(0)); };
  if (name == "required" || name == "nonempty") return {};
  if (name == "set") {
    field.list_type = ListType::set;
    return {};
  }
  if (name == "keys") {
    field.list_type = ListType::map;
    field.list_keys = parts(value, ',');
    return {};
  }
  if (name == "atomic") {
    field.atomic_map = true;
    return {};
  }
  if (name == "patch") {
    field.patch_merges = true;
    field.patch_keys = {std::string(value)};
    return {};
  }
  if (name == "merge") {
    field.patch_merges = true;
    return {};
  }
  if (name == "retain") {
    field.patch_replaces_keys = true;
    return {};
  }
  if (name == "nullable") {
    field.nullable = true;
    return {};
  }
  if (name == "immutable") {
    field.immutable = true;
    return {};
  }
  if (name == "once") {
    field.set_once = true;
    return {};
  }
  if (name == "default") {
    field.default_value = TRY(json::parse(value));
    field.has_default = !field.default_value.is_null();  // null takes OpenAPI's away
    return {};
  }
  constrained = true;
  if (name == "enum") {
    constraints.allowed
        .clear();  // what a rules file says replaces OpenAPI's, whose order is the alphabet; "enum=" takes it away
    if (!value.empty())
      for (const std::string& allowed : parts(value, '|')) constraints.allowed.emplace_back(allowed);
  } else if (name == "min") {
    constraints.minimum = number();
  } else if (name == "max") {
    constraints.maximum = number();
  } else if (name == "length") {
    constraints.length_max = parse_int(value);
  } else if (name == "check") {
    constraints.check = std::string(value);
  } else {
    return Error{ErrorCode::internal, "unknown attribute " + std::string(word)};
  }
  return {};
}

Result<const Field*> Compiler::field(const File& file, std::string_view text) {
  const std::vector<std::string> tokens = words(text);
  if (tokens.empty()) return Error{ErrorCode::internal, "no type"};
  std::string_view type = tokens[0];
  std::string key = find_scalar(type.substr(0, type.find_first_of("[{"))) ? "" : file.home;
  for (const std::string& token : tokens) {
    if (token != "required" && token != "nonempty") key += " " + token;
  }
  if (const auto found = fields_.find(key); found != fields_.end()) return found->second;

  Field& made = out_.memory->fields.emplace_back();
  fields_[key] = &made;
  std::string items;  // attributes of the elements: "item.enum=A|B"
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    if (tokens[i].starts_with("item.")) items += " " + tokens[i].substr(5);
  }
  if (type.ends_with("[]") || type.ends_with("{}")) {
    made.type = type.back() == ']' ? FieldType::list : FieldType::map;
    made.element = TRY(field(file, std::string(type.substr(0, type.size() - 2)) + items));
  } else if (const Scalar* scalar = find_scalar(type)) {
    made.type = scalar->type;
    made.format = scalar->format;
  } else {
    auto found = types_.find(file.home + "." + std::string(type));
    if (found == types_.end()) found = types_.find(type);
    if (found == types_.end()) return Error{ErrorCode::internal, "unknown type " + std::string(type)};
    made.type = FieldType::object;
    made.object = found->second;
    made.atomic_map = found->second->atomic;
  }
  Constraints constraints;
  bool constrained = false;
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    if (!tokens[i].starts_with("item.")) TRY(attribute(made, constraints, constrained, tokens[i]));
  }
  if (constrained) made.constraints = std::make_unique<const Constraints>(std::move(constraints));
  return &made;
}

void Compiler::subresources(KindSchema& kind, const Value& entry) const {
  for (const auto& [name, text] : entry.entries()) {
    Subresource sub;
    sub.name = std::string(name);
    for (const std::string& word : words(text.as_string())) {
      if (!word.starts_with("kind=")) {
        sub.verbs.push_back(word);
        continue;
      }
      const std::string full = word.substr(5);  // "autoscaling/v1.Scale", "v1.Binding" or "Binding"
      const std::size_t dot = full.rfind('.');
      sub.kind = dot == std::string::npos ? full : full.substr(dot + 1);
      if (dot != std::string::npos) {
        const std::string group_version = full.substr(0, dot);
        const std::size_t slash = group_version.find('/');
        sub.group = slash == std::string::npos ? "" : group_version.substr(0, slash);
        sub.version = slash == std::string::npos ? group_version : group_version.substr(slash + 1);
      }
    }
    if (sub.name == "scale") {
      sub.spec_replicas_path = ".spec.replicas";
      sub.status_replicas_path = ".status.replicas";
      sub.label_selector_path = ".spec.selector";
    }
    kind.subresources.push_back(std::move(sub));
  }
}

// "Ready|string|0|.status.ready", or with a printer's name: "Ready|string|0|@pod-ready".
Result<void> Compiler::columns(KindSchema& kind) const {
  const Value* entries = columns_.find(kind.resource.group_resource() + "/" + kind.resource.version);
  if (!entries) entries = columns_.find(kind.resource.group_resource());
  if (!entries) {
    kind.columns.push_back({"Name", "string", "name", "Name must be unique within a namespace.", 0, "", "name"});
    kind.columns.push_back(
        {"Created At", "date", "", "Creation time of the object.", 0, ".metadata.creationTimestamp", ""});
    return {};
  }
  bool named = false;  // events show their name last
  for (const Value& entry : entries->items()) named = named || entry.as_string().starts_with("Name|");
  if (!named)
    kind.columns.push_back({"Name", "string", "name", "Name must be unique within a namespace.", 0, "", "name"});
  for (const Value& entry : entries->items()) {
    const std::vector<std::string> fields = parts(entry.as_string(), '|');
    if (fields.size() < 4) return wrong("columns.yaml", kind.resource.group_resource() + ": " + entry.str());
    Column column;
    column.name = fields[0];
    column.type = fields[1];
    column.priority = parse_int(fields[2]).value_or(0);
    (fields[3].starts_with('@') ? column.computed : column.path) = fields[3].substr(fields[3].starts_with('@') ? 1 : 0);
    if (fields.size() > 4) column.format = fields[4];
    if (fields.size() < 6) column.description = fields[0];  // a sixth part: shown without one
    kind.columns.push_back(std::move(column));
  }
  return {};
}

Result<void> Compiler::kinds(const File& file) {
  const std::string group_version = file.value["groupVersion"].str();
  const std::size_t slash = group_version.find('/');
  for (const auto& [name, entry] : file.value["kinds"].entries()) {
    auto kind = std::make_shared<KindSchema>();
    kind->resource.group = slash == std::string::npos ? "" : group_version.substr(0, slash);
    kind->resource.version = slash == std::string::npos ? group_version : group_version.substr(slash + 1);
    kind->resource.kind = std::string(name);
    kind->resource.plural = entry["plural"].str();
    kind->resource.namespaced = entry["namespaced"].as_bool(true);
    kind->singular = entry["singular"].is_string() ? entry["singular"].str() : to_lower(name);
    kind->list_kind = kind->resource.kind + "List";
    kind->short_names = words(entry["short"].as_string());
    kind->categories = words(entry["categories"].as_string());
    kind->verbs = entry["verbs"].is_string() ? words(entry["verbs"].as_string()) : kAllVerbs;
    kind->selectable_fields = words(entry["selectable"].str() + selectable_[kind->resource.group_resource()].str());
    kind->storage_version = kind->resource.version;
    kind->custom = file.value["custom"].as_bool();
    kind->type_name = file.value["package"].str() + "." + kind->resource.kind;
    subresources(*kind, entry["subresources"]);
    TRY(columns(*kind));
    kind->root_field = TRY(field(file, kind->resource.kind));
    kind->memory = out_.memory;
    out_.kinds.push_back(std::move(kind));
  }
  return {};
}

Result<Compiled> Compiler::run(std::span<const KindFile> files) {
  TRY(read(files));
  for (const File& file : files_) declare(file);
  for (const File& file : files_) TRY(fill(file));
  for (const File& file : files_) TRY(kinds(file));
  if (!rules_.empty()) return wrong("rules", "no type " + rules_.begin()->first);
  mark_walks(*out_.memory);
  for (ObjectType& type : out_.memory->types)
    for (Member& member : type.members) member.omits_zero = omits_zero(type.name, member.name);
  return std::move(out_);
}

// Whether something stands at `field` or below, as far as the types that it names know by now.
template <class Here>
bool stands(const Field& field, bool ObjectType::*below, Here here) {
  for (const Field* at = &field; at != nullptr; at = at->element)
    if (here(*at) || (at->object != nullptr && at->object->*below)) return true;
  return false;
}

}  // namespace

// Types name one another, themselves too: round by round, until a round finds no more.
void mark_walks(FieldMemory& memory) {
  for (ObjectType& type : memory.types) {
    type.fills = type.derive != nullptr;
    type.has_quantities = false;
  }
  for (bool found = true; found;) {
    found = false;
    for (ObjectType& type : memory.types) {
      for (const Member& member : type.members) {
        if (!type.fills &&
            stands(*member.field, &ObjectType::fills, [](const Field& field) { return field.has_default; }))
          found = type.fills = true;
        if (!type.has_quantities && stands(*member.field, &ObjectType::has_quantities,
                                           [](const Field& field) { return field.format == Format::quantity; }))
          found = type.has_quantities = true;
      }
    }
  }
}

Result<Compiled> compile(std::span<const KindFile> files) {
  return Compiler().run(files);
}

}  // namespace caisson::schema
