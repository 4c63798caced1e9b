// SPDX-License-Identifier: Apache-2.0
#include "artifact/container/capabilities.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::container {
namespace {

// By number, linux/capability.h.
constexpr std::string_view kNames[] = {"CHOWN",
                                       "DAC_OVERRIDE",
                                       "DAC_READ_SEARCH",
                                       "FOWNER",
                                       "FSETID",
                                       "KILL",
                                       "SETGID",
                                       "SETUID",
                                       "SETPCAP",
                                       "LINUX_IMMUTABLE",
                                       "NET_BIND_SERVICE",
                                       "NET_BROADCAST",
                                       "NET_ADMIN",
                                       "NET_RAW",
                                       "IPC_LOCK",
                                       "IPC_OWNER",
                                       "SYS_MODULE",
                                       "SYS_RAWIO",
                                       "SYS_CHROOT",
                                       "SYS_PTRACE",
                                       "SYS_PACCT",
                                       "SYS_ADMIN",
                                       "SYS_BOOT",
                                       "SYS_NICE",
                                       "SYS_RESOURCE",
                                       "SYS_TIME",
                                       "SYS_TTY_CONFIG",
                                       "MKNOD",
                                       "LEASE",
                                       "AUDIT_WRITE",
                                       "AUDIT_CONTROL",
                                       "SETFCAP",
                                       "MAC_OVERRIDE",
                                       "MAC_ADMIN",
                                       "SYSLOG",
                                       "WAKE_ALARM",
                                       "BLOCK_SUSPEND",
                                       "AUDIT_READ",
                                       "PERFMON",
                                       "BPF",
                                       "CHECKPOINT_RESTORE"};

constexpr std::string_view kDefaults[] = {
    "CHOWN",  "DAC_OVERRIDE", "FSETID",  "FOWNER",           "MKNOD",      "NET_RAW", "SETGID",
    "SETUID", "SETFCAP",      "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL",    "AUDIT_WRITE"};

// Every one that the running kernel knows.
const std::vector<std::string>& known_capabilities() {
  static const std::vector<std::string> known = [] {
    std::size_t last = std::size(kNames) - 1;
    const auto text = read_file("/proc/sys/kernel/cap_last_cap");
    if (text.ok()) last = std::min<std::size_t>(last, static_cast<std::size_t>(parse_int(trim(*text)).value_or(last)));
    std::vector<std::string> names;
    for (std::size_t i = 0; i <= last; ++i) names.push_back("CAP_" + std::string(kNames[i]));
    return names;
  }();
  return known;
}

// By number, of this process; all where /proc does not say.
std::uint64_t bounding_set() {
  const auto status = read_file("/proc/self/status");
  constexpr std::string_view kLine = "\nCapBnd:\t";
  const auto at = status.ok() ? status->find(kLine) : std::string::npos;
  return at == std::string::npos ? ~std::uint64_t{0} : std::strtoull(status->c_str() + at + kLine.size(), nullptr, 16);
}

Result<std::string> full_name(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  if (!name.starts_with("CAP_")) name = "CAP_" + name;
  const auto& known = known_capabilities();
  if (std::find(known.begin(), known.end(), name) != known.end()) return name;
  if (std::find(std::begin(kNames), std::end(kNames), std::string_view(name).substr(4)) != std::end(kNames))
    return std::string();
  std::string near;
  for (const auto one : kNames) {
    const std::string_view wanted = std::string_view(name).substr(4);
    if (one.find(wanted) != one.npos || wanted.find(one) != wanted.npos)
      near += (near.empty() ? "" : ", ") + std::string(one);
  }
  return Error{ErrorCode::invalid, "unknown capability \"" + std::string(text) + "\"" +
                                       (near.empty() ? "" : "; did you mean " + near + "?")};
}

bool is_all(std::string_view name) {
  return equals_ignoring_case(name, "ALL") || equals_ignoring_case(name, "CAP_ALL");
}

}  // namespace

const std::vector<std::string>& all_capabilities() {
  static const std::vector<std::string> all = [] {
    const std::uint64_t bounding = bounding_set();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < known_capabilities().size(); ++i)
      if (bounding >> i & 1) names.push_back(known_capabilities()[i]);
    return names;
  }();
  return all;
}

const std::vector<std::string>& default_capabilities() {
  static const std::vector<std::string> defaults = [] {
    std::vector<std::string> names;
    for (const auto& name : all_capabilities()) {
      if (std::find(std::begin(kDefaults), std::end(kDefaults), std::string_view(name).substr(4)) !=
          std::end(kDefaults)) {
        names.push_back(name);
      }
    }
    return names;
  }();
  return defaults;
}

Result<std::vector<std::string>> resolve_capabilities(const std::vector<std::string>& base,
                                                      const std::vector<std::string>& add,
                                                      const std::vector<std::string>& drop) {
  std::vector<std::string> held = base;
  const bool adds_all = std::any_of(add.begin(), add.end(), is_all);
  const bool drops_all = std::any_of(drop.begin(), drop.end(), is_all);
  if (adds_all) held = all_capabilities();
  if (drops_all) held.clear();
  // After containerd: with "ALL" on one side, the names on the other side still count; otherwise add first, then drop.
  for (const auto& name : add) {
    if (is_all(name)) continue;
    const std::string full = TRY(full_name(name));
    if (!full.empty() && std::find(held.begin(), held.end(), full) == held.end()) held.push_back(full);
  }
  for (const auto& name : drop) {
    if (is_all(name)) continue;
    const std::string full = TRY(full_name(name));
    std::erase(held, full);
  }
  std::vector<std::string> ordered;
  for (const auto& name : known_capabilities()) {
    if (std::find(held.begin(), held.end(), name) != held.end()) ordered.push_back(name);
  }
  return ordered;
}

}  // namespace caisson::container
