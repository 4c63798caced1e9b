// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/subresources.h"

#include <algorithm>

#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/decode.h"
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
  const Value object = TRY(core.conversion->convert(*request.kind, found->value));
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
  const std::string spec_path = path.empty() ? ".spec.replicas" : path;
  set_path(desired, spec_path, replicas.as_int());
  Value shown = scale_of(request, desired);
  TRY(admit_body(core, request, tx, AdmissionRequest::Operation::update, scale_of(request, object), shown));
  set_path(desired, spec_path, shown["spec"]["replicas"].as_int());
  // The object's own sub-resource rules: a scale writes spec.
  const std::string subresource = std::exchange(request.subresource, "");
  request.owner_subresource = subresource;
  request.admitted = true;
  auto planned = write_over(core, request, tx, *found, std::move(desired));
  request.admitted = false;
  request.subresource = subresource;
  return planned;
}

Result<Planned> plan_binding(Core& core, Request& request, Transaction& tx, const Value& body) {
  if (request.name.empty()) return request.bad_request("Name parameter required.");
  const Value& target = body["target"];
  const std::string node = target["name"].str();
  std::vector<FieldError> wrong;
  if (const std::string_view kind = target["kind"].as_string(); !kind.empty() && kind != "Node")
    wrong.push_back(
        {FieldError::Type::not_supported, "target.kind", target["kind"], "supported values: \"Node\", \"<empty>\""});
  if (node.empty()) wrong.push_back({FieldError::Type::required, "target.name", {}, ""});
  if (wrong.size() == 1) return request.fail_without_reason(wrong[0].str());
  if (wrong.size() == 2) return request.fail_without_reason("[" + wrong[0].str() + ", " + wrong[1].str() + "]");
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  const Value& pod = found->value;
  const auto refuse = [&](const std::string& why) {
    return request.fail(
        ErrorCode::conflict,
        "Operation cannot be fulfilled on pods/binding \"" + request.name + "\": pod " + request.name + " " + why,
        Value{{"name", request.name}, {"kind", "pods/binding"}});
  };
  if (being_deleted(pod)) return refuse("is being deleted, cannot be assigned to a host");
  const std::string bound = pod.get({"spec", "nodeName"}).str();
  if (!bound.empty()) return refuse("is already assigned to node \"" + bound + "\"");
  if (!pod.get({"spec", "schedulingGates"}).empty()) return refuse("has non-empty .spec.schedulingGates");
  const std::string uid = body["metadata"]["uid"].str();
  if (!uid.empty() && uid != pod["metadata"]["uid"].as_string())
    return request.conflict("the pod was deleted and made again");
  Value shown = body;
  shown.set("apiVersion", "v1").set("kind", "Binding");
  TRY(admit_body(core, request, tx, AdmissionRequest::Operation::create, Value(), shown));
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

Error too_many_evictions(Request& request, const std::string& why, std::int64_t retry_after_seconds) {
  Value cause{{"reason", "DisruptionBudget"}, {"message", why}};
  Value details{{"causes", Value(std::vector<Value>{std::move(cause)})}};
  if (retry_after_seconds > 0) details.set("retryAfterSeconds", retry_after_seconds);
  return request.fail(ErrorCode::too_many_requests, "Cannot evict pod as it would violate the pod's disruption budget.",
                      std::move(details));
}

bool is_ready(const Value& pod) {
  for (const Value& condition : pod["status"]["conditions"].items())
    if (condition["type"].as_string() == "Ready") return condition["status"].as_string() == "True";
  return false;
}

// A Pod that is not ready may go when that takes nothing from the budget.
bool goes_unhealthy(const Value& pod, const Value& budget) {
  if (is_ready(pod)) return false;
  if (budget["spec"]["unhealthyPodEvictionPolicy"].as_string() == "AlwaysAllow") return true;
  const Value& status = budget["status"];
  return status["desiredHealthy"].as_int() > 0 &&
         status["currentHealthy"].as_int() >= status["desiredHealthy"].as_int();
}

// Takes one disruption from the budget, in the transaction of the eviction.
Result<void> take_disruption(Core& core, Request& request, Transaction& tx, const store::Item& item) {
  Value budget = item.value();
  const std::string name = budget["metadata"]["name"].str();
  const Value status = budget["status"];
  if (status["observedGeneration"].as_int() < budget["metadata"]["generation"].as_int())
    return too_many_evictions(request, "The disruption budget " + name + " is still being processed by the server.",
                              10);
  const std::int64_t allowed = status["disruptionsAllowed"].as_int();
  if (allowed < 0)
    return request.fail(ErrorCode::forbidden, "poddisruptionbudgets.policy \"" + name +
                                                  "\" is forbidden: pdb disruptions allowed is negative");
  if (allowed == 0)
    return too_many_evictions(request,
                              "The disruption budget " + name + " needs " +
                                  std::to_string(status["desiredHealthy"].as_int()) + " healthy pods and has " +
                                  std::to_string(status["currentHealthy"].as_int()) + " currently",
                              0);
  if (request.dry_run) return {};
  budget.edit("status").set("disruptionsAllowed", allowed - 1);
  budget.edit({"status", "disruptedPods"}).set(request.name, time_now(core.clock));
  tx.put(item.key(), budget, item.revision());
  return {};
}

Result<void> ask_budgets(Core& core, Request& request, Transaction& tx, const Value& pod) {
  const std::string_view phase = pod.get({"status", "phase"}).as_string();
  if (phase == "Succeeded" || phase == "Failed" || phase == "Pending" || being_deleted(pod)) return {};
  const store::Listing listing = TRY(core.store.list("poddisruptionbudgets.policy", {.ns = request.ns}));
  std::vector<store::ItemPtr> budgets;
  for (const store::ItemPtr& item : listing.items) {
    const Value budget = item->value();
    if (budget["spec"]["selector"].is_null()) continue;
    const kube::LabelSelector selector = TRY(kube::LabelSelector::from(budget["spec"]["selector"]));
    if (selector.matches(pod["metadata"]["labels"])) budgets.push_back(item);
  }
  if (budgets.size() > 1)
    return request.fail_without_reason(
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
  if (budgets.empty() || goes_unhealthy(pod, budgets[0]->value())) return {};
  return take_disruption(core, request, tx, *budgets[0]);
}

// Why it goes, for whoever looks at the Pod while it does.
Value disruption_condition(const std::string& now) {
  return Value{{"lastProbeTime", Value()},          {"lastTransitionTime", now}, {"message", "Eviction API: evicting"},
               {"reason", "EvictionByEvictionAPI"}, {"status", "True"},          {"type", "DisruptionTarget"}};
}

Result<Planned> plan_eviction(Core& core, Request& request, Transaction& tx, const Value& body) {
  const std::string named = body["metadata"]["name"].str();
  if (!named.empty() && named != request.name)
    return request.bad_request("name in URL does not match name in Eviction object");
  const auto found = tx.find(request.key());
  if (!found) return request.not_found();
  Value pod = found->value;
  Value shown = body;
  shown.set("apiVersion", "policy/v1").set("kind", "Eviction");
  TRY(admit_body(core, request, tx, AdmissionRequest::Operation::create, Value(), shown));
  Request deletion = request;
  deletion.admitted = true;
  deletion.subresource.clear();
  deletion.verb = "delete";
  const DeleteParameters parameters = TRY(delete_parameters(deletion, {}, body["deleteOptions"]));
  request.dry_run = request.dry_run || deletion.dry_run;
  TRY(ask_budgets(core, request, tx, pod));
  if (!being_deleted(pod)) {
    pod.edit({"status", "conditions"}).push_back(disruption_condition(time_now(core.clock)));
    tx.put(request.key(), pod, found->revision);
  }
  TRY(remove(core, deletion, tx, parameters));
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
  Value owned{{"f:expirationSeconds", Value::map()}};  // has a default
  for (const auto& [key, value] : spec.entries())
    if (!value.is_null()) owned.set("f:" + std::string(key), Value::map());
  if (!request.in_process)
    answer.edit({"metadata", "managedFields"})
        .push_back(Value{{"manager", request.field_manager},
                         {"operation", "Update"},
                         {"apiVersion", "authentication.k8s.io/v1"},
                         {"time", time_now(core.clock)},
                         {"fieldsType", "FieldsV1"},
                         {"fieldsV1", Value{{"f:spec", owned}}},
                         {"subresource", "token"}});
  if (!answer["spec"].contains("boundObjectRef")) answer.edit("spec").set("boundObjectRef", Value());
  answer.set("status", Value{{"token", token},
                             {"expirationTimestamp", format_time(core.clock.now() + std::chrono::seconds(seconds))}});
  return answer;
}

}  // namespace

Result<Value> get_scale(Core& core, Request& request) {
  const Value object = TRY(get(core, request));
  const std::string& path = request.kind->subresource("scale")->spec_replicas_path;
  if (request.kind->custom && at_path(object, path).is_null()) {
    const std::string why = "the spec replicas field \"" + path + "\" does not exist";
    return request.fail(ErrorCode::internal, "Internal error occurred: " + why,
                        Value{{"causes", Value(std::vector<Value>{Value{{"message", why}}})}});
  }
  return scale_of(request, object);
}

Result<Value> write_scale(Core& core, Request& request, const Value& body, std::optional<kube::PatchType> type) {
  const Planned planned =
      TRY(execute(core, request, [&](Transaction& tx) { return plan_scale(core, request, tx, body, type); }));
  return scale_of(request, planned.object);
}

Result<Value> post_subresource(Core& core, Request& request, const Value& sent) {
  struct Part {
    std::string_view name, type;
    schema::Resource kind;
  };
  static const Part kParts[] = {
      {"binding", "core.v1.Binding", {"", "v1", "Binding", "bindings"}},
      {"eviction", "policy.v1.Eviction", {"policy", "v1", "Eviction", "evictions"}},
      {"token", "authentication.v1.TokenRequest", {"authentication.k8s.io", "v1", "TokenRequest", "tokenrequests"}}};
  const std::string& name = request.subresource;
  const auto part =
      std::find_if(std::begin(kParts), std::end(kParts), [&](const Part& one) { return one.name == name; });
  if (part == std::end(kParts))
    return request.fail(ErrorCode::not_found, "the server could not find the requested resource", Value::map());
  Value given = sent;
  if (name == "eviction" && given["apiVersion"].as_string() == "policy/v1beta1") given.set("apiVersion", "policy/v1");
  const Value body = TRY(decode_part(core, request, std::move(given), part->type, part->kind));
  if (name == "token") return request_token(core, request, body);
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

Result<void> admit_connect(Core& core, Request& request, const http::Query& query) {
  static constexpr std::pair<std::string_view, std::string_view> kKinds[] = {{"exec", "PodExecOptions"},
                                                                             {"attach", "PodAttachOptions"},
                                                                             {"portforward", "PodPortForwardOptions"},
                                                                             {"proxy", "PodProxyOptions"}};
  Value options{{"apiVersion", "v1"}};
  for (const auto& [name, kind] : kKinds)
    if (request.subresource == name) options.set("kind", kind);
  for (const auto& [key, value] : query) {
    if (key == "stdin" || key == "stdout" || key == "stderr" || key == "tty")
      options.set(key, value == "true" || value == "1");
    else if (key == "command")
      options.edit(key).push_back(value);
    else if (key == "ports")
      options.edit(key).push_back(parse_int(value).value_or(0));
    else if (key == "container" || key == "path")
      options.set(key, value);
  }
  Transaction tx(core.store);
  return admit_body(core, request, tx, AdmissionRequest::Operation::connect, Value(), options);
}

}  // namespace caisson::apiserver
