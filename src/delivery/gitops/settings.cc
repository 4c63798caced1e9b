// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/settings.h"

#include <fnmatch.h>

#include <algorithm>

#include "core/document/yaml.h"
#include "delivery/gitops/kustomize_source.h"
#include "delivery/gitops/script.h"

namespace caisson::gitops {
namespace {

constexpr std::string_view kCustomizations = "resource.customizations";

// "apps_Deployment" is "apps/Deployment", "ConfigMap" is of the core group.
std::string kind_name_of(std::string_view key) {
  std::string name(key);
  const std::size_t bar = name.find('_');
  if (bar != std::string::npos) name[bar] = '/';
  return name;
}

IgnoreRule rule_for(const std::string& name) {
  IgnoreRule rule;
  const std::size_t slash = name.find('/');
  if (name == "all") {
    rule.group = "*";
  } else if (slash == std::string::npos) {
    rule.kind = name;
  } else {
    rule.group = name.substr(0, slash);
    rule.kind = name.substr(slash + 1);
  }
  return rule;
}

constexpr Duration kPollMax = std::chrono::hours(8760);

class Parser {
 public:
  explicit Parser(const Value& data) : data_(data) {}

  Settings run() {
    whole_map();
    for (const auto& [key, value] : data_.entries()) {
      if (key.starts_with("resource.customizations.")) customization(key.substr(24), value);
    }
    out_.exclusions = list("resource.exclusions");
    out_.inclusions = list("resource.inclusions");
    const std::string_view method = data_["application.resourceTrackingMethod"].as_string();
    out_.tracking = method == "label"              ? Tracking::label
                    : method == "annotation+label" ? Tracking::both
                                                   : Tracking::annotation;
    if (!data_["application.instanceLabelKey"].as_string().empty())
      out_.label_key = data_["application.instanceLabelKey"].str();
    kustomize();
    out_.poll_interval = duration("timeout.reconciliation");
    out_.poll_jitter = duration("timeout.reconciliation.jitter");
    return std::move(out_);
  }

 private:
  void kustomize() {
    const std::string options = data_["kustomize.buildOptions"].str();
    const auto understood = parse_build_options(options);
    if (understood.ok())
      out_.kustomize_build_options = options;
    else
      out_.errors.push_back("argocd-cm " + understood.error().message);
  }

  // The old form: one YAML map of everything.
  void whole_map() {
    const Value map = document(std::string(kCustomizations), data_[kCustomizations]);
    for (const auto& [name, value] : map.entries()) {
      const std::string key(name);
      if (!value["health.lua"].is_null()) out_.health[key] = value["health.lua"].str();
      if (!value["actions"].is_null()) out_.actions[key] = value["actions"].str();
      if (!value["ignoreDifferences"].is_null()) add_ignore(key, document(key, value["ignoreDifferences"]));
    }
  }

  void customization(std::string_view rest, const Value& value) {
    const std::size_t dot = rest.find('.');
    if (dot == std::string_view::npos) return;
    const std::string_view what = rest.substr(0, dot);
    const std::string name = kind_name_of(rest.substr(dot + 1));
    if (what == "health") out_.health[name] = value.str();
    if (what == "actions") out_.actions[name] = value.str();
    if (what == "ignoreDifferences") add_ignore(name, document(name, value));
  }

  void add_ignore(const std::string& name, const Value& fields) {
    IgnoreRule rule = rule_for(name);
    read_ignore_fields(fields, rule);
    out_.ignore.push_back(std::move(rule));
  }

  std::optional<Duration> duration(const std::string& key) {
    const std::string text = data_[key].str();
    if (text.empty()) return std::nullopt;
    const auto parsed = parse_duration(text);
    if (parsed.ok() && parsed->count() >= 0 && *parsed <= kPollMax) return *parsed;
    out_.errors.push_back("argocd-cm " + key + ": " +
                          (parsed.ok() ? "must be between 0s and 8760h" : parsed.error().message));
    return std::nullopt;
  }

  std::vector<Value> list(const std::string& key) {
    const Value value = document(key, data_[key]);
    return {value.items().begin(), value.items().end()};
  }

  Value document(const std::string& key, const Value& text) {
    if (text.is_null()) return Value();
    if (!text.is_string()) return text;
    auto parsed = yaml::read(text.as_string(), {.name = "argocd-cm " + key});
    if (parsed.ok()) return *parsed;
    out_.errors.push_back(parsed.error().message);
    return Value();
  }

  const Value& data_;
  Settings out_;
};

bool matches(const Value& patterns, std::string_view text) {
  if (patterns.empty()) return true;
  const std::string name(text);
  return std::any_of(patterns.items().begin(), patterns.items().end(),
                     [&](const Value& one) { return fnmatch(one.str().c_str(), name.c_str(), 0) == 0; });
}

bool listed(const std::vector<Value>& filters, std::string_view group, std::string_view kind) {
  return std::any_of(filters.begin(), filters.end(), [&](const Value& one) {
    return matches(one["apiGroups"], group) && matches(one["kinds"], kind) &&
           matches(one["clusters"], "https://kubernetes.default.svc");
  });
}

// The very name first, then patterns.
const std::string* script_for(const std::map<std::string, std::string>& scripts, const std::string& name) {
  const auto exact = scripts.find(name);
  if (exact != scripts.end()) return &exact->second;
  for (const auto& [pattern, text] : scripts) {
    if (pattern.find('*') != std::string::npos && fnmatch(pattern.c_str(), name.c_str(), 0) == 0) return &text;
  }
  return nullptr;
}

}  // namespace

Settings parse_settings(const Value& data) {
  return Parser(data).run();
}

bool Settings::excludes(std::string_view group, std::string_view kind) const {
  return listed(exclusions, group, kind) || (!inclusions.empty() && !listed(inclusions, group, kind));
}

std::optional<Health> health_of(const Value& object, const Settings& settings) {
  if (settings.health.empty() || !object["metadata"]["deletionTimestamp"].is_null()) return health_of(object);
  const std::string_view api_version = object["apiVersion"].as_string();
  const std::size_t slash = api_version.find('/');
  const std::string kind = object["kind"].str();
  const std::string name =
      slash == std::string_view::npos ? kind : std::string(api_version.substr(0, slash)) + "/" + kind;
  const std::string* script = script_for(settings.health, name);
  if (!script) return health_of(object);
  const auto answer = run_script(*script, "health of " + name, object);
  if (!answer.ok()) return Health{HealthCode::unknown, answer.error().message};
  if (answer->is_null() || (answer->is_map() && answer->empty())) return std::nullopt;
  const auto code = parse_health((*answer)["status"].as_string());
  return Health{code.value_or(HealthCode::unknown), (*answer)["message"].scalar_text()};
}

}  // namespace caisson::gitops
