// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/run_triggers.h"

#include "cluster/kube/selector.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "delivery/pipeline/account_rights.h"
#include "delivery/pipeline/interceptors.h"

namespace caisson::pipeline {
namespace {

constexpr const char* kGroup = "triggers.tekton.dev";

// Of the kinds that a trigger may refer to; null: of none of them.
const kube::Resource* resource_of(std::string_view kind) {
  static const kube::Resource kKnown[] = {schema::kTriggerBindings,
                                          schema::kTriggerTemplates,
                                          {kGroup, "v1beta1", "Trigger", "triggers"},
                                          {kGroup, "v1beta1", "ClusterTriggerBinding", "clustertriggerbindings", false},
                                          {kGroup, "v1alpha1", "ClusterInterceptor", "clusterinterceptors", false},
                                          {kGroup, "v1alpha1", "Interceptor", "interceptors"}};
  for (const kube::Resource& resource : kKnown)
    if (resource.kind == kind) return &resource;
  return nullptr;
}

// One trigger with where its references are looked up.
struct Trigger {
  std::string name, ns;
  Value spec;
};

// --- rights

// Runs in the listener's own namespace are what a listener is for. Everything else needs the rights of the account that
// acts: the trigger's own, which the listener's must be allowed to stand for, or the listener's.
Result<void> check_may_create(kube::Client& client, const kube::Object& listener, const Trigger& trigger,
                              const kube::Object& object, const kube::Resource& resource) {
  const bool own_run = object.ns() == listener.ns() && trigger.ns == listener.ns() && resource.group == "tekton.dev" &&
                       (resource.kind == "PipelineRun" || resource.kind == "TaskRun");
  if (own_run) return {};
  const Action create{"create", resource.group, resource.plural, resource.namespaced ? object.ns() : ""};
  const std::string own = trigger.spec["serviceAccountName"].str();
  if (own.empty() || (own == account_of(listener) && trigger.ns == listener.ns()))
    return check_right(client, listener.ns(), account_of(listener), create);
  TRY(check_right(client, listener.ns(), account_of(listener), {"impersonate", "", "serviceaccounts", trigger.ns}));
  return check_right(client, trigger.ns, own, create);
}

// What a trigger of another namespace would tell the listener of it.
Result<void> check_may_read(kube::Client& client, const kube::Object& listener, const std::string& ns) {
  if (ns == listener.ns()) return {};
  TRY(check_right(client, listener.ns(), account_of(listener), {"list", kGroup, "triggers", ns}));
  return check_right(client, listener.ns(), account_of(listener), {"get", "", "secrets", ns});
}

// --- what a trigger refers to

Result<Value> find_spec(kube::Client& client, const std::string& ns, const std::string& kind, const std::string& name) {
  const kube::Resource* resource = resource_of(kind);
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

// A host NAME.NS.svc is reached at the Service's cluster address; TLS still checks the name.
Result<http::Response> send_to(kube::Client& client, const http::Request& request, const std::string& ca_pem) {
  const http::Url url = TRY(http::Url::parse(request.url));
  http::ClientOptions options;
  options.ca_pem = ca_pem;
  const auto labels = split(url.host, '.');
  if (labels.size() >= 3 && labels[2] == "svc") {
    const kube::ObjectKey key{std::string(labels[1]), std::string(labels[0])};
    const kube::Object service = TRY(client.get(schema::kServices, key).in("service " + key.str()));
    const std::string address = service.spec()["clusterIP"].str();
    if (address.empty() || address == "None")
      return Error{ErrorCode::unavailable, "service " + key.str() + " has no cluster address"};
    options.connect_host = address;
    options.connect_port = url.port != 0 ? url.port : url.scheme == "https" ? 443 : 80;
    options.use_proxy = false;
  }
  return http::Client(std::move(options)).send(request);
}

TriggerParts parts_of(kube::Client& client, const std::string& ns) {
  return {
      [&client, ns](const std::string& kind, const std::string& name) { return find_spec(client, ns, kind, name); },
      [&client, ns](const std::string& secret, const std::string& key) { return find_secret(client, ns, secret, key); },
      [&client](const http::Request& request, const std::string& ca_pem) { return send_to(client, request, ca_pem); }};
}

// --- one trigger

Result<std::string> create(kube::Client& client, const kube::Object& listener, const Trigger& trigger,
                           kube::Object object, const TraceContext& trace) {
  const kube::Resource resource = TRY(client.resource_for(object.api_version(), object.kind()));
  if (!resource.namespaced) object.edit({"metadata"}).erase("namespace");
  TRY(check_may_create(client, listener, trigger, object, resource));
  if (!trace.empty()) object.set_annotation(kTraceparentAnnotation, trace.traceparent());
  const auto created = client.create(object);
  if (!created.ok() && created.error().code != ErrorCode::already_exists)
    return Error(created.error()).in("create " + resource.plural + " " + object.name());
  return resource.plural + "/" + object.name();
}

// Whether the interceptors of `trigger` let it pass; the event is what they made of it.
Result<bool> let_pass(kube::Client& client, const Trigger& trigger, TriggerEvent& event, const TriggerParts& parts) {
  // A trigger reads the secrets of its own namespace only.
  event.input.secret = [&client, ns = trigger.ns](const std::string& where, const std::string& secret,
                                                  const std::string& key) -> Result<std::string> {
    if (!where.empty() && where != ns)
      return Error{ErrorCode::forbidden, "compareSecret: the secret is not in the trigger's namespace " + ns};
    return find_secret(client, ns, secret, key);
  };
  return intercept(trigger.spec, "namespaces/" + trigger.ns + "/triggers/" + trigger.name, event, parts);
}

Result<std::vector<std::string>> run_one(kube::Client& client, const kube::Object& listener, const Trigger& trigger,
                                         TriggerEvent event, const TraceContext& trace) {
  const TriggerParts parts = parts_of(client, trigger.ns);
  const bool passes = TRY(let_pass(client, trigger, event, parts));
  std::vector<std::string> created;
  if (!passes) return created;
  Value spec = trigger.spec;
  spec.set("name", trigger.name);
  auto objects = TRY(instantiate(spec, listener.name(), trigger.ns, event, parts));
  for (kube::Object& object : objects)
    created.push_back(TRY(create(client, listener, trigger, std::move(object), trace)));
  return created;
}

// --- which triggers

// The Triggers that a namespace and a label selector find; none when neither is there, as upstream has it.
Result<std::vector<Trigger>> select(kube::Client& client, const kube::Object& listener, const Value& selector) {
  std::vector<Trigger> out;
  const Value &names = selector["namespaceSelector"]["matchNames"], &by_label = selector["labelSelector"];
  if (names.empty() && by_label.is_null()) return out;
  const kube::LabelSelector labels =
      by_label.is_null() ? kube::LabelSelector() : TRY(kube::LabelSelector::from(by_label));
  std::vector<std::string> namespaces;
  const bool everywhere = names.size() == 1 && names[0].as_string() == "*";
  for (const Value& name : names.items()) namespaces.push_back(everywhere ? "" : name.str());
  if (namespaces.empty()) namespaces.push_back(listener.ns());
  for (const std::string& ns : namespaces) {
    TRY(check_may_read(client, listener, ns));
    const kube::ObjectList found = TRY(client.list(*resource_of("Trigger"), {.ns = ns}));
    for (const kube::Object& one : found.items)
      if (labels.matches(one["metadata"]["labels"])) out.push_back({one.name(), one.ns(), one.spec()});
  }
  return out;
}

// Errors that another try may cure are not the trigger's own.
bool is_passing(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
         error.code == ErrorCode::too_many_requests;
}

// One event at one listener: what was made and what went wrong.
class Run {
 public:
  Run(kube::Client& client, const kube::Object& listener, const TraceContext& trace)
      : client_(client), listener_(listener), trace_(trace) {}

  Result<void> all(const TriggerEvent& event) {
    const Value& spec = listener_.spec();
    std::size_t index = 0;
    for (const Value& written : spec["triggers"].items()) {
      const std::string name =
          written["name"].as_string().empty() ? "#" + std::to_string(index) : written["name"].str();
      ++index;
      TRY(note(name, written_trigger(written, event)));
    }
    TRY(selected(spec, event));
    for (const Value& group : spec["triggerGroups"].items()) TRY(one_group(group, event));
    out.forbidden = all_forbidden_ && !out.errors.empty();
    return {};
  }

  TriggerOutcome out;

 private:
  Result<std::vector<std::string>> written_trigger(const Value& written, const TriggerEvent& event) {
    Trigger trigger{written["name"].str(), listener_.ns(), written};
    if (const std::string reference = written["triggerRef"].str(); !reference.empty()) {
      trigger.spec = TRY(find_spec(client_, listener_.ns(), "Trigger", reference));
      trigger.name = reference;
    }
    return run_one(client_, listener_, trigger, event, trace_);
  }

  Result<void> selected(const Value& selector, const TriggerEvent& event) {
    const auto found = select(client_, listener_, selector);
    if (!found.ok()) return note("selector", found.error());
    for (const Trigger& trigger : *found) TRY(note(trigger.name, run_one(client_, listener_, trigger, event, trace_)));
    return {};
  }

  // A group's interceptors are passed once, for all triggers that its selector finds.
  Result<void> one_group(const Value& group, TriggerEvent event) {
    const Trigger head{group["name"].str(), listener_.ns(), group};
    const auto passes = let_pass(client_, head, event, parts_of(client_, head.ns));
    if (!passes.ok()) return note(head.name, passes.error());
    if (!*passes) return note(head.name, std::vector<std::string>{});
    return selected(group["triggerSelector"], event);
  }

  Result<void> note(const std::string& name, Result<std::vector<std::string>> created) {
    if (created.ok()) {
      all_forbidden_ = false;
      out.created.insert(out.created.end(), created->begin(), created->end());
      return {};
    }
    if (is_passing(created.error())) return std::move(created).error();
    all_forbidden_ = all_forbidden_ && created.error().code == ErrorCode::forbidden;
    out.errors.push_back("trigger " + name + ": " + created.error().message);
    return {};
  }

  kube::Client& client_;
  const kube::Object& listener_;
  const TraceContext& trace_;
  bool all_forbidden_ = true;
};

}  // namespace

std::string account_of(const kube::Object& listener) {
  const Value& spec = listener.spec();
  const Value& pod = spec["resources"]["kubernetesResource"]["spec"]["template"]["spec"];
  for (const Value* account : {&spec["serviceAccountName"], &pod["serviceAccountName"]})
    if (!account->as_string().empty()) return account->str();
  return "default";
}

Result<TriggerOutcome> run_triggers(kube::Client& client, const kube::Object& listener, const TriggerEvent& event,
                                    const TraceContext& trace) {
  Run run(client, listener, trace);
  TRY(run.all(event));
  return std::move(run.out);
}

}  // namespace caisson::pipeline
