// SPDX-License-Identifier: Apache-2.0
// argocd-cm: the keys that have a meaning here. Follows Argo CD 3.0 docs/operator-manual/argocd-cm.yaml. Pure; any
// thread.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/document/value.h"
#include "delivery/gitops/health.h"
#include "delivery/gitops/ignore.h"

namespace caisson::gitops {

enum class Tracking { annotation, label, both };

struct Settings {
  std::map<std::string, std::string> health, actions;  // by "group/Kind" (core: "Kind"; '*' in map form): Lua, YAML
  std::vector<IgnoreRule> ignore;
  Tracking tracking = Tracking::annotation;
  std::string label_key = "app.kubernetes.io/instance";
  std::string kustomize_build_options;        // of `kustomize build`, as parse_build_options reads them
  std::vector<Value> exclusions, inclusions;  // {apiGroups, kinds, clusters}
  // timeout.reconciliation and its jitter: how often repositories are asked; 0: never. Unset: as the platform has it.
  std::optional<Duration> poll_interval, poll_jitter;
  std::vector<std::string> errors;  // "resource.customizations: line 3 …": the key is left out

  bool excludes(std::string_view group, std::string_view kind) const;
};
using SettingsPtr = std::shared_ptr<const Settings>;

// `data` of the ConfigMap; null gives the defaults.
Settings parse_settings(const Value& data);

// With a user's own script where there is one for the kind; a script that fails makes the health Unknown.
std::optional<Health> health_of(const Value& object, const Settings& settings);

}  // namespace caisson::gitops
