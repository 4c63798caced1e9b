// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "cluster/apiserver/decode.h"
#include "cluster/schema/defaults.h"
#include "cluster/schema/update_checks.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

// What stands before a decoding error: Kubernetes' scheme says it for typed bodies, not for custom resources.
std::string prefix(const schema::KindSchema& kind) {
  if (kind.custom) return "";
  return kind.resource.kind + " in version \"" + kind.resource.version + "\" cannot be handled as a " +
         kind.resource.kind + ": ";
}

Error decoding_failure(Request& request, const std::string& why, bool patched, const Value& object) {
  if (!patched) return request.bad_request(prefix(*request.kind) + why);
  const Value shown(request.patch_text.empty() ? json::write(object) : request.patch_text);
  const schema::FieldError error{schema::FieldError::Type::invalid, "patch", shown, why};
  Value details{{"causes", schema::causes({error})}};
  return request.fail(ErrorCode::invalid, " \"\" is invalid: " + error.str(), std::move(details));
}

// A body of another kind: one that is known can't be converted, another is not registered.
Error wrong_kind(Core& core, Request& request, const std::string& api_version, const std::string& kind, bool patched,
                 const Value& body) {
  const schema::Resource& wanted = request.kind->resource;
  const std::size_t slash = api_version.rfind('/');
  const std::string version = api_version.substr(slash == std::string::npos ? 0 : slash + 1);
  std::string why = "no kind \"" + kind + "\" is registered for version \"" + api_version +
                    "\" in scheme \"pkg/runtime/scheme.go:110\"";
  if (const auto known = core.schema.find_api_version(api_version, kind)) {
    const auto package = [](const schema::Resource& r) {
      return r.group.empty() ? "core" : r.group.substr(0, r.group.find('.'));
    };
    why = "converting (" + version + "." + kind + ") to (" + package(wanted) + "." + wanted.kind +
          "): unknown conversion";
  }
  if (patched) return decoding_failure(request, why, true, body);
  return request.bad_request(kind + " in version \"" + version + "\" cannot be handled as a " + wanted.kind + ": " +
                             why);
}

Result<void> check_type_meta(Core& core, Request& request, const Value& body, bool patched) {
  const schema::Resource& resource = request.kind->resource;
  const std::string api_version = body["apiVersion"].str(), kind = body["kind"].str();
  if (!body.is_map())
    return request.bad_request("the object provided is unrecognized (must be of type " + resource.kind +
                               "): it is no map");
  const bool other_version = !api_version.empty() && api_version != resource.api_version();
  if (other_version && core.schema.find_api_version(api_version, kind.empty() ? resource.kind : kind) &&
      (kind.empty() || kind == resource.kind))
    return request.bad_request("the API version in the data (" + api_version +
                               ") does not match the expected API version (" + resource.api_version() + ")");
  if (other_version || (!kind.empty() && kind != resource.kind))
    return wrong_kind(core, request, api_version.empty() ? resource.api_version() : api_version,
                      kind.empty() ? resource.kind : kind, patched, body);
  return {};
}

// Go leaves out empty lists and maps (omitempty) of fields that are not required; custom resources keep what they have.
std::optional<Value> without_empty(const schema::Field& field, const Value& value) {
  std::optional<Value> out;
  const auto edit = [&]() -> Value& {
    if (!out) out = value;
    return *out;
  };
  if (value.is_map() && field.object) {
    for (const auto& [key, child] : value.entries()) {
      const schema::Member* member = field.object->find(key);
      if (!member) continue;
      const bool collection =
          member->field->type == schema::FieldType::list || member->field->type == schema::FieldType::map;
      // An autoscaler's empty list of policies is refused, and not filled: it must be seen (rules_autoscaling.cc).
      const bool refused = key == "policies" && field.object->name.ends_with(".HPAScalingRules");
      if (collection && !member->required && !refused && !child.is_null() && child.empty())
        edit().erase(key);
      else if (auto next = without_empty(*member->field, child))
        edit().set(key, *std::move(next));
    }
  } else if (value.is_list() && field.type == schema::FieldType::list && field.element && field.element->object) {
    for (std::size_t i = 0; i < value.size(); ++i)
      if (auto next = without_empty(*field.element, value[i])) edit().edit(i) = *std::move(next);
  }
  return out;
}

void null_time(Value& object) {
  if (!object.is_map()) return;
  if (!object["metadata"].contains("creationTimestamp")) object.edit("metadata").set("creationTimestamp", Value());
}

}  // namespace

Value completed(const schema::KindSchema& kind, Value object) {
  object = schema::with_defaults(kind, std::move(object));
  if (kind.custom) return object;
  if (auto lean = without_empty(kind.root(), object)) {
    for (const char* field : {"rules", "endpoints", "ports"})  // said, and so owned; settled: null
      if (object[field].is_list() && object[field].empty()) lean->set(field, Value::list());
    object = *std::move(lean);
  }
  const auto absent_is_null = [&](const char* field) {
    if (!object.contains(field)) object.set(field, Value());
  };
  const std::string_view plural = kind.resource.plural;
  if (plural == "clusterroles" || plural == "roles") absent_is_null("rules");
  if (plural == "endpointslices") absent_is_null("endpoints"), absent_is_null("ports");
  if (plural == "events") {
    if (!object.contains("eventTime")) object.set("eventTime", Value());
    const bool fresh = kind.resource.group == "events.k8s.io";
    for (const char* field :
         {fresh ? "deprecatedFirstTimestamp" : "firstTimestamp", fresh ? "deprecatedLastTimestamp" : "lastTimestamp"})
      if (!object.contains(field)) object.set(field, Value());
  }
  if (plural == "jobs" && object["metadata"]["labels"].empty() &&
      !object.get({"spec", "template", "metadata", "labels"}).empty())
    object.edit("metadata").set("labels", object.get({"spec", "template", "metadata", "labels"}));
  if (plural == "daemonsets" &&
      object.get({"metadata", "annotations", "deprecated.daemonset.template.generation"}).is_null())
    object.edit({"metadata", "annotations"}).set("deprecated.daemonset.template.generation", "1");
  if (plural == "podtemplates") null_time(object.edit("template"));
  if (kind.is_review()) null_time(object);
  if (plural == "horizontalpodautoscalers" && kind.resource.version == "v2" && object["status"].is_map() &&
      !object["status"].contains("currentMetrics"))
    object.edit("status").set("currentMetrics", Value());
  if (plural == "nodes" && object["spec"]["podCIDRs"].is_null() && !object["spec"]["podCIDR"].is_null())
    object.edit({"spec", "podCIDRs"}).push_back(object["spec"]["podCIDR"]);
  if (plural == "pods")
    for (std::size_t i = 0; i < object["status"]["conditions"].size(); ++i)
      for (const char* time : {"lastProbeTime", "lastTransitionTime"})
        if (!object["status"]["conditions"][i].contains(time))
          object.edit({"status", "conditions"}).edit(i).set(time, Value());
  if (!object["spec"].is_map()) return object;
  for (const char* field : {"template", "jobTemplate"})
    if (object["spec"][field].is_map() && !object["spec"][field]["metadata"].contains("creationTimestamp"))
      null_time(object.edit({"spec", field}));
  if (const Value& nested = object.get({"spec", "jobTemplate", "spec", "template"});
      nested.is_map() && !nested["metadata"].contains("creationTimestamp"))
    null_time(object.edit({"spec", "jobTemplate", "spec", "template"}));
  for (std::size_t i = 0; i < object["spec"]["volumeClaimTemplates"].size(); ++i)
    if (!object["spec"]["volumeClaimTemplates"][i]["metadata"].contains("creationTimestamp"))
      null_time(object.edit("spec").edit("volumeClaimTemplates").edit(i));
  return object;
}

Value settled(const schema::KindSchema& kind, Value object) {
  object = completed(kind, std::move(object));
  // Through Go's internal types an empty list comes back as none.
  for (const char* field : {"rules", "endpoints", "ports"})
    if (!kind.custom && object[field].is_list() && object[field].empty()) object.set(field, Value());
  return ordered(object);
}

Result<Value> decode(Core& core, Request& request, Value body, bool patched) {
  const schema::KindSchema& kind = *request.kind;
  TRY(check_type_meta(core, request, body, patched));
  const Value whole = body;
  std::vector<std::string> unknown;
  const bool look = request.field_validation != FieldValidation::ignore;
  Value object = schema::pruned(kind, std::move(body), look ? &unknown : nullptr);
  const bool strategic = patched && !request.patch_text.empty();
  const auto wrong = strategic ? schema::convert_error(kind, object) : schema::decode_error(kind, object);
  if (wrong) return decoding_failure(request, wrong->message, patched, whole);
  if (!unknown.empty() || !request.duplicate_fields.empty()) {
    std::vector<std::string> messages = request.duplicate_fields;
    for (const std::string& field : unknown) messages.push_back("unknown field \"" + field + "\"");
    if (request.field_validation == FieldValidation::strict)
      return decoding_failure(request, "strict decoding error: " + join(messages, ", "), patched, whole);
    for (std::string& message : messages) request.warnings.push_back(std::move(message));
  }
  object.set("apiVersion", kind.resource.api_version()).set("kind", kind.resource.kind);
  if (object["metadata"].is_null()) object.set("metadata", Value::map());
  object = schema::canonical(kind, std::move(object));
  return completed(kind, std::move(object));
}

Result<Value> decode_part(Core& core, Request& request, Value body, std::string_view type,
                          const schema::Resource& resource) {
  schema::Field root;
  root.type = schema::FieldType::object;
  root.object = schema::find_type(core.schema, type);
  schema::KindSchema part;
  part.resource = resource;
  part.root_field = &root;
  // Only for as long as the body is read, and nobody keeps it.
  const schema::KindPtr whole = std::exchange(request.kind, schema::KindPtr(schema::KindPtr(), &part));
  auto decoded = decode(core, request, std::move(body));
  request.kind = whole;
  return decoded;
}

}  // namespace caisson::apiserver
