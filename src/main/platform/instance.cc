// SPDX-License-Identifier: Apache-2.0
#include "main/platform/instance.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "core/base/clock.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "machine/network/nginx.h"
#include "main/platform/nodes.h"

namespace caisson::platform {
namespace {

// The settings by name: one table for caisson.yaml and instance.json.
struct Setting {
  std::string_view name;
  std::function<Value(const Settings&)> get;
  std::function<bool(Settings&, const Value&)> set;  // false: wrong type
};

Setting text(std::string_view name, std::string Settings::*member) {
  return {name, [member](const Settings& s) { return Value(s.*member); },
          [member](Settings& s, const Value& v) { return v.is_string() && (s.*member = v.str(), true); }};
}

Setting port(std::string_view name, int Ports::*member) {
  return {name, [member](const Settings& s) { return Value(s.ports.*member); },
          [member](Settings& s, const Value& v) {
            return v.is_int() && v.as_int() > 0 && v.as_int() < 65536 &&
                   (s.ports.*member = static_cast<int>(v.as_int()), true);
          }};
}

Setting duration(std::string_view name, std::string Settings::*member) {
  return {name, [member](const Settings& s) { return Value(s.*member); },
          [member](Settings& s, const Value& v) {
            const auto time = parse_duration(v.as_string());
            return time.ok() && time->count() > 0 && (s.*member = v.str(), true);
          }};
}

const std::vector<Setting>& all_settings() {
  static const std::vector<Setting> settings = {
      text("listen", &Settings::listen),
      port("apiPort", &Ports::api),
      port("portalPort", &Ports::portal),
      port("registryPort", &Ports::registry),
      port("httpPort", &Ports::http),
      port("httpsPort", &Ports::https),
      text("podCIDR", &Settings::pod_cidr),
      text("serviceCIDR", &Settings::service_cidr),
      text("nodeName", &Settings::node_name),
      {"nodes", [](const Settings& s) { return Value(s.nodes); },
       [](Settings& s, const Value& v) {
         return v.is_int() && v.as_int() >= 0 && v.as_int() <= kNodesMax &&
                (s.nodes = static_cast<int>(v.as_int()), true);
       }},
      duration("nodeMonitorGracePeriod", &Settings::node_monitor_grace),
      text("standIns", &Settings::stand_ins),
      text("packageCache", &Settings::package_cache),
      duration("collectEvery", &Settings::collect_every),
      text("auditPolicy", &Settings::audit_policy),
      text("authenticationConfig", &Settings::authentication_config),
      {"trustHostCA", [](const Settings& s) { return Value(s.trust_host_ca); },
       [](Settings& s, const Value& v) { return v.is_bool() && (s.trust_host_ca = v.as_bool(), true); }},
      {"serverUid", [](const Settings& s) { return Value(s.server_uid); },
       [](Settings& s, const Value& v) { return v.is_int() && (s.server_uid = static_cast<int>(v.as_int()), true); }},
  };
  return settings;
}

Result<void> take_settings(Settings& settings, const Value& from, std::string_view where) {
  for (const auto& [key, value] : from.entries()) {
    const Setting* found = nullptr;
    for (const Setting& setting : all_settings()) {
      if (setting.name == key) found = &setting;
    }
    if (key == "dataDir" && value.is_string()) {
      settings.data_dir = value.str();
    } else if (!found) {
      std::vector<std::string> names = {"dataDir"};
      for (const Setting& setting : all_settings()) names.emplace_back(setting.name);
      return Error{ErrorCode::bad_request,
                   std::string(where) + ": unknown setting '" + std::string(key) + "'; known are " + join(names, ", ")};
    } else if (!found->set(settings, value)) {
      return Error{ErrorCode::bad_request,
                   std::string(where) + ": setting '" + std::string(key) + "' can't be " + value.scalar_text()};
    }
  }
  return {};
}

struct Range {
  std::uint32_t first = 0, last = 0;
};

Result<Range> parse_range(std::string_view cidr) {
  const auto slash = cidr.find('/');
  const auto bits = slash == std::string_view::npos ? std::nullopt : parse_int(cidr.substr(slash + 1));
  in_addr address{};
  if (!bits || *bits < 8 || *bits > 28 ||
      inet_pton(AF_INET, std::string(cidr.substr(0, slash)).c_str(), &address) != 1) {
    return Error{ErrorCode::bad_request, "'" + std::string(cidr) + "' is not an IPv4 range such as 10.42.0.0/16"};
  }
  const std::uint32_t mask = ~std::uint32_t{0} << (32 - *bits);
  const std::uint32_t first = ntohl(address.s_addr) & mask;
  return Range{first, first | ~mask};
}

std::string format_address(std::uint32_t address) {
  const in_addr raw{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &raw, text, sizeof text);
}

std::uint32_t from_route_hex(std::string_view text) {
  return ntohl(static_cast<std::uint32_t>(std::strtoul(std::string(text).c_str(), nullptr, 16)));
}

// What flags say is held to what files may say, before it is written to one.
Result<void> check_settings(const Settings& settings) {
  Settings copy = settings;
  for (const Setting& setting : all_settings()) {
    const Value value = setting.get(settings);
    if (!setting.set(copy, value))
      return Error{ErrorCode::bad_request,
                   "setting '" + std::string(setting.name) + "' can't be " + value.scalar_text()};
  }
  return {};
}

// The first pair of ranges that nothing on this machine uses, for those that are empty.
Result<void> choose_ranges(Settings& settings, std::string_view own_prefix) {
  for (int second = 42; settings.pod_cidr.empty() || settings.service_cidr.empty(); second += 2) {
    if (second > 250) {
      return Error{ErrorCode::conflict,
                   "no free address range below 10.0.0.0/8: choose ranges with --pod-cidr and --service-cidr"};
    }
    const std::string pods = "10." + std::to_string(second) + ".0.0/16",
                      services = "10." + std::to_string(second + 1) + ".0.0/16";
    const bool pods_free = TRY(range_is_free(pods, own_prefix));
    const bool services_free = TRY(range_is_free(services, own_prefix));
    if (!pods_free || !services_free) continue;
    if (settings.pod_cidr.empty()) settings.pod_cidr = pods;
    if (settings.service_cidr.empty()) settings.service_cidr = services;
  }
  return {};
}

// Pods that still run have addresses from their node's part of the range, which the number of nodes decides.
Result<void> keep_nodes(Settings& settings, const Settings& before) {
  const int had = std::max(before.nodes, 1);
  if (settings.nodes == 0) settings.nodes = had;
  if (settings.nodes == had || !exists(settings.data_dir + "/network/pods")) return {};
  return Error{ErrorCode::conflict,
               "the pods of this platform still run on " + std::to_string(had) + (had == 1 ? " node" : " nodes") +
                   ": 'caisson down' first, then 'caisson up --nodes " + std::to_string(settings.nodes) + "'"};
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return to_lower(name[0] ? name : "node");
}

Result<void> save(const Instance& instance) {
  Value document{{"version", 1}, {"id", instance.id}};
  Value& settings = document.edit("settings");
  for (const Setting& setting : all_settings()) settings.set(setting.name, setting.get(instance.settings));
  return write_file(instance.path("instance.json"), json::write(document, {.indent = 2}) + "\n", 0644);
}

}  // namespace

std::string Instance::node_address() const {
  const auto range = parse_range(settings.pod_cidr);
  return range.ok() ? format_address(range->first + 1) : "";
}

std::string Instance::service_address(int offset) const {
  const auto range = parse_range(settings.service_cidr);
  return range.ok() ? format_address(range->first + static_cast<std::uint32_t>(offset)) : "";
}

Result<Settings> load_settings(const std::string& path, Settings base) {
  const std::string text = TRY(read_file(path, 1 << 20));
  const Value document = TRY(yaml::read(text, {.name = path}));
  TRY(take_settings(base, document, path));
  return base;
}

Result<Instance> load_instance(const std::string& data_dir) {
  const std::string path = data_dir + "/instance.json";
  if (!exists(path)) {
    return Error{ErrorCode::not_found,
                 "no platform in " + data_dir + ": start one with 'caisson up --data-dir " + data_dir + "'"};
  }
  const std::string text = TRY(read_file(path, 1 << 20));
  const Value document = TRY(json::parse(text).in(path));
  if (document["version"].as_int() != 1) {
    return Error{ErrorCode::invalid, path + ": written by a newer caisson (format " +
                                         document["version"].scalar_text() + ", this one reads 1)"};
  }
  Instance instance;
  TRY(take_settings(instance.settings, document["settings"], path));
  instance.settings.data_dir = data_dir;
  instance.id = document["id"].str();
  return instance;
}

Result<Instance> prepare_instance(const Settings& settings) {
  Instance instance;
  instance.settings = settings;
  if (exists(instance.path("instance.json"))) {
    const Instance before = TRY(load_instance(settings.data_dir));
    instance.id = before.id;
    if (instance.settings.node_name.empty()) instance.settings.node_name = before.settings.node_name;
    TRY(keep_nodes(instance.settings, before.settings));
  } else {
    instance.id = hex(random_bytes(3));
  }
  if (instance.settings.node_name.empty()) instance.settings.node_name = host_name();
  instance.settings.nodes = std::max(instance.settings.nodes, 1);
  TRY(settle_ranges(instance.settings));
  TRY(nodes_of(instance));  // that many fit into the range
  TRY(check_settings(instance.settings));
  TRY(make_dirs(settings.data_dir, 0711));
  TRY(save(instance));
  return instance;
}

Result<void> settle_ranges(Settings& settings) {
  std::optional<Instance> before;
  if (exists(settings.data_dir + "/instance.json")) before = TRY(load_instance(settings.data_dir));
  const std::string own = before ? before->link_prefix() : "c-none";
  for (const auto& [member, flag] :
       {std::pair{&Settings::pod_cidr, "--pod-cidr"}, {&Settings::service_cidr, "--service-cidr"}}) {
    std::string& cidr = settings.*member;
    if (before && cidr.empty()) cidr = before->settings.*member;
    // Its own route for the range outlives the platform and carries no link by which it could be known.
    if (cidr.empty() || (before && cidr == before->settings.*member)) continue;
    const bool is_free = TRY(range_is_free(cidr, own));
    if (!is_free)
      return Error{ErrorCode::conflict,
                   "range " + cidr + " is in use on this machine (see 'ip route'); choose another with " + flag};
  }
  return choose_ranges(settings, own);
}

Result<bool> range_is_free(std::string_view cidr, std::string_view own_prefix) {
  const Range wanted = TRY(parse_range(cidr));
  const std::string routes = TRY(read_file("/proc/net/route", 16 << 20));
  for (const std::string_view line : split(routes, '\n')) {
    const auto columns = split(line, '\t');
    if (columns.size() < 8 || columns[0] == "Iface" || columns[0].starts_with(own_prefix)) continue;
    const std::uint32_t first = from_route_hex(columns[1]), mask = from_route_hex(columns[7]);
    if (mask == 0) continue;  // the default route overlaps everything
    if (first <= wanted.last && (first | ~mask) >= wanted.first) return false;
  }
  return true;
}

Result<std::vector<PortTaken>> ports_taken(const Settings& settings) {
  const Ports& p = settings.ports;
  const std::pair<int, const char*> wanted[] = {{p.api, "--api-port"},
                                                {p.portal, "--portal-port"},
                                                {p.registry, "--registry-port"},
                                                {p.http, "--http-port"},
                                                {p.https, "--https-port"}};
  // The ingress outlives the platform and is taken over by the next start: its ports are ours already.
  const bool ingress_runs = network::nginx_runs(settings.data_dir + "/nginx");
  std::vector<PortTaken> taken;
  for (const auto& [number, flag] : wanted) {
    if (ingress_runs && (number == p.http || number == p.https)) continue;
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(number));
    if (inet_pton(AF_INET, settings.listen.c_str(), &address.sin_addr) != 1) {
      return Error{ErrorCode::bad_request, "--listen " + settings.listen + " is not an IPv4 address"};
    }
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      taken.push_back({number, flag, errno});
  }
  return taken;
}

Result<void> check_ports_free(const Settings& settings) {
  const std::vector<PortTaken> taken = TRY(ports_taken(settings));
  if (taken.empty()) return {};
  errno = taken[0].reason;
  Error error = errno_error(settings.listen + ":" + std::to_string(taken[0].port));
  error.message += "; choose another port with " + taken[0].flag;
  return error;
}

}  // namespace caisson::platform
