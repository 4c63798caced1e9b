// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cluster/schema/resource.h"
#include "core/base/trace.h"
#include "observe/logs/server.h"

namespace caisson::logs {
namespace {

constexpr std::string_view kTracking = "argocd.argoproj.io/tracking-id";

std::optional<kube::Object> find(const metrics::ObjectLister& list, const kube::Resource& kind, std::string_view ns,
                                 std::string_view name) {
  for (const kube::Object& object : list(kind))
    if (object.name() == name && (ns.empty() || object.ns() == ns)) return object;
  return std::nullopt;
}

// Up to the object that somebody applied.
std::optional<kube::Object> workload_of(const metrics::ObjectLister& list, const kube::Object& pod) {
  std::optional<kube::Object> found;
  auto owner = pod.controller();
  constexpr int kLevelsMax = 4;
  for (int level = 0; level < kLevelsMax && owner; ++level) {
    const kube::Resource* resource = nullptr;
    for (const kube::Resource* one :
         {&schema::kReplicaSets, &schema::kDeployments, &schema::kStatefulSets, &schema::kDaemonSets, &schema::kJobs})
      if (one->kind == owner->kind) resource = one;
    const auto next = resource ? find(list, *resource, pod.ns(), owner->name) : std::nullopt;
    if (!next) break;
    found = next;
    owner = next->controller();
  }
  return found;
}

std::string app_of(const kube::Object& pod, const std::optional<kube::Object>& workload) {
  for (const char* name : {"app.kubernetes.io/name", "app", "k8s-app", "tekton.dev/pipelineTask"})
    if (const auto value = pod.label(name); !value.empty()) return std::string(value);
  return workload ? workload->name() : pod.name();
}

}  // namespace

SourceLabels describe_container(const metrics::ObjectLister& list, const ContainerSource& source,
                                const std::string& node) {
  std::vector<Label> labels{
      {"namespace", source.ns}, {"pod", source.pod}, {"container", source.container}, {"node", node}};
  std::vector<Label> metadata;
  const auto pod = find(list, schema::kPods, source.ns, source.pod);
  if (!pod) {
    labels.push_back({"app", source.pod});
    return {Labels::from(std::move(labels)), {}};
  }
  const auto workload = workload_of(list, *pod);
  labels.push_back({"app", app_of(*pod, workload)});
  for (const kube::Object* object : {&*pod, workload ? &*workload : nullptr}) {
    if (!object) continue;
    const TraceContext trace = object->trace();
    if (!trace.empty()) metadata.push_back({"trace_id", trace.trace_id});
    const std::string tracking(object->annotation(kTracking));  // "shop-dev:apps/Deployment:shop/web"
    const auto application =
        tracking.empty() ? std::nullopt : find(list, schema::kApplications, "", tracking.substr(0, tracking.find(':')));
    if (!application) continue;
    const Value& sync = application->status()["sync"];  // of several sources, `revisions`
    const std::string revision = (sync["revisions"].empty() ? sync["revision"] : sync["revisions"][0]).str();
    if (!revision.empty()) metadata.push_back({"commit", revision});
    metadata.push_back({"application", application->name()});
  }
  return {Labels::from(std::move(labels)), Labels::from(std::move(metadata))};
}

}  // namespace caisson::logs
