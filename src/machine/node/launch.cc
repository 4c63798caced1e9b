// SPDX-License-Identifier: Apache-2.0
#include "machine/node/launch.h"

#include <algorithm>

#include "artifact/container/capabilities.h"
#include "artifact/container/seccomp.h"
#include "cluster/kube/quantity.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "machine/node/plan.h"

namespace caisson::node {
namespace {

constexpr std::int64_t kSharesMin = 2, kSharesPerCpu = 1024, kPeriodUs = 100'000, kQuotaMinUs = 1'000;
constexpr std::int64_t kPidsMax = 4096;

// The container's security context wins over the pod's, field by field.
const Value& security(const kube::Object& pod, const Value& container, std::string_view field) {
  const Value& own = container["securityContext"][field];
  return own.is_null() ? pod.spec()["securityContext"][field] : own;
}

std::int64_t milli(const Value& quantity) {
  const std::string text = quantity.scalar_text();
  if (text.empty()) return 0;
  const auto parsed = kube::parse_quantity_milli(text);
  return parsed.ok() ? *parsed : 0;
}

std::int64_t whole(const Value& quantity) {
  const std::string text = quantity.scalar_text();
  if (text.empty()) return 0;
  const auto parsed = kube::parse_quantity(text);
  return parsed.ok() ? *parsed : 0;
}

std::vector<std::string> strings(const Value& list) {
  std::vector<std::string> out;
  for (const auto& item : list.items()) out.push_back(item.str());
  return out;
}

void append(std::vector<std::string>& to, std::vector<std::string> more) {
  to.insert(to.end(), more.begin(), more.end());
}

Result<Value> seccomp_of(const LaunchInput& in, const std::vector<std::string>& capabilities) {
  const Value& profile = security(*in.pod, *in.container, "seccompProfile");
  const std::string_view type = profile["type"].as_string("RuntimeDefault");
  if (type == "Unconfined") return Value();
  if (type == "RuntimeDefault") return container::default_seccomp(capabilities);
  const std::string name = profile["localhostProfile"].str();
  const std::string path = path_join(in.seccomp_directory, TRY(safe_path(name)));
  const auto text = read_file(path);
  if (!text.ok()) return Error{ErrorCode::invalid, "seccomp profile " + name + ": put it at " + path + " on the node"};
  return container::seccomp_from_profile(TRY(json::parse(*text)), capabilities);
}

// In a user namespace there are the ids up to 65535.
Result<void> check_user(const container::User& user) {
  std::vector<std::uint32_t> ids = user.additional_gids;
  ids.insert(ids.end(), {user.uid, user.gid});
  for (const std::uint32_t id : ids)
    if (id >= container::kUserRange)
      return Error{ErrorCode::invalid,
                   "user or group " + std::to_string(id) + " is not in the pod's user namespace, which has 0 to " +
                       std::to_string(container::kUserRange - 1) + ": choose another, or hostUsers: true"};
  return {};
}

}  // namespace

std::string user_text(const kube::Object& pod, const Value& container, const content::ImageConfig& image) {
  const Value& user = security(pod, container, "runAsUser");
  const Value& group = security(pod, container, "runAsGroup");
  std::string text = user.is_int() ? user.scalar_text() : image.user;
  if (!group.is_int()) return text;
  return text.substr(0, text.find(':')) + ":" + group.scalar_text();
}

Result<container::User> effective_user(const kube::Object& pod, const Value& container, container::User user,
                                       std::string_view text) {
  if (security(pod, container, "runAsNonRoot").as_bool() && user.uid == 0) {
    const bool by_name = !text.empty() && !parse_int(text.substr(0, text.find(':')));
    return Error{ErrorCode::invalid,
                 std::string("container has runAsNonRoot and ") +
                     (by_name ? "its user is root" : "image will run as root") +
                     "; set securityContext.runAsUser to a number other than 0, or USER in the image"};
  }
  const auto add = [&user](const Value& group) {
    const auto gid = static_cast<std::uint32_t>(group.as_int());
    auto& groups = user.additional_gids;
    if (group.is_int() && std::find(groups.begin(), groups.end(), gid) == groups.end()) groups.push_back(gid);
  };
  for (const auto& group : pod.spec()["securityContext"]["supplementalGroups"].items()) add(group);
  add(pod.spec()["securityContext"]["fsGroup"]);
  // As containerd has it: what a file denies its group it must deny a process of that group, too (CVE-2023-25173).
  auto& groups = user.additional_gids;
  if (std::find(groups.begin(), groups.end(), user.gid) == groups.end()) groups.insert(groups.begin(), user.gid);
  return user;
}

std::vector<std::string> command_of(const Value& container, const content::ImageConfig& image, const Env& env) {
  std::vector<std::string> command = strings(container["command"]), args = strings(container["args"]);
  for (auto* list : {&command, &args}) {
    for (auto& text : *list) text = expand(text, env);
  }
  std::vector<std::string> out;
  if (!command.empty()) {
    append(out, command);
    append(out, args);
    return out;
  }
  append(out, image.entrypoint);
  append(out, args.empty() ? image.cmd : args);
  return out;
}

container::CgroupLimits limits_of(const Value& container) {
  const Value& requests = container["resources"]["requests"];
  const Value& limits = container["resources"]["limits"];
  container::CgroupLimits out;
  const std::int64_t request = milli(requests["cpu"]), limit = milli(limits["cpu"]);
  const std::int64_t basis = requests["cpu"].is_null() ? limit : request;
  out.cpu_shares = std::max(kSharesMin, basis * kSharesPerCpu / 1000);
  if (limit > 0) {
    out.cpu_period_us = kPeriodUs;
    out.cpu_quota_us = std::max(kQuotaMinUs, limit * kPeriodUs / 1000);
  }
  out.memory_bytes_max = whole(limits["memory"]);
  out.pids_max = kPidsMax;
  return out;
}

container::CgroupLimits pod_limits(const kube::Object& pod) {
  container::CgroupLimits sum;
  bool all_memory = true, all_cpu = true;
  for (const auto& one : pod.spec()["containers"].items()) {
    const container::CgroupLimits limits = limits_of(one);
    sum.cpu_shares += limits.cpu_shares;
    sum.cpu_quota_us += limits.cpu_quota_us;
    sum.memory_bytes_max += limits.memory_bytes_max;
    all_memory = all_memory && limits.memory_bytes_max > 0;
    all_cpu = all_cpu && limits.cpu_quota_us > 0;
  }
  for (const auto& one : pod.spec()["initContainers"].items()) {
    const container::CgroupLimits limits = limits_of(one);
    all_memory = all_memory && limits.memory_bytes_max > 0;
    all_cpu = all_cpu && limits.cpu_quota_us > 0;
    if (is_sidecar(one)) {
      sum.memory_bytes_max += limits.memory_bytes_max, sum.cpu_quota_us += limits.cpu_quota_us;
    } else {
      sum.memory_bytes_max = std::max(sum.memory_bytes_max, limits.memory_bytes_max);
      sum.cpu_quota_us = std::max(sum.cpu_quota_us, limits.cpu_quota_us);
    }
  }
  const Value& overhead = pod.spec()["overhead"];  // of its RuntimeClass
  sum.memory_bytes_max += whole(overhead["memory"]);
  if (const std::int64_t cpu = milli(overhead["cpu"]); cpu > 0) {
    sum.cpu_quota_us += cpu * kPeriodUs / 1000;
    sum.cpu_shares += cpu * kSharesPerCpu / 1000;
  }
  if (!all_memory) sum.memory_bytes_max = 0;
  if (!all_cpu) sum.cpu_quota_us = 0;
  return sum;
}

std::int64_t oom_score_adj(const kube::Object& pod, const Value& container, std::int64_t node_memory_bytes) {
  if (pod.spec()["priorityClassName"].as_string() == "system-node-critical") return -997;
  const std::string qos = qos_class(pod);
  if (qos == "Guaranteed") return -997;
  if (qos == "BestEffort" || node_memory_bytes <= 0) return 1000;
  const std::int64_t request = whole(container["resources"]["requests"]["memory"]);
  return std::clamp<std::int64_t>(1000 - 1000 * request / node_memory_bytes, 3, 999);
}

Result<container::ContainerSpec> container_spec(const LaunchInput& in) {
  const kube::Object& pod = *in.pod;
  const Value& container = *in.container;
  const Value& own = container["securityContext"];
  container::ContainerSpec spec;
  spec.id = in.id;
  spec.root = in.root;
  spec.log_path = in.log_path;
  spec.read_only_root = own["readOnlyRootFilesystem"].as_bool();
  spec.args = command_of(container, *in.image, in.env);
  if (spec.args.empty())
    return Error{ErrorCode::invalid, "no command specified: neither the image nor the container names one"};
  spec.env = in.env;
  spec.cwd = container["workingDir"].str();
  if (spec.cwd.empty()) spec.cwd = in.image->working_dir.empty() ? "/" : in.image->working_dir;
  spec.user = in.user;
  if (in.user_ids) TRY(check_user(in.user));
  spec.terminal = container["tty"].as_bool();
  spec.keep_stdin = container["stdin"].as_bool();
  spec.stdin_once = container["stdinOnce"].as_bool();
  spec.mounts = in.mounts;
  spec.namespaces = {.network = in.sandbox.network,
                     .ipc = in.sandbox.ipc,
                     .uts = in.sandbox.uts,
                     .pid = in.pid_namespace,
                     .user = in.sandbox.user,
                     .ids = in.user_ids,
                     .host_network = in.sandbox.network.empty(),
                     .host_ipc = in.sandbox.ipc.empty(),
                     .host_uts = in.sandbox.uts.empty(),
                     .host_pid = pod.spec()["hostPID"].as_bool()};
  spec.privileged = own["privileged"].as_bool();
  // Stricter than Kubernetes' default: only a container that asks for it may gain privileges (setuid programs, file
  // capabilities).
  spec.no_new_privileges = !own["allowPrivilegeEscalation"].as_bool(false);
  spec.capabilities = TRY(container::resolve_capabilities(
      container::default_capabilities(), strings(own["capabilities"]["add"]), strings(own["capabilities"]["drop"])));
  spec.seccomp = TRY(seccomp_of(in, spec.capabilities));
  spec.cgroup = "pod" + pod.uid() + "/" + in.id;
  spec.limits = limits_of(container);
  spec.oom_score_adj = oom_score_adj(pod, container, in.memory_bytes);
  spec.labels = {
      {"pod", pod.uid()}, {"namespace", pod.ns()}, {"name", pod.name()}, {"container", container["name"].str()}};
  return spec;
}

std::string hostname_of(const kube::Object& pod) {
  std::string name = pod.spec()["hostname"].str();
  if (name.empty()) name = pod.name();
  name = name.substr(0, 63);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

std::string hosts_file(const kube::Object& pod, const std::string& ip, const std::string& hostname) {
  std::string out =
      "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
  const std::string subdomain = pod.spec()["subdomain"].str();
  if (!ip.empty()) {
    out += ip + "\t";
    if (!subdomain.empty()) out += hostname + "." + subdomain + "." + pod.ns() + ".svc.cluster.local\t";
    out += hostname + "\n";
  }
  for (const auto& alias : pod.spec()["hostAliases"].items()) {
    out += alias["ip"].str();
    for (const auto& name : alias["hostnames"].items()) out += "\t" + name.str();
    out += "\n";
  }
  return out;
}

std::string resolv_conf(const kube::Object& pod, const std::string& cluster_dns, const std::string& domain,
                        const std::string& host) {
  std::vector<std::string> servers, search, options;
  for (const auto line : split(host, '\n')) {
    std::vector<std::string> words;
    for (const auto word : split(line, ' ')) {
      if (!trim(word).empty()) words.emplace_back(trim(word));
    }
    if (words.size() < 2) continue;
    if (words[0] == "nameserver") servers.push_back(words[1]);
    if (words[0] == "search") search.assign(words.begin() + 1, words.end());
    if (words[0] == "options") options.assign(words.begin() + 1, words.end());
  }
  const std::string policy(pod.spec()["dnsPolicy"].as_string("ClusterFirst"));
  const bool host_network = pod.spec()["hostNetwork"].as_bool();
  if (policy == "None") {
    servers.clear(), search.clear(), options.clear();
  } else if (policy == "ClusterFirstWithHostNet" || (policy == "ClusterFirst" && !host_network)) {
    servers = {cluster_dns};
    search.insert(search.begin(), {pod.ns() + ".svc." + domain, "svc." + domain, domain});
    options = {"ndots:5"};
  }
  const Value& config = pod.spec()["dnsConfig"];
  append(servers, strings(config["nameservers"]));
  append(search, strings(config["searches"]));
  for (const auto& option : config["options"].items()) {
    const std::string name = option["name"].str(), value = option["value"].str();
    std::erase_if(options, [&name](const std::string& o) { return o == name || o.starts_with(name + ":"); });
    options.push_back(value.empty() ? name : name + ":" + value);
  }
  std::string out;
  if (!search.empty()) out += "search " + join(search, " ") + "\n";
  for (const auto& server : servers) out += "nameserver " + server + "\n";
  if (!options.empty()) out += "options " + join(options, " ") + "\n";
  return out;
}

}  // namespace caisson::node
