// SPDX-License-Identifier: Apache-2.0
// The reconciler runtime. A reconciler is a plain blocking function of a key, level-triggered and idempotent: it reads
// desired and live state from informers, does one step through the client, and may be killed at any instruction and run
// again.
//
// The runtime owns the threads: one bounded pool shared by all reconcilers, keyed de-duplicating queues with rate
// limits and exponential back-off, never two runs of one key at once, at most `concurrent_max` runs per reconciler. A
// key whose reconciliation crashed the process twice is held (Quarantined) while all else runs.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/client.h"
#include "cluster/kube/informer.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::kube {

// When to run the key again, if nothing changes before.
class Requeue {
 public:
  static Requeue never() { return Requeue(Duration(-1)); }
  static Requeue after(Duration delay) { return Requeue(delay); }
  bool wanted() const { return delay_.count() >= 0; }
  Duration delay() const { return delay_; }

 private:
  explicit Requeue(Duration delay) : delay_(delay) {}
  Duration delay_;
};

class Reconciler {
 public:
  virtual ~Reconciler() = default;
  virtual std::string_view name() const = 0;  // "deployment": for logs and metrics
  // Errors are logged once, counted, and run again with back-off (10 ms doubling to 30 s; at once after a conflict).
  virtual Result<Requeue> reconcile(const ObjectKey& key) = 0;
};

// Adds keys to one reconciler's queue. Cheap to copy; any thread.
class Queue {
 public:
  void add(const ObjectKey& key) const;
  void add_after(const ObjectKey& key, Duration delay) const;

 private:
  friend class Runtime;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

struct RuntimeOptions {
  int threads = 8;
  std::string crash_file;  // where the keys that are running are kept, for Quarantined; empty: off
};

class Runtime {
 public:
  Runtime(Client& client, Clock& clock, RuntimeOptions options = {});
  ~Runtime();  // stops and joins

  Client& client();
  Clock& clock();
  // The shared informer of a kind (all namespaces); started with the runtime.
  Informer& informer(const Resource& resource);
  // The runtime owns the reconciler. The queue is valid while the runtime lives.
  Queue add(std::unique_ptr<Reconciler> reconciler, int concurrent_max = 4);
  // Every change of an object of `resource` adds the keys that `map` gives for it (the default: its own key). Deleted
  // objects count.
  using Map = std::function<std::vector<ObjectKey>(const Object&)>;
  void watch(const Resource& resource, const Queue& queue, Map map = {});
  // The key of the controller owner of kind `owner`.
  static Map to_controller(std::string kind);

  void start();  // informers sync first, then reconcilers run
  bool wait_synced(Duration time_max);
  // For tests: blocks until no key is queued, delayed below `horizon` or running.
  bool wait_idle(Duration time_max, Duration horizon = Duration(0));
  // Per reconciler: runs, errors, queue length, longest run.
  Value metrics() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Records core/v1 Events, counted and de-duplicated as client-go does (same object, reason and message: count grows).
// Never blocks the caller for long; an event that can't be written is logged.
class EventRecorder {
 public:
  EventRecorder(Client& client, Clock& clock, std::string component, std::string host = "");
  ~EventRecorder();
  enum class Type { normal, warning };
  // With `action` the event is told as events.k8s.io/v1 has it: by a reporting component, without a source.
  void record(const Object& about, Type type, std::string_view reason, std::string_view message,
              std::string_view action = {});

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Keeps spans as objects of kind Span (caisson.dev/v1alpha1), named after their span id, labelled caisson.dev/trace-id:
// what `caisson timeline` reads. Writing is asynchronous; a span recorded twice is one.
std::unique_ptr<SpanSink> make_span_recorder(Client& client);

}  // namespace caisson::kube
