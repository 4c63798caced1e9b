// SPDX-License-Identifier: Apache-2.0
// node_network_…, node_netstat_…, node_sockstat_…, node_nf_conntrack_…, node_arp_entries: what a machine's network
// does.
#include <map>

#include "core/base/file.h"
#include "core/base/text.h"
#include "observe/metrics/sources/machine.h"
#include "observe/metrics/sources/proc_text.h"

namespace caisson::metrics {
namespace {

// The fields that node_exporter tells by default, of its two files in /proc/net.
constexpr std::string_view kNetstatFields[] = {
    "Icmp_InErrors",
    "Icmp_InMsgs",
    "Icmp_OutMsgs",
    "Ip_Forwarding",
    "IpExt_InOctets",
    "IpExt_OutOctets",
    "TcpExt_ListenDrops",
    "TcpExt_ListenOverflows",
    "TcpExt_TCPSynRetrans",
    "TcpExt_TCPTimeouts",
    "Tcp_ActiveOpens",
    "Tcp_CurrEstab",
    "Tcp_InErrs",
    "Tcp_InSegs",
    "Tcp_OutRsts",
    "Tcp_OutSegs",
    "Tcp_PassiveOpens",
    "Tcp_RetransSegs",
    "TcpExt_SyncookiesFailed",
    "TcpExt_SyncookiesRecv",
    "TcpExt_SyncookiesSent",
    "Udp_InDatagrams",
    "Udp_InErrors",
    "Udp_NoPorts",
    "Udp_OutDatagrams",
    "Udp_RcvbufErrors",
    "Udp_SndbufErrors",
    "TcpExt_TCPRcvQDrop",
};

void traffic(Families& out, const std::string& proc) {
  const auto lines = interfaces(proc);
  for (const NetworkCounter& counter : kNetworkCounters) {
    out.family(std::string("node_network_") + counter.node_name, "counter", "Network device statistic.");
    for (const InterfaceLine& line : lines) out.add({{"device", line.name}}, line.values[counter.column]);
  }
}

// One number of each interface from a file of its folder in /sys/class/net, where there is one.
void attributes(Families& out, const std::string& sys) {
  struct Of {
    const char *file, *metric, *type;
    double unit = 1;
  };
  const auto names = list_dir(sys + "/class/net");
  if (!names.ok()) return;
  for (const Of& one : {Of{"mtu", "mtu_bytes", "gauge"}, Of{"carrier", "carrier", "gauge"},
                        Of{"carrier_changes", "carrier_changes_total", "counter"}, Of{"ifindex", "iface_id", "gauge"},
                        Of{"dev_id", "device_id", "gauge"}, Of{"tx_queue_len", "transmit_queue_length", "gauge"},
                        Of{"speed", "speed_bytes", "gauge", 1e6 / 8}}) {
    out.family(std::string("node_network_") + one.metric, one.type,
               std::string("Network device property: ") + one.file + ".");
    for (const std::string& name : *names) {
      const auto words = words_of(sys + "/class/net/" + name + "/" + one.file);  // no carrier, no speed: not readable
      if (!words.empty() && words[0][0] != "-1") out.add({{"device", name}}, number_of(words[0][0]) * one.unit);
    }
  }
  out.family("node_network_up", "gauge", "Value is 1 if operstate is 'up', 0 otherwise.");
  for (const std::string& name : *names)
    if (const auto words = words_of(sys + "/class/net/" + name + "/operstate"); !words.empty())
      out.add({{"device", name}}, words[0][0] == "up" ? 1 : 0);
}

// Pairs of lines: "Tcp: InSegs OutSegs", "Tcp: 12 34".
void protocols(Families& out, const std::string& proc) {
  std::map<std::string, double> fields;
  for (const char* file : {"/net/snmp", "/net/netstat"}) {
    const auto lines = words_of(proc + file);
    for (std::size_t i = 0; i + 1 < lines.size(); i += 2) {
      std::string protocol = lines[i][0];
      if (!protocol.ends_with(':') || lines[i + 1][0] != protocol) continue;
      protocol.back() = '_';
      for (std::size_t k = 1; k < std::min(lines[i].size(), lines[i + 1].size()); ++k)
        fields[protocol + lines[i][k]] = number_of(lines[i + 1][k]);
    }
  }
  for (const std::string_view name : kNetstatFields) {
    const auto at = fields.find(std::string(name));
    if (at == fields.end()) continue;
    out.family("node_netstat_" + at->first, "untyped", "Statistic " + at->first + ".");
    out.add({}, at->second);
  }
}

// "TCP: inuse 27 orphan 0 tw 23 alloc 31 mem 3": memory is in pages, and told in bytes too.
void sockets(Families& out, const std::string& proc) {
  constexpr double kPageBytes = 4096;
  for (const auto& words : words_of(proc + "/net/sockstat")) {
    if (words.size() < 3 || !words[0].ends_with(':')) continue;
    const std::string protocol = words[0].substr(0, words[0].size() - 1);
    for (std::size_t k = 1; k + 1 < words.size(); k += 2) {
      const std::string metric = "node_sockstat_" + protocol + "_" + words[k];
      out.family(metric, "gauge", "Number of " + protocol + " sockets in state " + words[k] + ".");
      out.add({}, number_of(words[k + 1]));
      if (words[k] != "mem") continue;
      out.family(metric + "_bytes", "gauge", "Memory of " + protocol + " sockets.");
      out.add({}, number_of(words[k + 1]) * kPageBytes);
    }
  }
}

void tables(Families& out, const std::string& proc) {
  for (const auto& [file, metric] : {std::pair("nf_conntrack_count", "node_nf_conntrack_entries"),
                                     std::pair("nf_conntrack_max", "node_nf_conntrack_entries_limit")})
    if (const auto words = words_of(proc + "/sys/net/netfilter/" + file); !words.empty()) {
      out.family(metric, "gauge", "Entries of the connection tracking table.");
      out.add({}, number_of(words[0][0]));
    }
  std::map<std::string, double> neighbours;
  const auto lines = words_of(proc + "/net/arp");
  for (std::size_t i = 1; i < lines.size(); ++i)
    if (lines[i].size() >= 6) ++neighbours[lines[i].back()];
  out.family("node_arp_entries", "gauge", "ARP entries by device.");
  for (const auto& [device, count] : neighbours) out.add({{"device", device}}, count);
}

}  // namespace

void node_network(Families& out, const std::string& proc, const std::string& sys) {
  traffic(out, proc);
  attributes(out, sys);
  protocols(out, proc);
  sockets(out, proc);
  tables(out, proc);
}

}  // namespace caisson::metrics
