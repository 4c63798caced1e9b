// SPDX-License-Identifier: Apache-2.0
// Private to the room: the pods of the node and the work on each. One pod is worked on by one thread at a time
// (`sync`); whatever happens elsewhere (an exit, a probe's verdict, a fetched image) comes in as a small function in
// its inbox, which sync runs first. So only sync touches a pod's state, and needs no lock for it; others read the
// published copy.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "artifact/container/sandbox.h"
#include "core/base/worker_pool.h"
#include "machine/node/cpu_rates.h"
#include "machine/node/eviction.h"
#include "machine/node/logs.h"
#include "machine/node/node.h"
#include "machine/node/plan.h"
#include "machine/node/probes.h"
#include "machine/node/timers.h"
#include "machine/node/volumes.h"

namespace caisson::node {

inline constexpr std::string_view kStepTimesAnnotation = "caisson.dev/step-times";
inline constexpr std::string_view kResultsDirAnnotation = "caisson.dev/results-dir";
inline constexpr std::string_view kResultsAnnotation = "caisson.dev/results";
// The reason of a step that failed while this program was away: DNS and exec were too, so that is no verdict on the
// step.
inline constexpr std::string_view kInterrupted = "Interrupted";

// How far the fetching of a container's image is.
struct ImageFetch {
  bool running = false;
  std::optional<Image> image;  // for the next start; used up by it
  int failures = 0;
  Time next_try{};
};

struct Pod {
  explicit Pod(std::string pod_uid) : uid(std::move(pod_uid)) {}
  const std::string uid;

  // --- guarded by mutex
  std::mutex mutex;
  std::vector<std::function<void(Pod&)>> inbox;
  bool busy = false, again = false;
  kube::Object published_object;
  PodState published;

  // --- of sync alone
  kube::Object object;  // as last read or written
  bool gone = false;    // the object is not there any more: end it and tell nobody
  PodState state;
  Value saved;                                                     // what state.json holds
  std::map<std::string, ImageFetch> fetches;                       // by container
  std::map<std::string, std::unique_ptr<ContainerProbes>> probes;  // by container
  std::map<std::string, Image> volume_images;                      // by volume
  std::map<std::string, std::string> volumes;                      // host paths
  std::string volumes_signature;                                   // of what the files were made from
  container::Sandbox sandbox;
  bool ready_for_containers = false;
  int set_up_failures = 0;
  Time set_up_next{};
  std::map<std::string, Time> stopping;  // containers that were told to end, and when they are killed
  std::map<std::string, int> start_failures;
  std::map<std::string, Time> start_next;
  std::optional<Time> end_by;  // termination has begun; SIGKILL then
  bool end_signalled = false;
  std::optional<Time> leave_by;  // the machine is shut down: containers end by then, the pod stays
  bool withdrawal_asked = false, withdrawn = false;
  bool torn_down = false, results_written = false, was_ready = false;
  Time token_refresh{};  // the earliest; epoch: no token
  std::map<std::string, std::pair<std::string, Time>>
      tokens;  // by audience and lifetime: the token and when to ask again
};
using PodPtr = std::shared_ptr<Pod>;

// The threads and the containers. Owned by Node, outside Pods, so that no thread of a pool ever joins itself by
// dropping the last reference.
struct Crew {
  std::unique_ptr<LogFollower> follower;
  std::unique_ptr<container::Containers> containers;
  Timers timers;
  WorkerPool workers{"pods", 6};             // sync
  WorkerPool fetchers{"images", 6};          // may block for minutes
  WorkerPool stoppers{"endings", 8};         // preStop hooks, signals
  WorkerPool withdrawers{"withdrawals", 8};  // each blocks for some seconds at most
  WorkerPool probers{"probes", 4};
};

class Pods : public std::enable_shared_from_this<Pods> {
 public:
  Pods(const NodeParts& parts, const NodeOptions& options, Crew& crew);

  // Reads pods/*/state.json, then opens the containers and takes away those that no pod knows.
  Result<void> open();
  void attach(kube::Queue queue) { queue_ = std::move(queue); }
  // Called by the reconciler: looks at the pods of this name (one with the object's uid, and former ones).
  void look(const kube::ObjectKey& key);
  void look_at_all();  // once the informers are synced: pods on disk without an object
  std::vector<kube::ObjectKey> pods_using(bool secret, const kube::Object& object);

  void close();  // nothing new is begun from here on
  std::vector<std::string> shut_down(const ShutdownGrace& grace);
  void rotate_logs();
  // Evicts pods that use too much; takes as long as it takes to count what they wrote.
  void keep_house();
  Pressure pressure() const;            // as last seen by keep_house
  Value stats_summary(bool with_disk);  // the kubelet's /stats/summary; what was written to disk takes long to count

  container::Containers& containers() { return *crew_.containers; }
  const NodeOptions& options() const { return options_; }
  Crew& crew() { return crew_; }
  // Runs `task` on a pool, unless the node is closing.
  Result<void> submit(WorkerPool& pool, std::function<void()> task);
  // The pod of that name that is here, newest first; its object and state as last published. Errors: not_found.
  Result<std::pair<kube::Object, PodState>> find(const std::string& ns, const std::string& name);
  bool pass_over_step(Pod& pod, const Plan& todo);
  Result<void> write_last_streams(const Pod& pod) const;
  std::string log_directory(const std::string& ns, const std::string& name, const std::string& uid,
                            const std::string& container) const;

 private:
  // pods.cc
  void dispatch(const PodPtr& pod);
  void sync(const PodPtr& pod);
  void refresh(Pod& pod);
  void post(const PodPtr& pod, std::function<void(Pod&)> change);
  void post_to(const std::string& uid, std::function<void(Pod&)> change);
  void again_after(const PodPtr& pod, Duration delay);
  void save(Pod& pod);
  void tell_status(Pod& pod, bool terminating);
  void on_exit(const container::ContainerStatus& status);
  void ended(Pod& pod, const std::string& container, const container::ContainerStatus& status);
  void forget(const PodPtr& pod);
  std::string directory(const Pod& pod) const { return options_.state_dir + "/pods/" + pod.uid; }

  // pod_run.cc
  void run(const PodPtr& pod);
  bool over_deadline(Pod& pod);
  Result<void> refresh_volumes(const PodPtr& pod);
  std::string volumes_signature(Pod& pod);
  VolumeSources volume_sources(Pod& pod, const Surroundings& around);
  Result<std::string> token(Pod& pod, const std::string& audience, std::int64_t seconds);
  Surroundings surroundings(const Pod& pod);
  void apply(const PodPtr& pod, const Plan& plan);
  void start_container(const PodPtr& pod, const std::string& name);
  void watch_probes(const PodPtr& pod);
  void back_off(const PodPtr& pod, const std::string& name, Duration left);

  // pod_sandbox.cc
  bool refused(Pod& pod);
  Result<void> set_up(const PodPtr& pod);
  Result<void> make_files(Pod& pod);
  // The ids of the host that the pod's user namespace has, none when it has none. Errors: unavailable (all in use).
  Result<container::IdRange> user_ids(Pod& pod);
  Result<void> set_sysctls(const Pod& pod);
  Result<void> make_process_namespace(Pod& pod);
  // The path of the pid namespace that a container joins; empty: one of its own.
  Result<std::string> process_namespace(const Pod& pod, const Value& container) const;
  bool volume_images_ready(const PodPtr& pod);
  void volume_image_fetched(Pod& pod, const std::string& name, Result<Image> image);

  // pod_start.cc
  bool image_ready(const PodPtr& pod, const std::string& name, const Value& container);
  void image_fetched(const PodPtr& pod, const std::string& name, Result<Image> image, Time began);
  // `stage`: the kubelet's reason for a failure there.
  Result<void> launch(const PodPtr& pod, const std::string& name, const Value& container, const Image& image,
                      std::string& stage);
  Result<std::vector<container::Mount>> mounts(Pod& pod, const Value& container, const std::string& id);
  // The same mounts, with the ids of their files mapped into the pod's user namespace. Errors: invalid, with the mount.
  Result<std::vector<container::Mount>> map_ids(Pod& pod, std::vector<container::Mount> mounts, const std::string& own);
  void start_failed(const PodPtr& pod, const std::string& name, const Error& error, const std::string& stage);
  void run_post_start(const PodPtr& pod, const std::string& name, const Value& container);
  std::vector<Value> pull_secrets(const kube::Object& pod);

  // pod_end.cc
  void end(const PodPtr& pod, Duration grace);
  bool withdraw(const PodPtr& pod);
  void stop_container(const PodPtr& pod, const std::string& name, Duration grace, const std::string& why);
  void finish(const PodPtr& pod);  // every container of a running pod has ended for good
  std::string annotated_volume(const Pod& pod, std::string_view annotation) const;  // empty: the pod names none
  Result<void> write_results(Pod& pod);
  Result<void> tear_down(Pod& pod);
  void delete_object(Pod& pod);
  static bool any_running(const PodState& state);
  static bool any_running(const Pod& pod) { return any_running(pod.state); }

  // shutdown.cc
  std::vector<PodPtr> pods_to_leave(bool critical);
  void leave(const std::vector<PodPtr>& pods, Duration grace);
  std::vector<std::string> still_running(const std::vector<PodPtr>& pods);

  // housekeeping.cc
  void clear_local_volumes();  // the data of those that are gone
  // `walk`: whether what the pod wrote is counted too.
  std::vector<PodUse> usage(const std::function<bool(const kube::Object&)>& walk);
  void evict(const Eviction& eviction);
  // Whether a pod that was evicted under pressure still holds what it used.
  bool eviction_under_way();
  // What is left to a pod that is to end: nothing after an eviction.
  static Duration grace_of(const Pod& pod);

  void event(const Pod& pod, bool warning, std::string_view reason, const std::string& message);
  void span(const Pod& pod, const std::string& name, const std::string& key, Time start, const std::string& error = "");
  Time now() { return clock_.now(); }

  bool was_interrupted(const Pod& pod, const Terminated& ended) const;

  NodeParts parts_;
  NodeOptions options_;
  kube::Client& client_;
  Clock& clock_;
  const Time started_;
  Crew& crew_;
  kube::EventRecorder events_;
  std::optional<kube::Queue> queue_;

  std::mutex mutex_;
  std::map<std::string, PodPtr> pods_;             // by uid; guarded by mutex_
  std::map<std::uint32_t, std::string> user_ids_;  // PodState::user_ids to uid; guarded by mutex_

  mutable std::mutex pressure_mutex_;
  Pressure pressure_;                 // guarded by pressure_mutex_
  PressureHistory pressure_history_;  // guarded by pressure_mutex_
  std::string evicted_;               // the last pod that went under pressure; of keep_house alone, as the next
  Time evicted_until_{};              // then the next may go, whatever became of it

  std::atomic<bool> leaving_ = false;  // the machine is shut down
  std::mutex left_mutex_;
  std::condition_variable left_;  // a turn of a pod that leaves is over
  std::uint64_t turns_ = 0;       // of pods that leave; guarded by left_mutex_

  CpuRates rates_;

  std::shared_mutex closing_mutex_;  // shared by submit, whole by close
  bool closing_ = false;             // guarded by closing_mutex_
};
}  // namespace caisson::node
