// SPDX-License-Identifier: Apache-2.0
// What an ApplicationSet does, decided: see application_set.h.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "cluster/kube/selector.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/application_set.h"
#include "delivery/gitops/compare.h"
#include "delivery/gitops/status.h"
#include "delivery/gitops/sync.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kRemovedMax = 20, kNamesShown = 20;

// What is put on an Application by others than the set stays.
Value merged_metadata(const Value& live, const Value& wanted, const Value& preserved, std::string_view part) {
  Value out = wanted;
  const auto keep = [&](std::string_view key) {
    if (part == "annotations" &&
        (key == "argocd.argoproj.io/refresh" || key.starts_with("notified.notifications.argoproj.io") ||
         key == kApprovedAnnotation || key == kConfirmAnnotation || key == kTrackingAnnotation))
      return true;
    const auto list = preserved[part].items();
    return std::any_of(list.begin(), list.end(), [&](const Value& one) { return one.as_string() == key; });
  };
  for (const auto& [key, value] : live.entries()) {
    if (out.find(key) == nullptr && keep(key)) out.set(key, value);
  }
  return out;
}

kube::Object updated(const kube::Object& set, const kube::Object& live, const Value& wanted) {
  Value next = live.value();
  const Value& preserved = set.spec()["preservedFields"];
  for (std::string_view part : {"labels", "annotations"}) {
    const Value merged = merged_metadata(live.metadata()[part], wanted["metadata"][part], preserved, part);
    if (merged.empty())
      next.edit("metadata").erase(part);
    else
      next.edit("metadata").set(part, merged);
  }
  if (!wanted["metadata"]["finalizers"].is_null())
    next.edit("metadata").set("finalizers", wanted["metadata"]["finalizers"]);
  Value spec = wanted;
  std::vector<IgnoreRule> rules;
  for (const Value& one : set.spec()["ignoreApplicationDifferences"].items()) {
    IgnoreRule rule;
    rule.group = "*";
    rule.name = one["name"].str();
    read_ignore_fields(one, rule);
    rules.push_back(std::move(rule));
  }
  if (!rules.empty()) {
    auto kept = respect_ignored(rules, id_of(live.value()), wanted, live.value());
    if (kept.ok()) spec = *kept;
  }
  next.set("spec", spec["spec"]);
  return kube::Object(std::move(next));
}

// A name that is no DNS name can't be an Application's.
bool usable(const std::string& name) {
  return !name.empty() && name.size() <= 253 && normalized(name) == name;
}

const Value& step_of(const kube::Object& set, const kube::Object& application, int& number) {
  number = 0;
  for (const Value& step : set.spec()["strategy"]["rollingSync"]["steps"].items()) {
    ++number;
    const auto selector = kube::LabelSelector::from(Value{{"matchExpressions", step["matchExpressions"]}});
    if (selector.ok() && selector->matches(application.metadata()["labels"])) return step;
  }
  number = 0;
  return document::kNull;
}

bool synced_and_healthy(const kube::Object& application) {
  const Value& status = application.status();
  return status["sync"]["status"].as_string() == "Synced" && status["health"]["status"].as_string() == "Healthy" &&
         status["operationState"]["phase"].as_string() != "Running" && application["operation"].is_null();
}

// "25%" of `count` (at least one), "3", or all.
std::size_t update_limit(const Value& max, std::size_t count) {
  if (max.is_null()) return count;
  const std::string text = max.scalar_text();
  if (text.ends_with('%')) {
    const auto percent = parse_int(text.substr(0, text.size() - 1));
    if (!percent || *percent < 0) return 0;
    const std::size_t share = count * static_cast<std::size_t>(*percent) / 100;
    return *percent > 0 ? std::max<std::size_t>(1, share) : 0;
  }
  const auto number = parse_int(text);
  return number && *number >= 0 ? static_cast<std::size_t>(*number) : count;
}

class Rolling {
 public:
  Rolling(const kube::Object& set, Time now) : set_(set), now_(now) {
    for (const Value& one : set.status()["applicationStatus"].items()) previous_[one["application"].str()] = one;
  }

  RollingPlan run(const std::vector<kube::Object>& applications) {
    std::map<int, std::vector<const kube::Object*>> steps;
    std::map<int, Value> max_of;
    for (const kube::Object& one : applications) {
      int number = 0;
      const Value& step = step_of(set_, one, number);
      // Applications that no step names are left alone: they sync by hand.
      steps[number].push_back(&one);
      max_of[number] = step["maxUpdate"];
    }
    bool open = true;
    for (const auto& [number, list] : steps) {
      std::size_t busy = 0;
      const std::size_t limit = update_limit(max_of[number], list.size());
      for (const kube::Object* one : list) busy += is_busy(*one);
      bool done = true;
      for (const kube::Object* one : list) {
        const bool good = synced_and_healthy(*one);
        done = done && good;
        const bool may = number > 0 && open && !good && !is_busy(*one) && needs_sync(*one) && busy < limit;
        busy += may;
        out_.statuses.push_back(status_of(*one, number, good, may));
        if (may) out_.to_sync.push_back(one->key());
      }
      if (number > 0 && !done && out_.step == 0) out_.step = number;
      if (number > 0 && !done) open = false;
    }
    return std::move(out_);
  }

 private:
  static bool is_busy(const kube::Object& one) {
    return !one["operation"].is_null() || one.status()["operationState"]["phase"].as_string() == "Running" ||
           (one.status()["sync"]["status"].as_string() == "Synced" &&
            one.status()["health"]["status"].as_string() != "Healthy");
  }
  static bool needs_sync(const kube::Object& one) { return one.status()["sync"]["status"].as_string() == "OutOfSync"; }

  Value status_of(const kube::Object& one, int step, bool good, bool starts) {
    const bool running =
        !one["operation"].is_null() || one.status()["operationState"]["phase"].as_string() == "Running";
    const std::string_view status = good                          ? "Healthy"
                                    : starts                      ? "Pending"
                                    : running || !needs_sync(one) ? "Progressing"
                                                                  : "Waiting";
    const std::string message =
        good      ? "Application resource became Healthy, updating status from Progressing to Healthy."
        : starts  ? "Application moved to Pending status, watching for the Application resource to start Progressing."
        : running ? "Application resource became Progressing, updating status from Pending to Progressing."
                  : "Application has pending changes, setting status to Waiting.";
    const Value& before = previous_[one.name()];
    const bool same = before["status"].as_string() == status;
    const std::string commits = commits_of(one.status()["sync"]);
    const auto revisions = split(commits, ',');
    return Value{{"application", one.name()},
                 {"status", status},
                 {"step", std::to_string(step)},
                 {"message", message},
                 {"lastTransitionTime", same ? before["lastTransitionTime"] : Value(format_time(now_))},
                 {"targetRevisions", Value::list_of({revisions.begin(), revisions.end()})}};
  }

  const kube::Object& set_;
  const Time now_;
  std::map<std::string, Value> previous_;
  RollingPlan out_;
};

}  // namespace

SetPlan plan_set(const kube::Object& set, const std::vector<Value>& desired,
                 const std::vector<kube::Object>& existing) {
  SetPlan out;
  const std::string policy = set.spec()["syncPolicy"]["applicationsSync"].str();
  const bool may_update = policy.empty() || policy == "sync" || policy == "create-update";
  const bool may_remove = policy.empty() || policy == "sync" || policy == "create-delete";
  const bool rolling = set.spec()["strategy"]["type"].as_string() == "RollingSync";
  std::map<std::string, const kube::Object*> live;
  for (const kube::Object& one : existing) live[one.name()] = &one;
  std::set<std::string> wanted;
  for (Value application : desired) {
    const std::string name = application["metadata"]["name"].str();
    if (!usable(name)) {
      out.errors.push_back("\"" + name + "\" is no name for an Application");
      continue;
    }
    if (!wanted.insert(name).second) {
      out.errors.push_back("ApplicationSet " + set.name() + " contains applications with duplicate name: " + name);
      continue;
    }
    application.edit("metadata").set("namespace", set.ns());
    const bool preserve = set.spec()["syncPolicy"]["preserveResourcesOnDeletion"].as_bool();
    if (!preserve && application["metadata"]["finalizers"].empty())
      application.edit("metadata").set("finalizers", Value::list_of({std::string(kFinalizer)}));
    if (rolling && application["spec"]["syncPolicy"].is_map())
      application.edit({"spec", "syncPolicy"}).erase("automated");
    const auto found = live.find(name);
    if (found == live.end()) {
      kube::Object made(std::move(application));
      made.set_controller(set);
      out.actions.push_back({SetAction::Verb::create, std::move(made)});
      continue;
    }
    if (!found->second->is_controlled_by(set.uid())) {
      out.errors.push_back("Application " + name + " exists and is not owned by ApplicationSet " + set.name());
      continue;
    }
    if (!may_update) continue;
    kube::Object next = updated(set, *found->second, application);
    if (!(next == *found->second)) out.actions.push_back({SetAction::Verb::update, std::move(next)});
  }
  std::vector<const kube::Object*> removed;
  std::size_t owned = 0;
  for (const kube::Object& one : existing) {
    if (!one.is_controlled_by(set.uid())) continue;
    ++owned;
    if (!wanted.contains(one.name()) && !one.deleting()) removed.push_back(&one);
  }
  // A generator that half fails must not take Applications away, and errors may have left some out.
  if (!may_remove || !out.errors.empty()) return out;
  if (removed.size() > kRemovedMax && removed.size() * 2 > owned) {
    std::string names;
    for (const kube::Object* one : removed) names += one->name() + "\n";
    const std::string id = sha256_hex(names).substr(0, 12);
    if (set.annotation(kApprovedAnnotation) != id) {
      out.held = "safety catch: " + std::to_string(removed.size()) + " of " + std::to_string(owned) +
                 " Applications would be deleted; it goes on with: caisson app approve " + id;
      return out;
    }
  }
  for (const kube::Object* one : removed) out.actions.push_back({SetAction::Verb::remove, *one});
  return out;
}

std::string describe(const SetPlan& plan) {
  static constexpr std::pair<SetAction::Verb, std::string_view> kVerbs[] = {
      {SetAction::Verb::create, "create"}, {SetAction::Verb::update, "change"}, {SetAction::Verb::remove, "delete"}};
  std::string out;
  for (const auto& [verb, word] : kVerbs) {
    std::vector<std::string> names;
    for (const SetAction& action : plan.actions) {
      if (action.verb == verb) names.push_back(action.object.name());
    }
    if (names.empty()) continue;
    const std::size_t more = names.size() - std::min(names.size(), kNamesShown);
    names.resize(names.size() - more);
    out += (out.empty() ? "would " : "; would ") + std::string(word) + " Applications " + join(names, ", ");
    if (more > 0) out += " and " + std::to_string(more) + " more";
  }
  return out.empty() ? "nothing would change" : out;
}

RollingPlan plan_rolling(const kube::Object& set, const std::vector<kube::Object>& applications, Time now) {
  return Rolling(set, now).run(applications);
}

}  // namespace caisson::gitops
