// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/deployment.h"

#include <algorithm>

#include "cluster/controllers/claims.h"
#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

using kube::EventRecorder;
using kube::Requeue;

class DeploymentReconciler : public kube::Reconciler {
 public:
  explicit DeploymentReconciler(kube::Runtime& runtime)
      : client_(runtime.client()),
        clock_(runtime.clock()),
        deployments_(runtime.informer(schema::kDeployments)),
        replica_sets_(runtime.informer(schema::kReplicaSets)),
        pods_(runtime.informer(schema::kPods)),
        expectations_(replica_sets_, clock_),
        events_(client_, clock_, "deployment-controller") {}

  std::string_view name() const override { return "deployment"; }

  Result<Requeue> reconcile(const ObjectKey& key) override {
    Result<Requeue> done = bring_forward(key);
    // Deleted meanwhile, it or one of its ReplicaSets: the event of that brings us back.
    if (!done.ok() && done.error().code == ErrorCode::not_found) return Requeue::never();
    return done;
  }

 private:
  Result<Requeue> bring_forward(const ObjectKey& key) {
    auto deployment = deployments_.find(key);
    if (!deployment) return Requeue::never();  // owner references clear its ReplicaSets
    if (!expectations_.met(key)) return Requeue::after(std::chrono::seconds(5));
    const auto selector = TRY(kube::LabelSelector::from(deployment->spec()["selector"]));
    if (selector.everything()) return Requeue::never();  // it would own every ReplicaSet there is
    const auto candidates = replica_sets_.list(key.ns);
    auto claimed = TRY(claim(client_, schema::kDeployments, *deployment, selector, schema::kReplicaSets, candidates));
    ReplicaSets sets = sort_out(*deployment, std::move(claimed));
    if (deployment->deleting()) return write_status(*deployment, count_status(*deployment, sets, clock_.now()));

    Value status = deployment->status();
    if (note_pause(*deployment, status, clock_.now())) TRY(store_status(*deployment, status));
    if (deployment->spec()["paused"].as_bool() || is_scaling(*deployment, sets)) return resize(*deployment, sets);
    return is_rolling(*deployment) ? roll(*deployment, sets) : recreate(*deployment, sets);
  }

  Result<Requeue> resize(Object& deployment, ReplicaSets& sets) {
    if (sets.current) TRY(keep_current(deployment, sets));
    TRY(scale_all(deployment, plan_scale(deployment, sets)));
    if (deployment.spec()["paused"].as_bool()) TRY(clean_up(deployment, sets.old));
    return write_status(deployment, count_status(deployment, sets, clock_.now()));
  }

  Result<Requeue> roll(Object& deployment, ReplicaSets& sets) {
    TRY(ensure_current(deployment, sets));
    const std::vector<Scale> scales = plan_rolling(deployment, sets);
    TRY(scale_all(deployment, scales));
    if (scales.empty() && is_complete(deployment, deployment.status())) TRY(clean_up(deployment, sets.old));
    return write_status(deployment, rollout_status(deployment, sets, clock_.now()));
  }

  Result<Requeue> recreate(Object& deployment, ReplicaSets& sets) {
    const bool runs = old_pods_run(sets);
    std::vector<Scale> scales = plan_recreate(deployment, sets, runs);
    if (scales.empty() && !runs) {
      TRY(ensure_current(deployment, sets));
      scales = plan_recreate(deployment, sets, false);
    }
    TRY(scale_all(deployment, scales));
    if (scales.empty() && is_complete(deployment, deployment.status())) TRY(clean_up(deployment, sets.old));
    return write_status(deployment, rollout_status(deployment, sets, clock_.now()));
  }

  bool old_pods_run(const ReplicaSets& sets) const {
    return std::any_of(sets.old.begin(), sets.old.end(), [this](const Object& set) {
      const auto pods = pods_.controlled_by(set.uid());
      return set.status()["replicas"].as_int() > 0 ||
             std::any_of(pods.begin(), pods.end(), [](const Object& p) { return !is_finished(p); });
    });
  }

  // The ReplicaSet of the present template, made when there is none.
  Result<void> ensure_current(Object& deployment, ReplicaSets& sets) {
    if (sets.current) return keep_current(deployment, sets);
    const std::int64_t number = next_revision(sets.old);
    Object set = make_replica_set(deployment, number);
    const std::int64_t size = new_replicas(deployment, sets, 0);
    set.edit({"spec"}).set("replicas", size);
    auto created = client_.create(set, by_manager());
    if (!created.ok() && created.error().code == ErrorCode::already_exists)
      return settle_collision(deployment, sets, set);
    if (!created.ok()) return refuse(deployment, created.error());
    expectations_.created(deployment.key(), *created);
    if (size > 0) {
      events_.record(deployment, EventRecorder::Type::normal, "ScalingReplicaSet",
                     "Scaled up replica set " + created->name() + " from 0 to " + std::to_string(size));
    }
    sets.current = std::move(created).value();
    return note_current(deployment, *sets.current, number, "NewReplicaSetCreated", "Created new replica set \"");
  }

  // What has the name already is ours of an earlier run that the cache does not show, or another template's with the
  // same hash.
  Result<void> settle_collision(Object& deployment, ReplicaSets& sets, const Object& wanted) {
    const Object there = TRY(client_.get(schema::kReplicaSets, wanted.key()));
    if (there.is_controlled_by(deployment.uid()) &&
        same_template(there.spec()["template"], wanted.spec()["template"])) {
      sets.current = there;
      return {};
    }
    Value status = deployment.status();
    status.set("collisionCount", status["collisionCount"].as_int() + 1);
    TRY(store_status(deployment, status));
    return Error{ErrorCode::conflict, "replica set " + wanted.name() + " is another's: a new name is taken"};
  }

  Result<void> refuse(Object& deployment, const Error& error) {
    if (namespace_is_terminating(error)) return {};
    const std::string message = "Failed to create new replica set \"" + deployment.name() + "\": " + error.message;
    Value status = deployment.status();
    if (set_progress(status, "Progressing", "False", "ReplicaSetCreateError", message, clock_.now())) {
      TRY(store_status(deployment, status));
    }
    events_.record(deployment, EventRecorder::Type::warning, "ReplicaSetCreateError", message);
    return error;
  }

  // The annotations of an existing one follow the deployment, also after a rollback has made an old one current again.
  Result<void> keep_current(Object& deployment, ReplicaSets& sets) {
    Object set = *sets.current;
    const std::int64_t number = next_revision(sets.old);
    bool changed = annotate(deployment, set, number, true);
    const std::int64_t wait = deployment.spec()["minReadySeconds"].as_int();
    if (set.spec()["minReadySeconds"].as_int() != wait) {
      set.edit({"spec"}).set("minReadySeconds", wait);
      changed = true;
    }
    if (changed) sets.current = TRY(client_.update(set, by_manager()));
    return note_current(deployment, *sets.current, revision(*sets.current), "NewReplicaSetFound",
                        "Found new replica set \"");
  }

  // The deployment carries the revision of its current ReplicaSet, and a first Progressing condition.
  Result<void> note_current(Object& deployment, const Object& set, std::int64_t number, std::string_view reason,
                            std::string_view found) {
    Object after = deployment;
    bool changed = false;
    if (revision(deployment) != number) {
      after.set_annotation(kRevision, std::to_string(number));
      changed = true;
    }
    const bool created = reason == "NewReplicaSetCreated";
    if (!deployment.spec()["progressDeadlineSeconds"].is_null() &&
        (created || find_condition(after.status(), "Progressing").is_null())) {
      changed |= set_progress(after.edit({"status"}), "Progressing", "True", reason,
                              std::string(found) + set.name() + "\"", clock_.now());
    }
    if (!changed) return {};
    deployment = TRY(client_.update(after, by_manager("status")));
    return {};
  }

  Result<void> scale_all(const Object& deployment, const std::vector<Scale>& scales) {
    const std::int64_t want = deployment.spec()["replicas"].as_int(1);
    for (const Scale& scale : scales) {
      const std::int64_t before = scale.replica_set.spec()["replicas"].as_int();
      Object set = scale.replica_set;
      set.edit({"spec"}).set("replicas", scale.replicas);
      const bool resized = before != scale.replicas;
      if (!annotate_size(set, want, want + fences(deployment).surge) && !resized) continue;
      TRY(client_.update(set, by_manager()));
      if (!resized) continue;
      const std::string direction = before < scale.replicas ? "up" : "down";
      events_.record(deployment, EventRecorder::Type::normal, "ScalingReplicaSet",
                     "Scaled " + direction + " replica set " + set.name() + " from " + std::to_string(before) + " to " +
                         std::to_string(scale.replicas));
    }
    return {};
  }

  Result<void> clean_up(const Object& deployment, const std::vector<Object>& old) {
    for (const Object& set : plan_cleanup(deployment, old)) {
      const auto removed = client_.remove(schema::kReplicaSets, set.key());
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    return {};
  }

  Result<void> store_status(Object& deployment, const Value& status) {
    Object after = deployment;
    after.edit().set("status", status);
    deployment = TRY(client_.update(after, by_manager("status")));
    return {};
  }

  Result<Requeue> write_status(Object& deployment, const Value& status) {
    if (status != deployment.status()) TRY(store_status(deployment, status));
    const auto wait = until_deadline(deployment, status, clock_.now());
    return wait ? Requeue::after(*wait) : Requeue::never();
  }

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& deployments_;
  kube::Informer& replica_sets_;
  kube::Informer& pods_;
  Expectations expectations_;
  EventRecorder events_;
};

}  // namespace

void add_deployment(kube::Runtime& runtime) {
  kube::Informer& deployments = runtime.informer(schema::kDeployments);
  kube::Informer& replica_sets = runtime.informer(schema::kReplicaSets);
  const kube::Queue queue = runtime.add(std::make_unique<DeploymentReconciler>(runtime));
  runtime.watch(schema::kDeployments, queue);
  runtime.watch(schema::kReplicaSets, queue, [&deployments](const Object& set) -> std::vector<ObjectKey> {
    if (set.controller()) return kube::Runtime::to_controller("Deployment")(set);
    std::vector<ObjectKey> out;
    for (const Object& deployment : deployments.list(set.ns())) {
      const auto selector = kube::LabelSelector::from(deployment.spec()["selector"]);
      if (selector.ok() && selector->matches(set.metadata()["labels"])) out.push_back(deployment.key());
    }
    return out;
  });
  // A recreation goes on when the last old pod is gone.
  runtime.watch(schema::kPods, queue, [&replica_sets, &deployments](const Object& pod) -> std::vector<ObjectKey> {
    const auto owner = pod.controller();
    if (!owner || owner->kind != "ReplicaSet") return {};
    const auto set = replica_sets.find({pod.ns(), owner->name});
    if (!set) return {};
    std::vector<ObjectKey> keys = kube::Runtime::to_controller("Deployment")(*set);
    std::erase_if(keys, [&](const ObjectKey& key) {
      const auto deployment = deployments.find(key);
      return !deployment || is_rolling(*deployment);
    });
    return keys;
  });
}

}  // namespace caisson::controllers
