// SPDX-License-Identifier: Apache-2.0
// Argo CD's example applications, synced from a repository to an API server: each must become Synced and Healthy, with
// hooks and waves in order. Nothing runs pods here, so the status of a workload is written as soon as it appears.
//
// Not run: helm-dependency (its chart comes from a network), blue-green (the Rollout kind needs Argo Rollouts), plugins
// (config management plug-ins are not supported), apps (its children are the others, from a network).
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "delivery/gitops/platform_test.h"

namespace caisson::conformance {
namespace {

using gitops::testing::must;
using gitops::testing::Platform;

// Makes what appears healthy, and remembers in which order it did.
class Workloads {
 public:
  explicit Workloads(Platform& it) : it_(it) {
    for (const kube::Resource& kind : {schema::kJobs, schema::kReplicaSets, schema::kDeployments, schema::kIngresses}) {
      it_.runtime.informer(kind).on_change([this, kind](const kube::Object* before, const kube::Object* after) {
        if (before || !after) return;
        {
          const std::lock_guard lock(mutex_);
          order_.push_back(after->name());
        }
        const auto started = it_.workers.run([this, kind, object = *after] { settle(kind, object); });
        CHECK(started.ok());
      });
    }
  }

  // The position of the first object whose name begins so; -1: none did.
  int position(std::string_view name) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (order_[i].starts_with(name)) return static_cast<int>(i);
    }
    return -1;
  }

 private:
  void settle(const kube::Resource& kind, const kube::Object& object) {
    const auto written = kube::modify(
        *it_.client, kind, object.key(),
        [&](kube::Object& one) {
          const Value replicas = one.spec()["replicas"].is_null() ? Value(1) : one.spec()["replicas"];
          Value status{{"observedGeneration", one.generation()}};
          if (kind.kind == "Job") {
            Value conditions = Value::list();
            conditions.push_back(Value{{"type", "Complete"}, {"status", "True"}});
            status.set("conditions", std::move(conditions));
          } else if (kind.kind == "Ingress") {
            Value ingress = Value::list();
            ingress.push_back(Value{{"ip", "192.0.2.1"}});
            status = Value{{"loadBalancer", Value{{"ingress", std::move(ingress)}}}};
          } else {
            for (const char* count : {"replicas", "updatedReplicas", "readyReplicas", "availableReplicas"}) {
              if (kind.kind == "Deployment" || std::string_view(count) != "updatedReplicas")
                status.set(count, replicas);
            }
          }
          one.edit().set("status", std::move(status));
          return true;
        },
        {.subresource = "status"});
    // A hook may be deleted before its status could be written.
    if (!written.ok() && written.error().code != ErrorCode::not_found) FAIL_CHECK(written.error().message);
  }

  Platform& it_;
  std::mutex mutex_;
  std::vector<std::string> order_;
};

std::map<std::string, std::string> files_below(const std::string& root, const std::string& app) {
  std::map<std::string, std::string> out;
  std::vector<std::string> waiting{app};
  while (!waiting.empty()) {
    const std::string at = waiting.back();
    waiting.pop_back();
    for (const std::string& name : must(list_dir(root + "/" + at))) {
      const std::string path = at + "/" + name;
      if (is_directory(root + "/" + path))
        waiting.push_back(path);
      else
        out[path] = text_of(root + "/" + path);
    }
  }
  return out;
}

struct Example {
  const char* name;
  std::vector<const char*> order;  // of what must appear one after another
};

std::string check_example(const std::string& root, const Example& example) {
  Platform it;
  Workloads workloads(it);
  auto files = files_below(root, example.name);
  if (std::string_view(example.name) == "pre-post-sync") files.merge(files_below(root, "kustomize-guestbook"));
  it.repository.push(files);
  it.create_application(example.name, example.name, "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n");
  const bool good = it.eventually([&] {
    const Value status = it.application(example.name)["status"];
    return status["sync"]["status"].as_string() == "Synced" && status["health"]["status"].as_string() == "Healthy" &&
           status["operationState"]["phase"].as_string() == "Succeeded";
  });
  if (!good) return json::write(it.application(example.name)["status"]).substr(0, 1500);
  for (std::size_t i = 0; i < example.order.size(); ++i) {
    if (workloads.position(example.order[i]) < 0) return std::string(example.order[i]) + " never appeared";
    if (i > 0 && workloads.position(example.order[i - 1]) > workloads.position(example.order[i]))
      return std::string(example.order[i]) + " came before " + example.order[i - 1];
  }
  return "";
}

}  // namespace

TEST_CASE("Argo CD's example applications become Synced and Healthy, hooks and waves in order") {
  const std::string root = corpus_dir("argocd/example-apps");
  if (root.empty()) return;
  const Example examples[] = {
      {"guestbook", {}},
      {"kustomize-guestbook", {}},
      {"helm-guestbook", {}},
      {"sock-shop", {}},
      {"helm-hooks", {"upgrade-sql-schema", "maint-page-up", "frontend", "maint-page-down"}},
      {"pre-post-sync", {"pre-post-sync-before", "pre-post-sync-kustomize-guestbook-ui", "pre-post-sync-after"}},
      {"sync-waves", {"upgrade-sql-schema", "backend", "maint-page-up", "frontend", "maint-page-down"}},
  };
  for (const Example& example : examples) {
    const std::string why = check_example(root, example);
    CHECK_MESSAGE(why.empty(), example.name << ": " << why);
  }
}

}  // namespace caisson::conformance
