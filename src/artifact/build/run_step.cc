// SPDX-License-Identifier: Apache-2.0
// RUN: the command in a container over the stage's layers, with its mounts. What the mounts needed (empty files and
// folders that runc made in the root) is taken away again before the layer is committed.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "artifact/build/engine.h"
#include "artifact/build/ssh_agent.h"
#include "artifact/container/capabilities.h"
#include "artifact/container/containers.h"
#include "artifact/container/root.h"
#include "artifact/container/sandbox.h"
#include "artifact/container/seccomp.h"
#include "core/base/log.h"
#include "core/base/text.h"

namespace caisson::build {

using container::ContainerSpec;

struct Engine::RunPlan {
  std::vector<std::string> args;
  std::string shown;  // for messages: the words with blanks between
  Variables env;      // ARG and ENV
  std::vector<RunMount> mounts;
  bool network_none = false;
  std::vector<container::Mount> binds;  // filled while it runs
  std::vector<UniqueFd> locks;          // of cache mounts
  Variables secret_env;
  std::vector<SshAgent> agents;
};

namespace {

constexpr std::string_view kHostBundle = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::string_view kBundlePlaces[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};
constexpr std::string_view kBundleVariables[] = {
    "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO"};
constexpr std::string_view kProxies[][2] = {{"HTTP_PROXY", "http_proxy"},
                                            {"HTTPS_PROXY", "https_proxy"},
                                            {"FTP_PROXY", "ftp_proxy"},
                                            {"NO_PROXY", "no_proxy"},
                                            {"ALL_PROXY", "all_proxy"}};
// What runc mounts in every container.
constexpr std::string_view kSystemMounts[] = {"/proc", "/dev", "/sys"};

// Paths that are not there yet where something will be mounted.
class MountPoints {
 public:
  explicit MountPoints(std::string merged) : merged_(std::move(merged)) {}
  Result<void> expect(std::string_view target) {
    const std::string host = TRY(container::resolve_in_root(merged_, target));
    std::string path = host.substr(std::min(merged_.size(), host.size()));
    while (path.size() > 1 && !exists(merged_ + path)) {
      missing_.push_back(path);
      path = path_dir(path);
    }
    return {};
  }
  // Takes away what was made for mounts and holds nothing.
  void remove_from(const std::string& upper) {
    std::sort(missing_.begin(), missing_.end(),
              [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
    for (const std::string& path : missing_) {
      const std::string host = upper + path;
      struct stat st {};
      if (::lstat(host.c_str(), &st) != 0) continue;
      if (S_ISDIR(st.st_mode))
        ::rmdir(host.c_str());  // stays when the command put something there
      else if (S_ISREG(st.st_mode) && st.st_size == 0)
        ::unlink(host.c_str());
    }
  }

 private:
  std::string merged_;
  std::vector<std::string> missing_;
};

// Whole lines with whose they are before them, so that steps that run at once can be told apart; without a title all as
// it comes.
class LineLog {
 public:
  LineLog(std::string title, std::function<void(std::string_view)> out)
      : title_(std::move(title)), out_(std::move(out)) {}
  void write(std::string_view text) {
    if (title_.empty()) return out_(text);
    rest_ += text;
    for (std::size_t end; (end = rest_.find('\n')) != std::string::npos || rest_.size() > kLineMax;) {
      const std::size_t size = std::min(end, kLineMax);
      out_(title_ + rest_.substr(0, size) + "\n");
      rest_.erase(0, size == end ? size + 1 : size);
    }
  }
  void finish() {
    if (!rest_.empty()) out_(title_ + rest_ + "\n");
    rest_.clear();
  }

 private:
  static constexpr std::size_t kLineMax = 16u << 10;
  const std::string title_;
  const std::function<void(std::string_view)> out_;
  std::string rest_;
};

// A network namespace with a link, for as long as a step runs.
class StepLink {
 public:
  StepLink(StepNetwork* network, std::string id, std::string directory)
      : network_(network), id_(std::move(id)), directory_(std::move(directory)) {}
  ~StepLink() {
    if (directory_.empty() || !exists(directory_)) return;
    const Result<void> detached = network_->detach(id_);
    if (!detached.ok()) log::warning("step's link not taken away", {{"step", id_}, {"error", detached.error()}});
    const Result<void> removed = container::remove_sandbox(directory_);
    if (!removed.ok()) log::warning("step's network left", {{"step", id_}, {"error", removed.error()}});
  }
  StepLink(const StepLink&) = delete;
  StepLink& operator=(const StepLink&) = delete;

  Result<std::string> attach() const {
    const container::Sandbox sandbox =
        TRY(container::make_sandbox({.directory = directory_, .hostname = "build", .host_ipc = true}));
    TRY(network_->attach(id_, sandbox.network));
    return sandbox.network;
  }

 private:
  StepNetwork* const network_;
  const std::string id_, directory_;
};

std::string shown_command(const std::vector<std::string>& args) {
  return join(args, " ");
}

}  // namespace

Result<Engine::RunPlan> Engine::plan_run(const Step& step, const State& state) {
  const Instruction& i = step.instruction;
  RunPlan plan;
  std::vector<std::string> shell = state.config.shell;
  if (shell.empty()) shell = {"/bin/sh", "-c"};
  if (i.is_json) {
    plan.args = i.words;
  } else {
    std::string text = i.rest;
    const bool only_heredoc = i.heredocs.size() == 1 && text.find_first_of(" \t") == std::string::npos;
    if (only_heredoc) {
      text = i.heredocs[0].contents;
    } else {
      for (const Heredoc& heredoc : i.heredocs) text += "\n" + heredoc.raw + heredoc.name;
    }
    if (only_heredoc && text.starts_with("#!")) {
      plan.args = {"/dev/pipes/" + i.heredocs[0].name};
    } else {
      plan.args = shell;
      plan.args.push_back(text);
    }
  }
  plan.shown = shown_command(plan.args);
  plan.env = state.args;
  for (const std::string& line : state.config.env) {
    const std::size_t equals = line.find('=');
    set_variable(plan.env, line.substr(0, equals), equals == std::string::npos ? "" : line.substr(equals + 1));
  }
  for (const std::string& text : all_flags(i, "mount")) plan.mounts.push_back(TRY(parse_run_mount(text, scope(state))));
  const std::string* network = find_flag(i, "network");
  plan.network_none = network != nullptr && *network == "none";
  return plan;
}

Result<void> Engine::hash_mounts(const std::vector<RunMount>& mounts, const Step& step, content::Hasher& hasher) {
  for (const RunMount& mount : mounts) {
    if (mount.type != RunMount::Type::bind) continue;
    const std::string root = TRY(root_of(mount.from, step.stage));
    for (const Source& source : TRY(find_sources(root, mount.source, false)))
      TRY(hash_source(source, CopyRules{}, hasher));
  }
  return {};
}

Result<void> Engine::add_mount(const RunMount& mount, const Step& step, const State& state, RunPlan& plan,
                               const std::string&) {
  using Type = RunMount::Type;
  const std::string base = state.config.working_dir.empty() ? "/" : state.config.working_dir;
  const std::string target = path_clean(mount.target.starts_with("/") ? mount.target : base + "/" + mount.target);
  container::Mount out;
  out.target = target;
  if (mount.type == Type::ssh) {
    const std::string id = mount.id.empty() ? "default" : mount.id;
    const auto key = request_.ssh_keys.find(id);
    if (key == request_.ssh_keys.end()) {
      if (mount.required) return Error{ErrorCode::invalid, "no SSH key \"" + id + "\" forwarded from the client"};
      return {};
    }
    if (mount.target.empty()) out.target = "/run/buildkit/ssh_agent." + std::to_string(plan.agents.size());
    plan.agents.push_back(
        TRY(SshAgent::start(key->second, mount.uid.value_or(0), mount.gid.value_or(0), mount.mode.value_or(0600))
                .in("SSH key \"" + id + "\"")));
    out.source = plan.agents.back().socket();
    if (plan.agents.size() == 1) set_variable(plan.secret_env, "SSH_AUTH_SOCK", out.target);
  } else if (mount.type == Type::tmpfs) {
    out.type = out.source = "tmpfs";
    out.options = {"nosuid", "nodev"};
    if (mount.size_bytes > 0) out.options.push_back("size=" + std::to_string(mount.size_bytes));
  } else if (mount.type == Type::secret) {
    const auto secret = request_.secrets.find(mount.id);
    if (secret == request_.secrets.end()) {
      if (mount.required) return Error{ErrorCode::invalid, "secret " + mount.id + ": not found"};
      return {};
    }
    if (!mount.env.empty()) set_variable(plan.secret_env, mount.env, secret->second);
    if (mount.target.empty()) return {};
    out.source = new_dir("secret");
    TRY(write_file_unsynced(out.source, secret->second, 0400));
    if (::chmod(out.source.c_str(), mount.mode.value_or(0400)) != 0) return errno_error("chmod secret");
    if (::chown(out.source.c_str(), mount.uid.value_or(0), mount.gid.value_or(0)) != 0)
      return errno_error("chown secret");
    out.read_only = true;
  } else if (mount.type == Type::cache) {
    const auto sharing = mount.sharing == "locked"    ? CacheIndex::Sharing::locked
                         : mount.sharing == "private" ? CacheIndex::Sharing::exclusive
                                                      : CacheIndex::Sharing::shared;
    CacheIndex::Mount cache =
        TRY(cache_.open_mount(request_.cache_scope, mount.id.empty() ? target : mount.id, sharing));
    if (cache.is_new) {
      CopyRules rules;
      if (!mount.from.empty()) {
        const std::string root = TRY(root_of(mount.from, step.stage));
        for (const Source& source : TRY(find_sources(root, mount.source, false)))
          TRY(Copier(cache.directory, rules).copy(source, "/"));
      }
      if (::chown(cache.directory.c_str(), mount.uid.value_or(0), mount.gid.value_or(0)) != 0)
        return errno_error("chown cache");
      if (::chmod(cache.directory.c_str(), mount.mode.value_or(0755)) != 0) return errno_error("chmod cache");
    }
    out.source = cache.directory;
    out.read_only = mount.read_only;
    plan.locks.push_back(std::move(cache.lock));
  } else {
    const std::string root = TRY(root_of(mount.from, step.stage));
    const std::vector<Source> sources = TRY(find_sources(root, mount.source, false));
    out.source = sources[0].host;
    out.read_only = !mount.read_write;
    if (mount.read_write) {  // written data is thrown away
      const std::string copy = new_dir("bind");
      if (is_directory(out.source)) {
        container::RootSpec overlay;
        overlay.lowers = {out.source};
        overlay.upper = new_dir("upper");
        overlay.work = new_dir("work");
        overlay.merged = copy;
        TRY(container::mount_root(overlay));
      } else {
        CopyRules rules;
        TRY(make_dirs(copy));
        TRY(Copier(copy, rules).copy(sources[0], "/file"));
      }
      out.source = is_directory(out.source) ? copy : copy + "/file";
    }
  }
  plan.binds.push_back(std::move(out));
  return {};
}

Result<void> Engine::add_system_files(RunPlan& plan) {
  const auto bind = [&](std::string source, std::string_view target) {
    container::Mount mount;
    mount.source = std::move(source);
    mount.target = target;
    mount.read_only = true;
    plan.binds.push_back(std::move(mount));
  };
  std::string hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  for (const auto& [name, address] : request_.add_hosts) hosts += address + "\t" + name + "\n";
  const std::string hosts_file = new_dir("hosts");
  TRY(write_file_unsynced(hosts_file, hosts));
  bind(hosts_file, "/etc/hosts");
  const Result<std::string> resolv = services_.network != nullptr && !plan.network_none
                                         ? Result<std::string>(services_.network->resolv_conf())
                                         : read_file("/etc/resolv.conf", 64u << 10);
  const std::string resolv_file = new_dir("resolv.conf");
  TRY(write_file_unsynced(resolv_file, resolv.ok() ? *resolv : ""));
  bind(resolv_file, "/etc/resolv.conf");
  if (request_.trust_host_ca && exists(std::string(kHostBundle))) {
    for (const std::string_view place : kBundlePlaces) bind(std::string(kHostBundle), place);
  }
  return {};
}

Result<void> Engine::run_command(const Step& step, const State& state, RunPlan& plan, const Room& room) {
  TRY(add_system_files(plan));
  const Instruction& i = step.instruction;
  if (plan.args[0].starts_with("/dev/pipes/")) {
    const std::string script = new_dir("script");
    TRY(write_file_unsynced(script, i.heredocs[0].contents, 0755));
    if (::chmod(script.c_str(), 0755) != 0) return errno_error("chmod script");
    container::Mount mount;
    mount.source = script;
    mount.target = plan.args[0];
    mount.read_only = true;
    plan.binds.push_back(std::move(mount));
  }
  for (const RunMount& mount : plan.mounts) TRY(add_mount(mount, step, state, plan, room.merged));

  MountPoints points(room.merged);
  for (const std::string_view target : kSystemMounts) TRY(points.expect(target));
  for (const container::Mount& mount : plan.binds) TRY(points.expect(mount.target));

  ContainerSpec spec;
  spec.id = "build-" + request_.id + "-" + std::to_string(++runs_);
  spec.root = room.merged;
  spec.args = plan.args;
  spec.cwd = state.config.working_dir.empty() ? "/" : state.config.working_dir;
  Result<container::User> user = container::resolve_user(room.merged, state.config.user);
  if (!user.ok()) {
    return Error{ErrorCode::invalid,
                 "process \"" + plan.shown + "\" did not complete successfully: " + user.error().message};
  }
  spec.user = *user;
  auto& groups = spec.user.additional_gids;  // docker lists the group of the user among them
  if (std::find(groups.begin(), groups.end(), spec.user.gid) == groups.end()) groups.push_back(spec.user.gid);
  spec.env = plan.env;
  for (const auto& [name, value] : plan.secret_env) set_variable(spec.env, name, value);
  for (const auto& names : kProxies) {
    for (int given = 0; given < 2; ++given) {
      const std::string* value = find_variable(request_.build_args, names[given]);
      if (value == nullptr) continue;
      for (const std::string_view name : names) {
        if (find_variable(request_.build_args, name) == nullptr || name == names[given])
          set_variable(spec.env, name, *value);
      }
    }
  }
  if (request_.trust_host_ca && exists(std::string(kHostBundle))) {
    for (const std::string_view name : kBundleVariables) {
      if (find_variable(spec.env, name) == nullptr) set_variable(spec.env, name, kBundlePlaces[0]);
    }
  }
  spec.mounts = plan.binds;
  const StepLink link(services_.network, spec.id, new_dir("network"));
  if (plan.network_none)
    spec.namespaces.host_network = false;
  else if (services_.network == nullptr)
    spec.namespaces.host_network = true;
  else
    spec.namespaces.network = TRY(link.attach().in("the step's network"));
  spec.capabilities = container::default_capabilities();
  spec.no_new_privileges = false;  // as docker: su and sudo work in a build
  spec.seccomp = container::default_seccomp(spec.capabilities);
  spec.cgroup = "build/" + spec.id;

  container::RunOptions options;
  LineLog lines(several_ ? title_of(step) : "", [this](std::string_view text) { log(text); });
  options.output = [&lines](std::string_view text) { lines.write(text); };
  options.time_max = request_.step_time_max;
  options.stop = stop_.get_token();
  Result<int> code = services_.containers.run_once(spec, options);
  lines.finish();
  points.remove_from(room.upper);
  for (const container::Mount& mount : plan.binds) {
    if (mount.source.starts_with(work_) && mount.type == "bind") TRY(container::unmount(mount.source));
  }
  const std::string process = "process \"" + plan.shown + "\" did not complete successfully";
  if (!code.ok()) return std::move(code).error().in(process);
  if (*code != 0) return Error{ErrorCode::bad_request, process + ": exit code: " + std::to_string(*code)};
  return {};
}

Result<void> Engine::apply_run(const Step& step, State& state) {
  RunPlan plan = TRY(plan_run(step, state));
  content::Hasher key = key_of(state, "RUN");
  const auto add = [&](std::string_view text) {
    key.update(std::to_string(text.size()));
    key.update(":");
    key.update(text);
  };
  for (const std::string& arg : plan.args) add(arg);
  for (const Heredoc& heredoc : step.instruction.heredocs) add(heredoc.contents);
  for (const auto& [name, value] : plan.env) add(name + "=" + value);
  for (const std::string& mount : all_flags(step.instruction, "mount")) add(mount);
  add(state.config.user);
  add(state.config.working_dir);
  add(plan.network_none ? "none" : "host");
  for (const auto& [name, address] : request_.add_hosts) add(name + " " + address);
  TRY(hash_mounts(plan.mounts, step, key));
  return add_layer(step, state, key.finish().hex, true,
                   [&](const Room& room) { return run_command(step, state, plan, room); });
}

}  // namespace caisson::build
