// SPDX-License-Identifier: Apache-2.0
// The kernel's text files of counters. Source: proc(5). Internal to the sources. Any thread; a file that is not there
// reads as empty, because kernels differ in what they have.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace caisson::metrics {

// Words of each line; at most `lines_max` lines.
std::vector<std::vector<std::string>> words_of(const std::string& path, std::size_t lines_max = 4096);
double number_of(std::string_view text);  // 0 for what is no number

struct InterfaceLine {
  std::string name;
  std::array<double, 16> values;  // in the order of net/dev
};
std::vector<InterfaceLine> interfaces(const std::string& proc);  // <proc>/net/dev

struct NetworkCounter {
  std::size_t column;
  const char *node_name, *container_name;
};
// Of net/dev. What cAdvisor does not tell of a pod has no second name.
inline constexpr NetworkCounter kNetworkCounters[] = {
    {0, "receive_bytes_total", "receive_bytes_total"},
    {1, "receive_packets_total", "receive_packets_total"},
    {2, "receive_errs_total", "receive_errors_total"},
    {3, "receive_drop_total", "receive_packets_dropped_total"},
    {4, "receive_fifo_total", nullptr},
    {5, "receive_frame_total", nullptr},
    {6, "receive_compressed_total", nullptr},
    {7, "receive_multicast_total", nullptr},
    {8, "transmit_bytes_total", "transmit_bytes_total"},
    {9, "transmit_packets_total", "transmit_packets_total"},
    {10, "transmit_errs_total", "transmit_errors_total"},
    {11, "transmit_drop_total", "transmit_packets_dropped_total"},
    {12, "transmit_fifo_total", nullptr},
    {13, "transmit_colls_total", nullptr},
    {14, "transmit_carrier_total", nullptr},
    {15, "transmit_compressed_total", nullptr},
};

}  // namespace caisson::metrics
