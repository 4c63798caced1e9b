// SPDX-License-Identifier: Apache-2.0
// A container that is run to its end on the calling thread, without a monitor: the RUN steps of image builds.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "artifact/container/containers_impl.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::container {
namespace {

// Hands output on up to a limit, and says once that the rest is left out.
class Output {
 public:
  explicit Output(const RunOptions& options) : options_(options), left_(options.output_bytes_max) {}
  void give(std::string_view text) {
    if (!options_.output || cut_) return;
    options_.output(text.substr(0, left_));
    if (text.size() > left_) {
      cut_ = true;
      options_.output("\n[output cut off after " + std::to_string(options_.output_bytes_max) + " bytes]\n");
    }
    left_ -= std::min(left_, text.size());
  }

 private:
  const RunOptions& options_;
  std::size_t left_;
  bool cut_ = false;
};

// The last error that runc itself logged; empty when the container's own process ended.
std::string runc_error(const std::string& log_file) {
  const auto text = read_file(log_file);
  if (!text.ok()) return {};
  std::string last;
  for (const auto line : split(*text, '\n')) {
    const auto entry = json::parse(line);
    if (entry.ok() && (*entry)["level"].as_string() == "error") last = (*entry)["msg"].str();
  }
  return last;
}

// Reads what comes until the process has ended and its pipe is empty. Gives why it must be ended before that.
std::optional<Error> stream(int pipe, int process, int stop, Duration time_max, Output& output) {
  const Duration end = system_clock().monotonic() + time_max;
  pollfd fds[3] = {{pipe, POLLIN, 0}, {process, POLLIN, 0}, {stop, POLLIN, 0}};
  for (;;) {
    int wait_ms = -1;
    if (time_max.count() > 0) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - system_clock().monotonic()).count();
      if (left <= 0) return Error{ErrorCode::timeout, "the step did not end within " + format_duration(time_max)};
      wait_ms = static_cast<int>(std::min<long long>(left, 1'000'000));
    }
    if (::poll(fds, 3, wait_ms) < 0 && errno != EINTR) return errno_error("poll");
    if (fds[2].revents) return Error{ErrorCode::unavailable, "the step was stopped"};
    char buffer[65536];
    ssize_t got = -1;
    if (fds[0].revents) got = ::read(pipe, buffer, sizeof buffer);
    if (got > 0) output.give({buffer, static_cast<std::size_t>(got)});
    if (got == 0) fds[0].fd = -1;
    if (got <= 0 && fds[1].revents) return std::nullopt;  // ended, and nothing left to read
  }
}

}  // namespace

Result<int> Containers::run_once(const ContainerSpec& spec, const RunOptions& options) {
  const Workshop& workshop = impl_->workshop_;
  TRY(make_bundle(workshop, spec));
  BundleInfo info;
  info.status.id = spec.id;
  info.status.created = system_clock().now();
  info.status.cgroup = workshop.cgroups_path(spec);
  info.once = true;
  TRY(save_info(workshop, info));
  const auto end = [&](Result<int> result) -> Result<int> {
    const auto wiped = wipe(workshop, spec.id, info.status.cgroup);
    if (!wiped.ok())
      log::warning("step's container not taken away", {{"container", spec.id}, {"error", wiped.error()}});
    return result;
  };
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return end(errno_error("make a pipe"));
  const UniqueFd ours(pipe_fds[0]);
  UniqueFd theirs(pipe_fds[1]);
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  const std::string bundle = workshop.bundle(spec.id), log_file = bundle + "/runc.log";
  Command command;
  command.args = {workshop.runc, "--root", workshop.state_root + "/runc",
                  "--log",       log_file, "--log-format",
                  "json",        "run",    "--bundle",
                  bundle,        spec.id};
  command.env = runc_environment();
  command.fds = {{theirs.get(), 1}, {theirs.get(), 2}};
  auto process = Process::start(command, {});
  theirs.reset();
  if (!process.ok()) return end(std::move(process).error());
  Process runc = std::move(process).value();
  const UniqueFd ended(static_cast<int>(::syscall(SYS_pidfd_open, runc.pid(), 0)));
  const UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ended || !stop) return end(errno_error("watch the step"));
  const std::stop_callback on_stop(options.stop, [fd = stop.get()] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t wrote = ::write(fd, &one, sizeof one);
  });
  Output output(options);
  if (auto why = stream(ours.get(), ended.get(), stop.get(), options.time_max, output)) {
    Cgroup(info.status.cgroup).kill_all();
    return end(*std::move(why));
  }
  const int code = TRY(runc.wait());
  if (code != 0) {
    const std::string words = runc_error(log_file);
    if (!words.empty()) return end(Error{ErrorCode::invalid, words});
  }
  const bool oom = code == 137 && Cgroup(info.status.cgroup).oom_kills() > 0;
  if (oom) output.give("\n[killed: out of memory]\n");
  return end(code);
}

}  // namespace caisson::container
