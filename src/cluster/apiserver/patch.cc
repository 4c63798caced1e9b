// SPDX-License-Identifier: Apache-2.0
#include "core/document/patch.h"

#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/decode.h"
#include "cluster/apiserver/managed_fields.h"
#include "cluster/schema/defaults.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

// As Go's %v prints a decoded JSON document: map[a:1 b:[x y]].
std::string go_text(const Value& value) {
  if (value.is_null()) return "<nil>";
  if (!value.is_map() && !value.is_list()) return value.scalar_text();
  std::vector<std::string> parts;
  for (const auto& [key, child] : value.entries()) parts.push_back(std::string(key) + ":" + go_text(child));
  std::sort(parts.begin(), parts.end());
  for (const Value& child : value.items()) parts.push_back(go_text(child));
  return (value.is_map() ? "map[" : "[") + join(parts, " ") + "]";
}

// As the reference's library patches: "replace" of a member that is not there adds it.
Result<Value> json_patched(Value document, const Value& patch) {
  for (Value operation : patch.items()) {
    auto next = document::json_patch(document, Value(std::vector<Value>{operation}));
    if (!next.ok() && operation["op"].as_string() == "replace") {
      const std::string path = operation["path"].str();
      const std::size_t slash = path.rfind('/');
      const bool list_place = slash != std::string::npos && slash + 1 < path.size() &&
                              path.find_first_not_of("0123456789", slash + 1) == std::string::npos;
      if (!list_place) next = document::json_patch(document, Value(std::vector<Value>{operation.set("op", "add")}));
    }
    document = TRY(std::move(next));
  }
  return document;
}

// The map that holds a directive nobody knows; null: none.
const Value& unknown_directive(const Value& patch) {
  const Value& directive = patch["$patch"];
  if (directive.is_string() && directive.as_string() != "merge" && directive.as_string() != "replace" &&
      directive.as_string() != "delete")
    return patch;
  for (const auto& [key, child] : patch.entries())
    if (const Value& found = unknown_directive(child); !found.is_null()) return found;
  for (const Value& child : patch.items())
    if (const Value& found = unknown_directive(child); !found.is_null()) return found;
  return document::kNull;
}

// What Go says of a document that is no map, or no list.
std::string go_mismatch(const Value& patch, std::string_view wanted) {
  const std::string_view what = patch.is_string() ? "string"
                                : patch.is_list() ? "array"
                                : patch.is_map()  ? "object"
                                : patch.is_bool() ? "bool"
                                                  : "number";
  return "json: cannot unmarshal " + std::string(what) + " into Go value of type " + std::string(wanted);
}

Error wrong_document(Request& request, const Value& patch, std::string_view wanted) {
  return request.bad_request("error decoding patch: " + go_mismatch(patch, wanted));
}

// 'spec.containers[0]: has no merge key name: {…}' is Go's 'map: map[…] does not contain declared merge key: name'.
Error strategic_failure(Request& request, const std::string& message) {
  constexpr std::string_view kNoKey = ": has no merge key ";
  const std::size_t at = message.find(kNoKey), colon = message.find(": {", at == std::string::npos ? 0 : at + 2);
  if (at == std::string::npos || colon == std::string::npos) return request.bad_request(message);
  const std::string key = message.substr(at + kNoKey.size(), colon - at - kNoKey.size());
  const auto item = json::parse(std::string_view(message).substr(colon + 2));
  return request.fail_without_reason("map: " + (item.ok() ? go_text(*item) : message.substr(colon + 2)) +
                                     " does not contain declared merge key: " + key);
}

Result<Value> patched(Request& request, kube::PatchType type, const Value& current, const Value& patch) {
  switch (type) {
    case kube::PatchType::json: {
      if (!patch.is_list()) return wrong_document(request, patch, "[]handlers.jsonPatchOp");
      auto result = json_patched(current, patch);
      // Upstream gives no reason here; ours names the operation.
      if (!result.ok())
        return request.fail(ErrorCode::invalid, "the server rejected our request due to an error in our request",
                            Value::map());
      return result;
    }
    case kube::PatchType::merge:
      if (patch.is_null()) return current;
      if (!patch.is_map()) return wrong_document(request, patch, "map[string]interface {}");
      return document::merge_patch(current, patch);
    case kube::PatchType::strategic: {
      if (request.kind->custom)
        return request.fail(ErrorCode::unsupported_media_type,
                            "the body of the request was in an unknown format - accepted media types include: "
                            "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
      if (patch.is_null()) return current;
      if (!patch.is_map()) return request.bad_request(go_mismatch(patch, "map[string]interface {}"));
      request.patch_text = go_text(patch);
      if (const Value& holder = unknown_directive(patch); !holder.is_null())
        return request.fail_without_reason("unknown patch type: " + holder["$patch"].str() +
                                           " in map: " + go_text(holder));
      auto result = document::strategic_merge(current, patch, schema::merge_schema(*request.kind));
      if (!result.ok()) return strategic_failure(request, result.error().message);
      return result;
    }
  }
  return request.bad_request("unknown patch type");
}

}  // namespace

Result<Planned> patch(Core& core, Request& request, Transaction& tx, kube::PatchType type, const Value& change) {
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  const Value current = TRY(core.conversion->convert(*request.kind, found->value));
  Value changed = TRY(patched(request, type, current, change));
  // A version that the patch names is a precondition; the one that was read is only what it was computed from.
  Value desired = TRY(decode(core, request, std::move(changed), true));
  const Value& metadata = desired["metadata"];
  if (metadata["name"].as_string().empty()) return no_name(request);
  if (metadata["name"].as_string() != request.name)
    return request.bad_request("the name of the object (" + metadata["name"].str() +
                               ") does not match the name on the URL (" + request.name + ")");
  if (const auto ns = metadata["namespace"].as_string();
      request.kind->resource.namespaced && !ns.empty() && ns != request.ns)
    return request.bad_request("the namespace of the provided object does not match the namespace sent on the request");
  return write_over(core, request, tx, *found, std::move(desired));
}

Result<Planned> apply(Core& core, Request& request, Transaction& tx, const Value& body) {
  if (!body.is_map()) return request.bad_request("error decoding YAML: the applied configuration is no object");
  const schema::KindSchema& kind = *request.kind;
  const std::string api_version = body["apiVersion"].str(), kind_name = body["kind"].str();
  // Types are looked at before names: a name that is no string is not the wrong name.
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
  if (!found && !body["metadata"]["uid"].as_string().empty() && request.subresource.empty())
    return request.conflict("uid mismatch: the provided object specified uid " + body["metadata"]["uid"].str() +
                            ", and no existing object was found");
  Value current;
  if (found) current = TRY(core.conversion->convert(kind, found->value));
  const FieldManager manager{request.field_manager, request.subresource, time_now(core.clock)};
  Value merged = TRY(apply_configuration(request, current, body, manager, request.force));
  if (!found) {
    merged.edit("metadata").erase("resourceVersion");
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
