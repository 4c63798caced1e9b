// SPDX-License-Identifier: Apache-2.0
// An Application's spec, read and checked. What upstream knows and this room does not act on is an error by name, never
// ignored in silence. Follows Argo CD 3.0 pkg/apis/application/v1alpha1/types.go. Pure; any thread.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "delivery/gitops/ignore.h"
#include "delivery/gitops/settings.h"

namespace caisson::gitops {

// The cluster that the Application itself is in; by name: "in-cluster".
inline constexpr std::string_view kInCluster = "https://kubernetes.default.svc";

struct Source {
  std::string repo_url, path, target_revision;
  Value kustomize, directory, helm;                // spec.source.kustomize / .directory / .helm
  std::string application, destination_namespace;  // whose it is: a chart's release is named after it
  std::string chart;                               // of a Helm repository or registry; `path` is empty then
  std::string ref;                                 // others' valueFiles name this repository's files "$ref/…"
  std::string build_options;                       // argocd-cm's kustomize.buildOptions
  std::vector<Source> more;                        // the rest of spec.sources
  std::string key() const;                         // equal for equal sources
  std::string options_key() const;                 // of what is not the place
};

struct Retry {
  std::int64_t limit = 0;  // below 0: for ever
  Duration first = std::chrono::seconds(5), most = std::chrono::minutes(3);
  std::int64_t factor = 2;
  bool refresh = false;  // a retry takes what the revision names by then, not the commit of the first try
  Duration delay(std::int64_t attempt) const;  // before attempt 1, 2, …
};

struct SyncPolicy {
  bool automated = false, prune = false, self_heal = false, allow_empty = false;
  std::optional<Retry> retry;
  std::vector<std::string> options;  // "CreateNamespace=true"
  Value namespace_metadata;          // managedNamespaceMetadata
};

struct Application {
  kube::ObjectKey key;
  std::string instance;  // in tracking ids: the name, or "namespace_name"
  std::string project;
  Source source;
  bool several_sources = false;  // of spec.sources, which may hold one alone
  std::string destination_server, destination_name, destination_namespace;
  std::string destination_project;          // whose cluster that is; empty: everybody's. Clusters::find fills it in
  std::vector<std::string> signature_keys;  // its project's: with which commits have to be signed; none: need not be
  SyncPolicy policy;
  std::vector<IgnoreRule> ignore;  // its own; the settings' come on top
  SettingsPtr settings;            // never null
  std::size_t history_max = 10;
};

// Errors: invalid, "spec.source.helm: …" with the field. `home_namespace`: see GitopsOptions. `settings` may be null.
Result<Application> parse_application(const kube::Object& object, std::string_view home_namespace,
                                      SettingsPtr settings = nullptr);

// spec.syncPolicy.retry or operation.retry. Errors: invalid, `field` and what is wrong.
Result<std::optional<Retry>> parse_retry(const Value& value, const std::string& field = "spec.syncPolicy.retry");

// spec.source, or spec.sources: the first, with the others in `more`. Errors: invalid, with the field.
Result<Source> parse_sources(const Value& spec);
// Whose the sources are, and what argocd-cm says for all of them.
void name_sources(Source& source, const std::string& application, const std::string& destination_namespace,
                  const std::string& build_options = {});

// "CreateNamespace=true" among `options`.
bool has_option(const std::vector<std::string>& options, std::string_view option);
// The same in the annotation argocd.argoproj.io/sync-options of an object.
bool has_option(const Value& object, std::string_view option);

// AppProject: may this Application use its repository and destination? `project` is null when there is none of that
// name. The project "default" permits everything where it does not exist. Empty: it may; otherwise a sentence.
std::string project_forbids(const Application& application, const kube::Object* project);
// Whether an object's kind is allowed by the project.
bool project_permits_kind(const kube::Object* project, std::string_view group, std::string_view kind, bool namespaced);

inline constexpr std::string_view kTrackingAnnotation = "argocd.argoproj.io/tracking-id";
inline constexpr std::string_view kRefreshAnnotation = "argocd.argoproj.io/refresh";
inline constexpr std::string_view kHookAnnotation = "argocd.argoproj.io/hook";
inline constexpr std::string_view kHookDeleteAnnotation = "argocd.argoproj.io/hook-delete-policy";
inline constexpr std::string_view kWaveAnnotation = "argocd.argoproj.io/sync-wave";
inline constexpr std::string_view kSyncOptionsAnnotation = "argocd.argoproj.io/sync-options";
inline constexpr std::string_view kCompareOptionsAnnotation = "argocd.argoproj.io/compare-options";
inline constexpr std::string_view kFinalizer = "resources-finalizer.argocd.argoproj.io";

}  // namespace caisson::gitops
