// SPDX-License-Identifier: Apache-2.0
#include "core/document/patch.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/apiserver/verbs.h"
#include "cluster/schema/defaults.h"

namespace caisson::apiserver {
namespace {

Result<Value> patched(Request& request, kube::PatchType type, const Value& current, const Value& patch) {
  switch (type) {
    case kube::PatchType::json: {
      if (!patch.is_list()) return request.bad_request("error decoding patch: a JSON patch is a list of operations");
      auto result = document::json_patch(current, patch);
      // Upstream gives no reason here; ours names the operation.
      if (!result.ok())
        return request.fail(ErrorCode::invalid, "the server rejected our request due to an error in our request",
                            Value::map());
      return result;
    }
    case kube::PatchType::merge:
      if (!patch.is_map()) return request.bad_request("error decoding patch: a merge patch is an object");
      return document::merge_patch(current, patch);
    case kube::PatchType::strategic: {
      if (request.kind->custom)
        return request.fail(ErrorCode::unsupported_media_type,
                            "the body of the request was in an unknown format - accepted media types include: "
                            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
      if (!patch.is_map()) return request.bad_request("error decoding patch: a strategic merge patch is an object");
      auto result = document::strategic_merge(current, patch, schema::merge_schema(*request.kind));
      if (!result.ok()) return request.bad_request(result.error().message);
      return result;
    }
  }
  return request.bad_request("unknown patch type");
}

}  // namespace

Result<Planned> patch(Core& core, Request& request, Transaction& tx, kube::PatchType type, const Value& change) {
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  const Value current = in_version(*request.kind, found->value);
  Value changed = TRY(patched(request, type, current, change));
  const Value& metadata = changed["metadata"];
  if (metadata["name"].as_string() != request.name)
    return request.bad_request("the name of the object (" + metadata["name"].str() +
                               ") does not match the name on the URL (" + request.name + ")");
  if (request.kind->resource.namespaced && metadata["namespace"].as_string() != request.ns)
    return request.bad_request("the namespace of the object (" + metadata["namespace"].str() +
                               ") does not match the namespace on the request (" + request.ns + ")");
  // A version that the patch names is a precondition; the one that was read is only what it was computed from.
  Value desired = TRY(decode(core, request, std::move(changed), true));
  return write_over(core, request, tx, *found, std::move(desired));
}

Result<Planned> apply(Core& core, Request& request, Transaction& tx, const Value& body) {
  if (!body.is_map()) return request.bad_request("error decoding YAML: the applied configuration is no object");
  const schema::KindSchema& kind = *request.kind;
  const std::string api_version = body["apiVersion"].str(), kind_name = body["kind"].str();
  if (api_version != kind.resource.api_version() || kind_name != kind.resource.kind)
    return request.bad_request(
        "invalid object type: " + (api_version.find('/') == std::string::npos ? "/" + api_version : api_version) +
        ", Kind=" + kind_name);
  if (const auto name = body["metadata"]["name"].as_string(); !name.empty() && name != request.name)
    return request.bad_request("the name of the object (" + std::string(name) +
                               ") does not match the name on the URL (" + request.name + ")");
  if (body["metadata"].contains("managedFields")) return request.bad_request("metadata.managedFields must be nil");
  const auto found = tx.find(request.key());
  if (!found && !request.subresource.empty()) return request.not_found();
  if (!found && !body["metadata"]["uid"].as_string().empty())
    return request.conflict("uid mismatch: the provided object specified uid " + body["metadata"]["uid"].str() +
                            ", and no existing object was found");
  const Value current = found ? in_version(kind, found->value) : Value();
  const FieldManager manager{request.field_manager, request.subresource, time_now(core.clock)};
  Value merged = TRY(apply_configuration(request, current, body, manager, request.force));
  if (!found) {
    const std::string verb = std::exchange(request.verb, "apply");
    auto planned = create(core, request, tx, merged);
    request.verb = verb;
    return planned;
  }
  Value desired = TRY(decode(core, request, std::move(merged), true));
  const std::string verb = std::exchange(request.verb, "apply");
  auto planned = write_over(core, request, tx, *found, std::move(desired));
  request.verb = verb;
  return planned;
}

}  // namespace caisson::apiserver
