// SPDX-License-Identifier: Apache-2.0
// What generators read (generators.h), from where it is: cluster Secrets, git trees, git hosts, plug-ins, and other
// controllers' decisions. Hosts and plug-ins are asked again after `requeueAfterSeconds` (30 minutes), as they count
// requests. Follows Argo CD 3.0 docs/operator-manual/applicationset/Generators*.md. Threads: any; blocks.
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/generators.h"

namespace caisson::gitops {

class GeneratorSources {
 public:
  // All of them outlive it.
  GeneratorSources(kube::Client& client, Clock& clock, const git::Repositories& repositories)
      : client_(client), clock_(clock), repositories_(repositories) {}

  // Valid while `set` and this object are.
  GeneratorWorld world_of(const kube::Object& set) const;

 private:
  using Sets = std::vector<Value>;
  Result<Sets> clusters(const kube::Object& set) const;
  Result<Sets> repositories_of(const kube::Object& set, const Value& provider) const;
  Result<Sets> pull_requests(const kube::Object& set, const Value& provider) const;
  Result<Sets> plugin(const kube::Object& set, const Value& config) const;
  Result<Sets> decisions(const kube::Object& set, const Value& config) const;
  Result<Sets> seldom(const kube::Object& set, const Value& config, const std::function<Result<Sets>()>& ask) const;
  Result<std::string> token(const kube::Object& set, const Value& reference) const;
  Result<std::string> plugin_token(const kube::Object& set, const std::string& text) const;
  Result<Value> config_map(const kube::Object& set, const Value& config, std::string_view generator) const;

  kube::Client& client_;
  Clock& clock_;
  const git::Repositories& repositories_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::pair<Duration, Sets>> known_;  // by set and generator; GUARDED_BY(mutex_)
};

}  // namespace caisson::gitops
