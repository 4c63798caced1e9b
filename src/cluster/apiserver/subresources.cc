// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/subresources.h"

#include "cluster/apiserver/tokens.h"
#include "cluster/schema/defaults.h"
#include "core/base/text.h"
#include "core/document/patch.h"

namespace caisson::apiserver {
namespace {

using schema::FieldError;

Value created_status() {
  Value status = success_status({});
  status.set("code", 201);
  return status;
}

const Value& at_path(const Value& object, std::string_view dotted) {
  const Value* value = &object;
  for (const std::string_view part : split(dotted, '.'))
    if (!part.empty()) value = &(*value)[part];
  return *value;
}

void set_path(Value& object, std::string_view dotted, Value value) {
  Value* place = &object;
  for (const std::string_view part : split(dotted, '.'))
    if (!part.empty()) place = &place->edit(part);
  *place = std::move(value);
}

std::string selector_text(const Value& selector) {
  if (selector.is_string()) return selector.str();
  if (selector.contains("matchLabels") || selector.contains("matchExpressions")) {
    const auto parsed = kube::LabelSelector::from(selector);
    return parsed.ok() ? parsed->str() : "";
  }
  return kube::LabelSelector::of(selector).str();
}

// Scale of autoscaling/v1, read from where the kind keeps its numbers.
Value scale_of(const Request& request, const Value& object) {
  const schema::Subresource* scale = request.kind->subresource("scale");
  const Value& from = object["metadata"];
  Value metadata{{"name", from["name"]}};
  for (const char* field : {"namespace", "uid", "resourceVersion", "creationTimestamp"})
    if (!from[field].is_null()) metadata.set(field, from[field]);
  const std::string spec_path = scale->spec_replicas_path.empty() ? ".spec.replicas" : scale->spec_replicas_path;
  const std::string status_path =
      scale->status_replicas_path.empty() ? ".status.replicas" : scale->status_replicas_path;
  Value spec = Value::map();
  if (const std::int64_t replicas = at_path(object, spec_path).as_int(); replicas != 0) spec.set("replicas", replicas);
  Value status{{"replicas", at_path(object, status_path).as_int()}};
  const Value& selector =
      scale->label_selector_path.empty() ? object["spec"]["selector"] : at_path(object, scale->label_selector_path);
  if (const std::string text = selector_text(selector); !text.empty()) status.set("selector", text);
  return Value{
      {"kind", "Scale"}, {"apiVersion", "autoscaling/v1"}, {"metadata", metadata}, {"spec", spec}, {"status", status}};
}

Result<Planned> plan_scale(Core& core, Request& request, Transaction& tx, const Value& body,
                           std::optional<kube::PatchType> type) {
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  const Value object = in_version(*request.kind, found->value);
  Value scale = body;
  if (type) {
    const Value current = scale_of(request, object);
    if (*type == kube::PatchType::json) {
      auto patched = document::json_patch(current, body);
      if (!patched.ok())
        return request.fail(ErrorCode::invalid, "the server rejected our request due to an error in our request",
                            Value::map());
      scale = std::move(patched).value();
    } else {
      scale = document::merge_patch(current, body);
    }
  }
  const Value& name = scale["metadata"]["name"];
  if (!name.as_string().empty() && name.as_string() != request.name)
    return request.bad_request("the name of the object (" + name.str() + ") does not match the name on the URL (" +
                               request.name + ")");
  const Value& replicas = scale["spec"]["replicas"];
  if (!replicas.is_null() && !replicas.is_int()) return request.bad_request("spec.replicas must be an integer");
  if (replicas.as_int() < 0) {
    const FieldError error{FieldError::Type::invalid, "spec.replicas", replicas, "must be greater than or equal to 0"};
    Value details{
        {"name", request.name}, {"group", "autoscaling"}, {"kind", "Scale"}, {"causes", schema::causes({error})}};
    return request.fail(ErrorCode::invalid, "Scale.autoscaling \"" + request.name + "\" is invalid: " + error.str(),
                        std::move(details));
  }
  const std::string version = scale["metadata"]["resourceVersion"].str();
  if (!version.empty() && version != object["metadata"]["resourceVersion"].as_string()) return request.conflict();
  Value desired = object;
  const std::string path = request.kind->subresource("scale")->spec_replicas_path;
  set_path(desired, path.empty() ? ".spec.replicas" : path, replicas.as_int());
  // The object's own sub-resource rules: a scale writes spec.
  const std::string subresource = std::exchange(request.subresource, "");
  request.owner_subresource = subresource;
  auto planned = write_over(core, request, tx, *found, std::move(desired));
  request.subresource = subresource;
  return planned;
}

Result<Planned> plan_binding(Core& core, Request& request, Transaction& tx, const Value& body) {
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  const Value& pod = found->value;
  const Value& target = body["target"];
  const std::string node = target["name"].str();
  if (node.empty() ||
      (!target["kind"].is_null() && target["kind"].as_string() != "Node" && !target["kind"].as_string().empty()))
    return request.fail(ErrorCode::invalid, "Binding \"" + request.name + "\" is invalid: target.name: Required value",
                        Value{{"name", request.name}, {"kind", "Binding"}});
  if (being_deleted(pod))
    return request.conflict("pod " + request.name + " is being deleted, cannot be assigned to a host");
  const std::string bound = pod.get({"spec", "nodeName"}).str();
  if (!bound.empty()) return request.conflict("pod " + request.name + " is already assigned to node \"" + bound + "\"");
  const std::string uid = body["metadata"]["uid"].str();
  if (!uid.empty() && uid != pod["metadata"]["uid"].as_string())
    return request.conflict("the pod was deleted and made again");
  Value changed = pod;
  changed.edit("spec").set("nodeName", node);
  for (const auto& [key, value] : body["metadata"]["annotations"].entries())
    changed.edit({"metadata", "annotations"}).set(key, value);
  // PodScheduled, as pod BindingREST sets it.
  Value conditions = changed.get({"status", "conditions"});
  Value scheduled{{"lastProbeTime", Value()},
                  {"lastTransitionTime", time_now(core.clock)},
                  {"status", "True"},
                  {"type", "PodScheduled"}};
  bool placed = false;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    if (conditions[i]["type"].as_string() != "PodScheduled") continue;
    conditions.edit(i) = scheduled;
    placed = true;
  }
  if (!placed) conditions.push_back(std::move(scheduled));
  changed.edit("status").set("conditions", std::move(conditions));
  tx.put(request.key(), changed, found->revision);
  return Planned{created_status(), {}, 201};
}

Result<Planned> plan_eviction(Core& core, Request& request, Transaction& tx, const Value& body) {
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  const Value pod = found->value;
  // A PodDisruptionBudget that selects the pod must allow one more.
  const std::string_view phase = pod.get({"status", "phase"}).as_string();
  if (phase != "Succeeded" && phase != "Failed" && phase != "Pending" && !being_deleted(pod)) {
    const auto budgets = core.store.list("poddisruptionbudgets.policy", {.ns = request.ns});
    if (!budgets.ok()) return budgets.error();
    for (const store::ItemPtr& item : budgets->items) {
      const Value budget = item->value();
      const kube::LabelSelector selector = TRY(kube::LabelSelector::from(budget["spec"]["selector"]));
      if (!selector.matches(pod["metadata"]["labels"]) || budget.get({"status", "disruptionsAllowed"}).as_int() > 0)
        continue;
      if (budget.get({"status", "observedGeneration"}).as_int() < budget["metadata"]["generation"].as_int()) {
        Value cause{{"reason", "DisruptionBudget"},
                    {"message", "The disruption budget " + budget["metadata"]["name"].str() +
                                    " is still being processed by the server."}};
        return request.fail(ErrorCode::too_many_requests,
                            "Cannot evict pod as it would violate the pod's disruption budget.",
                            Value{{"causes", Value(std::vector<Value>{std::move(cause)})}, {"retryAfterSeconds", 10}});
      }
      Value cause{
          {"reason", "DisruptionBudget"},
          {"message", "The disruption budget " + budget["metadata"]["name"].str() + " needs " +
                          std::to_string(budget.get({"status", "desiredHealthy"}).as_int()) + " healthy pods and has " +
                          std::to_string(budget.get({"status", "currentHealthy"}).as_int()) + " currently"}};
      return request.fail(ErrorCode::too_many_requests,
                          "Cannot evict pod as it would violate the pod's disruption budget.",
                          Value{{"causes", Value(std::vector<Value>{std::move(cause)})}});
    }
  }
  Request deletion = request;
  deletion.subresource.clear();
  deletion.verb = "delete";
  const DeleteParameters parameters = TRY(delete_parameters(deletion, {}, body["deleteOptions"]));
  request.dry_run = request.dry_run || deletion.dry_run;
  const Planned planned = TRY(remove(core, deletion, tx, parameters));
  (void)planned;
  return Planned{created_status(), {}, 201};
}

Result<Value> request_token(Core& core, Request& request, const Value& body) {
  const store::ItemPtr account = core.store.get("serviceaccounts", request.ns, request.name);
  if (!account) return request.not_found();
  const Value& spec = body["spec"];
  std::vector<std::string> audiences;
  for (const Value& audience : spec["audiences"].items()) audiences.push_back(audience.str());
  if (audiences.empty()) audiences.push_back(core.tokens->issuer());
  const std::int64_t seconds = spec["expirationSeconds"].as_int(3600);
  if (seconds < 600) {
    const FieldError error{FieldError::Type::invalid, "spec.expirationSeconds", Value(seconds),
                           "may not specify a duration less than 10 minutes"};
    return request.invalid({error}, request.name);
  }
  TokenAuthority::Bound bound;
  if (const Value& reference = spec["boundObjectRef"]; !reference.is_null()) {
    bound = {reference["kind"].str(), reference["name"].str(), reference["uid"].str(), "", ""};
    const bool pod = bound.kind == "Pod";
    if (!pod && bound.kind != "Secret")
      return request.bad_request("cannot bind token to object of type " + reference["apiVersion"].str() +
                                 ", Kind=" + bound.kind);
    const store::ItemPtr item = core.store.get(pod ? "pods" : "secrets", request.ns, bound.name);
    if (!item)
      return request.fail(ErrorCode::not_found, (pod ? "pods \"" : "secrets \"") + bound.name + "\" not found",
                          Value{{"name", bound.name}, {"kind", pod ? "pods" : "secrets"}});
    const Value object = item->value();
    const std::string uid = object["metadata"]["uid"].str();
    if (!bound.uid.empty() && bound.uid != uid)
      return request.conflict(
          "the UID in the bound object reference (" + bound.uid +
          ") does not match the UID in record. The object might have been deleted and then recreated");
    bound.uid = uid;
    if (pod) bound.node_name = object.get({"spec", "nodeName"}).str();
    if (const auto node = core.store.get("nodes", "", bound.node_name))
      bound.node_uid = node->value()["metadata"]["uid"].str();
    else
      bound.node_name.clear();
  }
  const std::string uid = account->value()["metadata"]["uid"].str();
  const std::string token =
      TRY(core.tokens->issue(request.ns, request.name, uid, bound, audiences, std::chrono::seconds(seconds)));
  Value answer = body;
  answer.set("kind", "TokenRequest").set("apiVersion", "authentication.k8s.io/v1");
  answer.edit("metadata")
      .set("name", request.name)
      .set("namespace", request.ns)
      .set("creationTimestamp", time_now(core.clock));
  answer.edit("spec").set("audiences", Value::list_of(audiences)).set("expirationSeconds", seconds);
  if (!answer["spec"].contains("boundObjectRef")) answer.edit("spec").set("boundObjectRef", Value());
  answer.set("status", Value{{"token", token},
                             {"expirationTimestamp", format_time(core.clock.now() + std::chrono::seconds(seconds))}});
  return answer;
}

}  // namespace

Result<Value> get_scale(Core& core, Request& request) {
  const Value object = TRY(get(core, request));
  return scale_of(request, object);
}

Result<Value> write_scale(Core& core, Request& request, const Value& body, std::optional<kube::PatchType> type) {
  const Planned planned =
      TRY(execute(core, request, [&](Transaction& tx) { return plan_scale(core, request, tx, body, type); }));
  return scale_of(request, planned.object);
}

Result<Value> post_subresource(Core& core, Request& request, const Value& body) {
  const std::string& name = request.subresource;
  if (name == "token") return request_token(core, request, body);
  if (name != "binding" && name != "eviction")
    return request.fail(ErrorCode::not_found, "the server could not find the requested resource", Value::map());
  const Planned planned = TRY(execute(core, request, [&](Transaction& tx) {
    return name == "binding" ? plan_binding(core, request, tx, body) : plan_eviction(core, request, tx, body);
  }));
  return planned.object;
}

Result<Value> finalize_namespace(Core& core, Request& request, const Value& body) {
  const Planned planned = TRY(execute(core, request, [&](Transaction& tx) -> Result<Planned> {
    const auto found = tx.find(request.key());
    if (!found) return request.not_found();
    const std::string version = body["metadata"]["resourceVersion"].str();
    if (!version.empty() && version != found->value["metadata"]["resourceVersion"].as_string())
      return request.conflict();
    Value ns = found->value;
    if (body["spec"]["finalizers"].empty())
      ns.edit("spec").erase("finalizers");
    else
      ns.edit("spec").set("finalizers", body["spec"]["finalizers"]);
    if (being_deleted(ns) && ns["spec"]["finalizers"].empty() && ns["metadata"]["finalizers"].empty()) {
      tx.remove(request.key(), ns, found->revision);
      return Planned{ns, {}, 200};
    }
    if (ns == found->value) return Planned{ns, {}, 200};
    tx.put(request.key(), ns, found->revision);
    return Planned{ns, request.key(), 200};
  }));
  return planned.object;
}

}  // namespace caisson::apiserver
