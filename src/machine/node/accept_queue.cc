// SPDX-License-Identifier: Apache-2.0
#include "machine/node/accept_queue.h"

#include <poll.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "core/base/file.h"
#include "core/base/text.h"
#include "machine/network/netlink.h"

namespace caisson::node {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(3);
constexpr std::size_t kTableBytesMax = 64u << 20;

// include/net/tcp_states.h
constexpr std::string_view kSynReceived = "03", kListen = "0A";
constexpr std::string_view kFinWait1 = "04", kLastAck = "09", kClosing = "0B";

// Calls `each` with state and queues ("0A", "00000000:00000002") of every connection in the table, whose lines are
// "   0: 00000000:1F90 00000000:0000 0A 00000000:00000002 ..."; the heading has no colon in its first field.
template <class Each>
void for_each_connection(std::string_view table, const Each& each) {
  for (const std::string_view line : split(table, '\n')) {
    std::vector<std::string_view> fields;
    for (const std::string_view field : split(line, ' '))
      if (!field.empty()) fields.push_back(field);
    if (fields.size() >= 5 && fields[0].ends_with(':')) each(fields[3], fields[4]);
  }
}

// The sum of `count` over the tables below `directory`; one that can't be read has nothing: its process has ended, or
// there is no IPv6.
std::size_t count_in(const std::string& directory, std::size_t (*count)(std::string_view)) {
  std::size_t sum = 0;
  for (const char* table : {"tcp", "tcp6"}) {
    const auto text = read_file(directory + table, kTableBytesMax);
    if (text.ok()) sum += count(*text);
  }
  return sum;
}

}  // namespace

std::size_t unaccepted_connections(std::string_view table) {
  std::size_t count = 0;
  for_each_connection(table, [&](std::string_view state, std::string_view queues) {
    if (state == kSynReceived) ++count;
    const auto colon = queues.find(':');
    if (state == kListen && colon != std::string_view::npos)
      count += std::strtoul(std::string(queues.substr(colon + 1)).c_str(), nullptr, 16);
  });
  return count;
}

std::size_t unacknowledged_ends(std::string_view table) {
  std::size_t count = 0;
  for_each_connection(table, [&](std::string_view state, std::string_view) {
    if (state == kFinWait1 || state == kLastAck || state == kClosing) ++count;
  });
  return count;
}

bool wait_until_accepted(pid_t pid, Duration time_max) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/net/";
  const auto until = std::chrono::steady_clock::now() + time_max;
  int empty = 0;
  // Twice in a row: a packet that was translated just before the rules changed may be on its way to the pod's queue.
  while (empty < 2) {
    empty = count_in(directory, unaccepted_connections) == 0 ? empty + 1 : 0;
    if (empty < 2 && std::chrono::steady_clock::now() >= until) return false;
    if (empty < 2) ::poll(nullptr, 0, static_cast<int>(kLookEvery.count()));
  }
  return true;
}

Result<bool> wait_until_acknowledged(const std::string& netns_path, Duration time_max) {
  if (!exists(netns_path)) return Error{ErrorCode::not_found, "no network namespace at " + netns_path};
  bool acknowledged = false;
  TRY(network::run_in_namespace(netns_path, [&]() -> Result<void> {
    const auto until = std::chrono::steady_clock::now() + time_max;
    const auto all = [] { return count_in("/proc/thread-self/net/", unacknowledged_ends) == 0; };
    while (!(acknowledged = all()) && std::chrono::steady_clock::now() < until)
      ::poll(nullptr, 0, static_cast<int>(kLookEvery.count()));
    return {};
  }));
  return acknowledged;
}

}  // namespace caisson::node
