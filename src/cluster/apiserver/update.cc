// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/decode.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/service_addresses.h"
#include "cluster/schema/defaults.h"
#include "cluster/schema/update_checks.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using schema::FieldError;

// Kinds that PUT may create (AllowCreateOnUpdate of their strategies).
bool update_creates(const Request& request) {
  static constexpr std::string_view kPlurals[] = {
      "services", "endpoints",    "events",       "limitranges",         "leases",
      "roles",    "rolebindings", "clusterroles", "clusterrolebindings", "runtimeclasses"};
  return request.subresource.empty() &&
         std::find(std::begin(kPlurals), std::end(kPlurals), request.plural) != std::end(kPlurals);
}

Result<void> check_identity(Request& request, const Value& metadata) {
  const std::string_view name = metadata["name"].as_string(), ns = metadata["namespace"].as_string();
  if (name.empty() && request.subresource.empty()) return no_name(request);
  if (!name.empty() && name != request.name)
    return request.bad_request("the name of the object (" + std::string(name) +
                               ") does not match the name on the URL (" + request.name + ")");
  if (request.kind->resource.namespaced && !ns.empty() && ns != request.ns)
    return request.bad_request("the namespace of the object (" + std::string(ns) +
                               ") does not match the namespace on the request (" + request.ns + ")");
  return {};
}

// rest.BeforeUpdate: what the server owns comes from the stored object.
void keep_owned_metadata(const Value& current, const Request& request, Value& desired) {
  const Value& from = current["metadata"];
  Value& to = desired.edit("metadata");
  for (const char* field : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "generation", "resourceVersion"}) {
    if (from.contains(field))
      to.set(field, from[field]);
    else
      to.erase(field);
  }
  to.erase("selfLink");
  (void)request;
}

// The main resource may not write status; the status sub-resource may write nothing else.
void keep_other_part(const Request& request, const Value& current, Value& desired) {
  const schema::KindSchema& kind = *request.kind;
  const auto keep = [&](const char* field) {
    if (current.contains(field))
      desired.set(field, current[field]);
    else
      desired.erase(field);
  };
  if (request.subresource == "status") {
    for (const auto& [key, value] : current.entries())
      if (key != "status" && key != "metadata") desired.set(key, value);
    std::vector<std::string> extra;
    for (const auto& [key, value] : desired.entries())
      if (key != "status" && key != "metadata" && !current.contains(key)) extra.emplace_back(key);
    for (const std::string& key : extra) desired.erase(key);
    if (kind.custom) {
      Value metadata = current["metadata"];
      metadata.set("managedFields", desired["metadata"]["managedFields"]);
      if (metadata["managedFields"].is_null()) metadata.erase("managedFields");
      desired.set("metadata", std::move(metadata));
    } else if (const Value& labels = current["metadata"]["labels"]; kind.resource == schema::kDeployments) {
      if (labels.is_null())
        desired.edit("metadata").erase("labels");
      else
        desired.edit("metadata").set("labels", labels);
    }
    return;
  }
  if (request.subresource == "approval") return;  // conditions of status: admit_certificates.cc
  if (kind.has_status()) keep("status");
  // finalizers of a Namespace's spec change only through /finalize.
  if (kind.resource.plural == "namespaces" && request.subresource.empty()) keep("spec");
}

// metadata.generation counts what controllers must look at: of a custom resource all but metadata and status.
bool spec_differs(const schema::KindSchema& kind, const Value& before, const Value& after) {
  if (kind.resource == schema::kDeployments && !(before["metadata"]["annotations"] == after["metadata"]["annotations"]))
    return true;
  if (!kind.custom && before.contains("spec")) return !(before["spec"] == after["spec"]);
  const auto rest = [&](Value object) {
    object.erase("metadata");
    if (kind.has_status()) object.erase("status");
    return object;
  };
  return !(rest(before) == rest(after));
}

// Of an object that is going: a finalizer that comes now could come too late.
std::optional<FieldError> new_finalizers(const Value& current, const Value& desired) {
  if (!being_deleted(current)) return std::nullopt;
  std::string added;
  for (const Value& finalizer : desired["metadata"]["finalizers"].items()) {
    const auto had = current["metadata"]["finalizers"].items();
    if (std::find(had.begin(), had.end(), finalizer) == had.end())
      added += (added.empty() ? "\"" : ", \"") + finalizer.str() + "\"";
  }
  if (added.empty()) return std::nullopt;
  return FieldError{
      FieldError::Type::forbidden,
      "metadata.finalizers",
      {},
      "no new finalizers can be added if the object is being deleted, found new finalizers []string{" + added + "}"};
}

// ValidateObjectMetaUpdate of apimachinery: what a patch may not change.
std::vector<FieldError> immutable_metadata(const Value& current, const Value& desired) {
  std::vector<FieldError> out;
  for (const char* field : {"uid", "deletionTimestamp", "deletionGracePeriodSeconds"}) {
    const Value& was = current["metadata"][field];
    const Value& is = desired["metadata"][field];
    if (is == was || is.is_null()) continue;
    Value shown = is;
    if (const auto time = parse_time(is.as_string()); time && field != std::string_view("uid")) {
      std::string text = format_time(*time);  // a time is shown by Go's String(), not quoted
      text.replace(text.find('T'), 1, " ").replace(text.find('Z'), 1, " +0000 UTC");
      shown = Value(FieldError::kAsItStands + text);
    }
    out.push_back(
        {FieldError::Type::invalid, "metadata." + std::string(field), std::move(shown), "field is immutable"});
  }
  return out;
}

bool finished(const Value& object) {
  const Value& metadata = object["metadata"];
  return being_deleted(object) && metadata["finalizers"].empty() &&
         metadata["deletionGracePeriodSeconds"].as_int() == 0 && object.get({"spec", "finalizers"}).empty();
}

// Kinds of which an update must say what version it has seen (AllowUnconditionalUpdate of their strategies).
bool must_say_version(const schema::KindSchema& kind) {
  static constexpr std::string_view kResources[] = {"customresourcedefinitions.apiextensions.k8s.io",
                                                    "csidrivers.storage.k8s.io",
                                                    "csinodes.storage.k8s.io",
                                                    "csistoragecapacities.storage.k8s.io",
                                                    "leases.coordination.k8s.io",
                                                    "mutatingadmissionpolicies.admissionregistration.k8s.io",
                                                    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
                                                    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
                                                    "poddisruptionbudgets.policy",
                                                    "runtimeclasses.node.k8s.io",
                                                    "validatingadmissionpolicies.admissionregistration.k8s.io",
                                                    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
                                                    "validatingwebhookconfigurations.admissionregistration.k8s.io",
                                                    "volumeattachments.storage.k8s.io"};
  if (!kind.crd_name.empty()) return true;
  return !kind.custom && std::find(std::begin(kResources), std::end(kResources), kind.resource.group_resource()) !=
                             std::end(kResources);
}

// DaemonSets count changes of their template in an annotation, which only the server writes.
void count_template(const schema::KindSchema& kind, const Value& before, Value& after) {
  if (kind.resource.plural != "daemonsets" || kind.resource.group != "apps") return;
  constexpr std::string_view kGeneration = "deprecated.daemonset.template.generation";
  const std::int64_t generation = parse_int(before["metadata"]["annotations"][kGeneration].as_string()).value_or(1);
  const bool changed = !(before["spec"]["template"] == after["spec"]["template"]);
  after.edit({"metadata", "annotations", kGeneration}) = std::to_string(generation + (changed ? 1 : 0));
}

Error must_name_version(Request& request) {
  const std::string message = "Invalid value: 0x0: must be specified for an update";
  Value cause{{"reason", "FieldValueInvalid"}, {"message", message}, {"field", "metadata.resourceVersion"}};
  Value details{{"name", request.name},
                {"group", request.group},
                {"kind", request.plural},
                {"causes", Value(std::vector<Value>{std::move(cause)})}};
  return request.fail(ErrorCode::invalid,
                      request.kind->resource.group_resource() + " \"" + request.name +
                          "\" is invalid: metadata.resourceVersion: " + message,
                      std::move(details));
}

}  // namespace

Error no_name(Request& request) {
  return request.bad_request("the name of the object (" + request.name +
                             " based on URL) was undeterminable: name must be provided");
}

Result<Planned> write_over(Core& core, Request& request, Transaction& tx, const Found& found, Value desired) {
  const schema::KindSchema& kind = *request.kind;
  const Value current = TRY(core.conversion->convert(kind, found.value));
  const Value& sent = desired["metadata"];
  // Of a patch (and an apply) the uid is a field like others, refused by validation.
  const bool precondition = request.verb == "update" || request.in_process;
  if (const auto uid = sent["uid"].as_string();
      precondition && !uid.empty() && uid != current["metadata"]["uid"].as_string())
    return request.conflict("StorageError: invalid object, Code: 4, Key: /registry/" + request.key().str() +
                            ", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: " +
                            std::string(uid) + ", UID in object meta: " + current["metadata"]["uid"].str());
  if (const auto version = sent["resourceVersion"].as_string();
      !version.empty() && version != "0" && version != current["metadata"]["resourceVersion"].as_string())
    return request.conflict();
  const FieldManager manager{request.field_manager,
                             request.owner_subresource.empty() ? request.subresource : request.owner_subresource,
                             time_now(core.clock)};
  if (request.verb != "apply") track_update(kind, current, desired, manager);
  const auto changed_identity = precondition ? std::vector<FieldError>() : immutable_metadata(current, desired);
  keep_owned_metadata(current, request, desired);
  keep_other_part(request, current, desired);

  constexpr auto kUpdate = AdmissionRequest::Operation::update;
  TRY(check_escalation(*core.authorizer, request, current, desired));
  TRY(admit(core, request, tx, kUpdate, current, desired));
  desired = settled(kind, std::move(desired));
  count_template(kind, current, desired);
  if (request.subresource.empty() && counts_generation(kind) && spec_differs(kind, current, desired))
    desired.edit("metadata").set("generation", current["metadata"]["generation"].as_int() + 1);
  if (request.plural == "services" && request.group.empty() && request.subresource.empty())
    TRY(core.addresses->assign(request, current, desired));
  auto errors = schema::validate_update(kind, current, desired);
  auto metadata_errors = changed_identity;
  if (auto added = new_finalizers(current, desired)) metadata_errors.push_back(std::move(*added));
  for (int times = 0; times < schema::metadata_update_checks(kind); ++times)
    errors.insert(errors.begin(), metadata_errors.begin(), metadata_errors.end());
  if (!errors.empty()) return request.invalid(errors, request.name);
  TRY(admit_validate(core, request, tx, kUpdate, current, desired));

  const store::Key key = request.key();
  if (finished(desired) && !(finished(current) && desired == current)) {
    tx.remove(key, desired, found.revision);
    return Planned{
        std::move(desired), {}, 200};  // the answer shows the version before the deletion, as upstream's does
  }
  if (desired == current) return Planned{current, {}, 200};
  Value stored = TRY(core.conversion->to_storage(kind, desired));
  tx.put(key, std::move(stored), found.revision);
  return Planned{std::move(desired), key, 200};
}

Result<Planned> update(Core& core, Request& request, Transaction& tx, const Value& body) {
  Value desired = TRY(decode(core, request, body));
  TRY(check_identity(request, desired["metadata"]));
  const auto found = tx.find(request.key());
  if (!found) {
    if (!update_creates(request)) return request.not_found();
    if (!desired["metadata"]["uid"].as_string().empty()) return request.not_found();
    desired.edit("metadata").erase("resourceVersion");
    return create(core, request, tx, desired);
  }
  // In process the last write wins for all kinds, as kube::Client says.
  if (!request.in_process && must_say_version(*request.kind) &&
      desired["metadata"]["resourceVersion"].as_string().empty())
    return must_name_version(request);
  return write_over(core, request, tx, *found, std::move(desired));
}

}  // namespace caisson::apiserver
