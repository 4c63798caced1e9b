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
#include "core/document/make_map.h"

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

bool has_consequences(const Request& request) {
  return needs_pools(request) || !request.kind || request.kind->custom || request.plural == "clusterroles";
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
  constexpr std::string_view kFirst[] = {"kind", "apiVersion", "metadata"};
  std::vector<document::MapEntry> result;
  result.reserve(entries.size() + std::size(kFirst));
  for (const std::string_view key : kFirst) result.push_back({document::intern(key), object[key]});
  for (const document::MapEntry& entry : entries)
    if (std::find(std::begin(kFirst), std::end(kFirst), entry.key) == std::end(kFirst)) result.push_back(entry);
  return document::map_of(std::move(result));
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
                  .options = [this] { return options_of(request, admission.operation); }} {}

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
