// SPDX-License-Identifier: Apache-2.0
// Keeps the mirror pods of static_pods.h: looks at the folder every few seconds and at once when one of its pods
// changes.
#include <map>

#include "core/base/log.h"
#include "machine/node/static_pods.h"
#include "machine/node/static_pods_reconciler.h"

namespace caisson::node {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(5);

class StaticPods final : public kube::Reconciler {
 public:
  StaticPods(kube::Runtime& runtime, std::string directory, std::string node)
      : client_(runtime.client()),
        pods_(runtime.informer(schema::kPods)),
        directory_(std::move(directory)),
        node_(std::move(node)) {}
  std::string_view name() const override { return "static-pods"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey&) override {
    const auto manifests = TRY(read_manifests(directory_));
    const std::vector<kube::Object> live = mirror_pods();
    if (manifests.empty() && live.empty()) return kube::Requeue::after(kLookEvery);
    const auto node = client_.get(schema::kNodes, {"", node_});
    if (!node.ok() && node.error().code == ErrorCode::not_found)
      return kube::Requeue::after(std::chrono::seconds(1));  // registers just now
    if (!node.ok()) return node.error();
    std::map<std::string, kube::Object> wanted;
    for (const auto& [file, text] : manifests) {
      auto pod = mirror_pod(text, *node);
      tell(file, pod.ok() ? "" : pod.error().message);
      if (pod.ok()) wanted[file] = std::move(pod).value();
    }
    const StaticPodPlan plan = plan_static_pods(wanted, live);
    for (const kube::Object& pod : plan.remove) {
      const auto removed = client_.remove(schema::kPods, pod.key(), {.uid = pod.uid()});
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    }
    for (const kube::Object& pod : plan.create) {
      const auto made = client_.create(pod, {.field_manager = "kubelet"});
      tell(pod.key().str(), made.ok() || made.error().code == ErrorCode::already_exists ? "" : made.error().message);
    }
    return kube::Requeue::after(kLookEvery);
  }

 private:
  std::vector<kube::Object> mirror_pods() const {
    std::vector<kube::Object> out;
    for (const kube::Object& pod : pods_.list())
      if (pod.spec()["nodeName"].as_string() == node_ && !pod.annotation(kConfigMirror).empty()) out.push_back(pod);
    return out;
  }

  // Once for each new problem: the folder is looked at again and again.
  void tell(const std::string& what, const std::string& problem) {
    std::string& told = told_[what];
    if (told != problem && !problem.empty())
      log::warning("static pod not run", {{"manifest", what}, {"error", problem}});
    told = problem;
    if (problem.empty()) told_.erase(what);
  }

  kube::Client& client_;
  kube::Informer& pods_;
  const std::string directory_, node_;
  std::map<std::string, std::string> told_;
};

}  // namespace

void add_static_pods(kube::Runtime& runtime, const std::string& directory, const std::string& node) {
  const kube::ObjectKey all{"", "static-pods"};
  const kube::Queue queue = runtime.add(std::make_unique<StaticPods>(runtime, directory, node), 1);
  runtime.watch(schema::kPods, queue, [all](const kube::Object& pod) {
    return pod.annotation(kConfigMirror).empty() ? std::vector<kube::ObjectKey>{} : std::vector<kube::ObjectKey>{all};
  });
  queue.add(all);
}

}  // namespace caisson::node
