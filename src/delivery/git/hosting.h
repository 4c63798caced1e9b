// SPDX-License-Identifier: Apache-2.0
// Hosting: a repository on disk and its Repository object kept together, and the PushEvents between them. Internal to
// the room. Threads: any; whoever moves or compares refs holds the repository's lock.
#pragma once
#include <map>
#include <memory>
#include <mutex>

#include "cluster/kube/client.h"
#include "core/base/trace.h"
#include "delivery/git/git_server.h"
#include "delivery/git/pkt_line.h"

namespace caisson::git {

class Hosting {
 public:
  Hosting(kube::Client& client, Clock& clock, GitServerOptions options)
      : client_(client), clock_(clock), options_(std::move(options)) {}

  const GitServerOptions& options() const { return options_; }
  Clock& clock() const { return clock_; }
  std::string path_of(const std::string& name) const { return options_.directory + "/" + name + ".git"; }
  std::shared_ptr<std::mutex> lock_of(const std::string& name);

  // Errors: not_found with a sentence for the person who pushes.
  Result<void> check_organization(const std::string& org) const;
  // The object exists (and then the directory is made when it is not there yet).
  Result<bool> exists(const std::string& name) const;
  Result<void> create(const std::string& name) const;

  // Emits an event for each update, then records the refs in Repository.status. With the lock held.
  Result<void> record(const std::string& name, const std::vector<RefUpdate>& updates, const std::string& pusher,
                      const TraceContext& trace) const;
  // Compares the refs with Repository.status.refs and records what is missing. With the lock held.
  Result<void> catch_up(const kube::Object& object) const;
  Result<void> prune_events(const std::string& name) const;

 private:
  Result<std::string> settle_head(const Repository& repository, const std::string& wanted) const;
  Result<void> write_status(const kube::ObjectKey& key, const Repository& repository, const std::string& head) const;

  kube::Client& client_;
  Clock& clock_;
  const GitServerOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::mutex>> locks_;  // GUARDED_BY(mutex_)
};

kube::ObjectKey key_of(const std::string& name);  // "org/repo"

}  // namespace caisson::git
