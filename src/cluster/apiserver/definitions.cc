// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/definitions.h"

#include <set>

#include "cluster/apiserver/client.h"
#include "cluster/apiserver/verbs.h"
#include "core/base/log.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kCleanup = "customresourcecleanup.apiextensions.k8s.io";
const char* const kManager = "kube-apiserver";

struct Condition {
  std::string_view type, status, reason;
  std::string message;
};

User server_user() {
  return {"system:apiserver", {"system:masters"}, "", {}};
}

const Value& condition_of(const Value& definition, std::string_view type) {
  for (const Value& condition : definition["status"]["conditions"].items())
    if (condition["type"].as_string() == type) return condition;
  return document::kNull;
}

bool is_established(const Value& definition) {
  return condition_of(definition, "Established")["status"].as_string() == "True";
}

// Its transition time changes with its status only, as apihelpers.SetCRDCondition does.
void set_condition(Value& definition, const Condition& condition, const std::string& now) {
  Value made{{"lastTransitionTime", now},
             {"message", condition.message},
             {"reason", condition.reason},
             {"status", condition.status},
             {"type", condition.type}};
  Value conditions = definition["status"]["conditions"];
  if (!conditions.is_list()) conditions = Value::list();
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    if (conditions[i]["type"].as_string() != condition.type) continue;
    if (conditions[i]["status"].as_string() == condition.status)
      made.set("lastTransitionTime", conditions[i]["lastTransitionTime"]);
    conditions.edit(i) = std::move(made);
    definition.edit("status").set("conditions", std::move(conditions));
    return;
  }
  conditions.push_back(std::move(made));
  definition.edit("status").set("conditions", std::move(conditions));
}

void write_status(Core& core, const Value& definition) {
  const auto client = make_client(core, server_user());
  const auto updated = client->update(kube::Object(definition), {.field_manager = kManager, .subresource = "status"});
  // Somebody else wrote it meanwhile: that write brings us here again.
  if (!updated.ok() && updated.error().code != ErrorCode::conflict && updated.error().code != ErrorCode::not_found)
    log::warning("status of a definition not written",
                 {{"name", definition["metadata"]["name"].str()}, {"error", updated.error()}});
}

// What the other definitions of the group have taken.
struct TakenNames {
  std::set<std::string, std::less<>> resources, kinds;
};

TakenNames taken_names(Core& core, const Value& definition) {
  TakenNames taken;
  const auto listing = core.store.list(kDefinitions);
  if (!listing.ok()) return taken;
  for (const store::ItemPtr& item : listing->items) {
    const Value other = item->value();
    if (other["metadata"]["name"] == definition["metadata"]["name"]) continue;
    if (!(other["spec"]["group"] == definition["spec"]["group"])) continue;
    const Value& names = other["status"]["acceptedNames"];
    for (const char* field : {"plural", "singular"})
      if (!names[field].as_string().empty()) taken.resources.insert(names[field].str());
    for (const Value& name : names["shortNames"].items()) taken.resources.insert(name.str());
    for (const char* field : {"kind", "listKind"})
      if (!names[field].as_string().empty()) taken.kinds.insert(names[field].str());
  }
  return taken;
}

// acceptedNames and the conditions NamesAccepted and Established, as naming_controller.go computes them: of several
// conflicts the last one looked at is told. Gives whether all names are the definition's.
bool settle_names(Value& definition, const TakenNames& taken, const std::string& now) {
  const Value wanted = definition["spec"]["names"];
  const Value had = definition["status"]["acceptedNames"];
  Value accepted{{"kind", had["kind"].str()}, {"plural", had["plural"].str()}};
  for (const char* field : {"singular", "listKind", "shortNames"})
    if (!had[field].is_null()) accepted.set(field, had[field]);
  Condition names{"NamesAccepted", "True", "NoConflicts", "no conflicts found"};
  const auto conflict = [&](std::string_view reason, const std::string& name) {
    names = {"NamesAccepted", "False", reason, "\"" + name + "\" is already in use"};
  };
  const auto settle = [&](const char* field, const auto& in_use, std::string_view reason) {
    const std::string name = wanted[field].str();
    if (name.empty()) return;
    if (in_use.contains(name)) return conflict(reason, name);
    accepted.set(field, name);
  };
  settle("plural", taken.resources, "PluralConflict");
  settle("singular", taken.resources, "SingularConflict");
  bool free = true;
  for (const Value& name : wanted["shortNames"].items()) {
    if (!taken.resources.contains(name.as_string())) continue;
    free = false;
    conflict("ShortNamesConflict", name.str());
  }
  if (free && !wanted["shortNames"].empty()) accepted.set("shortNames", wanted["shortNames"]);
  settle("kind", taken.kinds, "KindConflict");
  settle("listKind", taken.kinds, "ListKindConflict");
  if (!wanted["categories"].empty()) accepted.set("categories", wanted["categories"]);
  definition.edit("status").set("acceptedNames", std::move(accepted));
  set_condition(definition, names, now);
  const bool all = names.status == "True";
  if (all)
    set_condition(definition, {"Established", "True", "InitialNamesAccepted", "the initial names have been accepted"},
                  now);
  else if (!is_established(definition))
    set_condition(definition, {"Established", "False", "NotAccepted", "not all names are accepted"}, now);
  return all;
}

void serve(Core& core, const Value& definition) {
  const auto added = core.schema.add_crd(definition);
  if (!added.ok())
    log::warning("custom resource definition not served",
                 {{"name", definition["metadata"]["name"].str()}, {"error", added.error()}});
}

// Serves it as far as its names are its own, and says so in its status.
void accept(Core& core, const Value& stored) {
  Value definition = stored;
  settle_names(definition, taken_names(core, definition), time_now(core.clock));
  if (is_established(definition)) serve(core, definition);
  if (!(definition["status"] == stored["status"])) write_status(core, definition);
}

std::vector<store::ItemPtr> instances(Core& core, const std::string& name) {
  auto listing = core.store.list(name);
  return listing.ok() ? std::move(listing->items) : std::vector<store::ItemPtr>();
}

// Without admission, as upstream's finalizer removes them: nobody is asked whether they may go.
void remove_instance(Core& core, const schema::KindPtr& kind, const store::Item& item) {
  Request request;
  request.user = server_user();
  request.verb = "delete";
  request.is_resource = request.in_process = request.admitted = true;
  request.group = kind->resource.group;
  request.version = kind->resource.version;
  request.plural = kind->resource.plural;
  request.kind = kind;
  request.ns = std::string(item.ns());
  request.name = std::string(item.name());
  const auto removed = execute(core, request, [&](Transaction& tx) { return remove(core, request, tx, {}); });
  if (!removed.ok() && removed.error().code != ErrorCode::not_found)
    log::warning("an object of a definition that goes remains",
                 {{"object", item.key().str()}, {"error", removed.error()}});
}

// Lets the definition go when nothing of it is left.
void finish_removal(Core& core, const std::string& name) {
  if (!instances(core, name).empty()) return;
  const store::ItemPtr item = core.store.get(kDefinitions, "", name);
  if (!item) return;
  Value definition = item->value();
  std::vector<Value> left;
  for (const Value& finalizer : definition["metadata"]["finalizers"].items())
    if (finalizer.as_string() != kCleanup) left.push_back(finalizer);
  if (left.size() == definition["metadata"]["finalizers"].size()) return;
  definition.edit("metadata").set("finalizers", Value(std::move(left)));
  const auto client = make_client(core, server_user());
  const auto updated = client->update(kube::Object(definition), {.field_manager = kManager});
  if (!updated.ok() && updated.error().code != ErrorCode::conflict && updated.error().code != ErrorCode::not_found)
    log::warning("a definition that is being deleted remains", {{"name", name}, {"error", updated.error()}});
}

void remove_instances(Core& core, const Value& definition) {
  const std::string name = definition["metadata"]["name"].str();
  if (condition_of(definition, "Terminating")["reason"].as_string() != "InstanceDeletionInProgress") {
    Value going = definition;
    set_condition(going,
                  {"Terminating", "True", "InstanceDeletionInProgress", "CustomResource deletion is in progress"},
                  time_now(core.clock));
    return write_status(core, going);  // whose own write comes here again
  }
  const auto kind = core.schema.find_storage(definition["spec"]["group"].as_string(),
                                             definition["spec"]["names"]["plural"].as_string());
  if (kind && kind->crd_name == name) {
    // What nobody holds goes in one write: there may be very many.
    std::vector<store::Change> free;
    for (const store::ItemPtr& item : instances(core, name))
      if (item->value()["metadata"]["finalizers"].empty())
        free.push_back({.key = item->key(), .deletion = true, .expected = item->revision()});
    // When one of them changed meanwhile, each goes by itself below.
    if (const auto gone = core.store.commit(std::move(free)); !gone.ok() && gone.error().code != ErrorCode::conflict)
      log::warning("objects of a definition that goes remain", {{"name", name}, {"error", gone.error()}});
    for (const store::ItemPtr& item : instances(core, name)) remove_instance(core, kind, *item);
  }
  finish_removal(core, name);
}

bool has_cleanup(const Value& definition) {
  for (const Value& finalizer : definition["metadata"]["finalizers"].items())
    if (finalizer.as_string() == kCleanup) return true;
  return false;
}

// Names that a definition gives back may be what another waits for.
void accept_waiting(Core& core, const Value& gone) {
  const auto listing = core.store.list(kDefinitions);
  if (!listing.ok()) return;
  for (const store::ItemPtr& item : listing->items) {
    const Value other = item->value();
    if (other["spec"]["group"] == gone["spec"]["group"] && !being_deleted(other) &&
        condition_of(other, "NamesAccepted")["status"].as_string() == "False")
      accept(core, other);
  }
}

}  // namespace

Result<void> load_definitions(Core& core) {
  const store::Listing listing = TRY(core.store.list(kDefinitions));
  for (const store::ItemPtr& item : listing.items)
    if (is_established(item->value())) serve(core, item->value());
  return {};
}

void resume_definitions(Core& core) {
  const auto listing = core.store.list(kDefinitions);
  if (!listing.ok()) return;
  for (const store::ItemPtr& item : listing->items) {
    const Value definition = item->value();
    if (being_deleted(definition) || !is_established(definition)) definition_written(core, definition, false);
  }
}

void definition_written(Core& core, const Value& object, bool removed) {
  const std::string name = object["metadata"]["name"].str();
  if (removed) {
    core.schema.remove_crd(name);
    return accept_waiting(core, object);
  }
  if (!being_deleted(object)) return accept(core, object);
  if (has_cleanup(object)) remove_instances(core, object);
}

void instance_gone(Core& core, const schema::KindSchema& kind) {
  if (is_terminating(core, kind)) finish_removal(core, kind.crd_name);
}

void mark_definition_deleted(Core& core, Value& definition) {
  if (being_deleted(definition) || has_cleanup(definition)) return;
  definition.edit({"metadata", "finalizers"}).push_back(kCleanup);
  set_condition(definition,
                {"Terminating", "True", "InstanceDeletionPending",
                 "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"},
                time_now(core.clock));
}

bool is_terminating(const Core& core, const schema::KindSchema& kind) {
  if (kind.crd_name.empty()) return false;
  const store::ItemPtr definition = core.store.get(kDefinitions, "", kind.crd_name);
  return definition && being_deleted(definition->value());
}

}  // namespace caisson::apiserver
