// SPDX-License-Identifier: Apache-2.0
#include "main/platform/attach.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "cluster/kube/patient_client.h"
#include "cluster/kube/reconciler.h"
#include "cluster/schema/schema.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/worker_pool.h"
#include "core/http/server.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/gitops.h"
#include "delivery/gitops/logins.h"
#include "delivery/gitops/webhook.h"
#include "main/platform/attach_objects.h"
#include "main/platform/leader.h"

namespace caisson::platform {
namespace {

constexpr int kLeaderEveryMs = 2'000;

// Spans are objects of the platform; somebody else's cluster does not keep them.
class NoSpans final : public SpanSink {
 public:
  void record(Span) override {}
};

// Signals as something to wait for, apart from all threads.
class Signals {
 public:
  static Result<Signals> block() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC));
    if (!fd) return errno_error("signalfd");
    return Signals(std::move(fd));
  }
  // True when a signal came within the time.
  bool wait(int time_max_ms) {
    pollfd fd{fd_.get(), POLLIN, 0};
    ended_ = ended_ || ::poll(&fd, 1, time_max_ms) > 0;
    return ended_;
  }

 private:
  explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  bool ended_ = false;
};

// Who we are in the lease: the host, and what no other process on it is.
std::string own_identity() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return std::string(host) + "_" + random_uuid();
}

Result<std::unique_ptr<kube::Client>> connect(const AttachOptions& options, bool waits) {
  kube::PatientOptions patient;
  patient.connection = [file = options.kubeconfig, context = options.context] {
    return kube::load_kubeconfig(file, context);
  };
  patient.waits = waits;
  return kube::make_patient_client(std::move(patient));
}

Result<void> meet_argocd(kube::Client& client, const AttachOptions& options) {
  const auto there = TRY(running_argocd(client));
  if (there.empty()) return {};
  if (options.take_over) return stop_argocd(client, there);
  return Error{ErrorCode::conflict,
               "an Argo CD works in this cluster (" + describe_controllers(there) +
                   "), and two must not own the same Applications. Scale it to 0, or let --take-over do so: its "
                   "Applications are then adopted as they are"};
}

// Everything that reconciles; it lives while we lead. Declaration order is start order.
class Reconcilers {
 public:
  Reconcilers(kube::Client& client, const schema::Schema& schema, const AttachOptions& options)
      : repositories_({.directory = options.data_dir + "/git",
                       .mirrors = options.data_dir + "/git/.mirrors",
                       .logins = [&client, home = options.home_namespace](
                                     const std::string& url) { return gitops::git_login(client, home, url); }}),
        runtime_(client, system_clock(), {.threads = 6, .crash_file = options.data_dir + "/reconcilers.running"}) {
    gitops::add_gitops(runtime_, {.repositories = repositories_,
                                  .workers = workers_,
                                  .spans = spans_,
                                  .schema = schema,
                                  .push_events = false,
                                  .home_namespace = options.home_namespace});
    runtime_.start();
  }

 private:
  NoSpans spans_;
  git::Repositories repositories_;
  WorkerPool workers_{"worker", gitops::kGitopsThreads};
  kube::Runtime runtime_;
};

void answer(const http::ExchangePtr& exchange, int status, const std::string& text) {
  exchange->respond({status, {{"Content-Type", "text/plain; charset=utf-8"}}, text + "\n"});
}

// True: we lead. False: a signal came first.
bool wait_for_leadership(Leader& leader, Signals& signals, const AttachOptions& options) {
  std::string told;
  do {
    const auto leads = leader.try_once();
    if (leads.ok() && *leads) return true;
    const std::string why = leads.ok() ? leader.holder() + " reconciles; waiting" : leads.error().message;
    if (why != told && options.progress) options.progress(why);
    told = why;
  } while (!signals.wait(kLeaderEveryMs));
  return false;
}

// Until a signal comes, or the lease is lost.
void lead(Leader& leader, Signals& signals) {
  while (leader.is_leader() && !signals.wait(kLeaderEveryMs)) {
    const auto renewed = leader.try_once();
    if (!renewed.ok()) log::warning("lease not renewed", {{"error", renewed.error()}});
  }
}

}  // namespace

Result<void> attach(const AttachOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  Signals signals = TRY(Signals::block());
  TRY(make_dirs(options.data_dir, 0700));
  const auto client = TRY(connect(options, true)), lease_client = TRY(connect(options, false));
  const schema::Schema schema = TRY(schema::Schema::built_in());
  TRY(meet_argocd(*lease_client, options));
  TRY(ensure_definitions(*lease_client));
  TRY(ensure_home(*lease_client, options.home_namespace));

  std::atomic<bool> leads = false;
  http::Server server = TRY(http::Server::start({}));
  TRY(server.listen(
      options.listen, options.port,
      [&](const http::ExchangePtr& exchange) {
        if (exchange->path == "/api/webhook") return gitops::handle_webhook(*client, options.home_namespace, exchange);
        if (exchange->path == "/healthz" || exchange->path == "/readyz")
          return answer(exchange, 200, leads ? "ok" : "ok: standing by");
        answer(exchange, 404, "webhooks are taken at /api/webhook");
      },
      nullptr));
  Leader leader(*lease_client, system_clock(),
                {.lease = {options.home_namespace, "caisson-gitops"}, .identity = own_identity()});
  while (wait_for_leadership(leader, signals, options)) {
    log::info("reconciling", {{"kubeconfig", options.kubeconfig}, {"namespace", options.home_namespace}});
    if (options.progress)
      options.progress("reconciling; webhooks on " + options.listen + ":" + std::to_string(options.port));
    leads = true;
    {
      const Reconcilers reconcilers(*client, schema, options);
      lead(leader, signals);
    }
    leads = false;
    if (signals.wait(0)) break;
    log::warning("the lease was lost", {{"holder", leader.holder()}});
  }
  return leader.release();
}

}  // namespace caisson::platform
