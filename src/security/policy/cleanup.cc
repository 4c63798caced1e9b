// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cleanup.h"

#include <algorithm>
#include <set>

#include "core/base/log.h"
#include "core/base/random.h"
#include "security/policy/cel_policy.h"
#include "security/policy/cleanup_policy.h"
#include "security/policy/client_lookups.h"
#include "security/policy/conditions.h"
#include "security/policy/images.h"

namespace caisson::policy {
namespace {

using EventType = kube::EventRecorder::Type;

constexpr std::size_t kObjectsMax = 50'000;               // looked at in one run of a policy
constexpr Duration kWrittenBy = std::chrono::seconds(1);  // what admission was told of is stored by then

Request request_for(kube::Client& client, const schema::Resource& resource, const kube::Object& object) {
  Request request;
  request.target = {resource.group, resource.version, resource.kind, "", "", object.value(), Value(), {}};
  request.target.object.set("apiVersion", resource.api_version()).set("kind", resource.kind);
  if (!object.ns().empty()) {
    const auto ns = client.get(schema::kNamespaces, {"", object.ns()});
    if (ns.ok()) request.target.namespace_labels = ns->metadata()["labels"];
  }
  return request;
}

bool speaks_of(const MatchBlock& match, const schema::Resource& resource) {
  return std::any_of(match.filters.begin(), match.filters.end(), [&](const ResourceFilter& filter) {
    return std::any_of(filter.kinds.begin(), filter.kinds.end(), [&](const KindSelector& kind) {
      return kind.matches(resource.group, resource.version, resource.kind, "");
    });
  });
}

// Which objects a policy wants gone. One run of one policy; one thread.
class Selection {
 public:
  virtual ~Selection() = default;
  virtual bool speaks_of_kind(const schema::Resource& resource) const = 0;
  // Errors: of conditions, for this object only.
  virtual Result<bool> wants_gone(const Request& request) const = 0;

  controllers::CronSchedule schedule;
  kube::Propagation propagation = kube::Propagation::background;
  std::string ns;  // empty: everywhere
};

class PatternSelection final : public Selection {
 public:
  PatternSelection(CleanupPolicy policy, const Lookups& lookups, const Clock& clock)
      : policy_(std::move(policy)), lookups_(lookups) {
    schedule = policy_.schedule;
    propagation = policy_.propagation;
    ns = policy_.ns;
    environment_.clock = &clock;
    environment_.random = [] { return random_u64(); };
  }
  bool speaks_of_kind(const schema::Resource& resource) const override { return speaks_of(policy_.match, resource); }
  Result<bool> wants_gone(const Request& request) const override {
    if (!matches(policy_.match, request.target) || excludes(policy_.exclude, request.target)) return false;
    Context context(expressions_, environment_, lookups_);
    context.set("target", request.target.object);
    const Value images = images_of(request.target.object, Value());
    if (!images.is_null()) context.set("images", images);
    context.defer(policy_.context);
    return TRY(evaluate_conditions(policy_.conditions, context)).holds;
  }

 private:
  CleanupPolicy policy_;
  const Lookups& lookups_;
  Expressions expressions_;
  jmespath::Environment environment_;
};

class CelSelection final : public Selection {
 public:
  CelSelection(CelPolicy policy, controllers::CronSchedule when, kube::Propagation how, const Lookups& lookups,
               kube::Client& client)
      : policy_(std::move(policy)), lookups_(lookups), client_(client) {
    schedule = when;
    propagation = how;
    ns = policy_.object()["metadata"]["namespace"].str();
  }
  bool speaks_of_kind(const schema::Resource& resource) const override {
    return policy_.names(resource.group, resource.version, resource.plural);
  }
  Result<bool> wants_gone(const Request& request) const override {
    Request one = request;
    one.target.operation = "CREATE";  // the object is there, not going
    Value namespace_object, patched;
    if (!one.target.ns().empty()) {
      const auto found = client_.get(schema::kNamespaces, {"", one.target.ns()});
      if (found.ok()) namespace_object = found->value();
    }
    const auto response = policy_.evaluate(one, namespace_object, Value(), lookups_, patched);
    if (response && response->status == Status::error) return Error{ErrorCode::bad_request, response->message};
    return response && response->status == Status::pass;
  }

 private:
  CelPolicy policy_;
  const Lookups& lookups_;
  kube::Client& client_;
};

class Cleaner final : public kube::Reconciler {
 public:
  Cleaner(kube::Runtime& runtime, schema::Resource resource, const ImageSource* images)
      : runtime_(runtime),
        client_(runtime.client()),
        resource_(std::move(resource)),
        name_("cleanup " + resource_.plural),
        lookups_(make_client_lookups(client_, images)),
        events_(client_, runtime.clock(), "kyverno-cleanup") {}

  std::string_view name() const override { return name_; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto policy = runtime_.informer(resource_).find(key);
    if (!policy || policy->deleting()) return kube::Requeue::never();
    auto selection = compile(*policy);
    if (!selection.ok()) {
      events_.record(*policy, EventType::warning, "PolicyError", selection.error().message);
      return kube::Requeue::never();  // until it changes
    }
    const Time now = runtime_.clock().now();
    const auto due = (*selection)->schedule.next(last_run(*policy, now));
    if (!due) return kube::Requeue::never();
    if (*due > now) return kube::Requeue::after(*due - now);
    TRY(run(*policy, **selection));
    const auto written = kube::modify(client_, resource_, key,
                                      [&](kube::Object& object) {
                                        object.edit({"status"}).set("lastExecutionTime", format_time(now));
                                        return true;
                                      },
                                      {.field_manager = "caisson-policy", .subresource = "status"});
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    const auto next = (*selection)->schedule.next(now);
    return next ? kube::Requeue::after(*next - now) : kube::Requeue::never();
  }

 private:
  static Time last_run(const kube::Object& policy, Time now) {
    const auto last = parse_time(policy.status()["lastExecutionTime"].as_string());
    return last ? *last : policy.created().value_or(now);
  }

  Result<std::unique_ptr<Selection>> compile(const kube::Object& policy) const {
    Value object = policy.value();
    object.set("apiVersion", resource_.api_version()).set("kind", resource_.kind);
    if (is_cleanup_policy(object)) {
      auto compiled = TRY(compile_cleanup_policy(object));
      return std::unique_ptr<Selection>(
          std::make_unique<PatternSelection>(std::move(compiled), *lookups_, runtime_.clock()));
    }
    auto compiled = TRY(CelPolicy::compile(object));
    const auto when = TRY(controllers::CronSchedule::parse(object["spec"]["schedule"].as_string()).in("spec.schedule"));
    const auto how = TRY(parse_propagation(object["spec"]["deletionPropagationPolicy"].as_string()));
    return std::unique_ptr<Selection>(
        std::make_unique<CelSelection>(std::move(compiled), when, how, *lookups_, client_));
  }

  Result<void> run(const kube::Object& policy, const Selection& selection) {
    std::size_t seen = 0;
    std::set<std::string> listed;  // two versions show the same objects
    for (const schema::Resource& kind : TRY(client_.resources())) {
      if (!selection.speaks_of_kind(kind) || (!selection.ns.empty() && !kind.namespaced)) continue;
      if (!listed.insert(kind.group_resource()).second) continue;
      const auto list = client_.list(kind, {.ns = selection.ns});
      if (!list.ok()) continue;  // reviews and their like can't be listed
      for (const kube::Object& object : list->items) {
        if (++seen > kObjectsMax) {
          events_.record(policy, EventType::warning, "PolicyError",
                         "more than " + std::to_string(kObjectsMax) + " objects: the rest waits for the next time");
          return {};
        }
        if (!object.deleting()) consider(policy, selection, kind, object);
      }
    }
    return {};
  }

  void consider(const kube::Object& policy, const Selection& selection, const schema::Resource& kind,
                const kube::Object& object) {
    const std::string what = kind.kind + "/" + object.key().str();
    const auto goes = selection.wants_gone(request_for(client_, kind, object));
    if (!goes.ok()) {
      events_.record(policy, EventType::warning, "PolicyError", what + ": " + goes.error().message);
      return;
    }
    if (!*goes) return;
    const auto done = client_.remove(
        kind, object.key(),
        {.propagation = selection.propagation, .uid = object.uid(), .resource_version = object.resource_version()});
    // It changed meanwhile, or went: the next time looks again.
    if (!done.ok() && (done.error().code == ErrorCode::not_found || done.error().code == ErrorCode::conflict)) return;
    events_.record(policy, done.ok() ? EventType::normal : EventType::warning,
                   done.ok() ? "PolicyApplied" : "PolicyError",
                   done.ok() ? "successfully cleaned up the target resource " + what
                             : "failed to clean up the target resource " + what + ": " + done.error().message);
  }

  kube::Runtime& runtime_;
  kube::Client& client_;
  const schema::Resource resource_;
  const std::string name_;
  std::unique_ptr<Lookups> lookups_;
  kube::EventRecorder events_;
};

// Objects with the label, of whatever kind.
class TtlCleaner final : public kube::Reconciler {
 public:
  TtlCleaner(kube::Runtime& runtime, Duration interval)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        interval_(interval),
        events_(client_, clock_, "kyverno-cleanup") {}

  std::string_view name() const override { return "cleanup ttl"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey&) override {
    Time next = clock_.now() + interval_;
    std::set<std::string> listed;  // two versions show the same objects
    for (const schema::Resource& kind : TRY(client_.resources())) {
      if (!listed.insert(kind.group_resource()).second) continue;
      const auto list = client_.list(kind, {.label_selector = std::string(kTtlLabel)});
      if (!list.ok()) continue;  // reviews and their like can't be listed
      for (const kube::Object& object : list->items)
        if (!object.deleting()) consider(kind, object, next);
    }
    return kube::Requeue::after(std::max(next - clock_.now(), Duration(std::chrono::seconds(1))));
  }

 private:
  void consider(const schema::Resource& kind, const kube::Object& object, Time& next) {
    const auto when = time_to_go(object.value());
    if (!when.ok()) {
      events_.record(object, EventType::warning, "PolicyError", when.error().message);
      return;
    }
    if (!*when) return;
    if (**when > clock_.now()) {
      next = std::min(next, **when);
      return;
    }
    const auto how = parse_propagation(object.annotation(kPropagationAnnotation));
    const auto done = client_.remove(kind, object.key(),
                                     {.propagation = how.ok() ? *how : kube::Propagation::background,
                                      .uid = object.uid(),
                                      .resource_version = object.resource_version()});
    if (done.ok())
      log::info("object removed, its time has run out", {{"kind", kind.kind}, {"name", object.key().str()}});
    else if (done.error().code != ErrorCode::not_found && done.error().code != ErrorCode::conflict)
      events_.record(object, EventType::warning, "PolicyError", "time to live: " + done.error().message);
  }

  kube::Client& client_;
  Clock& clock_;
  const Duration interval_;
  kube::EventRecorder events_;
};

}  // namespace

void add_cleanup(kube::Runtime& runtime, CleanupOptions options) {
  const schema::Resource kinds[] = {
      {"kyverno.io", "v2", "CleanupPolicy", "cleanuppolicies", true},
      {"kyverno.io", "v2", "ClusterCleanupPolicy", "clustercleanuppolicies", false},
      {"policies.kyverno.io", "v1", "DeletingPolicy", "deletingpolicies", false},
      {"policies.kyverno.io", "v1", "NamespacedDeletingPolicy", "namespaceddeletingpolicies", true}};
  for (const schema::Resource& kind : kinds) {
    const auto queue = runtime.add(std::make_unique<Cleaner>(runtime, kind, options.images), 1);
    runtime.watch(kind, queue);
  }
  const kube::ObjectKey everything{"", "ttl"};
  const kube::Queue expiring = runtime.add(std::make_unique<TtlCleaner>(runtime, options.ttl_interval), 1);
  expiring.add(everything);
  if (options.deadlines == nullptr) return;
  options.deadlines->listen([expiring, everything, &clock = runtime.clock()](Time when) {
    expiring.add_after(everything, std::max(when - clock.now(), kWrittenBy));
  });
}

}  // namespace caisson::policy
