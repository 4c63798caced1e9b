// SPDX-License-Identifier: Apache-2.0
// See netlink.h. Messages are built in a string and sent with NLM_F_ACK; the kernel's answer is an errno.
#include "machine/network/netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <thread>

#include "core/base/text.h"

namespace caisson::network {
namespace {

// Builds one netlink message: header, fixed part, attributes.
class Message {
 public:
  Message(std::uint16_t type, std::uint16_t flags) {
    nlmsghdr head{};
    head.nlmsg_type = type;
    head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    put(&head, sizeof head);
  }
  template <class T>
  Message& fixed(const T& part) {
    put(&part, sizeof part);
    return *this;
  }
  Message& bytes(std::uint16_t type, std::string_view value) {
    rtattr head{static_cast<unsigned short>(RTA_LENGTH(value.size())), type};
    put(&head, sizeof head);
    put(value.data(), value.size());
    return *this;
  }
  Message& text(std::uint16_t type, std::string_view value) { return bytes(type, std::string(value) + '\0'); }
  Message& number(std::uint16_t type, std::uint32_t value) {
    return bytes(type, {reinterpret_cast<const char*>(&value), sizeof value});
  }
  Message& address(std::uint16_t type, std::uint32_t host_order) { return number(type, htonl(host_order)); }
  // Attributes until end() are inside this one.
  std::size_t begin(std::uint16_t type) {
    const std::size_t at = out_.size();
    bytes(type, {});
    return at;
  }
  void end(std::size_t at) {
    const auto length = static_cast<unsigned short>(out_.size() - at);
    std::memcpy(out_.data() + at, &length, sizeof length);
  }
  std::string finish() {
    const auto length = static_cast<std::uint32_t>(out_.size());
    std::memcpy(out_.data(), &length, sizeof length);
    return std::move(out_);
  }

 private:
  void put(const void* data, std::size_t size) {
    out_.append(static_cast<const char*>(data), size);
    out_.append((4 - out_.size() % 4) % 4, '\0');
  }
  std::string out_;
};

using Attributes = std::map<int, std::string_view>;

Attributes parse_attributes(std::string_view bytes) {
  Attributes out;
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr head;
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > bytes.size()) break;
    out[head.rta_type & NLA_TYPE_MASK] = bytes.substr(sizeof head, head.rta_len - sizeof head);
    bytes.remove_prefix(std::min<std::size_t>(bytes.size(), RTA_ALIGN(head.rta_len)));
  }
  return out;
}

template <class T>
T number_of(const Attributes& attributes, int type) {
  T value{};
  const auto found = attributes.find(type);
  if (found != attributes.end() && found->second.size() >= sizeof value)
    std::memcpy(&value, found->second.data(), sizeof value);
  return value;
}

std::string text_of(const Attributes& attributes, int type) {
  const auto found = attributes.find(type);
  if (found == attributes.end()) return {};
  return std::string(found->second.substr(0, found->second.find('\0')));
}

Error kernel_error(int number) {
  errno = number;
  return errno_error("netlink");
}

Result<UniqueFd> open_socket(int protocol) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return errno_error("open netlink socket");
  const timeval time_max{10, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max);
  return fd;
}

// Sends, gives every answer but the last (NLMSG_DONE or the acknowledgement) to `each`, and returns the kernel's errno,
// 0 for none.
Result<int> exchange(int fd, std::string message, std::uint32_t sequence,
                     const std::function<void(const nlmsghdr&, std::string_view)>& each) {
  std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
  if (::send(fd, message.data(), message.size(), 0) < 0) return errno_error("send to netlink");
  std::string buffer(1 << 16, '\0');
  for (;;) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_error("receive from netlink");
    std::string_view rest(buffer.data(), static_cast<std::size_t>(got));
    while (rest.size() >= sizeof(nlmsghdr)) {
      nlmsghdr head;
      std::memcpy(&head, rest.data(), sizeof head);
      if (head.nlmsg_len < sizeof head || head.nlmsg_len > rest.size()) break;
      const std::string_view body = rest.substr(sizeof head, head.nlmsg_len - sizeof head);
      rest.remove_prefix(std::min<std::size_t>(rest.size(), NLMSG_ALIGN(head.nlmsg_len)));
      if (head.nlmsg_seq != sequence) continue;
      if (head.nlmsg_type == NLMSG_DONE) return 0;
      if (head.nlmsg_type == NLMSG_ERROR) {
        int code = 0;
        if (body.size() >= sizeof code) std::memcpy(&code, body.data(), sizeof code);
        return -code;
      }
      each(head, body);
    }
  }
}

}  // namespace

std::string Cidr::str() const {
  return format_ipv4(address) + "/" + std::to_string(prefix);
}

Result<std::uint32_t> parse_ipv4(std::string_view text) {
  in_addr address{};
  if (::inet_pton(AF_INET, std::string(text).c_str(), &address) != 1)
    return Error{ErrorCode::invalid, "\"" + std::string(text) + "\" is not an IPv4 address"};
  return ntohl(address.s_addr);
}

std::string format_ipv4(std::uint32_t address) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (shift != 24) out += '.';
    out += std::to_string((address >> shift) & 255);
  }
  return out;
}

Result<Cidr> parse_cidr(std::string_view text) {
  const auto slash = text.find('/');
  Cidr out;
  out.address = TRY(parse_ipv4(text.substr(0, slash)));
  if (slash == std::string_view::npos) return out;
  const auto prefix = parse_int(text.substr(slash + 1));
  if (!prefix || *prefix < 0 || *prefix > 32)
    return Error{ErrorCode::invalid, "\"" + std::string(text) + "\" is not an IPv4 range such as 10.42.0.0/16"};
  out.prefix = static_cast<int>(*prefix);
  return out;
}

Result<Netlink> Netlink::open() {
  UniqueFd fd = TRY(open_socket(NETLINK_ROUTE));
  return Netlink(std::move(fd));
}

Result<void> run_in_namespace(const std::string& netns_path, const std::function<Result<void>()>& call) {
  UniqueFd ns(::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!ns) return errno_error("open network namespace " + netns_path);
  Result<void> result;
  std::thread([&] {
    if (::setns(ns.get(), CLONE_NEWNET) != 0)
      result = errno_error("enter network namespace " + netns_path);
    else
      result = call();
  }).join();
  return result;
}

Result<Netlink> Netlink::open_in(const std::string& netns_path) {
  UniqueFd fd;
  TRY(run_in_namespace(netns_path, [&]() -> Result<void> {
    fd = TRY(open_socket(NETLINK_ROUTE));
    return {};
  }));
  return Netlink(std::move(fd));
}

Result<void> Netlink::request(std::string message, std::initializer_list<int> tolerated) {
  const int number =
      TRY(exchange(fd_.get(), std::move(message), ++sequence_, [](const nlmsghdr&, std::string_view) {}));
  if (number == 0 || std::find(tolerated.begin(), tolerated.end(), number) != tolerated.end()) return {};
  return kernel_error(number);
}

Result<void> Netlink::dump(std::string message, const std::function<void(std::string_view)>& each) {
  const int number = TRY(exchange(fd_.get(), std::move(message), ++sequence_,
                                  [&](const nlmsghdr&, std::string_view body) { each(body); }));
  if (number != 0) return kernel_error(number);
  return {};
}

Result<std::vector<Link>> Netlink::links() {
  std::vector<Link> out;
  Message message(RTM_GETLINK, NLM_F_DUMP);
  TRY(dump(message.fixed(ifinfomsg{}).finish(), [&](std::string_view body) {
        if (body.size() < sizeof(ifinfomsg)) return;
        ifinfomsg head;
        std::memcpy(&head, body.data(), sizeof head);
        const Attributes attributes = parse_attributes(body.substr(NLMSG_ALIGN(sizeof head)));
        out.push_back({head.ifi_index, text_of(attributes, IFLA_IFNAME), text_of(attributes, IFLA_IFALIAS),
                       static_cast<int>(number_of<std::uint32_t>(attributes, IFLA_MTU)),
                       (head.ifi_flags & IFF_UP) != 0});
      }).in("list links"));
  return out;
}

Result<std::optional<Link>> Netlink::find_link(std::string_view name) {
  const std::vector<Link> all = TRY(links());
  for (const Link& link : all)
    if (link.name == name) return std::optional<Link>(link);
  return std::optional<Link>();
}

Result<void> Netlink::add_bridge(const std::string& name) {
  Message message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.fixed(ifinfomsg{}).text(IFLA_IFNAME, name);
  const auto info = message.begin(IFLA_LINKINFO);
  message.text(IFLA_INFO_KIND, "bridge");
  message.end(info);
  return request(message.finish(), {EEXIST}).in("add bridge " + name);
}

Result<void> Netlink::add_veth(const std::string& name, const std::string& peer, int netns_fd, int mtu) {
  Message message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.fixed(ifinfomsg{}).text(IFLA_IFNAME, name).number(IFLA_MTU, static_cast<std::uint32_t>(mtu));
  const auto info = message.begin(IFLA_LINKINFO);
  message.text(IFLA_INFO_KIND, "veth");
  const auto data = message.begin(IFLA_INFO_DATA);
  const auto other = message.begin(VETH_INFO_PEER);
  message.fixed(ifinfomsg{}).text(IFLA_IFNAME, peer).number(IFLA_MTU, static_cast<std::uint32_t>(mtu));
  message.number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns_fd));
  message.end(other);
  message.end(data);
  message.end(info);
  return request(message.finish()).in("add link " + name);
}

Result<void> Netlink::set_up(int link) {
  ifinfomsg head{};
  head.ifi_index = link;
  head.ifi_flags = IFF_UP;
  head.ifi_change = IFF_UP;
  return request(Message(RTM_NEWLINK, NLM_F_ACK).fixed(head).finish()).in("set link " + std::to_string(link) + " up");
}

Result<void> Netlink::set_alias(int link, const std::string& alias) {
  ifinfomsg head{};
  head.ifi_index = link;
  return request(Message(RTM_NEWLINK, NLM_F_ACK).fixed(head).bytes(IFLA_IFALIAS, alias).finish()).in("set link alias");
}

Result<void> Netlink::remove_link(int link) {
  ifinfomsg head{};
  head.ifi_index = link;
  return request(Message(RTM_DELLINK, NLM_F_ACK).fixed(head).finish(), {ENODEV})
      .in("remove link " + std::to_string(link));
}

Result<void> Netlink::add_address(int link, Cidr address, bool link_scope) {
  ifaddrmsg head{};
  head.ifa_family = AF_INET;
  head.ifa_prefixlen = static_cast<unsigned char>(address.prefix);
  head.ifa_scope = link_scope ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  head.ifa_index = static_cast<unsigned>(link);
  Message message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.fixed(head).address(IFA_LOCAL, address.address).address(IFA_ADDRESS, address.address);
  return request(message.finish(), {EEXIST}).in("add address " + address.str());
}

Result<std::vector<Route>> Netlink::routes() {
  std::vector<Route> out;
  rtmsg ask{};
  ask.rtm_family = AF_INET;
  TRY(dump(Message(RTM_GETROUTE, NLM_F_DUMP).fixed(ask).finish(), [&](std::string_view body) {
        if (body.size() < sizeof(rtmsg)) return;
        rtmsg head;
        std::memcpy(&head, body.data(), sizeof head);
        const Attributes attributes = parse_attributes(body.substr(NLMSG_ALIGN(sizeof head)));
        if (head.rtm_table != RT_TABLE_MAIN || (head.rtm_type != RTN_UNICAST && head.rtm_type != RTN_UNREACHABLE))
          return;
        Route route;
        route.kind = head.rtm_type == RTN_UNREACHABLE ? Route::Kind::unreachable : Route::Kind::unicast;
        route.to = {ntohl(number_of<std::uint32_t>(attributes, RTA_DST)), head.rtm_dst_len};
        route.link = static_cast<int>(number_of<std::uint32_t>(attributes, RTA_OIF));
        route.gateway = ntohl(number_of<std::uint32_t>(attributes, RTA_GATEWAY));
        route.source = ntohl(number_of<std::uint32_t>(attributes, RTA_PREFSRC));
        out.push_back(route);
      }).in("list routes"));
  return out;
}

namespace {
std::string route_message(const Route& route, std::uint16_t type, std::uint16_t flags) {
  rtmsg head{};
  head.rtm_family = AF_INET;
  head.rtm_dst_len = static_cast<unsigned char>(route.to.prefix);
  head.rtm_table = RT_TABLE_MAIN;
  head.rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : RTPROT_UNSPEC;
  head.rtm_type = route.kind == Route::Kind::unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
  head.rtm_scope = route.gateway || route.kind == Route::Kind::unreachable ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  Message message(type, flags);
  message.fixed(head);
  if (route.to.prefix > 0) message.address(RTA_DST, route.to.first());
  if (route.link) message.number(RTA_OIF, static_cast<std::uint32_t>(route.link));
  if (route.gateway) message.address(RTA_GATEWAY, route.gateway);
  if (route.source) message.address(RTA_PREFSRC, route.source);
  return message.finish();
}
}  // namespace

Result<void> Netlink::set_route(const Route& route) {
  return request(route_message(route, RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE))
      .in("set route to " + route.to.str());
}

Result<void> Netlink::remove_route(const Route& route) {
  return request(route_message(route, RTM_DELROUTE, NLM_F_ACK), {ESRCH, ENODEV})
      .in("remove route to " + route.to.str());
}

namespace {

std::uint32_t tuple_source(std::string_view tuple) {
  const Attributes parts = parse_attributes(tuple);
  const auto ip = parts.find(CTA_TUPLE_IP);
  if (ip == parts.end()) return 0;
  return ntohl(number_of<std::uint32_t>(parse_attributes(ip->second), CTA_IP_V4_SRC));
}

bool tuple_is_udp(std::string_view tuple) {
  const Attributes parts = parse_attributes(tuple);
  const auto proto = parts.find(CTA_TUPLE_PROTO);
  return proto != parts.end() && number_of<std::uint8_t>(parse_attributes(proto->second), CTA_PROTO_NUM) == IPPROTO_UDP;
}

nfgenmsg nf_head() {
  nfgenmsg head{};
  head.nfgen_family = AF_INET;
  head.version = NFNETLINK_V0;
  return head;
}

}  // namespace

Result<int> forget_udp_connections(std::uint32_t endpoint) {
  UniqueFd fd = TRY(open_socket(NETLINK_NETFILTER));
  std::uint32_t sequence = 0;
  std::vector<std::string> tuples;  // the original directions of what goes
  const std::uint16_t get = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
  const int listed =
      TRY(exchange(fd.get(), Message(get, NLM_F_DUMP).fixed(nf_head()).finish(), ++sequence,
                   [&](const nlmsghdr&, std::string_view body) {
                     if (body.size() < sizeof(nfgenmsg)) return;
                     const Attributes entry = parse_attributes(body.substr(NLMSG_ALIGN(sizeof(nfgenmsg))));
                     const auto original = entry.find(CTA_TUPLE_ORIG), reply = entry.find(CTA_TUPLE_REPLY);
                     if (original == entry.end() || reply == entry.end() || !tuple_is_udp(original->second)) return;
                     if (tuple_source(reply->second) == endpoint) tuples.emplace_back(original->second);
                   })
              .in("list connections"));
  if (listed != 0) return kernel_error(listed).in("list connections");
  const std::uint16_t drop = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
  for (const std::string& tuple : tuples) {
    Message message(drop, NLM_F_ACK);
    message.fixed(nf_head()).bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, tuple);
    const int number = TRY(exchange(fd.get(), message.finish(), ++sequence, [](const nlmsghdr&, std::string_view) {}));
    if (number != 0 && number != ENOENT)
      return kernel_error(number).in("forget connection");  // ENOENT: it ended by itself
  }
  return static_cast<int>(tuples.size());
}

}  // namespace caisson::network
