// SPDX-License-Identifier: Apache-2.0
// What an instance changed of this host's own settings, and how it is put back. The record is kept twice: in a file
// below the data directory and in the alias of the instance's bridge, so that an instance that goes down can hand it to
// one that goes on running. Text: one "key=value" per word, "pods=10.42.0.0/16 net.ipv4.ip_forward=0".
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::network {

using HostRecord = std::map<std::string, std::string>;
HostRecord parse_host_record(std::string_view text);
std::string format_host_record(const HostRecord& record);

// "net.ipv4.ip_forward"; of the thread's network namespace. Errors: not_found when this kernel hasn't got it.
Result<std::string> read_sysctl(const std::string& name);
Result<void> write_sysctl(const std::string& name, std::string_view value);

inline constexpr std::string_view kPodsKey = "pods";
inline constexpr std::string_view kSysctlPrefix = "net.";

}  // namespace caisson::network
