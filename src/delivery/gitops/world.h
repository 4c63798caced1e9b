// SPDX-License-Identifier: Apache-2.0
// What is live, for one room: informers on every kind that an Application has ever had, found by tracking id, with what
// this process has just written laid over them until the watch has caught up (so that a sync is not repeated against a
// stale cache). Threads: any.
#pragma once
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/kube/reconciler.h"
#include "delivery/gitops/compare.h"

namespace caisson::gitops {

class World {
 public:
  // `changed` is called with the instance names that a changed object was or is tracked by.
  // `first_list_max`: how long watch() waits for a kind's first list.
  World(kube::Runtime& runtime, std::function<void(const std::string& instance)> changed,
        Duration first_list_max = std::chrono::seconds(2));

  kube::Client& client() { return runtime_.client(); }
  // nullopt: no such kind is served (yet).
  Result<std::optional<kube::Resource>> resource_of(const std::string& api_version, const std::string& kind);
  // Watches the kind from now on. False while its first list is not in.
  bool watch(const kube::Resource& resource);
  // Why the kind can't be watched: the API refuses to list it. Known for a while after watch() gave false.
  std::optional<Error> refusal(const kube::Resource& resource);
  std::optional<kube::Object> find(const kube::Resource& resource, const kube::ObjectKey& key);
  std::vector<kube::Object> tracked(const std::string& instance);  // of all watched kinds
  std::vector<kube::Object> list(const kube::Resource& resource, const std::string& ns);
  std::vector<kube::Object> list_watched(const std::string& ns);  // of all watched kinds
  // How objects name their Application; before the first watch.
  void set_tracking(Tracking tracking, const std::string& label_key);

  // A write of ours: `before` is what find gave, `after` what the server answered (nullopt: deleted).
  void wrote(const kube::Resource& resource, const kube::ObjectKey& key, const std::optional<kube::Object>& before,
             const std::optional<kube::Object>& after);

 private:
  struct Overlay {
    std::string version_before;  // empty: it was not there
    std::optional<kube::Object> after;
    Duration until;  // a watch that has not caught up by then never will: it saw the change undone
  };
  std::optional<kube::Object> overlaid(const kube::Resource& resource, const kube::ObjectKey& key,
                                       std::optional<kube::Object> cached);

  kube::Runtime& runtime_;
  std::function<void(const std::string&)> changed_;
  const Duration first_list_max_;
  std::shared_ptr<const Settings> tracking_;  // only of its tracking fields; GUARDED_BY(mutex_) until the first watch
  std::mutex mutex_;
  std::map<std::string, kube::Resource> watched_;                       // by apiVersion/kind; GUARDED_BY(mutex_)
  std::map<std::string, std::map<kube::ObjectKey, Overlay>> overlays_;  // the same keys; GUARDED_BY(mutex_)
  std::map<std::string, std::pair<Error, Duration>> refused_;           // the same keys, until when; GUARDED_BY(mutex_)
};

}  // namespace caisson::gitops
