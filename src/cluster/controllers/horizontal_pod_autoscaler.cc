// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/horizontal_pod_autoscaler.h"

#include <mutex>

#include "cluster/controllers/names.h"
#include "cluster/kube/selector.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

const schema::Resource& autoscalers() {
  static const schema::Resource resource{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"};
  return resource;
}

class AutoscalerReconciler : public kube::Reconciler {
 public:
  AutoscalerReconciler(kube::Runtime& runtime, std::unique_ptr<MetricsSource> metrics)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        metrics_(std::move(metrics)),
        autoscalers_(runtime.informer(autoscalers())),
        pods_(runtime.informer(schema::kPods)),
        events_(client_, clock_, "horizontal-pod-autoscaler") {}

  std::string_view name() const override { return "horizontal-pod-autoscaler"; }

  // A failure is told by condition and event, and tried again in the next round: metrics come and go.
  Result<Requeue> reconcile(const ObjectKey& key) override {
    const auto before = autoscalers_.find(key);
    if (!before || before->deleting()) {
      const std::lock_guard lock(mutex_);
      histories_.erase(key);
      return Requeue::never();
    }
    Object autoscaler = *before;
    const auto resource = client_.resource_for(autoscaler.spec()["scaleTargetRef"]["apiVersion"].as_string(),
                                               autoscaler.spec()["scaleTargetRef"]["kind"].as_string());
    const auto scale = resource.ok() ? read_scale(*resource, target_key(autoscaler)) : Result<Object>(resource.error());
    if (!scale.ok()) {
      const std::string why = resource.ok()
                                  ? scale.error().message
                                  : "unable to determine resource for scale target reference: " + scale.error().message;
      events_.record(autoscaler, EventRecorder::Type::warning, "FailedGetScale", why);
      kube::set_condition(autoscaler, "AbleToScale", false, "FailedGetScale",
                          "the HPA controller was unable to get the target's current scale: " + why, clock_.now());
    } else {
      kube::set_condition(autoscaler, "AbleToScale", true, "SucceededGetScale",
                          "the HPA controller was able to get the target's current scale", clock_.now());
      TRY(round(autoscaler, *resource, *scale));
    }
    TRY(write_status(*before, autoscaler));
    return Requeue::after(kAutoscalingPeriod);
  }

 private:
  static ObjectKey target_key(const Object& autoscaler) {
    return {autoscaler.ns(), autoscaler.spec()["scaleTargetRef"]["name"].str()};
  }

  static kube::WriteOptions on_scale(bool dry_run) {
    kube::WriteOptions options = by_manager("scale");
    options.dry_run = dry_run;
    return options;
  }

  // A merge patch that says nothing, as a dry run, is the way in which kube::Client reads a sub-resource.
  Result<Object> read_scale(const schema::Resource& resource, const ObjectKey& key) {
    return client_.patch(resource, key, kube::PatchType::merge, Value::map(), on_scale(true));
  }

  Result<ScaleTarget> look_at(const Object& autoscaler, const Object& scale) const {
    ScaleTarget out;
    out.reference = autoscaler.spec()["scaleTargetRef"]["kind"].str() + "/" + target_key(autoscaler).str();
    out.spec_replicas = scale.spec()["replicas"].as_int();
    out.status_replicas = scale.status()["replicas"].as_int();
    out.selector = scale.status()["selector"].str();
    if (out.selector.empty()) return out;
    const auto selector = TRY(kube::LabelSelector::parse(out.selector));
    out.pods = pods_.list(autoscaler.ns(), selector);
    return out;
  }

  AutoscalingHistory history_of(const ObjectKey& key) {
    const std::lock_guard lock(mutex_);
    return histories_[key];
  }
  void keep(const ObjectKey& key, AutoscalingHistory history) {
    const std::lock_guard lock(mutex_);
    histories_[key] = std::move(history);
  }

  Result<void> round(Object& autoscaler, const schema::Resource& resource, const Object& scale) {
    const ScaleTarget target = TRY(look_at(autoscaler, scale));
    AutoscalingHistory history = history_of(autoscaler.key());
    const AutoscalingRound round = plan_autoscaling(autoscaler, target, history, *metrics_, clock_.now());
    Value& status = autoscaler.edit({"status"});
    status.set("currentReplicas", target.spec_replicas);
    if (!round.current_metrics.is_null()) status.set("currentMetrics", round.current_metrics);
    for (const auto& [reason, message] : round.warnings)
      events_.record(autoscaler, EventRecorder::Type::warning, reason, message);
    if (!round.failure.empty()) {
      events_.record(autoscaler, EventRecorder::Type::warning, "FailedComputeMetricsReplicas", round.failure);
    } else if (!round.rescales) {
      status.set("desiredReplicas", target.spec_replicas);
    } else {
      rescale(autoscaler, resource, target, round, history);
    }
    keep(autoscaler.key(), std::move(history));
    return {};
  }

  void rescale(Object& autoscaler, const schema::Resource& resource, const ScaleTarget& target,
               const AutoscalingRound& round, AutoscalingHistory& history) {
    const std::string size = "New size: " + std::to_string(round.replicas) + "; reason: " + round.rescale_reason;
    const Value patch{{"spec", Value{{"replicas", round.replicas}}}};
    const auto written =
        client_.patch(resource, target_key(autoscaler), kube::PatchType::merge, patch, on_scale(false));
    if (!written.ok()) {
      events_.record(autoscaler, EventRecorder::Type::warning, "FailedRescale",
                     size + "; error: " + written.error().message);
      kube::set_condition(autoscaler, "AbleToScale", false, "FailedUpdateScale",
                          "the HPA controller was unable to update the target scale: " + written.error().message,
                          clock_.now());
      return;
    }
    kube::set_condition(autoscaler, "AbleToScale", true, "SucceededRescale",
                        "the HPA controller was able to update the target scale to " + std::to_string(round.replicas),
                        clock_.now());
    events_.record(autoscaler, EventRecorder::Type::normal, "SuccessfulRescale", size);
    record_scaling(history, autoscaler.spec()["behavior"], target.spec_replicas, round.replicas, clock_.now());
    Value& status = autoscaler.edit({"status"});
    status.set("desiredReplicas", round.replicas);
    status.set("lastScaleTime", format_time(clock_.now()));
  }

  Result<void> write_status(const Object& before, Object& after) {
    if (after.status() == before.status()) return {};
    if (after.status()["desiredReplicas"].is_null()) after.edit({"status"}).set("desiredReplicas", 0);
    if (after.status()["currentMetrics"].is_null())
      after.edit({"status"}).set("currentMetrics", Value());  // as Go writes an empty list
    const auto written = client_.update(after, by_manager("status"));
    if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    return {};
  }

  kube::Client& client_;
  Clock& clock_;
  const std::unique_ptr<MetricsSource> metrics_;
  kube::Informer& autoscalers_;
  kube::Informer& pods_;
  EventRecorder events_;
  std::mutex mutex_;
  std::map<ObjectKey, AutoscalingHistory> histories_;  // GUARDED_BY(mutex_)
};

}  // namespace

void add_horizontal_pod_autoscaler(kube::Runtime& runtime, std::unique_ptr<MetricsSource> metrics) {
  if (!metrics) metrics = metrics_of_cluster(runtime.client());
  const kube::Queue queue = runtime.add(std::make_unique<AutoscalerReconciler>(runtime, std::move(metrics)));
  // Its own writes must not make the next round: only what people changed does.
  runtime.informer(autoscalers()).on_change([queue](const Object* before, const Object* after) {
    if (before && after && before->spec() == after->spec()) return;
    queue.add((after ? after : before)->key());
  });
}

}  // namespace caisson::controllers
