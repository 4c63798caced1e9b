// SPDX-License-Identifier: Apache-2.0
// Hosting repositories by git's smart HTTP protocol (gitprotocol-http(5), versions 0, 1 and 2), with the API's
// credentials and rights.
//
// Invariant: a push is answered after its objects and refs are durable. The PushEvent that follows is a hint: the
// reconciler compares every ref with Repository.status.refs, at start and each minute, and emits what is missing.
//
// Threads: handle from any worker (it blocks); pushes of one repository take turns.
#pragma once
#include <memory>
#include <string>

#include "cluster/kube/client.h"
#include "cluster/kube/reconciler.h"
#include "core/base/trace.h"
#include "core/http/server.h"
#include "delivery/git/repositories.h"

namespace caisson::git {

struct GitServerOptions {
  std::string directory;                      // git/: <org>/<repo>.git
  std::string url = "http://localhost:8080";  // of clone_url in events
  std::uint64_t push_bytes_max = std::uint64_t{4} << 30;
  Duration command_time_max = std::chrono::minutes(30);
  Duration scan_every = std::chrono::seconds(60);
  Duration events_kept = std::chrono::hours(24 * 7);
};

class GitServer {
 public:
  // All but `options` must outlive the server and its reconciler.
  GitServer(kube::Client& client, SpanSink& spans, Clock& clock, GitServerOptions options);
  ~GitServer();
  GitServer(const GitServer&) = delete;

  // "/shop/app.git/info/refs", "/shop/app.git/git-upload-pack", "/shop/app/git-receive-pack".
  static bool is_git_path(std::string_view path);
  void handle(const http::ExchangePtr& exchange);

  // Makes repositories of Repository objects, and emits PushEvents that a crash left out.
  void add_reconciler(kube::Runtime& runtime);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::git
