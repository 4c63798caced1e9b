// SPDX-License-Identifier: Apache-2.0
// Another process in a container, and connections to its own streams. runc exec stays in the foreground and carries the
// streams and the exit code; with a terminal it gets a pseudo terminal as its controlling one, so that a new size
// reaches it as SIGWINCH.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "artifact/container/containers_impl.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::container {
namespace {

constexpr std::size_t kPacketBytes = 8192;  // conmon's own buffer

void set_nonblocking(int fd) {
  if (fd >= 0) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

class RuncExec final : public ExecProcess {
 public:
  RuncExec(Process process, UniqueFd master, std::string directory)
      : process_(std::move(process)), master_(std::move(master)), directory_(std::move(directory)) {
    exit_.reset(static_cast<int>(::syscall(SYS_pidfd_open, process_.pid(), 0)));
    for (const int fd : {master_.get(), process_.in(), process_.out(), process_.err()}) set_nonblocking(fd);
  }
  ~RuncExec() override {
    kill();
    const auto removed = remove_tree(directory_);
    if (!removed.ok()) log::warning("exec directory not removed", {{"error", removed.error()}});
  }

  int in() const override { return master_ ? master_.get() : process_.in(); }
  int out() const override { return master_ ? master_.get() : process_.out(); }
  int err() const override { return master_ ? -1 : process_.err(); }
  void close_in() override {
    if (!master_) process_.close_in();
  }
  void resize(int rows, int columns) override {
    if (!master_) return;
    winsize size{static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  int exit_fd() const override { return exit_.get(); }
  Result<int> wait(Duration time_max) override { return process_.wait(time_max); }

 private:
  // runc can't hand SIGKILL on, so the process itself is killed; runc ends after it.
  void kill() {
    if (process_.poll()) return;
    if (const auto pid = read_pid(directory_ + "/pid")) ::kill(*pid, SIGKILL);
  }

  Process process_;
  UniqueFd master_, exit_;
  std::string directory_;
};

class ConmonAttachment final : public Attachment {
 public:
  ConmonAttachment(UniqueFd socket, std::string bundle) : socket_(std::move(socket)), bundle_(std::move(bundle)) {}

  int fd() const override { return socket_.get(); }

  Result<std::optional<Piece>> read() override {
    char buffer[kPacketBytes + 1];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Error{ErrorCode::timeout, "again"};
    if (got < 0 && errno != ECONNRESET) return errno_error("read from the container");
    if (got <= 0) return std::optional<Piece>();
    // conmon's numbers: 1 stdin, 2 stdout, 3 stderr.
    return std::optional<Piece>(
        Piece{buffer[0] == 3 ? 2 : 1, std::string(buffer + 1, static_cast<std::size_t>(got - 1))});
  }

  Result<std::size_t> write(std::string_view data) override {
    std::size_t taken = 0;
    while (taken < data.size()) {
      const std::string_view piece = data.substr(taken, kPacketBytes);
      if (::send(socket_.get(), piece.data(), piece.size(), MSG_NOSIGNAL) >= 0) {
        taken += piece.size();
      } else if (errno == EAGAIN) {
        break;
      } else if (errno != EINTR) {
        return errno_error("write to the container");
      }
    }
    return taken;
  }

  // An empty packet is the end, for conmon.
  Result<bool> close_in() override {
    while (::send(socket_.get(), "", 0, MSG_NOSIGNAL) < 0) {
      if (errno == EAGAIN) return false;
      if (errno != EINTR) return errno_error("end the input of the container");
    }
    return true;
  }

  void resize(int rows, int columns) override {
    const UniqueFd control(::open((bundle_ + "/winsz").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (!control) return;
    const auto written = write_all(control.get(), std::to_string(rows) + " " + std::to_string(columns) + "\n");
    static_cast<void>(written);  // the size is a courtesy
  }

 private:
  UniqueFd socket_;
  std::string bundle_;
};

// Socket paths have 108 characters at most; a directory's descriptor makes any path short.
Result<UniqueFd> connect_to(const std::string& directory, const std::string& name) {
  const UniqueFd dir(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return errno_error("open " + directory);
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error("open a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(dir.get()) + "/" + name;
  std::memcpy(address.sun_path, path.c_str(), std::min(path.size() + 1, sizeof address.sun_path - 1));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return errno_error("reach the monitor in " + directory);
  }
  set_nonblocking(socket.get());
  return socket;
}

}  // namespace

Result<std::unique_ptr<ExecProcess>> Containers::exec(const std::string& id, const ExecSpec& exec) {
  const auto status = find(id);
  if (!status) return Error{ErrorCode::not_found, "no container " + id};
  if (status->state != ContainerStatus::State::running)
    return Error{ErrorCode::bad_request, "container " + id + " is not running"};
  if (exec.args.empty()) return Error{ErrorCode::bad_request, "exec needs a command"};
  const std::string bundle = impl_->workshop_.bundle(id);
  const Value config = TRY(json::parse(TRY(read_file(bundle + "/config.json"))));
  const std::string directory = bundle + "/exec-" + random_name_suffix(10);
  TRY(make_dirs(directory, 0700));
  TRY(write_file_unsynced(directory + "/process.json", json::write(exec_process(config, exec)), 0600));
  Command command;
  command.args = impl_->workshop_.runc_args(
      {"exec", "--process", directory + "/process.json", "--pid-file", directory + "/pid", id});
  if (!exec.terminal) {
    Process process =
        TRY(Process::start(command, {.in = Process::Io::pipe, .out = Process::Io::pipe, .err = Process::Io::pipe}));
    return std::unique_ptr<ExecProcess>(std::make_unique<RuncExec>(std::move(process), UniqueFd(), directory));
  }
  int master = -1, slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return errno_error("open a terminal");
  UniqueFd ours(master);
  const UniqueFd theirs(slave);
  ::fcntl(master, F_SETFD, FD_CLOEXEC);
  ::fcntl(slave, F_SETFD, FD_CLOEXEC);
  command.fds = {{slave, 0}, {slave, 1}, {slave, 2}};
  command.controlling_terminal = true;
  Process process = TRY(Process::start(command, {}));
  return std::unique_ptr<ExecProcess>(std::make_unique<RuncExec>(std::move(process), std::move(ours), directory));
}

Result<Containers::ExecResult> Containers::exec_run(const std::string& id, const ExecSpec& spec, Duration time_max,
                                                    std::size_t output_bytes_max) {
  std::unique_ptr<ExecProcess> process = TRY(exec(id, spec));
  process->close_in();
  ExecResult result{0, {}};
  const Duration end = system_clock().monotonic() + time_max;
  pollfd fds[2] = {{process->out(), POLLIN, 0}, {process->err(), POLLIN, 0}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - system_clock().monotonic()).count();
    if (left <= 0) return Error{ErrorCode::timeout, "the command did not end within " + format_duration(time_max)};
    if (::poll(fds, 2, static_cast<int>(left)) < 0 && errno != EINTR) return errno_error("poll");
    for (auto& one : fds) {
      if (one.fd < 0 || one.revents == 0) continue;
      char buffer[4096];
      const ssize_t got = ::read(one.fd, buffer, sizeof buffer);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) one.fd = -1;
      const std::size_t room = output_bytes_max - result.output.size();
      if (got > 0) result.output.append(buffer, std::min(room, static_cast<std::size_t>(got)));
    }
  }
  const Duration left = end - system_clock().monotonic();
  result.code = TRY(process->wait(left.count() > 0 ? left : Duration(1)));
  return result;
}

Result<std::unique_ptr<Attachment>> Containers::attach(const std::string& id) {
  const auto status = find(id);
  if (!status) return Error{ErrorCode::not_found, "no container " + id};
  if (status->exit) return Error{ErrorCode::bad_request, "container " + id + " has ended"};
  const std::string bundle = impl_->workshop_.bundle(id);
  UniqueFd socket = TRY(connect_to(bundle, "attach"));
  return std::unique_ptr<Attachment>(std::make_unique<ConmonAttachment>(std::move(socket), bundle));
}

}  // namespace caisson::container
