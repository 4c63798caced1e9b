// SPDX-License-Identifier: Apache-2.0
// What of a pod's connections is in its kernel's hands alone, at the two moments when that matters. Source: the
// kernel's proc_net_tcp. Threads: any.
//
// Before the pod is signalled: connections that its programs have not accepted yet. A server that is told to end closes
// its listening socket, and the kernel resets what waits there. A listening socket's rx_queue is the length of its
// accept queue (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
//
// Before its link goes: what its programs sent last, and that they closed. The kernel sends it again until the other
// side has acknowledged it, but only as long as there is a link; a client that never hears of the end waits for ever.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::node {

// Of the text of /proc/<pid>/net/tcp or tcp6: connections in accept queues, and handshakes under way.
std::size_t unaccepted_connections(std::string_view table);

// Blocks until nothing waits in the network namespace of process `pid`, at most time_max; gives whether it is so. The
// kernel tells nobody when a queue empties: this looks every few milliseconds. True when the process has ended.
bool wait_until_accepted(pid_t pid, Duration time_max);

// Of the same text: connections that were closed on this side, which the other has not acknowledged.
std::size_t unacknowledged_ends(std::string_view table);

// Blocks until there are none in the network namespace at `netns_path`, at most time_max; gives whether it is so.
// Errors: not_found (no such namespace).
Result<bool> wait_until_acknowledged(const std::string& netns_path, Duration time_max);

}  // namespace caisson::node
