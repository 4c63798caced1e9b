// SPDX-License-Identifier: Apache-2.0
#include "machine/node/pods.h"

#include <algorithm>

#include "artifact/container/root.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"

namespace caisson::node {
namespace {

constexpr std::size_t kTerminationBytesMax = 4096;
constexpr std::size_t kLogTailBytes = 2048;
constexpr int kLogTailLines = 80;
constexpr Duration kInterruptionNoticed = std::chrono::seconds(5);

using Phase = ContainerState::Phase;

// The last lines of a CRI log, without their heads: for terminationMessagePolicy FallbackToLogsOnError.
std::string log_tail(const std::string& path) {
  const auto text = read_file(path, 64u << 20);
  if (!text.ok()) return {};
  std::vector<std::string> lines;
  for (const auto line :
       split(std::string_view(*text).substr(text->size() > (64u << 10) ? text->size() - (64u << 10) : 0), '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() < 4) continue;
    lines.emplace_back(line.substr(static_cast<std::size_t>(fields[3].data() - line.data())));
  }
  std::string tail;
  const std::size_t first = lines.size() > kLogTailLines ? lines.size() - kLogTailLines : 0;
  for (std::size_t i = first; i < lines.size(); ++i) tail += lines[i] + "\n";
  return tail.size() > kLogTailBytes ? tail.substr(tail.size() - kLogTailBytes) : tail;
}

std::optional<std::int64_t> version_of(const kube::Object& object) {
  return parse_int(object.resource_version());
}

}  // namespace

Pods::Pods(const NodeParts& parts, const NodeOptions& options, Crew& crew)
    : parts_(parts),
      options_(options),
      client_(parts.runtime->client()),
      clock_(parts.runtime->clock()),
      started_(clock_.now()),
      crew_(crew),
      events_(client_, clock_, "kubelet", options.name) {}

Result<void> Pods::open() {
  const std::string root = options_.state_dir + "/pods";
  TRY(make_dirs(root, 0711));
  const auto uids = TRY(list_dir(root));
  for (const auto& uid : uids) {
    auto pod = std::make_shared<Pod>(uid);
    const auto text = read_file(root + "/" + uid + "/state.json");
    if (text.ok()) {
      const auto value = json::parse(*text);
      auto state = value.ok() ? pod_state_from(*value) : Result<PodState>(value.error());
      if (state.ok()) {
        pod->state = std::move(state).value();
        pod->saved = *value;
      } else {
        log::warning("pod state not readable", {{"pod", uid}, {"error", state.error()}});
      }
    }
    pod->state.uid = uid;
    pod->published = pod->state;
    if (pod->state.user_ids != 0) user_ids_[pod->state.user_ids] = uid;
    pods_[uid] = std::move(pod);
  }
  TRY(parts_.network->keep_only(uids));
  crew_.containers =
      TRY(container::Containers::open({.state_root = options_.state_dir + "/containers",
                                       .cgroup_root = options_.cgroup,
                                       .runc = options_.runc,
                                       .conmon = options_.conmon},
                                      [weak = weak_from_this()](const container::ContainerStatus& status) {
                                        if (const auto self = weak.lock()) self->on_exit(status);
                                      }));
  // Containers that no pod's state names, and states whose container is not there: both come from a kill in between.
  for (const auto& status : crew_.containers->list()) {
    const auto pod = pods_.find(status.label("pod"));
    const bool known =
        pod != pods_.end() && (pod->second->state.containers[status.label("container")].id == status.id ||
                               pod->second->state.pause_id == status.id);
    if (!known) TRY(crew_.containers->remove(status.id));
  }
  for (auto& [uid, pod] : pods_) {
    for (auto& [name, state] : pod->state.containers) {
      if (state.id.empty() || state.phase == Phase::terminated) continue;
      const auto status = crew_.containers->find(state.id);
      if (state.phase == Phase::waiting && status && status->started && !status->exit) {
        state.phase = Phase::running;  // killed between the start and its record
        state.started = *status->started;
      } else if (state.phase == Phase::waiting && status && !status->started) {
        TRY(crew_.containers->remove(state.id));
        state.id.clear();
      } else if (state.phase == Phase::running && !status) {
        state.phase = Phase::terminated;
        state.terminated = Terminated{137,
                                      "ContainerStatusUnknown",
                                      "the container was not there when the node started",
                                      state.started,
                                      now(),
                                      state.id};
      }
    }
  }
  return {};
}

void Pods::look(const kube::ObjectKey& key) {
  const auto object = parts_.runtime->informer(schema::kPods).find(key);
  std::vector<PodPtr> concerned;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, pod] : pods_) {
      const std::lock_guard pod_lock(pod->mutex);
      if (pod->published.ns == key.ns && pod->published.name == key.name) concerned.push_back(pod);
    }
    const bool ours = object && object->spec()["nodeName"].as_string() == options_.name;
    if (ours && !pods_.contains(object->uid())) {
      const std::string_view phase = object->status()["phase"].as_string();
      // One that ended before this node knew it (its directory was cleaned) needs nothing but the deletion of its
      // object.
      if (!is_finished_phase(phase) || object->deleting()) {
        auto pod = std::make_shared<Pod>(object->uid());
        pod->state = {.uid = object->uid(), .ns = key.ns, .name = key.name, .start = now()};
        pod->published = pod->state;
        pod->published_object = *object;
        pods_[object->uid()] = pod;
        concerned.push_back(std::move(pod));
      }
    }
  }
  for (const auto& pod : concerned) dispatch(pod);
}

void Pods::look_at_all() {
  std::vector<PodPtr> all;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, pod] : pods_) all.push_back(pod);
  }
  for (const auto& pod : all) dispatch(pod);
}

std::vector<kube::ObjectKey> Pods::pods_using(bool secret, const kube::Object& object) {
  std::vector<kube::ObjectKey> keys;
  const std::lock_guard lock(mutex_);
  for (const auto& [uid, pod] : pods_) {
    const std::lock_guard pod_lock(pod->mutex);
    if (pod->published.ns != object.ns() || !uses(pod->published_object, secret, object.name())) continue;
    keys.push_back({pod->published.ns, pod->published.name});
    pod->inbox.push_back([](Pod& waiting) {  // what it waited for may be here: no reason to wait on
      waiting.set_up_next = Time{};
      waiting.start_next.clear();
    });
  }
  return keys;
}

Result<std::pair<kube::Object, PodState>> Pods::find(const std::string& ns, const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::optional<std::pair<kube::Object, PodState>> found;
  for (const auto& [uid, pod] : pods_) {
    const std::lock_guard pod_lock(pod->mutex);
    if (pod->published.ns != ns || pod->published.name != name) continue;
    if (!found || found->second.start < pod->published.start) found = {pod->published_object, pod->published};
  }
  if (found) return *found;
  return Error{ErrorCode::not_found, "pod " + ns + "/" + name + " is not on this node"};
}

std::string Pods::log_directory(const std::string& ns, const std::string& name, const std::string& uid,
                                const std::string& container) const {
  return options_.data_dir + "/logs/pods/" + ns + "_" + name + "_" + uid + "/" + container;
}

Result<void> Pods::submit(WorkerPool& pool, std::function<void()> task) {
  const std::shared_lock lock(closing_mutex_);
  if (closing_) return Error{ErrorCode::unavailable, "the node is closing"};
  return pool.run(std::move(task));
}

void Pods::close() {
  const std::unique_lock lock(closing_mutex_);
  closing_ = true;
}

void Pods::rotate_logs() {
  for (const auto& status : crew_.containers->list()) {
    if (status.state != container::ContainerStatus::State::running || status.log_path.empty()) continue;
    const auto rotated = rotate_log(status.log_path, kLogBytesMax, kLogFilesKept);
    if (!rotated.ok()) log::warning("log not rotated", {{"path", status.log_path}, {"error", rotated.error()}});
    if (!rotated.ok() || !*rotated) continue;
    const auto opened = crew_.containers->reopen_log(status.id);
    if (!opened.ok()) log::warning("log not opened anew", {{"path", status.log_path}, {"error", opened.error()}});
  }
}

// --- the turn of one pod

void Pods::dispatch(const PodPtr& pod) {
  {
    const std::lock_guard lock(pod->mutex);
    if (pod->busy) {
      pod->again = true;
      return;
    }
    pod->busy = true;
  }
  const auto queued = submit(crew_.workers, [self = shared_from_this(), pod] { self->sync(pod); });
  if (queued.ok()) return;
  if (queued.error().code != ErrorCode::unavailable)
    log::error("pod not looked at", {{"pod", pod->uid}, {"error", queued.error()}});
  const std::lock_guard lock(pod->mutex);
  pod->busy = false;
}

void Pods::sync(const PodPtr& pod) {
  std::vector<std::function<void(Pod&)>> changes;
  {
    const std::lock_guard lock(pod->mutex);
    changes.swap(pod->inbox);
    pod->again = false;
  }
  refresh(*pod);
  if (!pod->gone && pod->object.uid().empty()) {
    // The informer has not said yet what there is: what happened is judged by the object, and look_at_all brings us
    // back.
    const std::lock_guard lock(pod->mutex);
    pod->inbox.insert(pod->inbox.begin(), std::make_move_iterator(changes.begin()),
                      std::make_move_iterator(changes.end()));
    pod->busy = false;
    return;
  }
  for (const auto& change : changes) change(*pod);
  const bool deleting = pod->gone || pod->object.deleting();
  if (deleting) {
    const std::int64_t grace = pod->gone ? 2 : pod->object.metadata()["deletionGracePeriodSeconds"].as_int(30);
    end(pod, std::chrono::seconds(grace));
  } else if (pod->leave_by) {
    end(pod, std::max<Duration>(*pod->leave_by - now(), Duration(0)));
  } else if (leaving_ && !any_running(*pod)) {
    // Nothing is begun any more.
  } else {
    run(pod);
  }
  if (pod->torn_down && pod->gone) {
    forget(pod);
  } else {
    save(*pod);
  }
  bool more = false;
  {
    const std::lock_guard lock(pod->mutex);
    pod->published = pod->state;
    pod->published_object = pod->object;
    more = pod->again || !pod->inbox.empty();
    pod->busy = false;
  }
  if (pod->leave_by) {
    const std::lock_guard lock(left_mutex_);
    ++turns_;
    left_.notify_all();
  }
  if (more) dispatch(pod);
}

// Takes the informer's object, unless it is older than what this node itself wrote last.
void Pods::refresh(Pod& pod) {
  const auto found = parts_.runtime->informer(schema::kPods).find({pod.state.ns, pod.state.name});
  const bool here = found && found->uid() == pod.uid && found->spec()["nodeName"].as_string() == options_.name;
  if (!here) {
    pod.gone = parts_.runtime->informer(schema::kPods).synced();
    return;
  }
  const auto ours = version_of(pod.object),
             theirs = version_of(*found);  // Kubernetes 1.35 (KEP-5504): they may be compared
  if (!ours || !theirs || *theirs >= *ours) pod.object = *found;
}

void Pods::post(const PodPtr& pod, std::function<void(Pod&)> change) {
  {
    const std::lock_guard lock(pod->mutex);
    pod->inbox.push_back(std::move(change));
  }
  dispatch(pod);
}

void Pods::post_to(const std::string& uid, std::function<void(Pod&)> change) {
  PodPtr pod;
  {
    const std::lock_guard lock(mutex_);
    const auto it = pods_.find(uid);
    if (it == pods_.end()) return;
    pod = it->second;
  }
  post(pod, std::move(change));
}

void Pods::again_after(const PodPtr& pod, Duration delay) {
  crew_.timers.after(delay, [weak = weak_from_this(), pod] {
    if (const auto self = weak.lock()) self->dispatch(pod);
  });
}

void Pods::save(Pod& pod) {
  Value value = to_value(pod.state);
  if (value == pod.saved) return;
  const auto made = make_dirs(directory(pod), 0711);
  const auto written = made.ok() ? write_file_unsynced(directory(pod) + "/state.json", json::write(value), 0600) : made;
  if (!written.ok()) {
    log::error("pod state not saved", {{"pod", pod.uid}, {"error", written.error()}});
    return;
  }
  pod.saved = std::move(value);
}

void Pods::tell_status(Pod& pod, bool terminating) {
  if (pod.gone || pod.object.uid().empty()) return;
  const Value ours = pod_status(pod.object, pod.state, options_.address, terminating, now());
  Value wanted = pod.object.status();
  for (const char* name : {"reason", "message"}) {
    if (!ours.contains(name)) wanted.erase(name);
  }
  for (const auto& entry : ours.entries()) wanted.set(entry.key, entry.value);
  pod.was_ready = pod.was_ready || kube::condition_is_true(pod.object, "Ready");  // also said by a former agent
  const Value difference = document::merge_patch_between(pod.object.status(), wanted);
  if (difference.empty()) return;
  save(pod);  // what the world is told must not be forgotten by a kill
  {
    const std::lock_guard lock(pod.mutex);  // whoever reads the status may ask for the log at once
    pod.published = pod.state;
  }
  const Value patch{{"metadata", Value{{"uid", pod.uid}}}, {"status", difference}};
  const bool told_ready = kube::condition_is_true(pod.object, "Ready");
  auto written = client_.patch(schema::kPods, pod.object.key(), kube::PatchType::merge, patch,
                               {.field_manager = "kubelet", .subresource = "status"});
  if (written.ok()) {
    pod.object = std::move(written).value();
    const bool ready = kube::condition_is_true(pod.object, "Ready");
    if (ready && !told_ready && !pod.was_ready) span(pod, "ready", "", pod.state.start);
    pod.was_ready = pod.was_ready || ready;
    return;
  }
  if (written.error().code == ErrorCode::not_found) return;  // the informer will say so
  log::warning("pod status not written", {{"pod", pod.object.key().str()}, {"error", written.error()}});
  if (queue_) queue_->add_after(pod.object.key(), std::chrono::seconds(1));
}

// --- the end of a container

void Pods::on_exit(const container::ContainerStatus& status) {
  crew_.follower->nudge();
  const std::string name = status.label("container");
  post_to(status.label("pod"), [this, name, status](Pod& pod) { ended(pod, name, status); });
}

void Pods::ended(Pod& pod, const std::string& name, const container::ContainerStatus& status) {
  auto it = pod.state.containers.find(name);
  if (it == pod.state.containers.end() || it->second.id != status.id || it->second.phase == Phase::terminated) return;
  ContainerState& state = it->second;
  const Value* spec = find_container(pod.object, name);
  Terminated ended;
  ended.exit_code = status.exit->code;
  ended.started = status.started.value_or(status.created);
  ended.finished = status.exit->finished;
  ended.id = status.id;
  ended.reason = status.exit->oom_killed ? "OOMKilled" : status.exit->code == 0 ? "Completed" : "Error";
  if (status.exit->lost)
    ended.reason = "ContainerStatusUnknown",
    ended.message = "the container's monitor was killed or the machine restarted";
  const auto message = read_file(directory(pod) + "/containers/" + status.id + "/message", 16u << 20);
  if (message.ok() && !message->empty()) ended.message = message->substr(0, kTerminationBytesMax);
  const bool from_log = spec && (*spec)["terminationMessagePolicy"].as_string() == "FallbackToLogsOnError";
  if (from_log && ended.message.empty() && ended.exit_code != 0) ended.message = log_tail(status.log_path);
  if (was_interrupted(pod, ended)) {
    ended.reason = kInterrupted;
    ended.message = "the node's agent was restarted while this step ran";
  }
  state.crashes = crashes_after(state.crashes, ended.finished - ended.started);
  state.terminated = std::move(ended);
  state.phase = Phase::terminated;
  state.ready = state.start_passed = false;
  state.waiting_reason.clear();
  state.waiting_message.clear();
  pod.probes.erase(name);
  pod.stopping.erase(name);
  // Its log stays; root, cgroup and runc's state go at once.
  const std::string id = status.id, root = directory(pod) + "/containers/" + id;
  const auto queued = submit(crew_.stoppers, [self = shared_from_this(), id, root] {
    const auto removed = self->crew_.containers->remove(id);
    if (!removed.ok()) log::warning("ended container not removed", {{"container", id}, {"error", removed.error()}});
    const auto unmounted = container::unmount_below(root);
    const auto cleared = unmounted.ok() ? remove_tree(root) : Result<void>(unmounted.error());
    if (!cleared.ok())
      log::warning("root of an ended container not removed", {{"container", id}, {"error", cleared.error()}});
  });
  if (!queued.ok()) log::warning("ended container not removed yet", {{"container", id}, {"error", queued.error()}});
}

// What a step had asked for in vain it may notice a little later.
bool Pods::was_interrupted(const Pod& pod, const Terminated& ended) const {
  return pod.object.annotation(kStepsAnnotation) == "ordered" && ended.exit_code != 0 && ended.started < started_ &&
         ended.finished < started_ + kInterruptionNoticed;
}

void Pods::forget(const PodPtr& pod) {
  const auto removed = remove_tree(directory(*pod));
  if (!removed.ok()) log::warning("pod directory not removed", {{"pod", pod->uid}, {"error", removed.error()}});
  const auto logs = remove_tree(path_dir(log_directory(pod->state.ns, pod->state.name, pod->uid, "x")));
  if (!logs.ok()) log::warning("pod logs not removed", {{"pod", pod->uid}, {"error", logs.error()}});
  const std::lock_guard lock(mutex_);
  user_ids_.erase(pod->state.user_ids);
  pods_.erase(pod->uid);
}

void Pods::event(const Pod& pod, bool warning, std::string_view reason, const std::string& message) {
  if (pod.object.uid().empty()) return;
  events_.record(pod.object, warning ? kube::EventRecorder::Type::warning : kube::EventRecorder::Type::normal, reason,
                 message);
}

void Pods::span(const Pod& pod, const std::string& name, const std::string& key, Time start, const std::string& error) {
  const TraceContext trace = pod.object.trace();
  if (!parts_.spans || trace.empty()) return;
  // The trace is of what made the pod: what starts again, hours later perhaps, is none of it.
  for (const auto& [container, state] : pod.state.containers) {
    const bool again = state.restarts > 0 || (container == key && state.terminated);
    if (again && (key.empty() || container == key)) return;
  }
  Span span;
  span.context = trace.child(name + " " + pod.uid + " " + key);
  span.parent_span_id = trace.span_id;
  span.name = name;
  span.component = "node";
  span.start = start;
  span.end = now();
  span.error = error;
  span.attributes = {{"namespace", pod.state.ns}, {"pod", pod.state.name}};
  if (!key.empty()) span.attributes.emplace_back("container", key);
  parts_.spans->record(std::move(span));
}

}  // namespace caisson::node
