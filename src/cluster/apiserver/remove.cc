// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/definitions.h"
#include "cluster/apiserver/verbs.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

constexpr std::string_view kOrphan = "orphan";
constexpr std::string_view kForeground = "foregroundDeletion";

Error invalid_option(Request& request, std::string_view field, const std::string& message,
                     std::string_view reason = "FieldValueNotSupported") {
  Value cause{{"reason", reason}, {"message", message}, {"field", field}};
  Value details{
      {"group", "meta.k8s.io"}, {"kind", "DeleteOptions"}, {"causes", Value(std::vector<Value>{std::move(cause)})}};
  return request.fail(ErrorCode::invalid,
                      "DeleteOptions.meta.k8s.io \"\" is invalid: " + std::string(field) + ": " + message,
                      std::move(details));
}

// Kinds that answer a deletion with the object (ReturnDeletedObject of their stores), not with a Status.
bool answers_with_object(const schema::KindSchema& kind) {
  static constexpr std::string_view kResources[] = {"pods",
                                                    "services",
                                                    "serviceaccounts",
                                                    "podtemplates",
                                                    "persistentvolumes",
                                                    "persistentvolumeclaims",
                                                    "resourcequotas",
                                                    "storageclasses.storage.k8s.io",
                                                    "volumeattachments.storage.k8s.io",
                                                    "csinodes.storage.k8s.io",
                                                    "csidrivers.storage.k8s.io"};
  return std::find(std::begin(kResources), std::end(kResources), kind.resource.group_resource()) !=
         std::end(kResources);
}

Value success(const Request& request, const Value& object) {
  Value details{{"name", request.name}};
  if (!request.group.empty()) details.set("group", request.group);
  details.set("kind", request.plural).set("uid", object["metadata"]["uid"]);
  return success_status(details);
}

// How long a Pod may go on: pod strategy's CheckGracefulDelete.
std::int64_t grace_of_pod(const Value& pod, const DeleteParameters& parameters) {
  std::int64_t period = 30;
  if (parameters.grace_period_seconds)
    period = *parameters.grace_period_seconds;
  else if (const Value& own = pod.get({"spec", "terminationGracePeriodSeconds"}); own.is_int())
    period = own.as_int();
  if (pod.get({"spec", "nodeName"}).as_string().empty()) period = 0;
  const std::string_view phase = pod.get({"status", "phase"}).as_string();
  if (phase == "Failed" || phase == "Succeeded") period = 0;
  return period < 0 ? 1 : period;
}

void mark_deleted(Core& core, Value& object, std::int64_t grace_seconds) {
  Value& metadata = object.edit("metadata");
  metadata.set("deletionTimestamp", format_time(core.clock.now() + std::chrono::seconds(grace_seconds)));
  metadata.set("deletionGracePeriodSeconds", grace_seconds);
  if (metadata["generation"].as_int() > 0) metadata.set("generation", metadata["generation"].as_int() + 1);
}

// Propagation is remembered in finalizers for the garbage collector. Gives whether they changed.
bool set_propagation(const DeleteParameters& parameters, Value& object) {
  if (!parameters.propagation) return false;
  const std::string_view wanted = *parameters.propagation == "Orphan"       ? kOrphan
                                  : *parameters.propagation == "Foreground" ? kForeground
                                                                            : "";
  std::vector<Value> kept;
  bool has = false;
  const Value before = object["metadata"]["finalizers"];
  for (const Value& finalizer : before.items()) {
    const bool ours = finalizer.as_string() == kOrphan || finalizer.as_string() == kForeground;
    if (finalizer.as_string() == wanted) has = true;
    if (!ours || finalizer.as_string() == wanted) kept.push_back(finalizer);
  }
  if (!wanted.empty() && !has) kept.emplace_back(wanted);
  if (kept.size() == before.size() && (wanted.empty() || has)) return false;
  if (kept.empty())
    object.edit("metadata").erase("finalizers");
  else
    object.edit("metadata").set("finalizers", Value(std::move(kept)));
  return true;
}

Result<void> check_preconditions(Request& request, const DeleteParameters& parameters, const Value& object) {
  const std::string uid = object["metadata"]["uid"].str(), version = object["metadata"]["resourceVersion"].str();
  if (!parameters.uid.empty() && parameters.uid != uid)
    return request.conflict("the UID in the precondition (" + parameters.uid + ") does not match the UID in record (" +
                            uid + "). The object might have been deleted and then recreated");
  if (!parameters.resource_version.empty() && parameters.resource_version != version)
    return request.conflict("the ResourceVersion in the precondition (" + parameters.resource_version +
                            ") does not match the ResourceVersion in record (" + version +
                            "). The object might have been modified");
  return {};
}

Planned answer(const Request& request, const store::Key& key, Value object) {
  (void)request;
  return Planned{std::move(object), key, 200};
}

// A Namespace goes in two steps: Terminating until its content is gone and /finalize emptied spec.finalizers.
Result<Planned> remove_namespace(Core& core, Request& request, Transaction& tx, const Found& found, Value object) {
  const store::Key key = request.key();
  if (object.get({"spec", "finalizers"}).empty() && object["metadata"]["finalizers"].empty()) {
    tx.remove(key, object, found.revision);
    return Planned{success(request, object), {}, 200};
  }
  if (being_deleted(object)) return Planned{object, {}, 200};
  object.edit("metadata").set("deletionTimestamp", time_now(core.clock));
  object.edit({"status", "phase"}) = "Terminating";
  tx.put(key, object, found.revision);
  return answer(request, key, std::move(object));
}

}  // namespace

Result<DeleteParameters> delete_parameters(Request& request, const http::Query& query, const Value& body) {
  DeleteParameters parameters;
  Value options = body.is_map() ? body : Value::map();
  if (const std::string kind = options["kind"].str(); !kind.empty() && kind != "DeleteOptions")
    return request.fail_without_reason("no kind \"" + kind + "\" is registered for version \"" +
                                       options["apiVersion"].str() + "\" in scheme \"pkg/runtime/scheme.go:110\"");
  if (const auto grace = http::query_get(query, "gracePeriodSeconds"); !grace.empty()) {
    const auto seconds = parse_int(grace);
    if (!seconds)
      return request.bad_request("strconv.ParseInt: parsing \"" + std::string(grace) + "\": invalid syntax");
    if (options["gracePeriodSeconds"].is_null()) options.set("gracePeriodSeconds", *seconds);
  }
  if (const auto policy = http::query_get(query, "propagationPolicy");
      !policy.empty() && options["propagationPolicy"].is_null())
    options.set("propagationPolicy", policy);
  if (const auto orphan = http::query_get(query, "orphanDependents"); !orphan.empty())
    options.set("orphanDependents", orphan == "true" || orphan == "1");
  if (options["gracePeriodSeconds"].is_int()) parameters.grace_period_seconds = options["gracePeriodSeconds"].as_int();
  if (options["orphanDependents"].is_bool())
    parameters.propagation = options["orphanDependents"].as_bool() ? "Orphan" : "Background";
  if (const std::string policy = options["propagationPolicy"].str(); !policy.empty()) {
    if (policy != "Background" && policy != "Foreground" && policy != "Orphan")
      return invalid_option(request, "propagationPolicy",
                            "Unsupported value: \"" + policy +
                                "\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"");
    if (options["orphanDependents"].is_bool())
      return invalid_option(
          request, "propagationPolicy",
          "Invalid value: \"" + policy + "\": orphanDependents and deletionPropagation cannot be both set",
          "FieldValueInvalid");
    parameters.propagation = policy;
  }
  for (const Value& dry : options["dryRun"].items()) {
    if (dry.as_string() != "All")
      return invalid_option(request, "dryRun",
                            "Unsupported value: []string{\"" + dry.str() + "\"}: supported values: \"All\"");
    request.dry_run = true;
  }
  // ReplicationControllers and Jobs keep what clients of old expected: their Pods stay.
  const bool job = request.plural == "jobs" && request.group == "batch";
  if (!parameters.propagation && (job || (request.plural == "replicationcontrollers" && request.group.empty()))) {
    parameters.propagation = "Orphan";
    if (job)
      request.warnings.emplace_back(
          "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
          "or "
          "set propagationPolicy=Orphan to suppress this warning");
  }
  request.delete_options = options;
  parameters.uid = options.get({"preconditions", "uid"}).str();
  parameters.resource_version = options.get({"preconditions", "resourceVersion"}).str();
  return parameters;
}

Result<Planned> remove(Core& core, Request& request, Transaction& tx, const DeleteParameters& parameters) {
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  Value object = TRY(core.conversion->convert(*request.kind, found->value));
  TRY(check_preconditions(request, parameters, object));
  Value none;
  TRY(admit(core, request, tx, AdmissionRequest::Operation::remove, object, none));
  TRY(admit_validate(core, request, tx, AdmissionRequest::Operation::remove, object, none));
  if (request.plural == "namespaces" && request.group.empty())
    return remove_namespace(core, request, tx, *found, std::move(object));

  if (request.plural == "customresourcedefinitions" && request.group == "apiextensions.k8s.io")
    mark_definition_deleted(core, object);
  const store::Key key = request.key();
  const bool pod = request.plural == "pods" && request.group.empty();
  const bool changed = set_propagation(parameters, object);
  const std::int64_t grace = pod ? grace_of_pod(object, parameters) : 0;
  const Value& metadata = object["metadata"];
  if (being_deleted(object)) {
    // A second deletion may only make it sooner.
    const bool sooner =
        pod && parameters.grace_period_seconds && grace < metadata["deletionGracePeriodSeconds"].as_int();
    const bool at_once = grace == 0 && metadata["finalizers"].empty() &&
                         (sooner || metadata["deletionGracePeriodSeconds"].as_int() == 0);
    if (at_once) {
      object.edit("metadata").set("deletionGracePeriodSeconds", 0);
      tx.remove(key, object, found->revision);
      if (answers_with_object(*request.kind)) return Planned{std::move(object), key, 200};
      return Planned{success(request, object), {}, 200};
    }
    if (!sooner && !changed) return Planned{object, {}, 200};
    if (sooner) {
      const std::int64_t generation = metadata["generation"].as_int();
      mark_deleted(core, object, grace);
      if (generation > 0) object.edit("metadata").set("generation", generation);
    }
    Value stored = TRY(core.conversion->to_storage(*request.kind, object));
    tx.put(key, std::move(stored), found->revision);
    return answer(request, key, std::move(object));
  }
  if (grace > 0 || !metadata["finalizers"].empty()) {
    mark_deleted(core, object, grace);
    Value stored = TRY(core.conversion->to_storage(*request.kind, object));
    tx.put(key, std::move(stored), found->revision);
    return answer(request, key, std::move(object));
  }
  if (pod) mark_deleted(core, object, 0);
  tx.remove(key, object, found->revision);
  if (answers_with_object(*request.kind)) return Planned{std::move(object), key, 200};
  return Planned{success(request, object), {}, 200};
}

}  // namespace caisson::apiserver
