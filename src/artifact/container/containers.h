// SPDX-License-Identifier: Apache-2.0
// The containers of one instance, on runc with conmon as monitor. Containers are children of their monitor, not of this
// program: when this program ends or is killed they go on, and open() finds them again with what became of them
// meanwhile.
//
// State, one directory a container: <state_root>/c/<id>/{config.json, info.json, pid, monitor.pid, attach, ctl}; exit
// codes at <state_root>/exits/<id>, written by the monitor. One loop thread waits for exits (inotify, pidfd); no
// polling. Threads: every method may be called from any thread, and blocks (create about 40 ms, start 10 ms). Sources:
// conmon 2.1, runc 1.1.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "artifact/container/spec.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::container {

struct ContainersOptions {
  std::string state_root;     // "<data>/containers"; made when absent
  std::string cgroup_root;    // "/caisson-<instance id>"
  std::string runc = "runc";  // looked up in PATH
  std::string conmon = "conmon";
};

struct ContainerExit {
  int code = 0;  // exit status, or 128 + signal
  bool oom_killed = false;
  bool lost = false;  // the monitor was killed too: the code is not known (given as 137)
  Time finished{};
  bool operator==(const ContainerExit&) const = default;
};

struct ContainerStatus {
  enum class State { created, running, exited };
  std::string id;
  State state = State::created;
  pid_t pid = 0;  // in the host's namespace; 0 when ended
  Time created{};
  std::optional<Time> started;
  std::optional<ContainerExit> exit;
  std::string log_path, cgroup;  // cgroup: the absolute path
  std::vector<std::pair<std::string, std::string>> labels;
  std::string label(std::string_view key) const;
};

// Another process in a running container. Its files are non-blocking; close what is not needed. Destroying it kills the
// process.
class ExecProcess {
 public:
  virtual ~ExecProcess() = default;
  virtual int in() const = 0;  // with a terminal all three are its master side
  virtual int out() const = 0;
  virtual int err() const = 0;  // -1 with a terminal
  virtual void close_in() = 0;
  virtual void resize(int rows, int columns) = 0;
  virtual int exit_fd() const = 0;                                // a pidfd: readable when the process has ended
  virtual Result<int> wait(Duration time_max = Duration(0)) = 0;  // 0: for ever
};

// A connection to a container's standard streams. One thread at a time.
class Attachment {
 public:
  virtual ~Attachment() = default;
  virtual int fd() const = 0;  // readable when read() has something
  // What the container wrote since: stream 1 or 2; nothing at the end; unavailable "again" (ErrorCode::timeout) when
  // nothing is there yet.
  struct Piece {
    int stream;
    std::string data;
  };
  virtual Result<std::optional<Piece>> read() = 0;
  // Input for the container: how much of it was taken, perhaps nothing while the container does not read.
  virtual Result<std::size_t> write(std::string_view data) = 0;
  // No more input; the container sees it when its spec says stdin_once. False: not now, as with write.
  virtual Result<bool> close_in() = 0;
  virtual void resize(int rows, int columns) = 0;
};

struct RunOptions {
  std::function<void(std::string_view)> output;  // standard output and error as they come, on the calling thread
  Duration time_max = Duration(0);               // then everything in the cgroup is killed; 0: none
  std::size_t output_bytes_max = 256u << 20;     // more is cut off, with a line that says so
  std::stop_token stop;                          // kills everything in the cgroup
};

class Containers {
 public:
  // Re-attaches to what runs. `on_exit` is called once per container that ends from now on (and once, soon, for those
  // that ended while nobody watched), on the loop thread; it must not block. Errors: not_found when runc or conmon is
  // missing, with the package to install.
  static Result<std::unique_ptr<Containers>> open(ContainersOptions options,
                                                  std::function<void(const ContainerStatus&)> on_exit);
  ~Containers();  // leaves the containers running

  // Errors: already_exists; invalid, in runc's words, when the configuration can't be run (a command that is not in the
  // root …).
  Result<ContainerStatus> create(const ContainerSpec& spec);
  Result<void> start(const std::string& id);
  Result<void> signal(const std::string& id, int number);  // fine when it has ended
  Result<void> kill(const std::string& id);                // SIGKILL to every process of its cgroup
  // Kills what is left and takes away container, cgroup and state; the log stays. Fine when absent.
  Result<void> remove(const std::string& id);
  Result<void> update(const std::string& id, const CgroupLimits& limits);

  std::optional<ContainerStatus> find(const std::string& id) const;
  std::vector<ContainerStatus> list() const;
  // Blocks until it has ended. Errors: timeout, not_found.
  Result<ContainerExit> wait(const std::string& id, Duration time_max) const;

  Result<std::unique_ptr<ExecProcess>> exec(const std::string& id, const ExecSpec& exec);
  // Runs to the end, with standard output and error in one text of at most `output_bytes_max`. Errors: timeout (the
  // process is killed).
  struct ExecResult {
    int code;
    std::string output;
  };
  Result<ExecResult> exec_run(const std::string& id, const ExecSpec& exec, Duration time_max,
                              std::size_t output_bytes_max = 10u << 10);
  Result<std::unique_ptr<Attachment>> attach(const std::string& id);
  // The monitor opens its log file anew, after it was renamed.
  Result<void> reopen_log(const std::string& id);

  // Runs `spec` to its end without a monitor (build steps): if this program dies, the container is killed by cleanup.
  // Gives the exit code. Errors: timeout, unavailable when stopped, invalid as create.
  Result<int> run_once(const ContainerSpec& spec, const RunOptions& options);

 private:
  struct Impl;
  explicit Containers(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::container
