// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/containers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "artifact/container/bundle.h"
#include "artifact/container/containers_impl.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

constexpr std::uint64_t kWakeKey = 0, kExitsKey = 1;
constexpr Duration kStartMax = std::chrono::seconds(30);

Time modified(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_clock().now();
  return Time(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

Result<std::string> program(const std::string& name) {
  std::string path = name.find('/') == std::string::npos ? find_program(name) : name;
  if (!path.empty() && exists(path)) return path;
  return Error{ErrorCode::not_found,
               "the program " + name + " is not installed (apt-get install " + path_base(name) + ")"};
}

}  // namespace

std::string ContainerStatus::label(std::string_view key) const {
  for (const auto& [name, value] : labels) {
    if (name == key) return value;
  }
  return {};
}

// --- the loop: exit files and monitors

void Containers::Impl::loop() {
  epoll_event events[32];
  while (!stopping_) {
    const int count = ::epoll_wait(epoll_.get(), events, 32, -1);
    for (int i = 0; i < count; ++i) {
      const std::uint64_t key = events[i].data.u64;
      if (key == kWakeKey) {
        std::uint64_t ignored;
        [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &ignored, sizeof ignored);
      } else if (key == kExitsKey) {
        read_exit_events();
      } else {
        monitor_ended(key);
      }
    }
    report_exits();
  }
}

void Containers::Impl::read_exit_events() {
  alignas(inotify_event) char buffer[16384];
  ssize_t got;
  while ((got = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if (event->len > 0) check_exit_file(event->name);
    }
  }
}

// Takes the code from the exit file, when it is there and not empty. The out-of-memory counter goes with the cgroup, so
// it is read now.
bool Containers::Impl::check_exit_file(const std::string& id) {
  const std::string path = workshop_.exit_file(id);
  const auto text = read_file(path, 64);
  if (!text.ok() || text->empty()) return false;
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.info.status.exit) return it != entries_.end();
  ContainerExit exit;
  exit.code = static_cast<int>(parse_int(trim(*text)).value_or(255));
  exit.oom_killed = Cgroup(it->second.info.status.cgroup).oom_kills() > 0;
  exit.finished = modified(path);
  set_exit(it->second, exit);
  return true;
}

void Containers::Impl::set_exit(Entry& entry, const ContainerExit& exit) {
  entry.info.status.exit = exit;
  entry.info.status.state = ContainerStatus::State::exited;
  entry.info.status.pid = 0;
  const auto saved = save_info(workshop_, entry.info);
  if (!saved.ok())
    log::warning("container state not saved", {{"container", entry.info.status.id}, {"error", saved.error()}});
  to_report_.push_back(entry.info.status);
  changed_.notify_all();
}

// A monitor ends after it wrote the exit file. One that was killed leaves a container without log and without anybody
// to tell its end: such a container is ended too, so that whoever owns it starts a whole one.
void Containers::Impl::monitor_ended(std::uint64_t key) {
  std::string id;
  {
    const std::lock_guard lock(mutex_);
    const auto it =
        std::find_if(entries_.begin(), entries_.end(), [key](const auto& e) { return e.second.key == key; });
    if (it == entries_.end()) return;
    id = it->first;
    it->second.monitor.reset();  // closing takes it out of the epoll set
  }
  if (check_exit_file(id)) return;
  std::string cgroup;
  {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(id);
    if (it == entries_.end() || it->second.removing) return;
    cgroup = it->second.info.status.cgroup;
  }
  log::warning("the monitor of a container was killed; ending the container", {{"container", id}});
  Cgroup(cgroup).kill_all();
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(id);
  if (it == entries_.end() || it->second.info.status.exit) return;
  const bool oom = Cgroup(cgroup).oom_kills() > 0;
  set_exit(it->second, {.code = 137, .oom_killed = oom, .lost = true, .finished = system_clock().now()});
}

void Containers::Impl::report_exits() {
  std::vector<ContainerStatus> ended;
  {
    const std::lock_guard lock(mutex_);
    ended.swap(to_report_);
  }
  for (const auto& status : ended) on_exit_(status);
}

void Containers::Impl::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(wake_.get(), &one, sizeof one);
}

void Containers::Impl::watch_monitor(Entry& entry, UniqueFd monitor) {
  entry.key = next_key_++;
  entry.monitor = std::move(monitor);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = entry.key}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, entry.monitor.get(), &event);
}

// --- open

Result<void> Containers::Impl::start_loop() {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!epoll_ || !wake_ || !inotify_) return errno_error("make the container loop");
  if (::inotify_add_watch(inotify_.get(), workshop_.exits().c_str(), IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
    return errno_error("watch " + workshop_.exits());
  }
  epoll_event wake_event{.events = EPOLLIN, .data = {.u64 = kWakeKey}},
      exits_event{.events = EPOLLIN, .data = {.u64 = kExitsKey}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &wake_event);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, inotify_.get(), &exits_event);
  return {};
}

// What a former process of this instance left: containers that ran are taken up again, halves and build steps are taken
// away.
Result<void> Containers::Impl::take_up(const std::string& id) {
  auto info = load_info(workshop_, id);
  if (!info.ok() || info->once || (info->pid_start == 0 && !info->status.exit)) {
    const std::string cgroup = info.ok() ? info->status.cgroup : "";
    return wipe(workshop_, id, cgroup);
  }
  const bool reported = info->status.exit.has_value();
  Entry entry;
  entry.info = *info;
  const UniqueFd alive = open_process(info->status.pid, info->pid_start);
  UniqueFd monitor;
  if (const auto pid = read_pid(workshop_.bundle(id) + "/monitor.pid")) monitor = open_process(*pid);
  {
    const std::lock_guard lock(mutex_);
    Entry& kept = entries_[id] = std::move(entry);
    if (!reported && monitor) watch_monitor(kept, std::move(monitor));
    if (reported) to_report_.push_back(kept.info.status);
  }
  if (reported || check_exit_file(id)) return {};
  const std::lock_guard lock(mutex_);
  Entry& kept = entries_[id];
  if (!kept.monitor && !kept.info.status.exit) {  // no monitor, no exit file: a reboot, or both were killed
    if (alive) Cgroup(kept.info.status.cgroup).kill_all();
    set_exit(kept, {.code = 137, .oom_killed = false, .lost = true, .finished = system_clock().now()});
  }
  return {};
}

Result<std::unique_ptr<Containers>> Containers::open(ContainersOptions options,
                                                     std::function<void(const ContainerStatus&)> on_exit) {
  auto impl = std::make_shared<Impl>();
  impl->workshop_.runc = TRY(program(options.runc));
  impl->workshop_.conmon = TRY(program(options.conmon));
  impl->workshop_.state_root = options.state_root;
  impl->workshop_.cgroup_root = options.cgroup_root;
  impl->on_exit_ = std::move(on_exit);
  for (const char* part : {"/c", "/exits", "/runc"}) TRY(make_dirs(options.state_root + part, 0700));
  TRY(impl->start_loop());
  const auto ids = TRY(list_dir(options.state_root + "/c"));
  for (const auto& id : ids) {
    const auto taken = impl->take_up(id);
    if (!taken.ok())
      log::warning("container of a former run not taken up", {{"container", id}, {"error", taken.error()}});
  }
  impl->thread_ = std::thread([raw = impl.get()] { raw->loop(); });
  impl->wake();
  return std::unique_ptr<Containers>(new Containers(std::move(impl)));
}

Containers::Containers(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Containers::~Containers() {
  impl_->stopping_ = true;
  impl_->wake();
  impl_->thread_.join();
}

// --- one container

Result<ContainerStatus> Containers::create(const ContainerSpec& spec) {
  Impl& impl = *impl_;
  TRY(make_bundle(impl.workshop_, spec));
  BundleInfo info;
  info.status.id = spec.id;
  info.status.created = system_clock().now();
  info.status.log_path = spec.log_path;
  info.status.cgroup = impl.workshop_.cgroups_path(spec);
  info.status.labels = spec.labels;
  const auto abandon = [&](Error error) -> Error {
    const auto wiped = wipe(impl.workshop_, spec.id, info.status.cgroup);
    if (!wiped.ok())
      log::warning("half made container not taken away", {{"container", spec.id}, {"error", wiped.error()}});
    return error;
  };
  TRY(save_info(impl.workshop_, info));  // first, so that a crash in between leaves the cgroup's name
  if (!spec.log_path.empty()) TRY(make_dirs(path_dir(spec.log_path)));
  auto pid = create_with_monitor(impl.workshop_, spec);
  if (!pid.ok()) return abandon(std::move(pid).error());
  info.status.pid = *pid;
  info.pid_start = process_start_time(*pid);
  const auto monitor_pid = read_pid(impl.workshop_.bundle(spec.id) + "/monitor.pid");
  UniqueFd monitor = open_process(monitor_pid.value_or(0));
  if (info.pid_start == 0 || !monitor)
    return abandon({ErrorCode::unavailable, "container " + spec.id + " ended before it was started"});
  auto saved = save_info(impl.workshop_, info);
  if (!saved.ok()) return abandon(std::move(saved).error());
  const std::lock_guard lock(impl.mutex_);
  auto& entry = impl.entries_[spec.id];
  entry.info = info;
  impl.watch_monitor(entry, std::move(monitor));
  return info.status;
}

Result<void> Containers::start(const std::string& id) {
  Impl& impl = *impl_;
  if (!find(id)) return Error{ErrorCode::not_found, "no container " + id};
  const Time before = system_clock().now();
  const Exit started =
      TRY(run({.args = impl.workshop_.runc_args({"start", id}), .env = runc_environment(), .time_max = kStartMax}));
  if (!started.ok()) return Error{ErrorCode::invalid, runc_words(started.err)};
  const std::lock_guard lock(impl.mutex_);
  const auto it = impl.entries_.find(id);
  if (it == impl.entries_.end()) return {};
  it->second.info.status.started = before;
  if (!it->second.info.status.exit) it->second.info.status.state = ContainerStatus::State::running;
  return save_info(impl.workshop_, it->second.info);
}

Result<void> Containers::signal(const std::string& id, int number) {
  pid_t pid = 0;
  std::uint64_t start = 0;
  {
    const std::lock_guard lock(impl_->mutex_);
    const auto it = impl_->entries_.find(id);
    if (it == impl_->entries_.end() || it->second.info.status.exit) return {};
    pid = it->second.info.status.pid;
    start = it->second.info.pid_start;
  }
  const UniqueFd process = open_process(pid, start);
  if (!process) return {};
  if (::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) != 0 && errno != ESRCH) {
    return errno_error("signal container " + id);
  }
  return {};
}

Result<void> Containers::kill(const std::string& id) {
  const auto status = find(id);
  if (!status) return {};
  const int left = Cgroup(status->cgroup).kill_all();
  if (left > 0)
    return Error{ErrorCode::unavailable, std::to_string(left) + " processes of container " + id + " do not end"};
  return {};
}

Result<void> Containers::remove(const std::string& id) {
  std::string cgroup;
  {
    const std::lock_guard lock(impl_->mutex_);
    const auto it = impl_->entries_.find(id);
    if (it == impl_->entries_.end()) return {};
    it->second.removing = true;
    cgroup = it->second.info.status.cgroup;
  }
  TRY(wipe(impl_->workshop_, id, cgroup));
  const std::lock_guard lock(impl_->mutex_);
  impl_->entries_.erase(id);
  impl_->changed_.notify_all();
  return {};
}

Result<void> Containers::update(const std::string& id, const CgroupLimits& limits) {
  std::vector<std::string> args = {"update"};
  const auto add = [&args](const char* flag, std::int64_t value) {
    if (value > 0) args.insert(args.end(), {flag, std::to_string(value)});
  };
  add("--memory", limits.memory_bytes_max);
  add("--memory-swap", limits.memory_bytes_max);
  add("--cpu-share", limits.cpu_shares);
  add("--cpu-quota", limits.cpu_quota_us);
  if (limits.cpu_quota_us > 0) add("--cpu-period", limits.cpu_period_us);
  add("--pids-limit", limits.pids_max);
  args.push_back(id);
  const Exit updated = TRY(run({.args = impl_->workshop_.runc_args(std::move(args)), .time_max = kStartMax}));
  if (!updated.ok()) return Error{ErrorCode::invalid, runc_words(updated.err)};
  return {};
}

std::optional<ContainerStatus> Containers::find(const std::string& id) const {
  const std::lock_guard lock(impl_->mutex_);
  const auto it = impl_->entries_.find(id);
  if (it == impl_->entries_.end()) return std::nullopt;
  return it->second.info.status;
}

std::vector<ContainerStatus> Containers::list() const {
  const std::lock_guard lock(impl_->mutex_);
  std::vector<ContainerStatus> all;
  for (const auto& [id, entry] : impl_->entries_) all.push_back(entry.info.status);
  return all;
}

Result<ContainerExit> Containers::wait(const std::string& id, Duration time_max) const {
  std::unique_lock lock(impl_->mutex_);
  const auto over = [&] {
    const auto it = impl_->entries_.find(id);
    return it == impl_->entries_.end() || it->second.info.status.exit.has_value();
  };
  if (!impl_->changed_.wait_for(lock, time_max, over)) return Error{ErrorCode::timeout, "container " + id + " goes on"};
  const auto it = impl_->entries_.find(id);
  if (it == impl_->entries_.end()) return Error{ErrorCode::not_found, "no container " + id};
  return *it->second.info.status.exit;
}

Result<void> Containers::reopen_log(const std::string& id) {
  const UniqueFd control(::open((impl_->workshop_.bundle(id) + "/ctl").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!control) {
    if (errno == ENXIO || errno == ENOENT) return {};  // the monitor has ended: nobody writes the log
    return errno_error("reach the monitor of container " + id);
  }
  return write_all(control.get(), "2 0 0\n");
}

}  // namespace caisson::container
