// SPDX-License-Identifier: Apache-2.0
#include "main/platform/up.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/http/client.h"
#include "main/platform/nodes.h"
#include "main/platform/pki.h"
#include "main/platform/service_manager.h"

namespace caisson::platform {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One of the two processes, started again when it dies: at once the first time, then with growing pauses.
class Child {
 public:
  // `node`: whose agent it is, beside the first.
  Child(std::string role, const UpOptions& options, std::optional<uid_t> uid, const std::string& node = "")
      : role_(std::move(role)), uid_(uid) {
    command_ = {.args = {options.program, role_}, .directory = "/"};
    if (!node.empty()) command_.args.insert(command_.args.end(), {"--node", node});
    command_.args.insert(command_.args.end(), {"--data-dir", options.settings.data_dir});  // last: `down` looks there
    command_.uid = uid_;
    command_.own_session = true;
    if (uid_) command_.env.emplace_back("HOME", options.settings.data_dir + "/git");
  }

  Result<void> start() {
    auto process = Process::start(command_, {.out = Process::Io::inherit, .err = Process::Io::inherit});
    if (!process.ok()) return std::move(process).error().in("start the " + role_);
    process_ = std::make_unique<Process>(std::move(process).value());
    started_ = system_clock().monotonic();
    return {};
  }

  // Looks whether it died, and starts it again when its pause is over. Gives how long to wait before the next look.
  Duration tend() {
    const Duration now = system_clock().monotonic();
    if (process_) {
      const auto code = process_->poll();
      if (!code) return seconds(3600);
      log::warning("process ended", {{"role", role_}, {"exit_code", *code}});
      process_.reset();
      pause_ = now - started_ > seconds(60) ? milliseconds(0)
                                            : std::clamp<Duration>(pause_ * 2, milliseconds(100), seconds(10));
      restart_at_ = now + pause_;
    }
    if (now < restart_at_) return restart_at_ - now;
    if (const auto started = start(); !started.ok()) {
      log::error("process did not start", {{"role", role_}, {"error", started.error()}});
      restart_at_ = now + seconds(5);
      return seconds(5);
    }
    return seconds(3600);
  }

  void stop() {
    if (!process_) return;
    process_->signal(SIGTERM);
    if (!process_->wait(seconds(8)).ok()) log::warning("process did not stop in time; killed", {{"role", role_}});
    process_.reset();
  }

  bool alive() const { return process_ != nullptr; }

 private:
  std::string role_;
  std::optional<uid_t> uid_;
  Command command_;
  std::unique_ptr<Process> process_;
  Duration started_{}, restart_at_{}, pause_{milliseconds(50)};
};

bool answers(const std::string& socket, const std::string& path) {
  if (!exists(socket)) return false;
  const http::Client client({.unix_socket = socket, .connect_time_max = seconds(1)});
  const auto response = client.send({.url = "http://unix" + path, .time_max = seconds(2)});
  return response.ok() && response->status == 200;
}

// The agents of the nodes beside the first. They begin when the first answers, which makes what they share, and each
// stays down while its mark is there.
class NodeAgents {
 public:
  NodeAgents(const UpOptions& options, const std::vector<NodePlace>& places) {
    for (const NodePlace& place : places)
      if (!place.first) all_.push_back({place, Child("agent", options, std::nullopt, place.name)});
  }

  Duration tend() {
    Duration next = seconds(3600);
    for (auto& [place, child] : all_) {
      if (exists(place.stop_mark())) {
        if (child.alive()) log::info("the agent of a node is stopped, as it was asked for", {{"node", place.name}});
        child.stop();
      } else {
        next = std::min(next, child.tend());
      }
    }
    return next;
  }

  bool ready() const {
    return std::all_of(all_.begin(), all_.end(), [](const auto& node) {
      return exists(node.first.stop_mark()) || answers(node.first.socket, "/healthz");
    });
  }

  void stop() {
    for (auto& [place, child] : all_) child.stop();
  }

 private:
  std::vector<std::pair<NodePlace, Child>> all_;
};

// Directories with the owners that docs/architecture.md names.
Result<void> prepare_directories(const Instance& instance) {
  const auto own = static_cast<uid_t>(instance.settings.server_uid);
  struct Directory {
    const char* name;
    mode_t mode;
    bool servers;
  };
  for (const Directory& d : {Directory{"run", 0771, true},
                             {"git", 0750, true},
                             {"content", 0755, true},
                             {"content/blobs", 0755, true},
                             {"content/blobs/sha256", 0755, true},
                             {"content/uploads", 0755, true},
                             {"content/tags", 0755, true},
                             {"store", 0700, true},
                             {"scan", 0750, true},
                             {"metrics", 0750, true},
                             {"audit", 0700, true},
                             {"loki", 0750, true},
                             {"logs", 0755, false},
                             {"logs/pods", 0755, false},
                             {"layers", 0711, false},
                             {"containers", 0711, false},
                             {"pods", 0711, false},
                             {"volumes", 0711, false},
                             {"builds", 0711, false},
                             {"images", 0711, false},
                             {"cache", 0755, false},
                             {"nginx", 0755, false}}) {
    const std::string path = instance.path(d.name);
    TRY(make_dirs(path, d.mode));
    if (chmod(path.c_str(), d.mode) != 0) return errno_error("chmod " + path);
    if (d.servers && chown(path.c_str(), own, own) != 0) return errno_error("chown " + path);
  }
  return {};
}

// The server runs under a user of its own, which must be able to walk to the data.
Result<void> check_reachable(const std::string& data_dir) {
  for (std::string at = path_dir(data_dir);; at = path_dir(at)) {
    struct stat info {};
    if (::stat(at.c_str(), &info) == 0 && !(info.st_mode & S_IXOTH)) {
      return Error{ErrorCode::forbidden, "the server's user can't enter " + at + ", which is above " + data_dir +
                                             ": 'chmod o+x " + at + "', or choose another place with --data-dir"};
    }
    if (at == "/" || at == ".") return {};
  }
}

Result<UniqueFd> lock_data_dir(const std::string& data_dir) {
  const std::string path = data_dir + "/run/supervisor.pid";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd) return errno_error("open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::conflict, "the platform in " + data_dir + " runs already (process " +
                                          std::to_string(running_supervisor(data_dir)) +
                                          "); see 'caisson status', or stop it with 'caisson down'"};
  }
  return fd;
}

Result<void> write_pid(int fd) {
  if (::ftruncate(fd, 0) != 0) return errno_error("write the supervisor's process id");
  return write_all(fd, std::to_string(::getpid()) + "\n");
}

int owner_uid() {
  const char* sudo = std::getenv("SUDO_UID");
  const auto uid = sudo ? parse_int(sudo) : std::nullopt;
  return static_cast<int>(uid.value_or(0));
}

// The platform runs as well when the service manager does not hear of it.
void tell_service_manager(std::string_view state) {
  if (const auto told = notify_service_manager(state); !told.ok())
    log::warning("service manager not told", {{"error", told.error()}});
}

Result<void> supervise(const UpOptions& options, const Instance& instance, int ready_fd) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD, SIGHUP}) sigaddset(&signals, number);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const UniqueFd signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  Child server("server", options, static_cast<uid_t>(instance.settings.server_uid));
  Child agent("agent", options, std::nullopt);
  const std::vector<NodePlace> places = TRY(nodes_of(instance));
  NodeAgents others(options, places);
  const std::string api = instance.path("run/api.sock");
  TRY(server.start());
  bool agent_started = false;  // it begins when the server answers, so that none of its informers has to fail first
  bool machine_ready = false;
  const Duration began = system_clock().monotonic();
  bool ready = false;
  for (;;) {
    Duration next = agent_started ? std::min(server.tend(), agent.tend()) : server.tend();
    if (!agent_started && answers(api, "/readyz")) {
      TRY(agent.start());
      agent_started = true;
    }
    machine_ready = machine_ready || (agent_started && agent_answers(places.front().socket));
    if (machine_ready) next = std::min(next, others.tend());
    if (!ready && machine_ready && answers(api, "/readyz") && others.ready()) {
      ready = true;
      const auto took = std::chrono::duration_cast<milliseconds>(system_clock().monotonic() - began);
      log::info("platform ready", {{"took_ms", took.count()}});
      if (ready_fd >= 0) TRY(write_all(ready_fd, "ready\n"));
      if (options.progress && ready_fd < 0) options.progress("ready");
      if (ready_fd < 0) tell_service_manager("READY=1");
    }
    pollfd fd{signal_fd.get(), POLLIN, 0};
    const auto wait = ready ? std::chrono::ceil<milliseconds>(next).count() : 20;
    if (::poll(&fd, 1, static_cast<int>(std::min<long long>(wait, 3'600'000))) <= 0) continue;
    signalfd_siginfo info{};
    if (::read(signal_fd.get(), &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGHUP) continue;
    if (ready_fd < 0) tell_service_manager("STOPPING=1");
    others.stop();
    agent.stop();
    server.stop();
    return {};
  }
}

// What the caller's own programs left open for us, a lock for example, would be held until `down`. Ours are all marked
// close-on-exec, so what came through an exec is known by the missing mark.
void close_inherited() {
  std::error_code error;
  std::vector<int> inherited;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int fd = static_cast<int>(parse_int(entry.path().filename().string()).value_or(-1));
    const int flags = fd > STDERR_FILENO ? ::fcntl(fd, F_GETFD) : -1;
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) inherited.push_back(fd);
  }
  for (const int fd : inherited) ::close(fd);
}

// The background half of `up --detach`: a new session whose output goes to the log, and a pipe that tells when all is
// ready.
Result<void> supervise_detached(const UpOptions& options, const Instance& instance, UniqueFd lock) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return errno_error("make a pipe");
  UniqueFd reader(fds[0]), writer(fds[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork");
  if (pid == 0) {
    ::setsid();
    close_inherited();
    const std::string path = instance.path("logs/caisson.log");
    const UniqueFd log(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!log || !null || ::dup2(null.get(), 0) < 0 || ::dup2(log.get(), 1) < 0 || ::dup2(log.get(), 2) < 0) ::_exit(1);
    auto done = write_pid(lock.get());
    if (done.ok()) done = supervise(options, instance, writer.get());
    if (!done.ok()) log::error("supervisor ended", {{"error", done.error()}});
    ::_exit(done.ok() ? 0 : 1);
  }
  writer.reset();
  pollfd fd{reader.get(), POLLIN, 0};
  char byte = 0;
  const bool told = ::poll(&fd, 1, 60'000) > 0 && ::read(reader.get(), &byte, 1) == 1;
  if (!told) {
    return Error{ErrorCode::timeout,
                 "the platform was not ready within 60 s; its log is " + instance.path("logs/caisson.log")};
  }
  return {};
}

}  // namespace

bool agent_answers(const std::string& socket) {
  return answers(socket, "/healthz");
}

int running_supervisor(const std::string& data_dir) {
  const std::string path = data_dir + "/run/supervisor.pid";
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return 0;
  if (::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return 0;  // nobody holds it
  const auto text = read_file(path);
  return text.ok() ? static_cast<int>(parse_int(trim(*text)).value_or(0)) : 0;
}

Result<void> up(const UpOptions& options) {
  if (::geteuid() != 0)
    return Error{ErrorCode::forbidden, "'caisson up' makes containers and networks and needs root: run it with sudo"};
  const int pid = running_supervisor(options.settings.data_dir);
  if (pid != 0) {
    return Error{ErrorCode::conflict, "the platform in " + options.settings.data_dir + " runs already (process " +
                                          std::to_string(pid) +
                                          "); see 'caisson status', or stop it with 'caisson down'"};
  }
  TRY(check_reachable(options.settings.data_dir));
  const Instance instance = TRY(prepare_instance(options.settings));
  TRY(check_ports_free(instance.settings));
  TRY(prepare_directories(instance));
  TRY(prepare_pki(instance, owner_uid()));
  UniqueFd lock = TRY(lock_data_dir(options.settings.data_dir));
  if (options.detach) return supervise_detached(options, instance, std::move(lock));
  TRY(write_pid(lock.get()));
  return supervise(options, instance, -1);
}

}  // namespace caisson::platform
