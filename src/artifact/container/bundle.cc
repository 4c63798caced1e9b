// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/bundle.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::container {
namespace {

constexpr Duration kCreateMax = std::chrono::seconds(60);
constexpr Duration kDeleteMax = std::chrono::seconds(30);
constexpr int kSyncFd = 3, kStartFd = 4;

struct Pipe {
  UniqueFd read, write;
  static Result<Pipe> make() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return errno_error("make a pipe");
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
};

Result<std::string> read_line(int fd, Duration time_max) {
  std::string line;
  const Duration end = system_clock().monotonic() + time_max;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - system_clock().monotonic()).count();
    pollfd one{fd, POLLIN, 0};
    if (left <= 0 || ::poll(&one, 1, static_cast<int>(left)) == 0)
      return Error{ErrorCode::timeout, "no answer from the monitor"};
    char buffer[4096];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return line;
    line.append(buffer, static_cast<std::size_t>(got));
    if (line.back() == '\n') return line;
  }
}

// The host's own device nodes, for a privileged container; terminals and what runc makes itself are left out.
void add_host_devices(const std::string& directory, int depth, std::vector<Device>& into) {
  const auto names = list_dir(directory);
  if (!names.ok() || depth > 3) return;
  for (const auto& name : *names) {
    const std::string path = path_join(directory, name);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) continue;
    const bool skipped = depth == 0 && (name == "pts" || name == "shm" || name == "mqueue" || name == "console" ||
                                        name == "ptmx" || name == "fd" || name == ".lxc" || name == "hugepages");
    if (skipped) continue;
    if (S_ISDIR(info.st_mode)) {
      add_host_devices(path, depth + 1, into);
    } else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      into.push_back({path, S_ISBLK(info.st_mode) ? 'b' : 'c', major(info.st_rdev), minor(info.st_rdev),
                      info.st_mode & 07777u, info.st_uid, info.st_gid});
    }
  }
}

Value exit_value(const ContainerExit& exit) {
  return Value{{"code", exit.code},
               {"oomKilled", exit.oom_killed},
               {"lost", exit.lost},
               {"finished", format_time_nanos(exit.finished)}};
}

}  // namespace

std::vector<std::string> Workshop::runc_args(std::vector<std::string> args) const {
  args.insert(args.begin(), {runc, "--root", state_root + "/runc"});
  return args;
}

Result<void> check_id(std::string_view id) {
  const bool fits = !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-';
  });
  if (!fits || id[0] == '.' || id[0] == '-')
    return Error{ErrorCode::bad_request, "\"" + std::string(id) + "\" is no container id"};
  return {};
}

Result<void> save_info(const Workshop& workshop, const BundleInfo& info) {
  const ContainerStatus& status = info.status;
  Value labels = Value::list();
  for (const auto& [key, value] : status.labels) labels.push_back(Value(std::vector<Value>{key, value}));
  Value out{{"id", status.id},
            {"pid", static_cast<std::int64_t>(status.pid)},
            {"pidStart", std::to_string(info.pid_start)},
            {"created", format_time_nanos(status.created)},
            {"log", status.log_path},
            {"cgroup", status.cgroup},
            {"once", info.once},
            {"labels", std::move(labels)}};
  if (status.started) out.set("started", format_time_nanos(*status.started));
  if (status.exit) out.set("exit", exit_value(*status.exit));
  // Not synced: after a power cut there is no container either.
  return write_file_unsynced(workshop.bundle(status.id) + "/info.json", json::write(out), 0600);
}

Result<BundleInfo> load_info(const Workshop& workshop, const std::string& id) {
  const Value in = TRY(json::parse(TRY(read_file(workshop.bundle(id) + "/info.json"))));
  BundleInfo info;
  ContainerStatus& status = info.status;
  status.id = id;
  status.pid = static_cast<pid_t>(in["pid"].as_int());
  info.pid_start = static_cast<std::uint64_t>(parse_int(in["pidStart"].as_string()).value_or(0));
  info.once = in["once"].as_bool();
  status.created = parse_time(in["created"].as_string()).value_or(Time{});
  status.log_path = in["log"].str();
  status.cgroup = in["cgroup"].str();
  for (const auto& pair : in["labels"].items()) status.labels.emplace_back(pair[0].str(), pair[1].str());
  if (in.contains("started")) {
    status.started = parse_time(in["started"].as_string());
    status.state = ContainerStatus::State::running;
  }
  if (const Value& exit = in["exit"]; !exit.is_null()) {
    status.state = ContainerStatus::State::exited;
    status.exit = ContainerExit{static_cast<int>(exit["code"].as_int()), exit["oomKilled"].as_bool(),
                                exit["lost"].as_bool(), parse_time(exit["finished"].as_string()).value_or(Time{})};
  }
  return info;
}

Result<void> make_bundle(const Workshop& workshop, const ContainerSpec& spec) {
  TRY(check_id(spec.id));
  if (spec.args.empty()) return Error{ErrorCode::invalid, "no command: neither the image nor the container names one"};
  const std::string bundle = workshop.bundle(spec.id);
  if (::mkdir(bundle.c_str(), 0700) != 0) {
    if (errno == EEXIST) return Error{ErrorCode::already_exists, "container " + spec.id + " is there already"};
    return errno_error("make " + bundle);
  }
  ContainerSpec full = spec;
  if (spec.privileged && spec.devices.empty()) add_host_devices("/dev", 0, full.devices);
  const Value config = runtime_config(full, workshop.cgroups_path(spec), host_limits());
  return write_file_unsynced(bundle + "/config.json", json::write(config), 0600);
}

Result<pid_t> create_with_monitor(const Workshop& workshop, const ContainerSpec& spec) {
  const std::string bundle = workshop.bundle(spec.id);
  Pipe sync = TRY(Pipe::make());
  Pipe start = TRY(Pipe::make());
  Command command;
  command.args = {workshop.conmon,
                  "--api-version",
                  "1",
                  "-b",
                  bundle,
                  "-c",
                  spec.id,
                  "-u",
                  spec.id,
                  "-n",
                  spec.id,
                  "-r",
                  workshop.runc,
                  "--runtime-arg",
                  "--root",
                  "--runtime-arg",
                  workshop.state_root + "/runc",
                  "-p",
                  bundle + "/pid",
                  "-P",
                  bundle + "/monitor.pid",
                  "-l",
                  spec.log_path.empty() ? "none" : "k8s-file:" + spec.log_path,
                  "--exit-dir",
                  workshop.exits(),
                  "--persist-dir",
                  bundle,
                  "--full-attach",
                  "--no-new-keyring",
                  "--no-sync-log"};
  command.directory = bundle;  // when memory runs out, conmon leaves a file "oom" where it stands
  if (spec.terminal) command.args.emplace_back("-t");
  if (spec.keep_stdin) command.args.emplace_back("-i");
  if (spec.keep_stdin && !spec.stdin_once) command.args.emplace_back("--leave-stdin-open");
  command.env = runc_environment();  // conmon hands it on
  command.env.insert(command.env.end(),
                     {{"_OCI_SYNCPIPE", std::to_string(kSyncFd)}, {"_OCI_STARTPIPE", std::to_string(kStartFd)}});
  command.fds = {{sync.write.get(), kSyncFd}, {start.read.get(), kStartFd}};
  // Files, not pipes: the monitor and the container inherit them and would keep a pipe open for their whole life.
  Process monitor = TRY(Process::start(command, {.err_file = bundle + "/monitor.log"}));
  sync.write.reset();
  start.read.reset();
  TRY(write_all(start.write.get(), "x"));
  start.write.reset();
  const std::string line = TRY(read_line(sync.read.get(), kCreateMax));
  static_cast<void>(TRY(monitor.wait(kCreateMax)));  // it has forked away; its own child goes on
  const auto answer = json::parse(line);
  const std::int64_t pid = answer.ok() ? (*answer)["data"].as_int((*answer)["pid"].as_int(-1)) : -1;
  if (pid > 0) return static_cast<pid_t>(pid);
  std::string words = answer.ok() ? runc_words((*answer)["message"].as_string()) : "";
  if (words.empty()) {
    const auto log = read_file(bundle + "/monitor.log");
    words = log.ok() && !log->empty() ? std::string(trim(*log)) : "the monitor ended without a word";
  }
  return Error{ErrorCode::invalid, words};
}

std::uint64_t process_start_time(pid_t pid) {
  if (pid <= 0) return 0;
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat.ok()) return 0;
  const std::size_t close = stat->rfind(')');  // the name before it may hold anything
  if (close == std::string::npos) return 0;
  const auto fields = split(std::string_view(*stat).substr(close + 2), ' ');
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return 0;
  return static_cast<std::uint64_t>(parse_int(fields[19]).value_or(0));
}

UniqueFd open_process(pid_t pid, std::uint64_t start_time) {
  UniqueFd fd(pid > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)) : -1);
  if (!fd) return {};
  const std::uint64_t now =
      process_start_time(pid);  // asked with the pidfd open: the number can't be given away meanwhile
  if (now == 0 || (start_time != 0 && now != start_time)) return {};
  return fd;
}

std::optional<pid_t> read_pid(const std::string& file) {
  const auto text = read_file(file);
  if (!text.ok()) return std::nullopt;
  const auto pid = parse_int(trim(*text));
  return pid && *pid > 0 ? std::optional<pid_t>(static_cast<pid_t>(*pid)) : std::nullopt;
}

Result<void> wipe(const Workshop& workshop, const std::string& id, const std::string& cgroup) {
  const std::string bundle = workshop.bundle(id);
  const Cgroup group(cgroup);
  if (!cgroup.empty()) group.kill_all();
  if (exists(workshop.state_root + "/runc/" + id)) {
    const Exit deleted = TRY(run(
        {.args = workshop.runc_args({"delete", "--force", id}), .env = runc_environment(), .time_max = kDeleteMax}));
    if (!deleted.ok() && exists(workshop.state_root + "/runc/" + id)) {
      return Error{ErrorCode::unavailable, "remove container " + id + ": " + runc_words(deleted.err)};
    }
  }
  if (const auto pid = read_pid(bundle + "/monitor.pid")) {
    const UniqueFd monitor = open_process(*pid);
    const auto name = read_file("/proc/" + std::to_string(*pid) + "/comm");
    if (monitor && name.ok() && trim(*name) == "conmon") {
      // With its container gone it writes the exit code and ends by itself.
      pollfd one{monitor.get(), POLLIN, 0};
      if (::poll(&one, 1, 2'000) == 0) ::syscall(SYS_pidfd_send_signal, monitor.get(), SIGKILL, nullptr, 0);
    }
  }
  if (!cgroup.empty()) TRY(group.remove());
  TRY(remove_file(workshop.exit_file(id)));
  return remove_tree(bundle);
}

std::string runc_words(std::string_view output) {
  std::string words;
  for (const auto line : split(output, '\n')) {
    const std::size_t at = line.find("msg=\"");
    if (line.find("level=error") == line.npos || at == line.npos) {
      if (at == line.npos && !trim(line).empty()) words += (words.empty() ? "" : "; ") + std::string(trim(line));
      continue;
    }
    std::string message;
    for (std::size_t i = at + 5; i < line.size() && line[i] != '"'; ++i) {
      if (line[i] == '\\' && i + 1 < line.size()) ++i;
      message += line[i];
    }
    words += (words.empty() ? "" : "; ") + message;
  }
  return replace_all(std::move(words), "\\\"", "\"");
}

}  // namespace caisson::container
