// SPDX-License-Identifier: Apache-2.0
#include "machine/node/accept_queue.h"

#include <poll.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::node {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(3);
constexpr std::size_t kTableBytesMax = 64u << 20;

constexpr std::string_view kSynReceived = "03", kListen = "0A";  // include/net/tcp_states.h

}  // namespace

std::size_t unaccepted_connections(std::string_view table) {
  std::size_t count = 0;
  for (const std::string_view line : split(table, '\n')) {
    // "   0: 00000000:1F90 00000000:0000 0A 00000000:00000002 ..."; the heading has no colon in its first field.
    std::vector<std::string_view> fields;
    for (const std::string_view field : split(line, ' '))
      if (!field.empty()) fields.push_back(field);
    if (fields.size() < 5 || !fields[0].ends_with(':')) continue;
    if (fields[3] == kSynReceived) ++count;
    const auto colon = fields[4].find(':');
    if (fields[3] == kListen && colon != std::string_view::npos)
      count += std::strtoul(std::string(fields[4].substr(colon + 1)).c_str(), nullptr, 16);
  }
  return count;
}

bool wait_until_accepted(pid_t pid, Duration time_max) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/net/";
  const auto until = std::chrono::steady_clock::now() + time_max;
  int empty = 0;
  // Twice in a row: a packet that was translated just before the rules changed may be on its way to the pod's queue.
  while (empty < 2) {
    std::size_t waiting = 0;
    for (const char* table : {"tcp", "tcp6"}) {
      const auto text = read_file(directory + table, kTableBytesMax);
      if (text.ok())
        waiting += unaccepted_connections(*text);  // not readable: the process has ended, or there is no IPv6
    }
    empty = waiting == 0 ? empty + 1 : 0;
    if (empty < 2 && std::chrono::steady_clock::now() >= until) return false;
    if (empty < 2) ::poll(nullptr, 0, static_cast<int>(kLookEvery.count()));
  }
  return true;
}

}  // namespace caisson::node
