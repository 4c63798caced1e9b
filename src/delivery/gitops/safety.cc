// SPDX-License-Identifier: Apache-2.0
// The safety catch of syncs: see sync.h.
#include <algorithm>
#include <set>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "delivery/gitops/sync.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kDeletionsMax = 20;
constexpr std::size_t kNamed = 5;  // in the message

bool precious(const ResourceId& id) {
  static constexpr std::string_view kKinds[] = {"Namespace", "PersistentVolume", "PersistentVolumeClaim",
                                                "CustomResourceDefinition"};
  return std::find(std::begin(kKinds), std::end(kKinds), id.kind) != std::end(kKinds);
}

// "settings-5t7k9m2b4h" as a generator names it; its base is "settings".
std::string base_name(const std::string& name) {
  const std::size_t dash = name.rfind('-');
  return dash == std::string::npos ? name : name.substr(0, dash);
}

bool has_successor(const ResourceId& secret, const std::vector<Resource>& resources) {
  return std::any_of(resources.begin(), resources.end(), [&](const Resource& one) {
    return one.desired && one.id.kind == secret.kind && one.id.group == secret.group && one.id.ns == secret.ns &&
           one.id.name != secret.name && base_name(one.id.name) == base_name(secret.name);
  });
}

bool replaces(const Task& task) {
  return !task.prune && !task.hook && has_option(task.object, "Replace=true") && has_option(task.object, "Force=true");
}

}  // namespace

std::string SafetyPlan::message() const {
  std::vector<std::string> names;
  for (const ResourceId& one : deletions) {
    if (names.size() < kNamed) names.push_back(one.str());
  }
  if (deletions.size() > kNamed) names.push_back(std::to_string(deletions.size() - kNamed) + " more");
  return "safety catch: this sync would delete " + std::to_string(deletions.size()) + " of " + std::to_string(of) +
         " objects (" + join(names, ", ") + "); it goes on with: caisson app approve " + id;
}

std::optional<SafetyPlan> safety_plan(const std::vector<Step>& steps, const std::vector<Resource>& resources,
                                      const kube::Object* project) {
  const std::string_view limit_text = project ? project->annotation(kSafetyAnnotation) : std::string_view();
  if (limit_text == "off") return std::nullopt;
  const auto limit = parse_int(limit_text);
  const std::size_t most = limit && *limit >= 0 ? static_cast<std::size_t>(*limit) : kDeletionsMax;
  SafetyPlan plan;
  bool stops = false;
  for (const Step& step : steps) {
    for (const Task& task : step.tasks) {
      if (task.skip || !(task.prune || replaces(task))) continue;
      plan.deletions.push_back(task.id);
      stops = stops || precious(task.id) ||
              (task.id.kind == "Secret" && task.id.group.empty() && !has_successor(task.id, resources));
    }
  }
  plan.of = resources.size();
  stops = stops || (plan.deletions.size() > most && plan.deletions.size() * 2 > plan.of);
  if (!stops) return std::nullopt;
  std::sort(plan.deletions.begin(), plan.deletions.end());
  std::string text;
  for (const ResourceId& one : plan.deletions) text += one.str() + "\n";
  plan.id = sha256_hex(text).substr(0, 12);
  return plan;
}

}  // namespace caisson::gitops
