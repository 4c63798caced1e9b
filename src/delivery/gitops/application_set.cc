// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/application_set.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>

#include "delivery/gitops/application.h"
#include "delivery/gitops/generator_sources.h"
#include "delivery/gitops/gitops.h"
#include "delivery/gitops/lanes.h"

namespace caisson::gitops {
namespace {

const kube::Resource& application_sets() {
  static const kube::Resource kSets{"argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets"};
  return kSets;
}

Value set_condition(std::string_view type, bool holds, std::string_view reason, const std::string& message,
                    const Value& before, Time now) {
  const std::string_view status = holds ? "True" : "False";
  Value since(format_time(now));
  for (const Value& one : before.items()) {
    if (one["type"].as_string() == type && one["status"].as_string() == status && one["message"].as_string() == message)
      since = one["lastTransitionTime"];
  }
  return Value{
      {"type", type}, {"status", status}, {"reason", reason}, {"message", message}, {"lastTransitionTime", since}};
}

class SetReconciler final : public kube::Reconciler {
 public:
  SetReconciler(kube::Runtime& runtime, WorkerPool& workers, const git::Repositories& repositories,
                Duration poll_interval)
      : runtime_(runtime),
        poll_interval_(poll_interval),
        shared_(std::make_shared<Shared>(runtime, workers, repositories)) {}

  std::string_view name() const override { return "applicationset"; }
  void set_queue(kube::Queue queue) { shared_->queue = std::move(queue); }

  // Each look generates anew on a worker, and what that gave is acted upon when the set comes here again.
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto set = runtime_.informer(application_sets()).find(key);
    if (!set || set->deleting()) {
      const std::lock_guard lock(shared_->mutex);
      shared_->looks.erase(key);
      return kube::Requeue::never();
    }
    const auto desired = TRY(generated(*set));
    if (!desired) return kube::Requeue::never();
    if (!desired->ok()) {
      TRY(report(*set, desired->error().message, "ApplicationGenerationFromParamsError", {}));
      return kube::Requeue::after(std::min<Duration>(poll_interval_, std::chrono::seconds(30)));
    }
    const auto applications = runtime_.informer(schema::kApplications).list(key.ns);
    const SetPlan plan = plan_set(*set, **desired, applications);
    std::string failure = plan.held;
    for (const std::string& error : plan.errors) failure += (failure.empty() ? "" : "; ") + error;
    if (set->annotation(kDryRunAnnotation) == "true") {
      failure += (failure.empty() ? "" : "; ") + ("dry run: " + describe(plan));
      TRY(report(*set, failure, "DryRun", {}));
      return kube::Requeue::after(interval_of(*set));
    }
    for (const SetAction& action : plan.actions) {
      const auto done = act(action);
      if (!done.ok()) failure += (failure.empty() ? "" : "; ") + done.error().message;
    }
    TRY(roll(*set, failure));
    return kube::Requeue::after(interval_of(*set));
  }

 private:
  using Made = Result<std::vector<Value>>;  // Applications
  struct Look {
    std::int64_t generation = 0;  // of the set that is looked at
    bool under_way = false, again = false;
    std::optional<Made> made;
  };
  // What workers touch outlives the reconciler.
  struct Shared {
    Shared(kube::Runtime& runtime, WorkerPool& workers, const git::Repositories& repositories)
        : sources(runtime.client(), runtime.clock(), repositories), lanes(workers, kSetLanes) {}
    const GeneratorSources sources;
    Lanes lanes;
    std::optional<kube::Queue> queue;
    std::mutex mutex;
    std::map<kube::ObjectKey, Look> looks;  // GUARDED_BY(mutex)
  };

  // What the last look gave; nullopt while a worker looks.
  Result<std::optional<Made>> generated(const kube::Object& set) {
    const std::lock_guard lock(shared_->mutex);
    Look& look = shared_->looks[set.key()];
    if (look.under_way) {
      look.again = true;
      return std::optional<Made>();
    }
    if (look.made && look.generation == set.generation()) {
      if (look.again) shared_->queue->add(set.key());  // behind this: something came while the worker looked
      return std::exchange(look.made, std::nullopt);
    }
    look = {set.generation(), true, false, std::nullopt};
    auto started = shared_->lanes.run(set.key().str(), [shared = shared_, set] {
      Made made = make(shared->sources, set);
      const std::lock_guard inner(shared->mutex);
      const auto found = shared->looks.find(set.key());
      if (found == shared->looks.end()) return;  // deleted meanwhile
      found->second.under_way = false;
      found->second.made = std::move(made);
      if (shared->queue) shared->queue->add(set.key());
    });
    look.under_way = started.ok();
    TRY(std::move(started));
    return std::optional<Made>();
  }

  static Made make(const GeneratorSources& sources, const kube::Object& set) {
    const TemplateStyle style = TRY(parse_style(set.spec()));
    std::vector<Value> out;
    for (const Generated& one : TRY(generate(set.spec(), style, sources.world_of(set))))
      out.push_back(TRY(application_from(set.spec(), one.own_template, one.parameters, style)));
    return out;
  }

  Result<void> act(const SetAction& action) {
    kube::WriteOptions options;
    options.field_manager = "caisson-applicationset";
    kube::Client& client = runtime_.client();
    if (action.verb == SetAction::Verb::remove) {
      auto done = client.remove(schema::kApplications, action.object.key());
      if (!done.ok() && done.error().code != ErrorCode::not_found) return done;
      return {};
    }
    auto written = action.verb == SetAction::Verb::create ? client.create(action.object, options)
                                                          : client.update(action.object, options);
    if (!written.ok()) return std::move(written).error().in("Application " + action.object.name());
    return {};
  }

  // RollingSync begins what may begin now; then the status.
  Result<void> roll(const kube::Object& set, const std::string& failure) {
    RollingPlan rolling;
    const bool steps = set.spec()["strategy"]["type"].as_string() == "RollingSync";
    if (steps) {
      std::vector<kube::Object> own;
      for (kube::Object& one : runtime_.informer(schema::kApplications).list(set.ns())) {
        if (one.is_controlled_by(set.uid())) own.push_back(std::move(one));
      }
      rolling = plan_rolling(set, own, runtime_.clock().now());
      for (const kube::ObjectKey& key : rolling.to_sync) TRY(begin_sync(key));
    }
    return report(set, failure, "CreateApplicationError", rolling, steps);
  }

  Result<void> begin_sync(const kube::ObjectKey& key) {
    const auto written = kube::modify(runtime_.client(), schema::kApplications, key, [](kube::Object& application) {
      if (!application["operation"].is_null()) return false;
      Value by{{"username", "applicationset-controller"}, {"automated", true}};
      application.edit().set(
          "operation",
          Value{{"initiatedBy", std::move(by)}, {"retry", Value{{"limit", 5}}}, {"sync", Value{{"prune", true}}}});
      return true;
    });
    if (written.ok() || written.error().code == ErrorCode::not_found) return {};
    return Error(written.error()).in("begin sync of Application " + key.str());
  }

  Result<void> report(const kube::Object& set, const std::string& failure, std::string_view reason,
                      const RollingPlan& rolling, bool steps = false) {
    const Time now = runtime_.clock().now();
    const Value& before = set.status()["conditions"];
    const bool good = failure.empty();
    const std::string generated = "Successfully generated parameters for all Applications";
    Value conditions = Value::list();
    const bool error = !good && reason != "DryRun", made = !error || reason == "CreateApplicationError";
    conditions.push_back(set_condition("ErrorOccurred", error, error ? reason : "ApplicationSetUpToDate",
                                       error ? failure : generated, before, now));
    conditions.push_back(set_condition("ParametersGenerated", made, error ? "ErrorOccurred" : "ParametersGenerated",
                                       error ? failure : generated, before, now));
    conditions.push_back(set_condition("ResourcesUpToDate", good, good ? "ApplicationSetUpToDate" : reason,
                                       good ? "ApplicationSet up to date" : failure, before, now));
    if (steps) {
      const bool moving = rolling.step > 0;
      conditions.push_back(set_condition(
          "RolloutProgressing", moving, moving ? "ApplicationSetModified" : "ApplicationSetRolloutComplete",
          moving ? "ApplicationSet is performing rollout of step " + std::to_string(rolling.step)
                 : "ApplicationSet Rollout has completed",
          before, now));
    }
    kube::Object next = set;
    Value& status = next.edit({"status"});
    if (status.is_null()) status = Value::map();
    status.set("conditions", std::move(conditions));
    if (steps) status.set("applicationStatus", Value(rolling.statuses));
    if (next == set) return {};
    auto written = runtime_.client().update_status(next);
    if (!written.ok() && written.error().code != ErrorCode::not_found)
      return std::move(written).error().in("write status of ApplicationSet " + set.key().str());
    return {};
  }

  Duration interval_of(const kube::Object& set) const { return shortest(set.spec()["generators"], poll_interval_); }

  // The least requeueAfterSeconds of `generators`, those of a matrix or a merge among them.
  static Duration shortest(const Value& generators, Duration out) {
    for (const Value& generator : generators.items()) {
      for (const auto& [kind, settings] : generator.entries()) {
        if (const auto seconds = settings["requeueAfterSeconds"].as_int(); seconds > 0)
          out = std::min<Duration>(out, std::chrono::seconds(seconds));
        out = shortest(settings["generators"], out);
      }
    }
    return out;
  }

  kube::Runtime& runtime_;
  const Duration poll_interval_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace

void add_application_sets(kube::Runtime& runtime, WorkerPool& workers, const git::Repositories& repositories,
                          Duration poll_interval, bool push_events) {
  auto reconciler = std::make_unique<SetReconciler>(runtime, workers, repositories, poll_interval);
  SetReconciler* const sets = reconciler.get();  // the runtime owns it
  const kube::Queue queue = runtime.add(std::move(reconciler), 2);
  sets->set_queue(queue);
  runtime.watch(application_sets(), queue);
  runtime.watch(schema::kApplications, queue, [](const kube::Object& application) {
    std::vector<kube::ObjectKey> keys;
    const auto owner = application.controller();
    if (owner && owner->kind == "ApplicationSet") keys.push_back({application.ns(), owner->name});
    return keys;
  });
  if (!push_events) return;
  // Any push may move what a git generator reads.
  runtime.watch(schema::kPushEvents, queue, [&runtime](const kube::Object&) {
    std::vector<kube::ObjectKey> keys;
    for (const kube::Object& set : runtime.informer(application_sets()).list("")) keys.push_back(set.key());
    return keys;
  });
}

}  // namespace caisson::gitops
