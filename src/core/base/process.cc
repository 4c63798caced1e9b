// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/base/file.h"
#include "core/base/text.h"

extern char** environ;

namespace caisson {
namespace {

constexpr std::size_t kErrorTailBytes = 64u << 10;
constexpr std::string_view kKeptVariables[] = {"PATH",       "HOME",        "LANG",        "LC_ALL",
                                               "TMPDIR",     "HTTP_PROXY",  "HTTPS_PROXY", "NO_PROXY",
                                               "http_proxy", "https_proxy", "no_proxy",    "SSL_CERT_FILE"};

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> env;
  const auto set = [&env](const std::string& name, const std::string& value) {
    std::erase_if(env, [&](const std::string& line) { return line.starts_with(name + "="); });
    env.push_back(name + "=" + value);
  };
  if (!command.clear_env) {
    for (const auto name : kKeptVariables) {
      if (const char* value = std::getenv(std::string(name).c_str())) set(std::string(name), value);
    }
  }
  for (const auto& [name, value] : command.env) set(name, value);
  return env;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

struct Pipe {
  UniqueFd read, write;
  static Result<Pipe> make() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return errno_error("make a pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
};

// Everything that the child needs, made before the fork: between fork and exec only async-signal-safe calls are
// allowed.
struct Plan {
  std::string program, directory;
  std::vector<char*> argv, envp;
  int in = -1, out = -1, err = -1;
  std::vector<std::pair<int, int>> fds;
  int highest_fd = 2;
  std::optional<uid_t> uid;
  bool own_session = true;
  bool controlling_terminal = false;
};

[[noreturn]] void exec_child(const Plan& plan, int report) {
  const auto fail = [report] {
    const int number = errno;
    [[maybe_unused]] const ssize_t n = ::write(report, &number, sizeof number);
    ::_exit(127);
  };
  if (plan.own_session) ::setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  // Sources are first lifted above every wanted number, so that one does not overwrite another.
  const auto lift = [&](int fd) { return fd < 0 ? fd : ::fcntl(fd, F_DUPFD_CLOEXEC, plan.highest_fd + 1); };
  const int report_high = lift(report);
  const int sources[3] = {lift(plan.in), lift(plan.out), lift(plan.err)};
  int lifted[32];
  const std::size_t count = std::min<std::size_t>(plan.fds.size(), 32);
  for (std::size_t i = 0; i < count; ++i) lifted[i] = lift(plan.fds[i].first);
  for (int i = 0; i < 3; ++i) {
    if (sources[i] >= 0 && ::dup2(sources[i], i) < 0) fail();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (::dup2(lifted[i], plan.fds[i].second) < 0) fail();
  }
  if (plan.controlling_terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) fail();
  report = report_high;
  // What remains is marked rather than closed: the report pipe must outlive this line.
  ::syscall(SYS_close_range, plan.highest_fd + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
  for (int fd = 3; fd <= plan.highest_fd; ++fd) {
    const bool wanted = std::any_of(plan.fds.begin(), plan.fds.end(), [fd](auto pair) { return pair.second == fd; });
    if (!wanted) ::close(fd);
  }
  if (plan.uid && (::setgroups(0, nullptr) != 0 || ::setresgid(*plan.uid, *plan.uid, *plan.uid) != 0 ||
                   ::setresuid(*plan.uid, *plan.uid, *plan.uid) != 0)) {
    fail();
  }
  if (!plan.directory.empty() && ::chdir(plan.directory.c_str()) != 0) fail();
  ::execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  const int number = errno;
  [[maybe_unused]] const ssize_t n = ::write(report_high, &number, sizeof number);
  ::_exit(127);
}

Result<pid_t> spawn(Plan& plan) {
  Pipe report = TRY(Pipe::make());
  for (const auto& pair : plan.fds) plan.highest_fd = std::max(plan.highest_fd, pair.second);
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("fork");
  if (pid == 0) exec_child(plan, report.write.get());
  report.write.reset();
  int number = 0;
  ssize_t got;
  while ((got = ::read(report.read.get(), &number, sizeof number)) < 0 && errno == EINTR) {
  }
  if (got == sizeof number) {
    int status;
    ::waitpid(pid, &status, 0);
    errno = number;
    return errno_error("start " + plan.program);
  }
  return pid;
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<UniqueFd> open_io(Process::Io io, const std::string& file, bool reading, UniqueFd& ours, int inherited) {
  if (!file.empty()) {
    UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    if (!fd) return errno_error("open " + file);
    return fd;
  }
  if (io == Process::Io::inherit) return UniqueFd(::fcntl(inherited, F_DUPFD_CLOEXEC, 3));
  if (io == Process::Io::pipe) {
    Pipe pipe = TRY(Pipe::make());
    ours = std::move(reading ? pipe.write : pipe.read);
    return std::move(reading ? pipe.read : pipe.write);
  }
  UniqueFd fd(::open("/dev/null", (reading ? O_RDONLY : O_WRONLY) | O_CLOEXEC));
  if (!fd) return errno_error("open /dev/null");
  return fd;
}

// Moves bytes between the pipes of one child until both outputs ended or a limit is met.
class Pump {
 public:
  Pump(Process& process, const Command& command) : process_(process), command_(command), input_(command.input) {
    for (const int fd : {process.in(), process.out(), process.err()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
    if (input_.empty()) process.close_in();
  }

  Result<void> run(Exit& exit) {
    const Duration end = system_clock().monotonic() + command_.time_max;
    bool out_open = true, err_open = true;
    while (out_open || err_open) {
      int wait_ms = -1;
      if (command_.time_max.count() > 0) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - system_clock().monotonic()).count();
        if (left <= 0)
          return Error{ErrorCode::timeout,
                       command_.args[0] + " did not end within " + format_duration(command_.time_max)};
        wait_ms = static_cast<int>(std::min<long long>(left, 1'000'000));
      }
      pollfd fds[3] = {{out_open ? process_.out() : -1, POLLIN, 0},
                       {err_open ? process_.err() : -1, POLLIN, 0},
                       {process_.in(), POLLOUT, 0}};
      if (::poll(fds, 3, wait_ms) < 0 && errno != EINTR) return errno_error("poll");
      if (fds[0].revents) out_open = drain(process_.out(), exit.out);
      if (exit.out.size() > command_.output_bytes_max) {
        return Error{ErrorCode::too_large,
                     command_.args[0] + " wrote more than " + std::to_string(command_.output_bytes_max) + " bytes"};
      }
      if (fds[1].revents) err_open = drain(process_.err(), exit.err);
      if (exit.err.size() > 2 * kErrorTailBytes) exit.err.erase(0, exit.err.size() - kErrorTailBytes);
      if (fds[2].revents) feed();
    }
    return {};
  }

 private:
  static bool drain(int fd, std::string& into) {
    char buffer[65536];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got > 0) into.append(buffer, static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

  void feed() {
    const ssize_t wrote = ::write(process_.in(), input_.data(), input_.size());
    if (wrote > 0) input_.remove_prefix(static_cast<std::size_t>(wrote));
    if (input_.empty() || (wrote < 0 && errno != EAGAIN && errno != EINTR)) process_.close_in();
  }

  Process& process_;
  const Command& command_;
  std::string_view input_;
};

}  // namespace

struct Process::Impl {
  pid_t pid = -1;
  UniqueFd in, out, err, pidfd;
  bool group = true, detached = false;
  std::optional<int> ended;

  std::optional<int> reap(int options) {
    if (ended) return ended;
    int status = 0;
    pid_t got;
    while ((got = ::waitpid(pid, &status, options)) < 0 && errno == EINTR) {
    }
    if (got == pid) ended = exit_code_of(status);
    if (got < 0) ended = 255;  // somebody else reaped it: its code is lost
    return ended;
  }
};

Process::Process(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Process::~Process() {
  if (!impl_ || impl_->detached || impl_->ended) return;
  ::kill(impl_->group ? -impl_->pid : impl_->pid, SIGKILL);
  impl_->reap(0);
}

Result<Process> Process::start(const Command& command, const Options& options) {
  auto impl = std::make_unique<Impl>();
  Plan plan;
  plan.program = command.args[0].find('/') != std::string::npos ? command.args[0] : find_program(command.args[0]);
  if (plan.program.empty()) return Error{ErrorCode::not_found, "program '" + command.args[0] + "' is not installed"};
  std::vector<std::string> args = command.args, env = environment_of(command);
  plan.argv = pointers(args);
  plan.envp = pointers(env);
  plan.directory = command.directory;
  plan.fds = command.fds;
  plan.uid = command.uid;
  plan.own_session = impl->group = command.own_session;
  plan.controlling_terminal = command.controlling_terminal;
  const UniqueFd in = TRY(open_io(options.in, "", true, impl->in, 0));
  const UniqueFd out = TRY(open_io(options.out, options.out_file, false, impl->out, 1));
  const UniqueFd err = TRY(open_io(options.err, options.err_file, false, impl->err, 2));
  plan.in = in.get(), plan.out = out.get(), plan.err = err.get();
  impl->pid = TRY(spawn(plan));
  impl->pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, impl->pid, 0)));
  return Process(std::move(impl));
}

pid_t Process::pid() const {
  return impl_->pid;
}
int Process::in() const {
  return impl_->in.get();
}
int Process::out() const {
  return impl_->out.get();
}
int Process::err() const {
  return impl_->err.get();
}
void Process::close_in() {
  impl_->in.reset();
}
void Process::signal(int number) {
  if (!impl_->ended) ::kill(impl_->pid, number);
}
std::optional<int> Process::poll() {
  return impl_->reap(WNOHANG);
}
void Process::detach() {
  impl_->detached = true;
}

Result<int> Process::wait(Duration time_max) {
  if (time_max.count() > 0 && !impl_->ended) {
    pollfd fd{impl_->pidfd.get(), POLLIN, 0};
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(time_max).count();
    if (::poll(&fd, 1, static_cast<int>(ms)) == 0)
      return Error{ErrorCode::timeout, "the process goes on after " + format_duration(time_max)};
  }
  return *impl_->reap(0);
}

Result<Exit> run(const Command& command) {
  Process process =
      TRY(Process::start(command, {.in = Process::Io::pipe, .out = Process::Io::pipe, .err = Process::Io::pipe}));
  Exit exit;
  Pump pump(process, command);
  TRY(pump.run(exit));
  exit.code = TRY(process.wait());
  return exit;
}

Result<std::string> run_checked(const Command& command) {
  Exit exit = TRY(run(command));
  if (exit.ok()) return std::move(exit.out);
  std::string_view tail = trim(exit.err);
  if (tail.size() > 2'000) tail.remove_prefix(tail.size() - 2'000);
  return Error{ErrorCode::internal, path_base(command.args[0]) + " exited with " + std::to_string(exit.code) +
                                        (tail.empty() ? "" : ": ") + std::string(tail)};
}

std::string find_program(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::string search = std::string(path ? path : "") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const auto dir : split(search, ':')) {
    if (dir.empty()) continue;
    std::string candidate = path_join(dir, name);
    if (::access(candidate.c_str(), X_OK) == 0 && !is_directory(candidate)) return candidate;
  }
  return {};
}

}  // namespace caisson
