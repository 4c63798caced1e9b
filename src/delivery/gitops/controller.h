// SPDX-License-Identifier: Apache-2.0
// The Application reconciler. Internal to the room; see gitops.h for the door and README.md for the way through the
// files.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "delivery/gitops/automation.h"
#include "delivery/gitops/clusters.h"
#include "delivery/gitops/gitops.h"
#include "delivery/gitops/helm_source.h"
#include "delivery/gitops/lanes.h"
#include "delivery/gitops/signed_revisions.h"
#include "delivery/gitops/source.h"
#include "delivery/gitops/status.h"
#include "delivery/gitops/sync.h"
#include "delivery/gitops/windows.h"
#include "delivery/gitops/world.h"

namespace caisson::gitops {

// What is kept in memory for one Application; all of it can be lost.
struct AppMemory {
  // --- shared with workers and watches; GUARDED_BY(Controller::mutex_)
  bool refresh = true, hard = false, rendering = false,
       fresh = false;                                     // fresh: a refresh ended that no status shows yet
  std::string repository, revision, path;                 // what PushEvents are matched with
  std::vector<std::pair<std::string, std::string>> more;  // repository and revision of the other sources
  std::string source_key;
  RenderedPtr current;
  std::optional<Error> error;
  std::optional<Duration> look_again;  // monotonic, when nothing asks for it before; unset: not looked yet
  int failures = 0;                    // looks in a row that ended unavailable or with a timeout
  Time render_start{}, render_end{};   // of `current`
  bool rendered_anew = false;          // no span tells of it yet
  // Renderings for the operation under way, at other revisions; empty: a worker is at it.
  std::map<std::string, std::shared_ptr<std::optional<Result<RenderedPtr>>>> others;
  // --- only the reconciler's, which never runs one key twice at once
  ObservationCache observed;
  HealBackoff heals;
  RenderedPtr foreseen_of;  // what was last asked about, by which generation of the verdict
  std::uint64_t foreseen_generation = 0;
  std::vector<std::pair<ResourceId, ForeseenViolation>> foreseen;
  std::string traced_commit;  // whose push `trace` is; empty trace: nothing to tell (any more)
  TraceContext trace;
  std::optional<Span> until_healthy;
};

class Controller final : public kube::Reconciler {
 public:
  Controller(kube::Runtime& runtime, GitopsOptions options);
  std::string_view name() const override { return "application"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override;

  void set_queue(kube::Queue queue) { shared_->queue = std::move(queue); }
  // The Applications that a push concerns; marks them for a look at their repository.
  std::vector<kube::ObjectKey> pushed(const kube::Object& push_event);

 private:
  // Workers may outlive a run of the reconciler: what they touch is shared.
  struct Shared {
    Shared(GitopsOptions o, kube::Client& client)
        : options(o),
          lanes(o.workers, kRenderLanes),
          renderer(
              o.repositories, o.render_time_max,
              [this, &client] { return cluster_capabilities(client, options.kube_version); },
              ChartFetcher(
                  [this, &client](const std::string& url) {
                    return repository_login(client, options.home_namespace, url);
                  },
                  o.own_registry,
                  [this, &client](const std::string& name) {
                    return repository_url(client, options.home_namespace, name);
                  })),
          signed_revisions(o.repositories, [this, &client] { return gpg_keys(client, options.home_namespace); }) {}
    // The commits that `revision` names, signed as the Application's project wants it.
    Result<std::string> resolve(const Application& application, const Source& source, const std::string& revision);

    GitopsOptions options;
    Lanes lanes;
    Renderer renderer;
    SignedRevisions signed_revisions;
    std::optional<kube::Queue> queue;
    std::mutex mutex;
    std::map<kube::ObjectKey, std::shared_ptr<AppMemory>> memory;  // GUARDED_BY(mutex)
    std::string settings_version;                                  // of argocd-cm; GUARDED_BY(mutex)
    SettingsPtr settings = std::make_shared<const Settings>();     // GUARDED_BY(mutex)
  };
  struct Run;  // one reconciliation

  static Clusters::Changed requeue(const std::shared_ptr<Shared>& shared);
  std::shared_ptr<AppMemory> memory_of(const kube::ObjectKey& key);
  void look(const Application& application, const std::shared_ptr<AppMemory>& memory);
  std::optional<Result<RenderedPtr>> other(const Application& application, const Source& source,
                                           const std::shared_ptr<AppMemory>& memory, const std::string& revision);
  void forget_others(AppMemory& memory);
  Result<RenderedPtr> target_of(Run& run, const Value& state);
  SettingsPtr settings();
  void look_at_windows(Run& run);
  void foresee(Run& run);
  std::string refusal_of(const Observation& observation) const;
  SyncContext sync_context(const Run& run, const Rendered& rendered, const Observation& target);
  static Retry retry_of(const Run& run, const Value& state);
  Result<kube::Requeue> wait_for_confirmation(Run& run, const ResourceId& id);
  void read_annotations(Run& run);
  std::string find_destination(Run& run);
  Result<kube::Requeue> leave_resources(Run& run, const std::string& finalizer, const std::string& why);
  bool ensure_rendering(Run& run);
  Result<void> operate(Run& run);
  Result<void> operate_apart(Run& run, const std::string& why);
  Result<void> run_operation(Run& run, Value& state);
  void finish_operation(Run& run, Value& state, std::string_view phase, const std::string& message);
  void take_newest(Run& run, Value& state);
  void fail_or_retry(Run& run, Value& state, const std::string& message);
  void begin_operation(Run& run);
  void refuse_operation(Run& run, std::string_view phase, const std::string& why);
  void consider_auto_sync(Run& run);
  void note_health(Run& run);
  Result<kube::Requeue> save(Run& run);
  Result<kube::Requeue> remove_resources(Run& run);
  void want_delete_finalizers(Run& run);
  Result<kube::Requeue> run_delete_hooks(Run& run, Phase phase, const std::string& finalizer);
  TraceContext find_trace(const AppMemory& memory, const std::string& commit);
  void pick_up_trace(Run& run);
  void record(const TraceContext& parent, std::string_view name, const kube::ObjectKey& key, Time start, Time end,
              const std::string& error);

  kube::Runtime& runtime_;
  std::shared_ptr<Shared> shared_;
  World world_;  // of this process' own cluster
  Clusters clusters_;
};

}  // namespace caisson::gitops
