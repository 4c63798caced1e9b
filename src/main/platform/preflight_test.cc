// SPDX-License-Identifier: Apache-2.0
#include "main/platform/preflight.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "main/platform/preflight_machine.h"

namespace caisson::platform {
namespace {

using State = Check::State;
constexpr std::uint64_t kGiB = 1ull << 30;

Machine good_machine() {
  Machine m;
  m.kernel = "6.1.0-18-amd64";
  m.controllers = {"cpuset", "cpu", "io", "memory", "pids"};
  m.disk = "/var/lib";
  m.disk_free_bytes = 40 * kGiB;
  m.memory_bytes = 4 * kGiB;
  m.memory_available_bytes = 3 * kGiB;
  m.pod_cidr = "10.42.0.0/16";
  m.service_cidr = "10.43.0.0/16";
  return m;
}

Check check_of(const std::vector<Check>& checks, const std::string& name) {
  const auto found = std::find_if(checks.begin(), checks.end(), [&](const Check& c) { return c.name == name; });
  REQUIRE(found != checks.end());
  return *found;
}

Barrier barrier(Barrier::Owner owner, bool forward = true) {
  return {owner, "ip", "filter", forward ? "FORWARD" : "INPUT", forward, false};
}

struct Case {
  const char* what;
  std::function<void(Machine&)> change;
  const char* check;
  State state;
  const char* found;   // a part of it
  const char* advice;  // a part of it
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"a user may look", [](Machine& m) { m.root = false; }, "root", State::warning, "no", "sudo caisson up"},
      {"a user's firewall is not looked at", [](Machine& m) { m.root = false; }, "firewalls", State::ok, "needs root",
       ""},
      {"the oldest kernel", [](Machine& m) { m.kernel = "5.10.0"; }, "kernel", State::ok, "5.10.0", ""},
      {"a minor version with a suffix", [](Machine& m) { m.kernel = "5.15-rc1"; }, "kernel", State::ok, "5.15-rc1", ""},
      {"an old kernel", [](Machine& m) { m.kernel = "5.9.16"; }, "kernel", State::failed, "5.9.16",
       "newer kernel and reboot"},
      {"a version that is none", [](Machine& m) { m.kernel = "custom"; }, "kernel", State::failed, "custom", "5.10"},
      {"no cgroups", [](Machine& m) { m.cgroups = Machine::Cgroups::none; }, "cgroups", State::failed, "not mounted",
       "mount -t cgroup2"},
      {"hybrid cgroups", [](Machine& m) { m.cgroups = Machine::Cgroups::v1; }, "cgroups", State::ok, "v1 (hybrid)", ""},
      {"a kernel that leaves memory out",
       [](Machine& m) {
         m.controllers = {"cpu", "pids"};
       },
       "cgroups", State::failed, "v2 without memory", "'cgroup_enable=memory' to the kernel's command line"},
      {"inside an ordinary container", [](Machine& m) { m.cgroups_read_only = true; }, "cgroups", State::failed,
       "read-only", "--privileged"},
      {"no overlayfs", [](Machine& m) { m.overlay = false; }, "overlayfs", State::failed, "missing",
       "modprobe overlay"},
      {"missing programs",
       [](Machine& m) {
         m.missing_packages = {"runc", "conmon"};
       },
       "programs", State::failed, "missing: runc, conmon", "apt-get install --no-install-recommends runc conmon"},
      {"a full disk", [](Machine& m) { m.disk_free_bytes = 4 * kGiB - 1; }, "disk", State::failed,
       "3 GiB free at /var/lib", "--data-dir"},
      {"a small disk", [](Machine& m) { m.disk_free_bytes = 4 * kGiB; }, "disk", State::warning, "4 GiB",
       "10 GiB or more"},
      {"a disk that can't be asked", [](Machine& m) { m.disk_free_bytes.reset(); }, "disk", State::warning, "unknown",
       "df /var/lib"},
      {"data on a network", [](Machine& m) { m.file_system = "nfs"; }, "disk", State::failed, "on nfs",
       "ext4, xfs or btrfs with --data-dir"},
      {"data where nothing may run", [](Machine& m) { m.disk_noexec = true; }, "disk", State::failed, "noexec",
       "--data-dir"},
      {"little memory", [](Machine& m) { m.memory_bytes = kGiB / 2; }, "memory", State::warning, "512 MiB",
       "1 GiB or more"},
      {"memory that others hold", [](Machine& m) { m.memory_available_bytes = kGiB / 8; }, "memory", State::warning,
       "128 available", "end what takes it"},
      {"the platform runs", [](Machine& m) { m.supervisor = 7; }, "ports", State::ok, "process 7", ""},
      {"an address that is none", [](Machine& m) { m.port_error = "--listen x is not an IPv4 address"; }, "ports",
       State::failed, "--listen x", "correct --listen"},
      {"the host's nginx",
       [](Machine& m) {
         m.ports_taken = {{80, "--http-port", "Address already in use", "nginx (process 812)"}};
       },
       "ports", State::failed, "80: held by nginx (process 812)",
       "systemctl disable --now nginx when it is not used, or choose other ports with --http-port"},
      {"two ports",
       [](Machine& m) {
         m.ports_taken = {{6443, "--api-port", "Address already in use", "k3s-server (process 9)"},
                          {5000, "--registry-port", "Address already in use", ""}};
       },
       "ports", State::failed, "6443: held by k3s-server (process 9); 5000: Address already in use",
       "--api-port, --registry-port"},
      {"a range in use",
       [](Machine& m) {
         m.range_error =
             "range 10.42.0.0/16 is in use on this machine (see 'ip route'); choose another with --pod-cidr";
       },
       "ranges", State::failed, "10.42.0.0/16", "--service-cidr"},
      {"a file instead of the null device", [](Machine& m) { m.null_device = false; }, "/dev/null", State::failed,
       "not the null device", "mknod -m 666 /dev/null c 1 3"},
      {"a kernel without nftables", [](Machine& m) { m.nft_error = "Operation not supported"; }, "nftables",
       State::failed, "Operation not supported", "modprobe nf_tables"},
      {"Docker's FORWARD policy", [](Machine& m) { m.barriers = {barrier(Barrier::Owner::docker)}; }, "firewalls",
       State::warning, "ip filter FORWARD stops what pods send",
       "iptables -I DOCKER-USER -s 10.42.0.0/16 -j ACCEPT && iptables -I DOCKER-USER -d 10.42.0.0/16 -j ACCEPT"},
      {"ufw, both ways",
       [](Machine& m) {
         m.barriers = {barrier(Barrier::Owner::ufw), barrier(Barrier::Owner::ufw, false)};
       },
       "firewalls", State::warning, "ip filter INPUT stops what pods ask this node",
       "ufw route allow from 10.42.0.0/16 && ufw route allow to 10.42.0.0/16 && ufw allow from 10.42.0.0/16"},
      {"firewalld is told once",
       [](Machine& m) {
         m.barriers = {barrier(Barrier::Owner::firewalld), barrier(Barrier::Owner::firewalld, false)};
       },
       "firewalls", State::warning, "FORWARD",
       "let them pass: firewall-cmd --permanent --zone=trusted --add-source=10.42.0.0/16 && firewall-cmd --reload"},
      {"an own ruleset", [](Machine& m) { m.barriers = {barrier(Barrier::Owner::other, false)}; }, "firewalls",
       State::warning, "INPUT", "nft insert rule ip filter INPUT ip saddr 10.42.0.0/16 accept"},
      {"a firewall that was told",
       [](Machine& m) {
         m.barriers = {barrier(Barrier::Owner::docker)};
         m.barriers[0].opened = true;
       },
       "firewalls", State::ok, "let 10.42.0.0/16 pass", ""},
      {"neighbours",
       [](Machine& m) {
         m.neighbours = {"dockerd", "nginx"};
       },
       "neighbours", State::ok, "dockerd, nginx: left alone", ""},
      {"a proxy",
       [](Machine& m) {
         m.proxies = {{"http_proxy", "http://p:3128"}, {"no_proxy", "localhost, .corp"}};
       },
       "proxy", State::ok, "set", ""},
      {"a proxy for this machine too",
       [](Machine& m) {
         m.proxies = {{"https_proxy", "http://user:secret@p:3128"}, {"no_proxy", ".corp"}};
       },
       "proxy", State::warning, "does not name localhost", "export no_proxy=.corp,localhost,127.0.0.1"},
      {"a proxy that sudo dropped", [](Machine& m) { m.proxy_before_sudo = "https_proxy"; }, "proxy", State::warning,
       "https_proxy is set, and sudo dropped it", "sudo --preserve-env="},
  };
  return all;
}

TEST_CASE("preflight says of a good machine nothing to do") {
  for (const Check& check : judge(good_machine(), {})) {
    CAPTURE(check.name);
    CHECK(check.state == State::ok);
    CHECK(check.advice.empty());
  }
}

TEST_CASE("preflight names what is in the way, and what to do next") {
  for (const Case& one : cases()) {
    CAPTURE(one.what);
    Machine machine = good_machine();
    one.change(machine);
    const auto checks = judge(machine, {});
    const Check check = check_of(checks, one.check);
    CHECK(check.state == one.state);
    CHECK_MESSAGE(check.found.find(one.found) != std::string::npos, check.found);
    CHECK_MESSAGE(check.advice.find(one.advice) != std::string::npos, check.advice);
    for (const Check& each : checks) {
      CHECK_MESSAGE((each.state == State::ok) == each.advice.empty(), each.name);
      CHECK_MESSAGE(each.found.find("secret") == std::string::npos, each.name);
      CHECK_MESSAGE(each.advice.find("secret") == std::string::npos, each.name);
    }
  }
}

TEST_CASE("listeners are read from /proc/net/tcp, other sockets are not") {
  const auto found = parse_listeners(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 "
      "0000000000000000 100 0 0 10 0\n"
      "   1: 0100007F:0050 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 "
      "0000000000000000 20 4 30 10 -1\n"
      "   2: cut");
  CHECK(found == std::vector<Listener>{{"0100007F", 80, 4711}});
  CHECK(parse_listeners("").empty());
}

TEST_CASE("a chain stands in the way when it drops what pods send or ask, and is not Caisson's") {
  const char* chains = R"({"nftables": [{"metainfo": {"version": "1.0.6"}},
    {"chain": {"family": "ip", "table": "filter", "name": "DOCKER-USER", "handle": 1}},
    {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
    {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 3, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
    {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
    {"chain": {"family": "inet", "table": "firewalld", "name": "filter_FORWARD", "handle": 4, "type": "filter", "hook": "forward", "prio": 10, "policy": "accept"}},
    {"chain": {"family": "inet", "table": "own", "name": "in", "handle": 5, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
    {"chain": {"family": "ip", "table": "caisson_0a1b2c", "name": "forward", "handle": 6, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}]})";
  CHECK(parse_barriers(chains) ==
        std::vector<Barrier>{{Barrier::Owner::docker, "ip", "filter", "FORWARD", true, false},
                             {Barrier::Owner::firewalld, "inet", "firewalld", "filter_FORWARD", true, false},
                             {Barrier::Owner::other, "inet", "own", "in", false, false}});
  CHECK(parse_barriers("").empty());
  CHECK(parse_barriers(R"({"nftables": [{"chain": 3}]})").empty());
}

TEST_CASE("a table that names the pod range both ways lets it pass") {
  const std::string from = "ip saddr 10.42.0.0/16 counter packets 0 bytes 0 accept\n",
                    to = "ip daddr 10.42.0.0/16 accept\n";
  const Barrier docker = barrier(Barrier::Owner::docker), input = barrier(Barrier::Owner::other, false);
  CHECK(names_range(from + to, docker, "10.42.0.0/16"));
  CHECK_FALSE(names_range(from, docker, "10.42.0.0/16"));
  CHECK_FALSE(names_range(from + to, docker, "10.44.0.0/16"));
  CHECK(names_range(from, input, "10.42.0.0/16"));
  CHECK(names_range(from, barrier(Barrier::Owner::firewalld), "10.42.0.0/16"));
  CHECK(names_range("-A FORWARD -s 10.42.0.0/16 -j ACCEPT\n-A FORWARD -d 10.42.0.0/16 -j ACCEPT\n", docker,
                    "10.42.0.0/16"));
}

TEST_CASE("this machine can be looked at") {
  Settings settings;
  settings.data_dir = "/var/lib/caisson-preflight-test-that-is-not-there";
  const Machine machine = read_machine(settings);
  CHECK(machine.disk == "/var/lib");
  CHECK(machine.disk_free_bytes.value_or(0) > 0);
  CHECK(machine.memory_bytes > machine.memory_available_bytes);
  CHECK_FALSE(machine.kernel.empty());
  CHECK_FALSE(machine.pod_cidr.empty());
}

}  // namespace
}  // namespace caisson::platform
