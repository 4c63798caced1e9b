// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/core.h"

#include "cluster/apiserver/access_rules.h"
#include "cluster/apiserver/audit.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/bootstrap.h"
#include "cluster/apiserver/client.h"
#include "cluster/apiserver/conversion.h"
#include "cluster/apiserver/definitions.h"
#include "cluster/apiserver/documents.h"
#include "cluster/apiserver/oidc.h"
#include "cluster/apiserver/service_addresses.h"
#include "cluster/apiserver/tokens.h"
#include "cluster/apiserver/verbs.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

constexpr int kAttemptsMax = 50;
constexpr int kAttemptsTogether = 3;
constexpr int kWorkers = 4;

// What was committed, in the version of the request: the plan's own object where a webhook would have to be asked.
Value as_asked(Core& core, const Request& request, const Value& planned, const Value& stored) {
  if (stored["apiVersion"].as_string() == request.kind->resource.api_version() || !core.conversion->asks(*request.kind))
    return in_version(*request.kind, stored);
  Value object = planned;
  object.edit("metadata").set("resourceVersion", stored["metadata"]["resourceVersion"]);
  return object;
}

bool needs_pools(const Request& request) {
  return request.kind && (request.plural == "services" || request.plural == "customresourcedefinitions");
}

// Whether something follows from a write in the server itself (after_write), or its answer may need a webhook: that
// must not run on a thread that writes.
bool has_consequences(const Request& request) {
  return needs_pools(request) || !request.kind || request.kind->custom || request.plural == "clusterroles";
}

// What a verb's plan became, once it is stored.
Planned finished(Core& core, const Request& request, const Transaction& tx, Planned planned) {
  if (planned.key) {
    planned.stored = tx.stored(*planned.key);
    planned.object = as_asked(core, request, planned.object, tx.committed(*planned.key));
  }
  if (!has_consequences(request)) return planned;
  const bool removed =
      request.verb != "create" && !core.store.get(request.storage_resource(), request.ns, request.name);
  after_write(core, request, planned.object, removed);
  return planned;
}

}  // namespace

Core::Core(store::Store& s, schema::Schema& k, ApiServerOptions o)
    : store(s), schema(k), options(std::move(o)), clock(*options.clock) {}
Core::~Core() = default;

WorkerPool& Core::workers() {
  std::call_once(workers_made_, [this] { workers_ = std::make_unique<WorkerPool>("apiserver", kWorkers); });
  return *workers_;
}

Result<Planned> execute(Core& core, Request& request, const Plan& plan) {
  std::unique_lock<std::recursive_mutex> pools(core.pools, std::defer_lock);
  if (needs_pools(request)) pools.lock();
  const std::size_t warnings = request.warnings.size();
  std::unique_lock<std::mutex> alone(core.contended, std::defer_lock);
  for (int attempt = 1;; ++attempt) {
    if (attempt == kAttemptsTogether + 1) alone.lock();
    request.warnings.resize(warnings);
    Transaction tx(core.store);
    Planned planned = TRY(plan(tx));
    if (request.dry_run || tx.empty()) return planned;
    const auto committed = tx.commit();
    if (committed.ok()) {
      if (alone.owns_lock()) alone.unlock();  // what follows writes too
      return finished(core, request, tx, std::move(planned));
    }
    if (committed.error().code != ErrorCode::conflict) return committed.error();
    if (attempt == kAttemptsMax) return request.conflict();
  }
}

void execute_then(Core& core, Request& request, Plan plan, std::function<void(Result<Planned>)> done) {
  if (has_consequences(request)) return done(execute(core, request, plan));
  const std::size_t warnings = request.warnings.size();
  auto tx = std::make_shared<Transaction>(core.store);
  auto planned = plan(*tx);
  if (!planned.ok() || request.dry_run || tx->empty()) return done(std::move(planned));
  Transaction& staged = *tx;
  staged.commit_then([&core, &request, warnings, tx = std::move(tx), plan = std::move(plan), done = std::move(done),
                      planned = std::move(planned).value(),
                      owed = core.answers.begin()](Result<void> committed) mutable {
    if (committed.ok()) return done(finished(core, request, *tx, std::move(planned)));
    if (committed.error().code != ErrorCode::conflict) return done(std::move(committed).error());
    const auto again = [&core, &request, warnings, plan = std::move(plan), done, owed = std::move(owed)] {
      request.warnings.resize(warnings);
      done(execute(core, request, plan));
    };
    if (!core.workers().run(again).ok())
      done(request.fail(ErrorCode::too_many_requests, "too many writes of this object"));
  });
}

void after_write(Core& core, const Request& request, const Value& object, bool removed) {
  if (request.kind && request.kind->custom && removed) instance_gone(core, *request.kind);
  if (request.plural == "customresourcedefinitions" && request.group == "apiextensions.k8s.io")
    definition_written(core, object, removed);
  if (request.plural == "clusterroles" && request.field_manager != kAggregationManager) {
    const auto done = aggregate_cluster_roles(core);
    if (!done.ok()) log::warning("cluster roles not aggregated", {{"error", done.error()}});
  }
}

Value ordered(const Value& object) {
  const auto entries = object.entries();
  if (entries.size() >= 3 && entries[0].key == "kind" && entries[1].key == "apiVersion" && entries[2].key == "metadata")
    return object;
  Value result{{"kind", object["kind"]}, {"apiVersion", object["apiVersion"]}, {"metadata", object["metadata"]}};
  for (const auto& [key, value] : entries)
    if (key != "kind" && key != "apiVersion" && key != "metadata") result.set(key, value);
  return result;
}

namespace {

// An Event has other names for the same fields in its two groups (pkg/apis/events/v1/conversion.go).
constexpr std::pair<std::string_view, std::string_view> kEventNames[] = {{"involvedObject", "regarding"},
                                                                         {"message", "note"},
                                                                         {"source", "deprecatedSource"},
                                                                         {"firstTimestamp", "deprecatedFirstTimestamp"},
                                                                         {"lastTimestamp", "deprecatedLastTimestamp"},
                                                                         {"count", "deprecatedCount"},
                                                                         {"reportingComponent", "reportingController"}};

Value event_in_group(const Value& event, bool core_group) {
  Value out = Value::map();
  for (const auto& [key, value] : event.entries()) {
    std::string_view name = key;
    for (const auto& [core_name, new_name] : kEventNames)
      if (key == (core_group ? new_name : core_name)) name = core_group ? core_name : new_name;
    out.set(name, value);
  }
  // Fields that one group's JSON always has and the other's leaves out when empty.
  for (const char* field : {"reportingInstance", core_group ? "reportingComponent" : "reportingController"}) {
    if (core_group && !out.contains(field)) out.set(field, "");
    if (!core_group && out[field].is_string() && out[field].as_string().empty()) out.erase(field);
  }
  return out;
}

// --- HorizontalPodAutoscaler: autoscaling/v1 knows one metric, the CPU of pods; what else v2 has travels in
// annotations (pkg/apis/autoscaling/v1/conversion.go), where metrics have the flat form of v2's first drafts.

constexpr std::string_view kScalerAnnotations = "autoscaling.alpha.kubernetes.io/";

// "averageValue" of a target is "targetAverageValue" there.
std::string flat_name(std::string_view side, std::string_view name) {
  std::string out(side);
  out += static_cast<char>(name[0] & ~0x20);
  return out += name.substr(1);
}

std::string metric_member(const Value& metric) {
  std::string member = metric["type"].str();
  if (!member.empty()) member[0] = static_cast<char>(member[0] | 0x20);
  return member;
}

void move_member(const Value& from, std::string_view name, Value& to, std::string_view as) {
  if (const Value* value = from.find(name); value && !value->is_null()) to.set(as, *value);
}

constexpr std::string_view kAmounts[] = {"averageUtilization", "averageValue", "value"};

// `side`: "target" of a metric of spec, "current" of one of status.
Value flat_metric(const Value& metric, std::string_view side) {
  const std::string member = metric_member(metric);
  const Value& from = metric[member];
  Value to = Value::map();
  move_member(from, "name", to, "name");
  move_member(from, "container", to, "container");
  move_member(from, "describedObject", to, "target");
  move_member(from["metric"], "name", to, "metricName");
  move_member(from["metric"], "selector", to, member == "external" ? "metricSelector" : "selector");
  for (const std::string_view amount : kAmounts)
    move_member(from[side], amount, to,
                member == "object" && amount == "averageValue" ? amount : flat_name(side, amount));
  return Value{{"type", metric["type"]}, {member, std::move(to)}};
}

Value nested_metric(const Value& metric, std::string_view side) {
  const std::string member = metric_member(metric);
  const Value& from = metric[member];
  Value to = Value::map(), name = Value::map(), amounts = Value::map();
  move_member(from, "name", to, "name");
  move_member(from, "container", to, "container");
  move_member(from, "target", to, "describedObject");
  move_member(from, "metricName", name, "name");
  move_member(from, member == "external" ? "metricSelector" : "selector", name, "selector");
  for (const std::string_view amount : kAmounts)
    move_member(from, member == "object" && amount == "averageValue" ? amount : flat_name(side, amount), amounts,
                amount);
  if (!name.empty()) to.set("metric", std::move(name));
  if (side == "target")
    amounts.set("type", amounts.contains("averageUtilization") ? "Utilization"
                        : amounts.contains("averageValue")     ? "AverageValue"
                                                               : "Value");
  to.set(side, std::move(amounts));
  return Value{{"type", metric["type"]}, {member, std::move(to)}};
}

bool is_cpu_utilization(const Value& metric, std::string_view side) {
  return metric["type"].as_string() == "Resource" && metric["resource"]["name"].as_string() == "cpu" &&
         !metric["resource"][side]["averageUtilization"].is_null();
}

// The first CPU utilization of `metrics` becomes `plain` of `part`; the others go to an annotation of `object`.
void split_metrics(Value& object, const char* part, const char* list, std::string_view side, const char* plain,
                   const char* annotation) {
  const Value metrics = object[part][list];
  if (object[part].is_map()) object.edit(part).erase(list);
  Value others = Value::list();
  for (const Value& metric : metrics.items()) {
    if (object[part][plain].is_null() && is_cpu_utilization(metric, side))
      object.edit(part).set(plain, metric["resource"][side]["averageUtilization"]);
    else
      others.push_back(flat_metric(metric, side));
  }
  if (!others.empty())
    object.edit({"metadata", "annotations"}).set(std::string(kScalerAnnotations) + annotation, json::write(others));
}

void to_annotation(Value& object, const char* part, const char* member) {
  const Value value = object[part][member];
  if (value.empty()) return;
  object.edit(part).erase(member);
  object.edit({"metadata", "annotations"}).set(std::string(kScalerAnnotations) + member, json::write(value));
}

// The annotation's value; it goes. Null when there is none, or none of ours: people may write what they like.
Value from_annotation(Value& object, const char* name) {
  const std::string key = std::string(kScalerAnnotations) + name;
  const Value text = object["metadata"]["annotations"][key];
  const auto value = text.is_string() ? json::parse(text.as_string()) : Result<Value>(Value());
  if (!value.ok() || value->is_null()) return {};
  object.edit({"metadata", "annotations"}).erase(key);
  if (object["metadata"]["annotations"].empty()) object.edit("metadata").erase("annotations");
  return *value;
}

Value scaler_in_v1(Value object) {
  split_metrics(object, "spec", "metrics", "target", "targetCPUUtilizationPercentage", "metrics");
  split_metrics(object, "status", "currentMetrics", "current", "currentCPUUtilizationPercentage", "current-metrics");
  to_annotation(object, "spec", "behavior");
  to_annotation(object, "status", "conditions");
  if (object["status"].is_map() && object["status"]["currentReplicas"].is_null())
    object.edit("status").set("currentReplicas", 0);
  return object;
}

Value scaler_in_v2(Value object) {
  for (const auto& [part, plain, list, side, annotation] :
       {std::tuple("spec", "targetCPUUtilizationPercentage", "metrics", "target", "metrics"),
        std::tuple("status", "currentCPUUtilizationPercentage", "currentMetrics", "current", "current-metrics")}) {
    std::vector<Value> metrics;
    if (const Value percent = object[part][plain]; !percent.is_null()) {
      object.edit(part).erase(plain);
      const Value flat{{"name", "cpu"}, {flat_name(side, kAmounts[0]), percent}};
      metrics.push_back(nested_metric(Value{{"type", "Resource"}, {"resource", flat}}, side));
    }
    const Value others = from_annotation(object, annotation);
    for (const Value& metric : others.items()) metrics.push_back(nested_metric(metric, side));
    if (!metrics.empty()) object.edit(part).set(list, Value(std::move(metrics)));
  }
  if (const Value behavior = from_annotation(object, "behavior"); behavior.is_map())
    object.edit("spec").set("behavior", behavior);
  if (const Value conditions = from_annotation(object, "conditions"); conditions.is_list())
    object.edit("status").set("conditions", conditions);
  if (object["status"].is_map() && object["status"]["currentMetrics"].is_null())
    object.edit("status").set("currentMetrics", Value());
  return object;
}

}  // namespace

Value in_version(const schema::KindSchema& kind, const Value& stored) {
  const schema::Resource& resource = kind.resource;
  if (stored["apiVersion"].as_string() == resource.api_version()) return stored;
  Value object = stored;
  if (!kind.custom && resource.plural == "events")
    object = event_in_group(stored, resource.group.empty());
  else if (!kind.custom && resource.plural == "horizontalpodautoscalers")
    object = resource.version == "v1" ? scaler_in_v1(stored) : scaler_in_v2(stored);
  object.set("apiVersion", resource.api_version());
  return object;
}

bool counts_generation(const schema::KindSchema& kind) {
  static constexpr std::string_view kGroups[] = {"apps",
                                                 "batch",
                                                 "networking.k8s.io",
                                                 "policy",
                                                 "admissionregistration.k8s.io",
                                                 "apiextensions.k8s.io",
                                                 "scheduling.k8s.io",
                                                 "discovery.k8s.io",
                                                 "flowcontrol.apiserver.k8s.io"};
  const schema::Resource& resource = kind.resource;
  if (kind.custom) return true;
  if (resource.group.empty())
    return resource.plural == "pods" || resource.plural == "podtemplates" ||
           resource.plural == "replicationcontrollers";
  return resource.plural != "controllerrevisions" &&
         std::find(std::begin(kGroups), std::end(kGroups), resource.group) != std::end(kGroups);
}

bool being_deleted(const Value& object) {
  return !object["metadata"]["deletionTimestamp"].is_null();
}

std::string time_now(Clock& clock) {
  return format_time(clock.now());
}

namespace {

// A plug-in says 'namespaces "x" not found'; the Status names group, kind and name as well.
Error with_details(Request& request, Error error) {
  const auto quote = error.message.find(" \"");
  if (quote == std::string::npos || error.message.substr(0, quote).find(' ') != std::string::npos) return error;
  const auto end = error.message.find('"', quote + 2);
  if (end == std::string::npos) return error;
  const std::string resource = error.message.substr(0, quote), name = error.message.substr(quote + 2, end - quote - 2);
  const auto dot = resource.find('.');
  Value details = Value::map();
  if (!name.empty()) details.set("name", name);
  if (dot != std::string::npos) details.set("group", resource.substr(dot + 1));
  details.set("kind", resource.substr(0, dot));
  constexpr std::string_view kTerminating = "because it is being terminated";
  if (error.code == ErrorCode::forbidden && error.message.ends_with(kTerminating)) {
    Value cause{{"reason", "NamespaceTerminating"},
                {"message", "namespace " + request.ns + " is being terminated"},
                {"field", "metadata.namespace"}};
    details.set("causes", Value(std::vector<Value>{std::move(cause)}));
  }
  return request.fail(error.code, error.message, std::move(details));
}

}  // namespace

namespace {

// One run of all plug-ins over one request: what they see and say.
struct AdmissionRun {
  AdmissionRun(Core& c, Request& r, Transaction& t, AdmissionRequest::Operation operation, const Value& before)
      : core(c),
        request(r),
        tx(t),
        admission{.operation = operation,
                  .kind = *r.kind,
                  .ns = r.ns,
                  .name = r.name,
                  .subresource = r.subresource,
                  .user = r.user,
                  .before = before,
                  .dry_run = r.dry_run,
                  .warnings = r.warnings,
                  .audit_annotations = r.audit_annotations,
                  .find = [this](const auto& resource, auto ns, auto name) { return find(resource, ns, name); },
                  .list = [this](const auto& resource, auto ns) { return list(resource, ns); },
                  .stage = [this](const auto& resource, const Value& object) { stage(resource, object); },
                  .details = details,
                  .refusal = refusal_status,
                  .reinvocation = reinvocation,
                  .options = options_of(r, operation)} {}

  // CreateOptions and its like, as the client gave them.
  static Value options_of(const Request& request, AdmissionRequest::Operation operation) {
    using Operation = AdmissionRequest::Operation;
    if (operation == Operation::connect) return {};
    Value options =
        operation == Operation::remove && request.delete_options.is_map() ? request.delete_options : Value::map();
    options.set("kind", operation == Operation::create   ? "CreateOptions"
                        : operation == Operation::remove ? "DeleteOptions"
                        : request.verb == "update"       ? "UpdateOptions"
                                                         : "PatchOptions");
    options.set("apiVersion", "meta.k8s.io/v1");
    if (request.dry_run) options.set("dryRun", Value::list_of(std::vector<std::string>{"All"}));
    if (operation == Operation::remove) return options;
    if (!request.field_manager.empty()) options.set("fieldManager", request.field_manager);
    if (request.force) options.set("force", true);
    if (request.field_validation == FieldValidation::strict) options.set("fieldValidation", "Strict");
    return options;
  }

  // The whole chain, and once more when a policy or a webhook changed the object. `bodies`: only plug-ins that take
  // bodies of sub-resources.
  Result<void> mutate(Value& object, bool bodies) {
    for (const bool second : {false, true}) {
      if (second && !reinvocation.wanted) break;
      reinvocation.second = second;
      for (const auto& plugin : core.admission) {
        if ((bodies && !plugin->takes_subresource_bodies()) || (second && !plugin->runs_again())) continue;
        auto done = plugin->mutate(admission, object);
        if (!done.ok()) return refusal(std::move(done).error());
      }
    }
    return {};
  }
  Result<void> validate(const Value& object, bool bodies) {
    if (request.allowed_by) {
      auto allowed = request.allowed_by->may_write(admission, object);
      if (!allowed.ok()) return refusal(std::move(allowed).error());
    }
    for (const auto& plugin : core.admission) {
      if (bodies && !plugin->takes_subresource_bodies()) continue;
      auto done = plugin->validate(admission, object);
      if (!done.ok()) return refusal(std::move(done).error());
    }
    return {};
  }

  Value find(const schema::Resource& resource, std::string_view ns, std::string_view name) const {
    const auto found = tx.find({resource.group_resource(), std::string(ns), std::string(name)});
    return found ? found->value : Value();
  }
  std::vector<Value> list(const schema::Resource& resource, std::string_view ns) const {
    std::vector<Value> values;
    const auto listing = core.store.list(resource.group_resource(), {.ns = std::string(ns)});
    if (!listing.ok()) return values;
    for (const store::ItemPtr& item : listing->items) values.push_back(item->value());
    return values;
  }
  void stage(const schema::Resource& resource, const Value& object) const {
    const Value& metadata = object["metadata"];
    tx.put({resource.group_resource(), metadata["namespace"].str(), metadata["name"].str()}, object,
           parse_int(metadata["resourceVersion"].as_string()).value_or(0));
  }
  Error refusal(Error error) {
    if (!refusal_status.is_null()) return request.refused(std::move(refusal_status));
    if (details.is_null()) return with_details(request, std::move(error));
    return request.fail(error.code, std::move(error.message), std::move(details));
  }

  Core& core;
  Request& request;
  Transaction& tx;
  Value details, refusal_status;
  Reinvocation reinvocation;
  const AdmissionRequest admission;
};

}  // namespace

Result<void> admit(Core& core, Request& request, Transaction& tx, AdmissionRequest::Operation operation,
                   const Value& before, Value& object) {
  if (request.admitted) return {};
  return AdmissionRun(core, request, tx, operation, before).mutate(object, false);
}

Result<void> admit_validate(Core& core, Request& request, Transaction& tx, AdmissionRequest::Operation operation,
                            const Value& before, const Value& object) {
  if (request.admitted) return {};
  return AdmissionRun(core, request, tx, operation, before).validate(object, false);
}

Result<void> admit_body(Core& core, Request& request, Transaction& tx, AdmissionRequest::Operation operation,
                        const Value& before, Value& body) {
  AdmissionRun run(core, request, tx, operation, before);
  TRY(run.mutate(body, true));
  return run.validate(body, true);
}

}  // namespace caisson::apiserver
