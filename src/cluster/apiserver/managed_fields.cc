// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/managed_fields.h"

#include <algorithm>
#include <map>
#include <shared_mutex>

#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

using schema::Field;
using schema::KindSchema;

constexpr std::size_t kUpdateManagersMax = 10;  // more are merged into ancient-changes

// --- fieldsV1 as it is written (FieldSet::from_value), asked without making a FieldSet of it

bool has_place(const Value& fields) {
  return fields.empty() || fields.contains(".");
}

bool holds_any(const Value& fields, const FieldSet& set) {
  for (const auto& [element, child] : set.children) {
    const Value* below = fields.find(element);
    if (below && ((child.member && has_place(*below)) || holds_any(*below, child))) return true;
  }
  return false;
}

bool holds_all(const Value& fields, const FieldSet& set) {
  for (const auto& [element, child] : set.children) {
    const Value* below = fields.find(element);
    if (!below || (child.member && !has_place(*below)) || !holds_all(*below, child)) return false;
  }
  return true;
}

// What one manager owns. Of most writes only one manager's part changes, and often not even that: what was written is
// kept as it is until somebody asks for the set.
class Entry {
 public:
  Entry(const FieldManager& by, std::string op, std::string version, FieldSet fields)
      : manager(by.name),
        operation(std::move(op)),
        api_version(std::move(version)),
        subresource(by.subresource),
        time(by.time),
        fields_(std::move(fields)) {}
  // `ours`: this program wrote it, and it need not be put in order.
  Entry(const Value& written, bool ours)
      : manager(written["manager"].str()),
        operation(written["operation"].str()),
        api_version(written["apiVersion"].str()),
        subresource(written["subresource"].str()),
        time(written["time"].str()) {
    if (ours)
      written_ = written;
    else
      fields_ = FieldSet::from_value(written["fieldsV1"]);
  }

  std::string manager, operation, api_version, subresource, time;

  bool is(const FieldManager& m, std::string_view op, std::string_view version) const {
    return manager == m.name && operation == op && api_version == version && subresource == m.subresource;
  }
  bool empty() const { return written_.is_null() ? fields_.empty() : written_["fieldsV1"].empty(); }
  FieldSet fields() const { return written_.is_null() ? fields_ : FieldSet::from_value(written_["fieldsV1"]); }
  void set_fields(FieldSet fields) {
    fields_ = std::move(fields);
    written_ = Value();
  }
  bool owns_any(const FieldSet& set) const {
    return written_.is_null() ? !fields_.intersection(set).empty() : holds_any(written_["fieldsV1"], set);
  }
  void subtract(const FieldSet& set) {
    if (!owns_any(set)) return;
    set_fields(fields());
    fields_.subtract(set);
  }
  void unite(FieldSet set) {
    if (!written_.is_null() && holds_all(written_["fieldsV1"], set)) return;
    set_fields(fields());
    fields_.unite(std::move(set));
  }
  Value to_value() const {
    if (!written_.is_null() && written_["time"].as_string() == time) return written_;
    if (!written_.is_null() && written_.contains("time") && !time.empty()) return Value(written_).set("time", time);
    Value value{{"manager", manager}, {"operation", operation}, {"apiVersion", api_version}};
    if (!time.empty()) value.set("time", time);
    value.set("fieldsType", "FieldsV1").set("fieldsV1", fields().to_value());
    if (!subresource.empty()) value.set("subresource", subresource);
    return value;
  }

 private:
  Value written_;  // the whole entry, as long as nothing of its fields changes; else null
  FieldSet fields_;
};
using Entries = std::vector<Entry>;

// `live` as it is stored: what `object` shares with it is this program's.
Entries parse_entries(const Value& object, const Value& live) {
  Entries entries;
  const auto known = live["metadata"]["managedFields"].items();
  for (const Value& entry : object["metadata"]["managedFields"].items()) {
    if (entry["operation"].is_null()) continue;
    entries.emplace_back(
        entry, std::any_of(known.begin(), known.end(), [&](const Value& other) { return entry.shares_with(other); }));
  }
  return entries;
}

// Applies first, then by time: as upstream writes them.
void store_entries(Entries entries, Value& object) {
  std::erase_if(entries, [](const Entry& entry) { return entry.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.operation, a.time, a.manager, a.api_version, a.subresource) <
           std::tie(b.operation, b.time, b.manager, b.api_version, b.subresource);
  });
  std::vector<Value> list;
  list.reserve(entries.size());
  for (const Entry& entry : entries) list.push_back(entry.to_value());
  if (list.empty())
    object.edit("metadata").erase("managedFields");
  else
    object.edit("metadata").set("managedFields", Value(std::move(list)));
}

constexpr std::string_view kServersOwn[] = {"f:name",
                                            "f:namespace",
                                            "f:creationTimestamp",
                                            "f:selfLink",
                                            "f:uid",
                                            "f:clusterName",
                                            "f:generation",
                                            "f:managedFields",
                                            "f:resourceVersion",
                                            "f:deletionTimestamp",
                                            "f:deletionGracePeriodSeconds"};

// The server's own fields, and those the (sub-)resource can't write.
void strip(const KindSchema& kind, std::string_view subresource, FieldSet& set) {
  set.member = false;
  set.erase("f:apiVersion");
  set.erase("f:kind");
  if (FieldSet* metadata = set.find("f:metadata")) {
    metadata->member = false;
    std::erase_if(metadata->children, [](const FieldSet::Child& child) {
      return std::find(std::begin(kServersOwn), std::end(kServersOwn), child.element) != std::end(kServersOwn);
    });
    if (metadata->empty()) set.erase("f:metadata");
  }
  if (subresource == "status") {
    std::erase_if(set.children, [](const FieldSet::Child& child) {
      return child.element != "f:status" && child.element != "f:metadata";
    });
    // What the status strategies of these kinds set back.
    if (kind.resource.plural == "validatingadmissionpolicies" && !kind.custom) set.erase("f:metadata");
    if (FieldSet* metadata = set.find("f:metadata"); metadata && kind.resource == schema::kDeployments) {
      metadata->erase("f:labels");
      if (metadata->empty()) set.erase("f:metadata");
    }
  }
  if (kind.resource.plural == "certificatesigningrequests") set.erase("f:spec");  // never changes
  if (subresource.empty() && (kind.has_status() || kind.is_review())) set.erase("f:status");
}

// Pointers in Go that have the default {} all the same.
bool is_pointer(std::string_view name) {
  return name == "securityContext" || name == "persistentVolumeClaimRetentionPolicy" || name == "namespaceSelector" ||
         name == "objectSelector" || name == "conversion";
}

// What Go's zero value of the kind writes: structs that are no pointers are there, empty; so are required lists and
// maps, as null.
Value zero_value(const Field& field) {
  Value value = Value::map();
  if (!field.object) return value;
  const std::string_view type = field.object->name;
  if (type.ends_with(".v1.ObjectMeta")) value.set("creationTimestamp", Value());
  if (type.ends_with(".rbac.v1.Role") || type.ends_with(".rbac.v1.ClusterRole")) value.set("rules", Value());
  if (type.ends_with(".v1.EndpointSlice")) value.set("endpoints", Value()).set("ports", Value());
  if (type.ends_with(".v1.Event"))
    for (const char* time :
         {"eventTime", "firstTimestamp", "lastTimestamp", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"})
      value.set(time, Value());
  for (const schema::Member& member : field.object->members) {
    const Field& child = *member.field;
    const bool is_struct =
        child.object && child.has_default && child.default_value.is_map() && child.default_value.empty();
    const bool pointer = is_pointer(member.name) ||
                         (member.name == "template" && field.object->name.ends_with(".ReplicationControllerSpec"));
    if (is_struct && !pointer)
      value.set(member.name, zero_value(child));
    else if (member.required && child.type == schema::FieldType::integer)
      value.set(member.name, 0);
    else if (child.has_default && child.default_value.is_string() && child.default_value.as_string().empty())
      value.set(member.name, "");
    else if (member.required && (child.type == schema::FieldType::list || child.type == schema::FieldType::map))
      value.set(member.name, Value());
  }
  return value;
}

// What an object of the kind is compared with when it is created.
Value absent_value(const KindSchema& kind) {
  if (kind.custom) return Value{{"apiVersion", kind.resource.api_version()}, {"kind", kind.resource.kind}};
  // It depends on the type alone, and is asked for with each creation.
  static std::shared_mutex mutex;
  static auto& known = *new std::map<std::string, Value, std::less<>>;  // never destroyed: threads may still write
  {
    const std::shared_lock lock(mutex);
    if (const auto it = known.find(kind.type_name); it != known.end()) return it->second;
  }
  Value made = zero_value(kind.root());
  const std::unique_lock lock(mutex);
  return known.emplace(kind.type_name, std::move(made)).first->second;
}

void take_from_others(Entries& entries, const Entry* self, const FieldSet& taken, const FieldSet& removed) {
  for (Entry& entry : entries) {
    if (&entry == self) continue;
    entry.subtract(taken);
    entry.subtract(removed);
  }
}

void cap_update_managers(Entries& entries) {
  std::vector<std::size_t> updates;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].operation == "Update" && entries[i].subresource.empty()) updates.push_back(i);
  if (updates.size() <= kUpdateManagersMax) return;
  std::sort(updates.begin(), updates.end(),
            [&](std::size_t a, std::size_t b) { return entries[a].time < entries[b].time; });
  Entry& oldest = entries[updates[0]];
  Entry& next = entries[updates[1]];
  FieldSet both = next.fields();
  both.unite(oldest.fields());
  next.set_fields(std::move(both));
  next.manager = "ancient-changes";
  oldest.set_fields({});
}

// The one entry of an object that nobody owned anything of before.
void track_creation(const KindSchema& kind, Value& object, const FieldManager& manager) {
  std::vector<std::string_view> top = {"f:apiVersion", "f:kind"};
  if (kind.has_status() || kind.is_review()) top.push_back("f:status");
  if (kind.resource.plural == "certificatesigningrequests") top.push_back("f:spec");
  Value fields = created_fields(kind.root(), absent_value(kind), object, {top, kServersOwn});
  if (fields.empty()) {
    object.edit("metadata").erase("managedFields");
    return;
  }
  Value entry{{"manager", manager.name}, {"operation", "Update"},    {"apiVersion", kind.resource.api_version()},
              {"time", manager.time},    {"fieldsType", "FieldsV1"}, {"fieldsV1", std::move(fields)}};
  object.edit("metadata").set("managedFields", Value(std::vector<Value>{std::move(entry)}));
}

Value without_managed_fields(const Value& object) {
  Value copy = object;
  if (copy["metadata"].contains("managedFields")) copy.edit("metadata").erase("managedFields");
  return copy;
}

bool resets(const Value& object) {
  const Value* fields = object["metadata"].find("managedFields");
  return fields && fields->is_list() && (fields->empty() || (fields->size() == 1 && (*fields)[0].empty()));
}

// --- apply

std::optional<std::string> undeclared(const Field* field, const Value& value, const std::string& path) {
  if (!field) return std::nullopt;
  if (value.is_map()) {
    if (field->type != schema::FieldType::object && field->type != schema::FieldType::map) return std::nullopt;
    for (const auto& [key, child] : value.entries()) {
      const std::string at = path + "." + std::string(key);
      const Field* below = field_below(field, key);
      if (!below && field->type == schema::FieldType::object && field->object && !field->keeps_unknown())
        return at + ": field not declared in schema";
      if (auto found = undeclared(below, child, at)) return found;
    }
  } else if (value.is_list() && field->type == schema::FieldType::list) {
    const Shape shape = shape_of(field, value);
    std::map<std::string_view, int> seen;
    for (std::size_t i = 0; i < value.size(); ++i) {
      std::string at = path + "[" + std::to_string(i) + "]";
      if (shape == Shape::list_map || shape == Shape::list_set) {
        const std::string_view element = item_element(field, shape, value[i]);
        if (element.empty())
          return path + ": element " + std::to_string(i) +
                 ": associative list with keys has an element that omits key field \"" + field->list_keys[0] + "\"";
        if (++seen[element] == 2) {
          FieldSet duplicate;
          duplicate.at(element).member = true;
          return path + ": duplicate entries for key " + duplicate.paths()[0];
        }
      }
      if (auto found = undeclared(field->element, value[i], at)) return found;
    }
  } else if (field->type == schema::FieldType::string && !value.is_string() && !value.is_null() &&
             field->format != schema::Format::quantity) {
    return path + ": expected string, got &value.valueUnstructured{Value:" + json::write(value) + "}";
  }
  return std::nullopt;
}

constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// What kubectl applied by client before and nobody changed since: it is its own, whoever is written as the owner
// (LastAppliedManager of apimachinery's managedfields).
FieldSet last_applied_fields(const Field* root, const Value& live, const FieldManager& manager) {
  FieldSet fields;
  const Value& text = live["metadata"]["annotations"][kLastApplied];
  if (manager.name != "kubectl" || !text.is_string()) return fields;
  const auto config = json::parse(text.as_string());
  if (!config.ok() || !config->is_map()) return fields;
  collect(root, *config, fields);
  fields.subtract(compare(root, &*config, &live).modified);
  return fields;
}

// The annotation follows what is applied by the server, so that both kinds of apply can be used in turn.
void update_last_applied(const FieldManager& manager, const Value& config, Value& merged) {
  if (manager.name != "kubectl" || !merged["metadata"]["annotations"].contains(kLastApplied)) return;
  Value applied = config;
  if (applied["metadata"]["annotations"].contains(kLastApplied)) {
    applied.edit({"metadata", "annotations"}).erase(kLastApplied);
    if (applied["metadata"]["annotations"].empty()) applied.edit("metadata").erase("annotations");
  }
  applied.sort_keys();
  merged.edit({"metadata", "annotations"}).set(kLastApplied, json::write(applied) + "\n");
}

Result<void> check_conflicts(Request& request, const Entries& entries, const Entry* self, const FieldSet& changed) {
  std::vector<Value> causes;
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  std::size_t count = 0;
  for (const Entry& entry : entries) {
    if (&entry == self) continue;
    const std::vector<std::string> paths = entry.fields().intersection(changed).paths();
    if (paths.empty()) continue;
    std::string who = "\"" + entry.manager + "\"";
    if (!entry.subresource.empty()) who += " with subresource \"" + entry.subresource + "\"";
    if (entry.operation == "Update") who += " using " + entry.api_version;
    for (const std::string& path : paths)
      causes.push_back(Value{{"reason", "FieldManagerConflict"}, {"message", "conflict with " + who}, {"field", path}});
    count += paths.size();
    groups.emplace_back(std::move(who), paths);
  }
  if (count == 0) return {};
  std::string message = "Apply failed with " + std::to_string(count) + (count == 1 ? " conflict: " : " conflicts: ");
  if (count == 1) {
    message += "conflict with " + groups[0].first + ": " + groups[0].second[0];
  } else {
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (i > 0) message += "\n";
      message += "conflicts with " + groups[i].first + ":";
      for (const std::string& path : groups[i].second) message += "\n- " + path;
    }
  }
  return request.fail(ErrorCode::conflict, std::move(message), Value{{"causes", Value(std::move(causes))}});
}

}  // namespace

std::optional<std::string> undeclared_field(const Field* root, const Value& config) {
  return undeclared(root, config, "");
}

void track_update(const KindSchema& kind, const Value& live, Value& object, const FieldManager& manager) {
  if (resets(object)) {
    object.edit("metadata").erase("managedFields");
    return;
  }
  const bool creation = live.is_null();
  if (creation && manager.subresource.empty() && !manager.time.empty() &&
      object["metadata"]["managedFields"].items().empty())
    return track_creation(kind, object, manager);
  // Upstream's skipNonApplied: what was never tracked begins to be with the first apply.
  if (!creation && live["metadata"]["managedFields"].empty()) return;
  // Who writes managedFields writes them (csaupgrade of client-go does); who leaves them out keeps what there is.
  const bool own = creation || manager.subresource.empty();
  Entries entries = own ? parse_entries(object, live) : Entries{};
  if (entries.empty() && !creation) entries = parse_entries(live, live);
  const Value nothing = creation ? absent_value(kind) : Value();
  Comparison changes = compare(&kind.root(), creation ? &nothing : &live, &object);
  for (FieldSet* set : {&changes.added, &changes.modified}) strip(kind, manager.subresource, *set);
  if (FieldSet* metadata = changes.removed.find("f:metadata")) {
    metadata->erase("f:managedFields");  // nobody owns it
    if (metadata->empty()) changes.removed.erase("f:metadata");
  }
  FieldSet taken = std::move(changes.added);
  taken.unite(std::move(changes.modified));
  if (!creation && taken.empty() && changes.removed.empty()) {
    store_entries(std::move(entries), object);
    return;
  }
  const std::string version = kind.resource.api_version();
  auto self = std::find_if(entries.begin(), entries.end(),
                           [&](const Entry& entry) { return entry.is(manager, "Update", version); });
  if (self == entries.end()) self = entries.insert(entries.end(), Entry(manager, "Update", version, {}));
  const bool changed = !taken.empty() || self->owns_any(changes.removed);
  take_from_others(entries, &*self, taken, changes.removed);
  self->subtract(changes.removed);
  self->unite(std::move(taken));
  if (changed) self->time = manager.time;
  if (kind.custom && manager.subresource == "scale") self->time.clear();  // as apiextensions' scale writes it
  cap_update_managers(entries);
  store_entries(std::move(entries), object);
}

Result<Value> apply_configuration(Request& request, const Value& live, const Value& config, const FieldManager& manager,
                                  bool force) {
  const KindSchema& kind = *request.kind;
  const Field* root = &kind.root();
  if (const auto wrong = undeclared(root, config, "")) {
    const schema::Resource& resource = kind.resource;
    const Value& metadata = config["metadata"];
    return request.fail_without_reason("failed to create typed patch object (" + metadata["namespace"].str() + "/" +
                                       metadata["name"].str() + "; " + (resource.group.empty() ? "" : resource.group) +
                                       "/" + resource.version + ", Kind=" + resource.kind + "): " + *wrong);
  }
  Entries entries = live.is_null() ? Entries{} : parse_entries(live, live);
  if (!live.is_null() && entries.empty()) {
    // Nobody is known to own what is there: it was not written by apply.
    const Value nothing = absent_value(kind);
    const Value there = without_managed_fields(live);
    FieldSet all = compare(root, &nothing, &there).added;
    strip(kind, "", all);
    entries.emplace_back(FieldManager{"before-first-apply", "", manager.time}, "Update", kind.resource.api_version(),
                         std::move(all));
  }
  const std::string version = kind.resource.api_version();
  auto self = std::find_if(entries.begin(), entries.end(),
                           [&](const Entry& entry) { return entry.is(manager, "Apply", version); });
  if (self == entries.end()) self = entries.insert(entries.end(), Entry(manager, "Apply", version, {}));
  const FieldSet last = self->fields();
  if (last.empty()) self->time.clear();
  FieldSet wanted;
  collect(root, config, wanted);
  strip(kind, manager.subresource, wanted);
  self->set_fields(wanted);

  const Value before = live.is_null() ? Value::map() : without_managed_fields(live);
  Value merged = live.is_null() ? config : merge_configuration(root, before, config);
  FieldSet owned;
  for (const Entry& entry : entries) owned.unite(entry.fields());
  merged = without_abandoned(root, std::move(merged), last, owned);

  Comparison changes = compare(root, &before, &merged);
  for (FieldSet* set : {&changes.added, &changes.modified}) strip(kind, manager.subresource, *set);
  FieldSet changed = changes.added;
  changed.unite(changes.modified);
  if (!force) {
    FieldSet contested = changed;
    contested.subtract(last_applied_fields(root, before, manager));
    TRY(check_conflicts(request, entries, &*self, contested));
  }
  update_last_applied(manager, config, merged);
  // Ownership alone has no time: upstream sets it when the object changes.
  if (live.is_null() || !(without_managed_fields(merged) == before)) self->time = manager.time;
  take_from_others(entries, &*self, changed, changes.removed);
  store_entries(std::move(entries), merged);
  return merged;
}

}  // namespace caisson::apiserver
