// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/definitions.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/service_addresses.h"
#include "cluster/apiserver/verbs.h"
#include "cluster/schema/defaults.h"
#include "core/base/random.h"

namespace caisson::apiserver {
namespace {

constexpr std::size_t kSuffixLength = 5;
constexpr std::size_t kNameMax = 63;

// rest.BeforeCreate: what the client may not choose.
void own_metadata(Core& core, const Request& request, Value& object) {
  Value& metadata = object.edit("metadata");
  for (const char* field : {"deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion", "uid"})
    metadata.erase(field);
  if (request.kind->resource.namespaced)
    metadata.set("namespace", request.ns);
  else
    metadata.erase("namespace");
  if (metadata["name"].as_string().empty() && !metadata["generateName"].as_string().empty()) {
    std::string base = metadata["generateName"].str();
    base.resize(std::min(base.size(), kNameMax - kSuffixLength));
    metadata.set("name", base + random_name_suffix(kSuffixLength));
  }
  metadata.set("uid", random_uuid());
  metadata.set("creationTimestamp", time_now(core.clock));
  if (counts_generation(*request.kind)) metadata.set("generation", 1);
}

// What the strategy of a kind resets before it is stored.
void reset_status(const schema::KindSchema& kind, Value& object) {
  // Nodes register with their status; a status of zero values is what the others begin with.
  if (!kind.has_status() || kind.resource == schema::kNodes) return;
  object.erase("status");
  object = schema::with_defaults(kind, std::move(object));
}

Result<void> check_names(Request& request, const Value& object) {
  const Value& metadata = object["metadata"];
  const std::string_view ns = metadata["namespace"].as_string();
  if (request.kind->resource.namespaced && !ns.empty() && ns != request.ns)
    return request.bad_request("the namespace of the provided object does not match the namespace sent on the request");
  if (!request.name.empty() && !metadata["name"].as_string().empty() && metadata["name"].as_string() != request.name)
    return request.bad_request("the name of the object (" + metadata["name"].str() +
                               ") does not match the name on the URL (" + request.name + ")");
  return {};
}

}  // namespace

Result<Planned> create(Core& core, Request& request, Transaction& tx, const Value& body) {
  if (request.kind->custom && is_terminating(core, *request.kind))
    return request.fail(ErrorCode::method_not_allowed,
                        "create not allowed while custom resource definition is terminating",
                        Value{{"group", request.group}, {"kind", request.plural}});
  Value object = TRY(decode(core, request, body));
  TRY(check_names(request, object));
  if (!request.name.empty()) object.edit("metadata").set("name", request.name);
  if (!object["metadata"]["resourceVersion"].as_string().empty())
    return request.fail_without_reason("resourceVersion should not be set on objects to be created");
  // Who set what is told by what was sent: what admission and the kind's strategy add belongs to nobody.
  if (request.verb != "apply")
    track_update(*request.kind, Value(), object, {request.field_manager, request.subresource, time_now(core.clock)});
  own_metadata(core, request, object);
  reset_status(*request.kind, object);
  const std::string name = object["metadata"]["name"].str();
  store::Key key = request.key();
  key.name = name;

  constexpr auto kCreate = AdmissionRequest::Operation::create;
  TRY(check_escalation(*core.authorizer, request, document::kNull, object));
  TRY(admit(core, request, tx, kCreate, document::kNull, object));
  object = settled(*request.kind, std::move(object));
  if (request.plural == "services" && request.group.empty()) TRY(core.addresses->assign(request, Value(), object));
  const auto errors = schema::validate(*request.kind, object);
  if (!errors.empty()) return request.invalid(errors, name);
  TRY(admit_validate(core, request, tx, kCreate, document::kNull, object));

  if (const auto existing = tx.find(key)) {
    if (!being_deleted(existing->value)) return request.already_exists(name);
    Error error = request.already_exists(name);
    Value details = request.status_of(error)["details"];
    return request.fail(ErrorCode::already_exists, "object is being deleted: " + error.message, std::move(details));
  }
  Value stored = TRY(core.conversion->to_storage(*request.kind, object));
  tx.put(key, std::move(stored), 0);
  return Planned{std::move(object), key, 201};
}

}  // namespace caisson::apiserver
