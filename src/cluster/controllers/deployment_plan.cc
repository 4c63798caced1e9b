// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "cluster/controllers/deployment.h"
#include "cluster/controllers/names.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

std::int64_t replicas_of(const Object& object) {
  return object.spec()["replicas"].as_int(1);
}
std::int64_t available_of(const Object& object) {
  return object.status()["availableReplicas"].as_int();
}

std::int64_t sum_replicas(const std::vector<Object>& sets) {
  std::int64_t sum = 0;
  for (const Object& set : sets) sum += replicas_of(set);
  return sum;
}

bool created_before(const Object& a, const Object& b) {
  return a.created() != b.created() ? a.created() < b.created() : a.name() < b.name();
}

std::vector<Object> with_replicas(std::vector<Object> sets) {
  std::erase_if(sets, [](const Object& set) { return replicas_of(set) == 0; });
  return sets;
}

// The one to scale when there is no choice: the only one with replicas, or the newest when none has any.
std::optional<Object> active_or_latest(const ReplicaSets& sets) {
  const std::vector<Object> active = with_replicas(sets.all());
  if (active.size() == 1) return active[0];
  if (!active.empty()) return std::nullopt;
  if (sets.current) return sets.current;
  return sets.old.empty() ? std::nullopt : std::optional(sets.old.back());
}

bool is_saturated(const Object& deployment, const Object& set) {
  const auto desired = parse_int(set.annotation(kDesiredReplicas));
  const std::int64_t want = replicas_of(deployment);
  return desired == want && replicas_of(set) == want && available_of(set) == want;
}

// The share of `to_add` that falls to `set`, by its size.
std::int64_t proportion(const Object& set, const Object& deployment, std::int64_t to_add, std::int64_t added) {
  const std::int64_t size = replicas_of(set);
  const std::int64_t allowed = to_add - added;
  if (size == 0 || to_add == 0 || allowed == 0) return 0;
  std::int64_t share = -size;
  if (replicas_of(deployment) != 0) {
    std::int64_t most_before = parse_int(set.annotation(kMaxReplicas)).value_or(0);
    if (most_before == 0) most_before = deployment.status()["replicas"].as_int();
    const std::int64_t most_now = replicas_of(deployment) + fences(deployment).surge;
    share = most_before == 0
                ? 0
                : std::llround(static_cast<double>(size * most_now) / static_cast<double>(most_before)) - size;
  }
  return to_add > 0 ? std::min(share, allowed) : std::max(share, allowed);
}

std::vector<Scale> scale_in_proportion(const Object& deployment, const ReplicaSets& sets) {
  std::vector<Object> active = with_replicas(sets.all());
  const std::int64_t want = replicas_of(deployment);
  const std::int64_t allowed = want > 0 ? want + fences(deployment).surge : 0;
  const std::int64_t to_add = allowed - sum_replicas(active);
  // Larger ones first; of equal ones the newer when growing and the older when shrinking.
  std::stable_sort(active.begin(), active.end(), [to_add](const Object& a, const Object& b) {
    if (replicas_of(a) != replicas_of(b)) return replicas_of(a) > replicas_of(b);
    return to_add > 0 ? created_before(b, a) : created_before(a, b);
  });
  std::vector<Scale> out;
  std::int64_t added = 0;
  for (const Object& set : active) {
    const std::int64_t share = proportion(set, deployment, to_add, added);
    out.push_back({set, replicas_of(set) + share});
    added += share;
  }
  if (!out.empty() && to_add != 0) out[0].replicas = std::max<std::int64_t>(0, out[0].replicas + to_add - added);
  return out;
}

// Unhealthy pods of old sets go first: they serve nobody.
void clean_unhealthy(std::vector<Scale>& old, std::int64_t most) {
  for (Scale& set : old) {
    if (most <= 0) return;
    const std::int64_t down = std::min(most, std::max<std::int64_t>(0, set.replicas - available_of(set.replica_set)));
    set.replicas -= down;
    most -= down;
  }
}

// Then healthy ones, as far as enough are available.
void scale_down_old(std::vector<Scale>& old, std::int64_t most) {
  for (Scale& set : old) {
    if (most <= 0) return;
    const std::int64_t down = std::min(set.replicas, most);
    set.replicas -= down;
    most -= down;
  }
}

// A set that was told to shrink still has its pods until it says otherwise.
std::int64_t pods_present(const Object& set) {
  return std::max(replicas_of(set), set.status()["replicas"].as_int());
}

bool copied_to_replica_set(std::string_view annotation) {
  static constexpr std::string_view kNot[] = {"kubectl.kubernetes.io/last-applied-configuration",
                                              kRevision,
                                              kRevisionHistory,
                                              kDesiredReplicas,
                                              kMaxReplicas,
                                              "deprecated.deployment.rollback.to"};
  return std::find(std::begin(kNot), std::end(kNot), annotation) == std::end(kNot);
}

// Revisions that this ReplicaSet had before, for `rollout history`: "1,3", at most 2000 characters, the oldest dropped.
void remember_revision(Object& set, std::string_view old_revision) {
  constexpr std::size_t kCharactersMax = 2000;
  std::string history(set.annotation(kRevisionHistory));
  history = history.empty() ? std::string(old_revision) : history + "," + std::string(old_revision);
  while (history.size() > kCharactersMax && history.find(',') != std::string::npos)
    history.erase(0, history.find(',') + 1);
  set.set_annotation(kRevisionHistory, history);
}

}  // namespace

bool is_rolling(const Object& deployment) {
  return deployment.spec()["strategy"]["type"].as_string() != "Recreate";
}

Fences fences(const Object& deployment) {
  if (!is_rolling(deployment)) return {};
  const std::int64_t replicas = replicas_of(deployment);
  const Value& rolling = deployment.spec()["strategy"]["rollingUpdate"];
  Fences out{scaled(rolling["maxSurge"], replicas, true), scaled(rolling["maxUnavailable"], replicas, false)};
  if (out.surge == 0 && out.unavailable == 0) out.unavailable = 1;  // otherwise nothing could ever move
  out.unavailable = replicas == 0 ? 0 : std::min(out.unavailable, replicas);
  return out;
}

std::vector<Object> ReplicaSets::all() const {
  std::vector<Object> out = old;
  if (current) out.push_back(*current);
  return out;
}

ReplicaSets sort_out(const Object& deployment, std::vector<Object> replica_sets) {
  std::stable_sort(replica_sets.begin(), replica_sets.end(), created_before);
  ReplicaSets out;
  for (Object& set : replica_sets) {
    // Two may have the template after a rollback by hand: the older one counts, always the same.
    if (!out.current && same_template(set.spec()["template"], deployment.spec()["template"]))
      out.current = std::move(set);
    else
      out.old.push_back(std::move(set));
  }
  return out;
}

std::int64_t new_replicas(const Object& deployment, const ReplicaSets& sets, std::int64_t present) {
  const std::int64_t want = replicas_of(deployment);
  if (!is_rolling(deployment)) return want;
  const std::int64_t most = want + fences(deployment).surge;
  std::int64_t have = present;
  for (const Object& set : sets.old) have += pods_present(set);
  if (have >= most) return present;
  return present + std::min(most - have, want - present);
}

std::vector<Scale> plan_rolling(const Object& deployment, const ReplicaSets& sets) {
  if (!sets.current) return {};
  const std::int64_t want = replicas_of(deployment), present = replicas_of(*sets.current);
  if (present != want) {
    const std::int64_t next = present > want ? want : new_replicas(deployment, sets, present);
    if (next != present) return {{*sets.current, next}};
  }
  std::vector<Scale> old;
  for (const Object& set : with_replicas(sets.old)) old.push_back({set, replicas_of(set)});
  if (old.empty()) return {};
  const std::int64_t least = want - fences(deployment).unavailable;
  const std::int64_t new_unavailable = present - available_of(*sets.current);
  const std::int64_t most_down = sum_replicas(sets.all()) - least - new_unavailable;
  if (most_down <= 0) return {};
  clean_unhealthy(old, most_down);
  // A set that was told to shrink and has not yet must not count what it will take away.
  std::int64_t available = 0;
  for (const Object& set : sets.all()) available += std::min(available_of(set), replicas_of(set));
  scale_down_old(old, available - least);
  std::erase_if(old, [](const Scale& set) { return set.replicas == replicas_of(set.replica_set); });
  return old;
}

std::vector<Scale> plan_recreate(const Object& deployment, const ReplicaSets& sets, bool old_pods_run) {
  std::vector<Scale> out;
  for (const Object& set : with_replicas(sets.old)) out.push_back({set, 0});
  if (!out.empty() || old_pods_run || !sets.current) return out;
  if (replicas_of(*sets.current) != replicas_of(deployment)) out.push_back({*sets.current, replicas_of(deployment)});
  return out;
}

std::vector<Scale> plan_scale(const Object& deployment, const ReplicaSets& sets) {
  const std::int64_t want = replicas_of(deployment);
  if (const auto only = active_or_latest(sets)) {
    if (replicas_of(*only) == want) return {};
    return {{*only, want}};
  }
  if (sets.current && is_saturated(deployment, *sets.current)) {
    std::vector<Scale> out;
    for (const Object& set : with_replicas(sets.old)) out.push_back({set, 0});
    return out;
  }
  return is_rolling(deployment) ? scale_in_proportion(deployment, sets) : std::vector<Scale>{};
}

bool is_scaling(const Object& deployment, const ReplicaSets& sets) {
  for (const Object& set : with_replicas(sets.all())) {
    const auto desired = parse_int(set.annotation(kDesiredReplicas));
    if (desired && *desired != replicas_of(deployment)) return true;
  }
  return false;
}

std::vector<Object> plan_cleanup(const Object& deployment, const std::vector<Object>& old) {
  const Value& limit = deployment.spec()["revisionHistoryLimit"];
  if (limit.is_null()) return {};
  std::vector<Object> alive = old;
  std::erase_if(alive, [](const Object& set) { return set.deleting(); });
  const std::int64_t excess = static_cast<std::int64_t>(alive.size()) - limit.as_int();
  if (excess <= 0) return {};
  std::stable_sort(alive.begin(), alive.end(),
                   [](const Object& a, const Object& b) { return revision(a) < revision(b); });
  alive.resize(static_cast<std::size_t>(excess));
  std::erase_if(alive, [](const Object& set) {
    return set.status()["replicas"].as_int() != 0 || replicas_of(set) != 0 ||
           set.generation() > set.status()["observedGeneration"].as_int();
  });
  return alive;
}

std::int64_t revision(const Object& object) {
  return parse_int(object.annotation(kRevision)).value_or(0);
}

std::int64_t next_revision(const std::vector<Object>& old) {
  std::int64_t most = 0;
  for (const Object& set : old) most = std::max(most, revision(set));
  return most + 1;
}

bool annotate_size(Object& replica_set, std::int64_t desired, std::int64_t most) {
  bool changed = false;
  for (const auto& [key, value] : {std::pair{kDesiredReplicas, desired}, std::pair{kMaxReplicas, most}}) {
    if (replica_set.annotation(key) == std::to_string(value)) continue;
    replica_set.set_annotation(key, std::to_string(value));
    changed = true;
  }
  return changed;
}

bool annotate(const Object& deployment, Object& replica_set, std::int64_t new_revision, bool exists) {
  bool changed = false;
  for (const auto& entry : deployment.metadata()["annotations"].entries()) {
    if (!copied_to_replica_set(entry.key) || replica_set.annotation(entry.key) == entry.value.as_string()) continue;
    // The trace of a ReplicaSet is that of the push which made it.
    if (exists && entry.key == kTraceparentAnnotation) continue;
    replica_set.set_annotation(entry.key, entry.value.as_string());
    changed = true;
  }
  const std::string old_revision(replica_set.annotation(kRevision));
  if (revision(replica_set) < new_revision) {
    replica_set.set_annotation(kRevision, std::to_string(new_revision));
    if (!old_revision.empty()) remember_revision(replica_set, old_revision);
    changed = true;
  }
  if (!exists)
    changed |= annotate_size(replica_set, replicas_of(deployment), replicas_of(deployment) + fences(deployment).surge);
  return changed;
}

Object make_replica_set(const Object& deployment, std::int64_t new_revision) {
  const std::string hash = template_hash(deployment.spec()["template"], deployment.status()["collisionCount"].as_int());
  Object out = Object::make(schema::kReplicaSets, deployment.ns(), deployment.name() + "-" + hash);
  Value pod_template = deployment.spec()["template"];
  pod_template.edit({"metadata", "labels"}).set(kPodTemplateHash, hash);
  Value selector = deployment.spec()["selector"];
  selector.edit({"matchLabels"}).set(kPodTemplateHash, hash);
  out.edit({"metadata"}).set("labels", pod_template["metadata"]["labels"]);
  Value& spec = out.edit({"spec"});
  spec.set("replicas", 0);
  if (const auto wait = deployment.spec()["minReadySeconds"].as_int(); wait > 0) spec.set("minReadySeconds", wait);
  spec.set("selector", std::move(selector));
  spec.set("template", std::move(pod_template));
  out.set_controller(deployment);
  annotate(deployment, out, new_revision, false);
  return out;
}

}  // namespace caisson::controllers
