// SPDX-License-Identifier: Apache-2.0
// Connections that were made to a pod and that its programs have not accepted yet. A server that is told to end closes
// its listening socket, and the kernel resets what waits there: so a pod is signalled only when nothing does. Source:
// the kernel's proc_net_tcp; a listening socket's rx_queue is the length of its accept queue (net/ipv4/tcp_ipv4.c,
// get_tcp4_sock). Threads: any.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <string_view>

#include "core/base/clock.h"

namespace caisson::node {

// Of the text of /proc/<pid>/net/tcp or tcp6: connections in accept queues, and handshakes under way.
std::size_t unaccepted_connections(std::string_view table);

// Blocks until nothing waits in the network namespace of process `pid`, at most time_max; gives whether it is so. The
// kernel tells nobody when a queue empties: this looks every few milliseconds. True when the process has ended.
bool wait_until_accepted(pid_t pid, Duration time_max);

}  // namespace caisson::node
