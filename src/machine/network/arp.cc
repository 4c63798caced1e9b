// SPDX-License-Identifier: Apache-2.0
// See arp.h. One thread with one packet socket for all links.
#include "machine/network/arp.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"

namespace caisson::network {
namespace {

constexpr int kTimesTold = 5;
constexpr int kTellEveryMs = 1100;

using Mac = std::array<unsigned char, 6>;
constexpr Mac kEverybody{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// An ARP packet for IPv4 over Ethernet, as RFC 826 lays it out.
struct __attribute__((packed)) ArpPacket {
  std::uint16_t hardware = htons(ARPHRD_ETHER), protocol = htons(ETHERTYPE_IP);
  unsigned char hardware_size = 6, protocol_size = 4;
  std::uint16_t operation = 0;
  Mac sender{};
  std::uint32_t sender_ip = 0;
  Mac target{};
  std::uint32_t target_ip = 0;
};
static_assert(sizeof(ArpPacket) == 28);

struct EthernetLink {
  int index = 0;
  std::string name;
  Mac mac{};
};

// The link, when it is an Ethernet one that is up and speaks ARP.
std::optional<EthernetLink> ethernet_link(int socket, int index) {
  ifreq request{};
  request.ifr_ifindex = index;
  if (::ioctl(socket, SIOCGIFNAME, &request) != 0) return std::nullopt;
  EthernetLink out{index, request.ifr_name, {}};
  if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0) return std::nullopt;
  const int flags = request.ifr_flags;
  if ((flags & IFF_UP) == 0 || (flags & IFF_BROADCAST) == 0 || (flags & (IFF_NOARP | IFF_LOOPBACK)) != 0)
    return std::nullopt;
  if (::ioctl(socket, SIOCGIFHWADDR, &request) != 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return std::nullopt;
  std::memcpy(out.mac.data(), request.ifr_hwaddr.sa_data, out.mac.size());
  return out;
}

Result<UniqueFd> open_socket() {
  UniqueFd fd(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ARP)));
  if (!fd) return errno_error("open a packet socket for ARP");
  // Only requests wake us: the operation is bytes 6 and 7.
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARPOP_REQUEST, 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, sizeof(ArpPacket)), BPF_STMT(BPF_RET | BPF_K, 0)};
  const sock_fprog program{std::size(code), code};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
    return errno_error("filter ARP requests");
  return fd;
}

class Announcer final : public ArpAnnouncer {
 public:
  explicit Announcer(std::string own_links) : own_links_(std::move(own_links)) {}
  ~Announcer() override {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake();
    thread_.join();
  }

  Result<void> announce(Announcements announcements) override {
    if (announcements.empty() && !socket_) return {};
    if (!socket_) {
      socket_ = TRY(open_socket());
      wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (!wake_) return errno_error("eventfd");
      thread_ = std::thread([this] { loop(); });
    }
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [address, links] : announcements) {
        const auto before = announcements_.find(address);
        if (before == announcements_.end() || before->second != links) to_tell_[address] = kTimesTold;
      }
      std::erase_if(to_tell_, [&](const auto& one) { return !announcements.contains(one.first); });
      announcements_ = std::move(announcements);
    }
    wake();
    return {};
  }

 private:
  void wake() {
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }

  void loop() {
    Duration next_tell{};
    for (;;) {
      bool telling = false;
      {
        const std::lock_guard lock(mutex_);
        if (ending_) return;
        telling = !to_tell_.empty();
      }
      pollfd fds[] = {{socket_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      ::poll(fds, 2, telling ? kTellEveryMs : -1);
      std::uint64_t drained = 0;
      const bool woken = ::read(wake_.get(), &drained, sizeof drained) > 0;
      if (woken || system_clock().monotonic() >= next_tell) {
        tell();
        next_tell = system_clock().monotonic() + std::chrono::milliseconds(kTellEveryMs);
      }
      answer();
    }
  }

  bool takes_part(const EthernetLink& link, const std::set<std::string>& links) const {
    return !link.name.starts_with(own_links_) && (links.empty() || links.contains(link.name));
  }

  void tell() {
    std::vector<std::pair<std::uint32_t, std::set<std::string>>> now;
    {
      const std::lock_guard lock(mutex_);
      for (auto& [address, times] : to_tell_) {
        now.emplace_back(address, announcements_.at(address));
        --times;
      }
      std::erase_if(to_tell_, [](const auto& one) { return one.second <= 0; });
    }
    if (now.empty()) return;
    struct if_nameindex* names = ::if_nameindex();
    for (auto* one = names; one && one->if_index != 0; ++one) {
      const auto link = ethernet_link(socket_.get(), static_cast<int>(one->if_index));
      if (!link) continue;
      for (const auto& [address, links] : now) {
        if (!takes_part(*link, links)) continue;
        // Both forms: some hosts and switches heed only one.
        const std::uint32_t ip = htonl(address);
        for (const std::uint16_t operation : {ARPOP_REQUEST, ARPOP_REPLY})
          send(*link, kEverybody, operation, ip, operation == ARPOP_REPLY ? kEverybody : Mac{}, ip);
      }
    }
    ::if_freenameindex(names);
  }

  void answer() {
    ArpPacket request;
    sockaddr_ll from{};
    for (;;) {
      socklen_t size = sizeof from;
      const ssize_t got =
          ::recvfrom(socket_.get(), &request, sizeof request, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 0) return;
      if (got < static_cast<ssize_t>(sizeof request) || request.hardware != htons(ARPHRD_ETHER) ||
          request.protocol != htons(ETHERTYPE_IP) || request.operation != htons(ARPOP_REQUEST))
        continue;
      const bool to_us = from.sll_pkttype == PACKET_HOST || from.sll_pkttype == PACKET_BROADCAST;
      if (!to_us || request.sender_ip == request.target_ip) continue;  // somebody's own announcement
      std::set<std::string> links;
      {
        const std::lock_guard lock(mutex_);
        const auto ours = announcements_.find(ntohl(request.target_ip));
        if (ours == announcements_.end()) continue;
        links = ours->second;
      }
      const auto link = ethernet_link(socket_.get(), from.sll_ifindex);
      if (link && takes_part(*link, links))
        send(*link, request.sender, ARPOP_REPLY, request.target_ip, request.sender, request.sender_ip);
    }
  }

  // Addresses in network byte order.
  void send(const EthernetLink& link, const Mac& to, std::uint16_t operation, std::uint32_t sender_ip,
            const Mac& target, std::uint32_t target_ip) {
    ArpPacket packet;
    packet.operation = htons(operation);
    packet.sender = link.mac;
    packet.sender_ip = sender_ip;
    packet.target = target;
    packet.target_ip = target_ip;
    sockaddr_ll where{};
    where.sll_family = AF_PACKET;
    where.sll_protocol = htons(ETH_P_ARP);
    where.sll_ifindex = link.index;
    where.sll_halen = static_cast<unsigned char>(to.size());
    std::memcpy(where.sll_addr, to.data(), to.size());
    if (::sendto(socket_.get(), &packet, sizeof packet, 0, reinterpret_cast<const sockaddr*>(&where), sizeof where) < 0)
      log::warning("ARP packet not sent", {{"link", link.name}, {"error", errno_error("send")}});
  }

  const std::string own_links_;
  UniqueFd socket_, wake_;  // set before the thread begins
  std::thread thread_;
  std::mutex mutex_;
  Announcements announcements_;           // GUARDED_BY(mutex_), as all below
  std::map<std::uint32_t, int> to_tell_;  // how many times an address is still told
  bool ending_ = false;
};

}  // namespace

std::unique_ptr<ArpAnnouncer> ArpAnnouncer::make(std::string own_links) {
  return std::make_unique<Announcer>(std::move(own_links));
}

}  // namespace caisson::network
