// SPDX-License-Identifier: Apache-2.0
// Where Applications go: the cluster that this process reconciles, and others, of which Argo CD's cluster Secrets tell
// (label argocd.argoproj.io/secret-type: cluster; docs/operator-manual/declarative-setup.md of Argo CD 3.0). A cluster
// is connected to when the first Application names it; one that is away fails its own Applications at once and none
// else. Threads: any.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "cluster/kube/http_client.h"
#include "cluster/kube/reconciler.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/world.h"

namespace caisson::gitops {

struct Cluster {
  std::string name, server, project;    // project: whose Applications alone may go there; empty: all
  std::vector<std::string> namespaces;  // the only destinations; none: all
  kube::Connection connection;
};
// Errors: invalid, naming the Secret and the field; AWS and exec authentication are refused by name.
Result<Cluster> parse_cluster(const kube::Object& secret);

class Clusters {
 public:
  using Changed = std::function<void(const std::string& instance)>;
  // `home` is this process' own cluster. `changed`: see World.
  Clusters(kube::Runtime& runtime, World& home, std::string home_namespace, Changed changed);
  ~Clusters();

  // The world of the Application's destination; its server, name and project are filled in. `scoped`: the project of
  // this process' own cluster is wanted, too, which a Secret may name. Errors: invalid, where the
  // destination is no cluster that is known or the project may not use it.
  Result<World*> find(Application& application, bool scoped = false);

 private:
  struct Remote;
  Result<void> read();

  kube::Runtime& runtime_;
  World& home_;
  const std::string home_namespace_;
  const Changed changed_;
  std::mutex mutex_;
  Duration read_at_{-1};                                    // GUARDED_BY(mutex_)
  std::map<std::string, Result<Cluster>> known_;            // by Secret; GUARDED_BY(mutex_)
  std::map<std::string, std::shared_ptr<Remote>> remotes_;  // by server; GUARDED_BY(mutex_)
};

}  // namespace caisson::gitops
