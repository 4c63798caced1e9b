// SPDX-License-Identifier: Apache-2.0
// What a release does with a cluster: manifests to objects, created, updated, deleted, waited for. Everything goes
// through kube::Client; waiting looks again at intervals. Source: Helm 3.22 pkg/kube. One thread.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "cluster/schema/schema.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::render::helm {

struct ClusterObject {
  kube::Resource resource;
  kube::Object object;
  std::string str() const;  // `Deployment "web" in namespace "shop"`
  bool is_same(const ClusterObject& other) const;
};

class Cluster {
 public:
  // `schema` may be null: then nothing merges by key. `pause` waits between two looks.
  Cluster(kube::Client& client, const schema::Schema* schema, Clock& clock, std::function<void(Duration)> pause)
      : client_(client), schema_(schema), clock_(clock), pause_(std::move(pause)) {}

  // The objects of a manifest; those of namespaced kinds without a namespace get `ns`. Errors: not_found "no matches
  // for kind …".
  Result<std::vector<ClusterObject>> build(std::string_view manifest, const std::string& ns) const;

  Result<void> create(const std::vector<ClusterObject>& objects);
  // Brings the cluster from `original` to `target`: creates, merges three ways, deletes what is gone unless
  // helm.sh/resource-policy says keep. `force`: replaces instead of merging. `created` gets what was not there.
  Result<void> update(const std::vector<ClusterObject>& original, const std::vector<ClusterObject>& target, bool force,
                      std::vector<ClusterObject>& created);
  // In their order; what is not there is fine. Errors: all of them, joined.
  Result<void> remove(const std::vector<ClusterObject>& objects,
                      kube::Propagation propagation = kube::Propagation::background);

  // Errors: timeout, naming what is not ready.
  Result<void> wait_ready(const std::vector<ClusterObject>& objects, bool jobs_too, Duration time_max);
  Result<void> wait_gone(const std::vector<ClusterObject>& objects, Duration time_max);
  // Jobs and Pods of hooks: until they have ended. Errors: internal when they failed; timeout.
  Result<void> wait_ended(const std::vector<ClusterObject>& objects, Duration time_max);

  kube::Client& client() { return client_; }
  const Clock& clock() const { return clock_; }

 private:
  Result<void> update_one(const ClusterObject* original, const ClusterObject& target, const kube::Object& live,
                          bool force);
  Result<void> wait(const std::vector<ClusterObject>& objects, Duration time_max, std::string_view what,
                    const std::function<Result<bool>(const ClusterObject&)>& done);

  kube::Client& client_;
  const schema::Schema* schema_;
  Clock& clock_;
  std::function<void(Duration)> pause_;
};

// Is the object what its manifest asked for? Kinds without a notion of it are ready when they are there. Pure.
bool is_ready(const kube::Object& live, bool jobs_too);

}  // namespace caisson::render::helm
