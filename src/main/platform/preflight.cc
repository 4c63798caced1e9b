// SPDX-License-Identifier: Apache-2.0
#include "main/platform/preflight.h"

#include <algorithm>

#include "core/base/text.h"
#include "main/platform/preflight_machine.h"

namespace caisson::platform {
namespace {

using State = Check::State;
constexpr std::uint64_t kGiB = 1ull << 30, kMiB = 1ull << 20;
constexpr std::uint64_t kDiskNeeded = 4 * kGiB, kDiskAdvised = 10 * kGiB, kMemoryAdvised = 900 * kMiB,
                        kMemoryFreeAdvised = 300 * kMiB;

Check good(std::string name, std::string found) {
  return {State::ok, std::move(name), std::move(found), ""};
}
Check warn(std::string name, std::string found, std::string advice) {
  return {State::warning, std::move(name), std::move(found), std::move(advice)};
}
Check bad(std::string name, std::string found, std::string advice) {
  return {State::failed, std::move(name), std::move(found), std::move(advice)};
}

Check judge_root(const Machine& m) {
  return m.root ? good("root", "yes")
                : warn("root", "no", "'caisson up' needs it: sudo caisson up. As root this also looks at firewalls");
}

Check judge_kernel(const Machine& m) {
  const auto parts = split(m.kernel, '.');
  const auto major = parse_int(parts[0]);
  const auto minor =
      parts.size() > 1 ? parse_int(parts[1].substr(0, parts[1].find_first_not_of("0123456789"))) : std::nullopt;
  const bool enough = major && minor && (*major > 5 || (*major == 5 && *minor >= 10));
  return enough ? good("kernel", m.kernel)
                : bad("kernel", m.kernel, "5.10 or newer is needed: install a newer kernel and reboot");
}

Check judge_cgroups(const Machine& m) {
  if (m.cgroups == Machine::Cgroups::none) {
    return bad(
        "cgroups", "not mounted",
        "mount -t cgroup2 none /sys/fs/cgroup; a container needs the host's (docker run --privileged --cgroupns=host)");
  }
  const std::string version = m.cgroups == Machine::Cgroups::v2 ? "v2" : "v1 (hybrid)";
  if (m.cgroups_read_only) {
    return bad("cgroups", version + ", mounted read-only",
               "run it on the host itself, or in a container with --privileged");
  }
  std::vector<std::string> missing;
  for (const char* wanted : {"cpu", "memory", "pids"}) {
    if (std::find(m.controllers.begin(), m.controllers.end(), wanted) == m.controllers.end())
      missing.emplace_back(wanted);
  }
  if (missing.empty()) return good("cgroups", version);
  std::string words;
  for (const auto& name : missing) words += (words.empty() ? "cgroup_enable=" : " cgroup_enable=") + name;
  return bad(
      "cgroups", version + " without " + join(missing, ", "),
      "add '" + words +
          "' to the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub) and reboot");
}

Check judge_overlay(const Machine& m) {
  return m.overlay ? good("overlayfs", "available")
                   : bad("overlayfs", "missing", "modprobe overlay; a kernel that lacks it needs CONFIG_OVERLAY_FS");
}

Check judge_programs(const Machine& m) {
  if (m.missing_packages.empty()) return good("programs", "runc, conmon, nginx with Lua, nftables, git, mmdebstrap");
  return bad("programs", "missing: " + join(m.missing_packages, ", "),
             "apt-get install --no-install-recommends " + join(m.missing_packages, " "));
}

Check judge_disk(const Machine& m) {
  if (!m.disk_free_bytes) return warn("disk", "unknown", "see 'df " + m.disk + "': 4 GiB are needed");
  const std::string found = std::to_string(*m.disk_free_bytes / kGiB) + " GiB free at " + m.disk;
  if (!m.file_system.empty()) {
    return bad("disk", m.disk + " is on " + m.file_system,
               "overlayfs can't keep layers there: choose a directory on ext4, xfs or btrfs with --data-dir");
  }
  if (m.disk_noexec)
    return bad("disk", m.disk + " is mounted noexec",
               "containers could start no program: choose another place with --data-dir, or remount it with exec");
  if (*m.disk_free_bytes < kDiskNeeded)
    return bad("disk", found, "at least 4 GiB are needed: free some, or choose another place with --data-dir");
  if (*m.disk_free_bytes < kDiskAdvised)
    return warn("disk", found,
                "10 GiB or more leave room for images: free some, or choose another place with --data-dir");
  return good("disk", found);
}

Check judge_memory(const Machine& m) {
  const std::string found =
      std::to_string(m.memory_bytes / kMiB) + " MiB, " + std::to_string(m.memory_available_bytes / kMiB) + " available";
  if (m.memory_bytes < kMemoryAdvised)
    return warn("memory", found, "1 GiB or more is advised: builds may be killed for want of memory");
  if (m.memory_available_bytes < kMemoryFreeAdvised)
    return warn("memory", found,
                "end what takes it ('ps aux --sort=-rss | head'): builds may be killed for want of memory");
  return good("memory", found);
}

Check judge_ports(const Machine& m, const Settings& settings) {
  if (m.supervisor != 0) return good("ports", "held by this platform (process " + std::to_string(m.supervisor) + ")");
  if (!m.port_error.empty())
    return bad("ports", m.port_error, "correct --listen: it takes an IPv4 address of this machine, such as 127.0.0.1");
  const Ports& p = settings.ports;
  if (m.ports_taken.empty()) {
    return good("ports", std::to_string(p.api) + ", " + std::to_string(p.portal) + ", " + std::to_string(p.registry) +
                             ", " + std::to_string(p.http) + ", " + std::to_string(p.https) + " are free");
  }
  std::vector<std::string> found, flags;
  bool nginx = false;
  for (const PortUse& use : m.ports_taken) {
    found.push_back(std::to_string(use.port) + ": " + (use.holder.empty() ? use.why : "held by " + use.holder));
    flags.push_back(use.flag);
    nginx = nginx || use.holder.starts_with("nginx ");
  }
  const std::string stop = nginx ? "systemctl disable --now nginx when it is not used" : "stop what listens there";
  return bad("ports", join(found, "; "), stop + ", or choose other ports with " + join(flags, ", "));
}

Check judge_ranges(const Machine& m) {
  if (!m.range_error.empty())
    return bad("ranges", m.range_error,
               "choose others with --pod-cidr and --service-cidr; 'ip route' shows what is in use");
  return good("ranges", "pods " + m.pod_cidr + ", services " + m.service_cidr);
}

Check judge_null_device(const Machine& m) {
  return m.null_device ? good("/dev/null", "a device")
                       : bad("/dev/null", "not the null device", "rm -f /dev/null && mknod -m 666 /dev/null c 1 3");
}

Check judge_nftables(const Machine& m) {
  if (!m.root) return good("nftables", "not asked: needs root");
  return m.nft_error.empty()
             ? good("nftables", "answers")
             : bad("nftables", m.nft_error,
                   "modprobe nf_tables; a kernel that lacks it needs CONFIG_NF_TABLES and CONFIG_NFT_NAT");
}

// The command that lets pods through, in the words of whoever owns the firewall, so that it outlives a reload of it.
std::string way_through(const Barrier& b, const std::string& pods) {
  switch (b.owner) {
    case Barrier::Owner::docker:
      return "iptables -I DOCKER-USER -s " + pods + " -j ACCEPT && iptables -I DOCKER-USER -d " + pods + " -j ACCEPT";
    case Barrier::Owner::ufw:
      return b.forward ? "ufw route allow from " + pods + " && ufw route allow to " + pods : "ufw allow from " + pods;
    case Barrier::Owner::firewalld:
      return "firewall-cmd --permanent --zone=trusted --add-source=" + pods + " && firewall-cmd --reload";
    case Barrier::Owner::other:
      break;
  }
  const std::string rule = "nft insert rule " + b.family + " " + b.table + " " + b.chain + " ip ";
  return b.forward ? rule + "saddr " + pods + " accept && " + rule + "daddr " + pods + " accept"
                   : rule + "saddr " + pods + " accept";
}

Check judge_firewalls(const Machine& m) {
  if (!m.root) return good("firewalls", "not looked at: needs root");
  std::vector<std::string> found, commands;
  for (const Barrier& b : m.barriers) {
    if (b.opened) continue;
    found.push_back(b.family + " " + b.table + " " + b.chain +
                    (b.forward ? " stops what pods send" : " stops what pods ask this node"));
    const std::string command = way_through(b, m.pod_cidr);
    if (std::find(commands.begin(), commands.end(), command) == commands.end()) commands.push_back(command);
  }
  if (found.empty()) return good("firewalls", m.barriers.empty() ? "none in the way" : "let " + m.pod_cidr + " pass");
  return warn("firewalls", join(found, "; "), "let them pass: " + join(commands, " && "));
}

Check judge_neighbours(const Machine& m) {
  return good("neighbours", m.neighbours.empty() ? "none" : join(m.neighbours, ", ") + ": left alone");
}

Check judge_proxy(const Machine& m) {
  if (!m.proxy_before_sudo.empty()) {
    return warn("proxy", m.proxy_before_sudo + " is set, and sudo dropped it",
                "pulls and builds need it: sudo "
                "--preserve-env=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY caisson ...");
  }
  const auto value = [&m](const char* name) {
    const auto found = m.proxies.find(name);
    return found == m.proxies.end() ? std::string() : found->second;
  };
  if (value("http_proxy").empty() && value("https_proxy").empty()) return good("proxy", "none");
  // git and curl, unlike Caisson itself, go to the proxy for localhost too.
  bool local = false;
  const std::string direct = value("no_proxy");
  for (const std::string_view entry : split(direct, ','))
    local = local || trim(entry) == "localhost" || trim(entry) == "*";
  if (local) return good("proxy", "set; pulls, downloads and builds use it");
  return warn("proxy", "set, and no_proxy does not name localhost",
              "git would push to this machine by the proxy: export no_proxy=" + (direct.empty() ? "" : direct + ",") +
                  "localhost,127.0.0.1");
}

}  // namespace

std::vector<Check> judge(const Machine& m, const Settings& settings) {
  return {judge_root(m),     judge_kernel(m),    judge_cgroups(m),         judge_overlay(m), judge_programs(m),
          judge_disk(m),     judge_memory(m),    judge_ports(m, settings), judge_ranges(m),  judge_null_device(m),
          judge_nftables(m), judge_firewalls(m), judge_neighbours(m),      judge_proxy(m)};
}

std::vector<Check> preflight(const Settings& settings) {
  return judge(read_machine(settings), settings);
}

}  // namespace caisson::platform
