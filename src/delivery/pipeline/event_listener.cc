// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/event_listener.h"

#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::pipeline {
namespace {

constexpr std::string_view kRepositoryAnnotation = "caisson.dev/repository";
constexpr std::string_view kNoCommit = "0000000000000000000000000000000000000000";
constexpr Duration kLateListenerMax = std::chrono::minutes(30);
const kube::Resource kTriggers{"triggers.tekton.dev", "v1beta1", "Trigger", "triggers"};
const kube::Resource kClusterTriggerBindings{"triggers.tekton.dev", "v1beta1", "ClusterTriggerBinding",
                                             "clustertriggerbindings", false};

Result<Value> find_spec(kube::Client& client, const std::string& ns, const std::string& kind, const std::string& name) {
  const kube::Resource* resource = kind == "TriggerBinding"          ? &schema::kTriggerBindings
                                   : kind == "TriggerTemplate"       ? &schema::kTriggerTemplates
                                   : kind == "Trigger"               ? &kTriggers
                                   : kind == "ClusterTriggerBinding" ? &kClusterTriggerBindings
                                                                     : nullptr;
  if (resource == nullptr) return Error{ErrorCode::invalid, "kind " + kind + " can't be referred to here"};
  const auto object = client.get(*resource, {resource->namespaced ? ns : "", name});
  if (object.ok()) return object->spec();
  if (object.error().code == ErrorCode::not_found)
    return Error{ErrorCode::not_found, kind + " \"" + name + "\" not found"};
  return object.error();
}

Result<std::string> find_secret(kube::Client& client, const std::string& ns, const std::string& name,
                                const std::string& key) {
  const auto secret = client.get(schema::kSecrets, {ns, name});
  if (!secret.ok()) return Error(secret.error()).in("secret " + name);
  const Value& value = (*secret)["data"][key];
  if (value.is_null()) return Error{ErrorCode::not_found, "secret " + name + " has no key " + key};
  return unbase64(value.as_string());
}

// Runs in the listener's own namespace are what a listener is for. Everything else needs the rights of its
// ServiceAccount, or a template would be a way to this controller's.
Result<void> check_rights(kube::Client& client, const kube::Object& listener, const kube::Object& object,
                          const kube::Resource& resource) {
  const bool own_run = object.ns() == listener.ns() && resource.group == "tekton.dev" &&
                       (resource.kind == "PipelineRun" || resource.kind == "TaskRun");
  if (own_run) return {};
  const std::string account = listener.spec()["serviceAccountName"].as_string().empty()
                                  ? "default"
                                  : listener.spec()["serviceAccountName"].str();
  const std::string user = "system:serviceaccount:" + listener.ns() + ":" + account;
  kube::Object review = kube::Object::make(schema::kSubjectAccessReviews, "", "");
  review.edit({"spec"}) = Value{
      {"user", user},
      {"groups",
       Value::list_of({"system:serviceaccounts", "system:serviceaccounts:" + listener.ns(), "system:authenticated"})},
      {"resourceAttributes", Value{{"namespace", resource.namespaced ? object.ns() : ""},
                                   {"verb", "create"},
                                   {"group", resource.group},
                                   {"resource", resource.plural}}}};
  const kube::Object answer = TRY(client.create(review));
  if (answer.status()["allowed"].as_bool()) return {};
  return Error{ErrorCode::forbidden, user + " may not create " + resource.plural + " in " +
                                         (object.ns().empty() ? "the cluster" : object.ns())};
}

Result<std::string> create(kube::Client& client, const kube::Object& listener, kube::Object object,
                           const TraceContext& trace) {
  const kube::Resource resource = TRY(client.resource_for(object.api_version(), object.kind()));
  if (!resource.namespaced) object.edit({"metadata"}).erase("namespace");
  TRY(check_rights(client, listener, object, resource));
  if (!trace.empty()) object.set_annotation(kTraceparentAnnotation, trace.traceparent());
  const auto created = client.create(object);
  if (!created.ok() && created.error().code != ErrorCode::already_exists)
    return Error(created.error()).in("create " + resource.plural + " " + object.name());
  return resource.plural + "/" + object.name();
}

// Errors that another try may cure are not the trigger's own.
bool is_passing(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
         error.code == ErrorCode::too_many_requests;
}

Result<std::vector<std::string>> run_one(kube::Client& client, const kube::Object& listener, const Value& trigger,
                                         TriggerEvent event, const TraceContext& trace) {
  const std::string ns = listener.ns();
  const TriggerParts parts{
      [&](const std::string& kind, const std::string& name) { return find_spec(client, ns, kind, name); },
      [&](const std::string& secret, const std::string& key) { return find_secret(client, ns, secret, key); }};
  // A listener reads the secrets of its own namespace only.
  event.input.secret = [&](const std::string& where, const std::string& secret,
                           const std::string& key) -> Result<std::string> {
    if (!where.empty() && where != ns)
      return Error{ErrorCode::forbidden, "compareSecret: the secret is not in the listener's namespace " + ns};
    return find_secret(client, ns, secret, key);
  };
  Value spec = trigger;
  if (const std::string reference = trigger["triggerRef"].str(); !reference.empty()) {
    spec = TRY(find_spec(client, ns, "Trigger", reference));
    if (spec["name"].is_null()) spec.set("name", reference);
  }
  const bool passes = TRY(intercept(spec, event, parts));
  std::vector<std::string> created;
  if (!passes) return created;
  auto objects = TRY(instantiate(spec, listener.name(), ns, event, parts));
  for (kube::Object& object : objects) created.push_back(TRY(create(client, listener, std::move(object), trace)));
  return created;
}

bool names_repository(std::string_view annotation, std::string_view full_name) {
  if (annotation.empty()) return false;
  if (annotation.find('/') != std::string_view::npos) return annotation == full_name;
  return full_name.substr(full_name.find('/') + 1) == annotation;
}

bool is_handled(const kube::Object& event, const kube::Object& listener) {
  for (const Value& entry : event.status()["handledBy"].items()) {
    if (entry["name"].as_string() == listener.name() && entry["uid"].as_string() == listener.uid()) return true;
  }
  return false;
}

}  // namespace

Result<TriggerOutcome> run_triggers(kube::Client& client, const kube::Object& listener, const TriggerEvent& event,
                                    const TraceContext& trace) {
  TriggerOutcome out;
  for (const char* unsupported : {"triggerGroups", "namespaceSelector", "labelSelector"}) {
    if (!listener.spec()[unsupported].empty())
      out.errors.push_back(std::string("spec.") + unsupported + " is not supported");
  }
  bool all_forbidden = true;
  std::size_t index = 0;
  for (const Value& trigger : listener.spec()["triggers"].items()) {
    const std::string name = trigger["name"].as_string().empty() ? "#" + std::to_string(index) : trigger["name"].str();
    ++index;
    auto created = run_one(client, listener, trigger, event, trace);
    if (created.ok()) {
      all_forbidden = false;
      out.created.insert(out.created.end(), created->begin(), created->end());
      continue;
    }
    if (is_passing(created.error())) return std::move(created).error();
    all_forbidden = all_forbidden && created.error().code == ErrorCode::forbidden;
    out.errors.push_back("trigger " + name + ": " + created.error().message);
  }
  out.forbidden = all_forbidden && !out.errors.empty();
  return out;
}

bool listens_to(const kube::Object& listener, const kube::Object& event, bool newest_of_its_ref) {
  if (listener.ns() != event.ns() || listener.deleting()) return false;
  if (!names_repository(listener.annotation(kRepositoryAnnotation), event.spec()["repository"].as_string()))
    return false;
  if (event.spec()["after"].as_string() == kNoCommit) return false;  // a deleted ref has nothing to build
  const auto pushed = event.created(), made = listener.created();
  if (!pushed || !made || *made <= *pushed) return true;
  return newest_of_its_ref && *made - *pushed <= kLateListenerMax;
}

PushEventReconciler::PushEventReconciler(kube::Runtime& runtime)
    : client_(runtime.client()),
      clock_(runtime.clock()),
      events_(runtime.client(), runtime.clock(), "EventListener"),
      listeners_(runtime.informer(schema::kEventListeners)),
      push_events_(runtime.informer(schema::kPushEvents)) {}

bool PushEventReconciler::is_newest_of_its_ref(const kube::Object& event) const {
  for (const kube::Object& other : push_events_.list(event.ns())) {
    const bool same =
        other.spec()["repository"] == event.spec()["repository"] && other.spec()["ref"] == event.spec()["ref"];
    if (same && other.name() != event.name() && other.spec()["before"] == event.spec()["after"])
      return false;  // a later push began here
  }
  return true;
}

Result<void> PushEventReconciler::hand_over(const kube::Object& event, const kube::Object& listener) {
  TriggerEvent trigger_event;
  trigger_event.input.body = event.spec()["body"];
  trigger_event.input.extensions = Value::map();
  trigger_event.input.headers = {
      {"X-GitHub-Event", "push"}, {"Content-Type", "application/json"}, {"X-GitHub-Delivery", event.uid()}};
  trigger_event.id = event.name();
  trigger_event.trusted = true;
  const TriggerOutcome outcome = TRY(run_triggers(client_, listener, trigger_event, event.trace()));
  for (const std::string& error : outcome.errors) {
    events_.record(listener, kube::EventRecorder::Type::warning, "TriggerFailed", error);
    log::warning("trigger failed", {{"event_listener", listener.key().str()}, {"error", error}});
  }
  Value entry{{"kind", "EventListener"},
              {"name", listener.name()},
              {"uid", listener.uid()},
              {"time", format_time(clock_.now())}};
  entry.set("created", Value::list_of(outcome.created));
  if (!outcome.errors.empty()) entry.set("errors", Value::list_of(outcome.errors));
  kube::WriteOptions options;
  options.subresource = "status";
  TRY(kube::modify(
      client_, schema::kPushEvents, event.key(),
      [&](kube::Object& object) {
        if (is_handled(object, listener)) return false;
        Value all = object.status()["handledBy"].is_null() ? Value::list() : object.status()["handledBy"];
        all.push_back(entry);
        object.edit({"status"}).set("handledBy", all);
        return true;
      },
      options));
  log::info(
      "push handled",
      {{"event_listener", listener.key().str()}, {"push_event", event.name()}, {"created", outcome.created.size()}});
  return {};
}

Result<kube::Requeue> PushEventReconciler::reconcile(const kube::ObjectKey& key) {
  const auto event = client_.get(schema::kPushEvents, key);
  if (!event.ok()) {
    if (event.error().code == ErrorCode::not_found) return kube::Requeue::never();
    return event.error();
  }
  const bool newest = is_newest_of_its_ref(*event);
  for (const kube::Object& listener : listeners_.list(key.ns)) {
    if (is_handled(*event, listener) || !listens_to(listener, *event, newest)) continue;
    TRY(hand_over(*event, listener));
  }
  return kube::Requeue::never();
}

}  // namespace caisson::pipeline
