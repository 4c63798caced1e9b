// SPDX-License-Identifier: Apache-2.0
// See dns_server.h. All state belongs to the one thread.
#include "machine/network/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <thread>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "machine/network/dns_cache.h"
#include "machine/network/netlink.h"

namespace caisson::network::dns {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kForwardsMax = 1000, kClientsMax = 64, kMessageMax = 65535;
constexpr auto kTurn = std::chrono::seconds(2), kIdle = std::chrono::seconds(10),
               kResolversAge = std::chrono::seconds(2);

enum Kind : std::uint64_t { kWake = 0, kUdp = 1, kTcp = 2, kClient = 3, kForward = 4 };

struct Asker {
  sockaddr_in from{};
  std::uint64_t client = 0;  // of TCP; 0: UDP
};

struct TcpClient {
  UniqueFd fd;
  std::string in, out;
  int waiting = 0;  // questions that were forwarded and not answered
  Steady::time_point ends;
};

struct Forwarded {
  Asker asker;
  Query query;
  std::string packet;                  // as the asker sent it
  std::string alias;                   // an ExternalName's target: asked for instead of the packet
  Answer begun;                        // …and what the answer begins with
  std::vector<std::string> resolvers;  // of a stub domain; empty: the host's
  bool tcp = false;
  std::size_t turn = 0;
  std::string sent;     // with our id
  std::string out, in;  // TCP
  UniqueFd fd;
  Steady::time_point ends;
};

std::string framed(std::string_view message) {
  std::string out{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())};
  return out.append(message);
}

// Takes one length-prefixed message from the front; nothing when it isn't whole.
std::optional<std::string> take_message(std::string& in) {
  if (in.size() < 2) return std::nullopt;
  const std::size_t size = (static_cast<unsigned char>(in[0]) << 8) | static_cast<unsigned char>(in[1]);
  if (in.size() < 2 + size) return std::nullopt;
  std::string out = in.substr(2, size);
  in.erase(0, 2 + size);
  return out;
}

// Reads what there is. False at the end or after an error.
bool read_some(int fd, std::string& in) {
  char buffer[8192];
  for (;;) {
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) {
      in.append(buffer, static_cast<std::size_t>(got));
      if (in.size() > 4 * kMessageMax) return false;
      continue;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
  }
}

bool write_some(int fd, std::string& out) {
  while (!out.empty()) {
    const ssize_t sent = ::send(fd, out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR || errno == ENOTCONN || errno == EINPROGRESS;
    out.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

std::optional<sockaddr_in> socket_address(std::string_view text) {
  const auto colon = text.find(':');
  const auto ip = parse_ipv4(text.substr(0, colon));
  const auto port =
      colon == std::string_view::npos ? std::optional<std::int64_t>(53) : parse_int(text.substr(colon + 1));
  if (!ip.ok() || !port || *port <= 0 || *port > 65535) return std::nullopt;
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(*port));
  out.sin_addr.s_addr = htonl(*ip);
  return out;
}

bool same_question(std::string_view a, std::string_view b) {
  return equals_ignoring_case(a, b);
}

}  // namespace

bool is_resolver(std::string_view text) {
  return socket_address(text).has_value();
}

std::vector<std::string> read_resolvers(const std::string& path, const std::string& own_address) {
  std::vector<std::string> out;
  const Result<std::string> text = read_file(path, 1u << 20);
  if (!text.ok()) return out;
  for (const std::string_view line : split(*text, '\n')) {
    std::string_view rest = trim(line);
    if (!rest.starts_with("nameserver")) continue;
    rest = trim(rest.substr(10));
    if (socket_address(rest) && rest != own_address && out.size() < 3) out.emplace_back(rest);  // glibc's MAXNS
  }
  return out;
}

class Server::Impl {
 public:
  Impl(Options options, std::function<ZoneAnswer(const std::string&, std::uint16_t)> zone)
      : options_(std::move(options)), zone_(std::move(zone)) {}
  ~Impl() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    thread_.join();
  }

  Result<void> start();
  int port() const { return port_; }

 private:
  Result<void> listen(int port);
  void add(int fd, Kind kind, std::uint64_t id, std::uint32_t events);
  void loop();
  int wait_ms() const;
  void expire();

  void accept_client();
  void on_client(std::uint64_t id, std::uint32_t events);
  void on_udp();
  void on_question(const Asker& asker, std::string packet);
  void reply(const Asker& asker, const std::string& packet);
  void refuse(const Forwarded& forward);

  void forward(Forwarded forward);
  bool take_turn(std::uint64_t id, Forwarded& forward);
  void on_forward(std::uint64_t id, std::uint32_t events);
  bool on_reply(Forwarded& forward, const std::string& packet);
  void next_turn(std::uint64_t id);
  void finish_alias(Forwarded& forward, const Reply& upstream);
  const std::vector<std::string>& resolvers_of(const Forwarded& forward);

  const Options options_;
  const std::function<ZoneAnswer(const std::string&, std::uint16_t)> zone_;
  int port_ = 0;
  UniqueFd epoll_, wake_, udp_, tcp_;
  std::thread thread_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, TcpClient> clients_;
  std::map<std::uint64_t, Forwarded> forwards_;
  Cache cache_;
  std::vector<std::string> resolvers_;
  Steady::time_point resolvers_read_{};
};

Result<void> Server::Impl::listen(int port) {
  auto address = socket_address(options_.address + ":1");
  if (!address) return Error{ErrorCode::invalid, "\"" + options_.address + "\" is not an address for DNS to listen on"};
  address->sin_port = htons(static_cast<std::uint16_t>(port));
  udp_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  tcp_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!udp_ || !tcp_) return errno_error("open DNS socket");
  const int on = 1;
  ::setsockopt(tcp_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* where = reinterpret_cast<const sockaddr*>(&*address);
  const auto fail = [&] {
    const std::string text = options_.address + ":" + std::to_string(ntohs(address->sin_port));
    return errno == EADDRINUSE ? Error{ErrorCode::already_exists, text + " is in use"} : errno_error("DNS at " + text);
  };
  if (::bind(udp_.get(), where, sizeof *address) != 0) return fail();
  socklen_t size = sizeof *address;
  ::getsockname(udp_.get(), reinterpret_cast<sockaddr*>(&*address), &size);
  if (::bind(tcp_.get(), where, sizeof *address) != 0 || ::listen(tcp_.get(), 64) != 0) return fail();
  port_ = ntohs(address->sin_port);
  return {};
}

Result<void> Server::Impl::start() {
  Result<void> listening = listen(options_.port);
  // For port 0 the kernel chose a UDP port whose TCP twin may be taken.
  for (int tries = 0; tries < 10 && options_.port == 0 && !listening.ok(); ++tries) listening = listen(0);
  TRY(std::move(listening));
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!epoll_ || !wake_) return errno_error("start DNS");
  add(wake_.get(), kWake, 0, EPOLLIN);
  add(udp_.get(), kUdp, 0, EPOLLIN);
  add(tcp_.get(), kTcp, 0, EPOLLIN);
  thread_ = std::thread([this] { loop(); });
  return {};
}

void Server::Impl::add(int fd, Kind kind, std::uint64_t id, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = (static_cast<std::uint64_t>(kind) << 56) | id;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Server::Impl::loop() {
  epoll_event events[64];
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events, 64, wait_ms());
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = events[i].data.u64 & ((std::uint64_t(1) << 56) - 1);
      switch (events[i].data.u64 >> 56) {
        case kWake:
          return;
        case kUdp:
          on_udp();
          break;
        case kTcp:
          accept_client();
          break;
        case kClient:
          on_client(id, events[i].events);
          break;
        case kForward:
          on_forward(id, events[i].events);
          break;
        default:
          break;
      }
    }
    expire();
  }
}

int Server::Impl::wait_ms() const {
  if (clients_.empty() && forwards_.empty()) return -1;
  auto first = Steady::time_point::max();
  for (const auto& [id, client] : clients_) first = std::min(first, client.ends);
  for (const auto& [id, one] : forwards_) first = std::min(first, one.ends);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(first - Steady::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left + 1, 0, 10'000));
}

void Server::Impl::expire() {
  const auto now = Steady::now();
  std::erase_if(clients_, [&](const auto& entry) { return entry.second.ends <= now && entry.second.waiting == 0; });
  std::vector<std::uint64_t> late;
  for (const auto& [id, one] : forwards_)
    if (one.ends <= now) late.push_back(id);
  for (const std::uint64_t id : late) next_turn(id);
}

void Server::Impl::accept_client() {
  UniqueFd fd(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd || clients_.size() >= kClientsMax) return;  // closed at once: the resolver asks again
  const std::uint64_t id = ++last_id_;
  add(fd.get(), kClient, id, EPOLLIN);
  TcpClient& client = clients_[id];
  client.fd = std::move(fd);
  client.ends = Steady::now() + kIdle;
}

void Server::Impl::on_client(std::uint64_t id, std::uint32_t events) {
  const auto found = clients_.find(id);
  if (found == clients_.end()) return;
  bool alive = true;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = read_some(found->second.fd.get(), found->second.in);
  found->second.ends = Steady::now() + kIdle;
  while (auto message = take_message(found->second.in)) {
    Asker asker;
    asker.client = id;
    on_question(asker, std::move(*message));
    if (!clients_.contains(id)) return;
  }
  TcpClient& client = found->second;
  alive = alive && write_some(client.fd.get(), client.out);
  if (!alive) {
    clients_.erase(found);
    return;
  }
  add(client.fd.get(), kClient, id, EPOLLIN | (client.out.empty() ? 0u : static_cast<std::uint32_t>(EPOLLOUT)));
}

void Server::Impl::on_udp() {
  char buffer[4096];
  for (;;) {
    Asker asker;
    socklen_t size = sizeof asker.from;
    const ssize_t got =
        ::recvfrom(udp_.get(), buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&asker.from), &size);
    if (got < 0) return;
    on_question(asker, std::string(buffer, static_cast<std::size_t>(got)));
  }
}

void Server::Impl::on_question(const Asker& asker, std::string packet) {
  const Result<Query> query = parse_query(packet);
  if (!query.ok()) return reply(asker, make_error(packet, Code::format_error));
  ZoneAnswer answer = zone_((*query).name, (*query).type);
  const bool is_alias = answer.ours && !answer.alias.empty();
  if (answer.ours && is_alias) {  // the target may be a cluster name as well
    ZoneAnswer target = zone_(answer.alias, (*query).type);
    answer.resolvers = target.resolvers;
    if (target.ours && target.alias.empty()) {
      answer.answer.answers.insert(answer.answer.answers.end(), target.answer.answers.begin(),
                                   target.answer.answers.end());
      answer.alias.clear();
    }
  }
  if (answer.ours && answer.alias.empty())
    return reply(asker, make_response(*query, answer.answer, asker.client ? kMessageMax : (*query).udp_bytes_max));
  Forwarded one;
  one.asker = asker;
  one.query = *query;
  one.packet = std::move(packet);
  one.alias = answer.alias;
  one.resolvers = std::move(answer.resolvers);
  one.begun = std::move(answer.answer);
  one.tcp = asker.client != 0;
  forward(std::move(one));
}

void Server::Impl::reply(const Asker& asker, const std::string& packet) {
  if (packet.empty()) return;
  if (!asker.client) {
    ::sendto(udp_.get(), packet.data(), packet.size(), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&asker.from),
             sizeof asker.from);
    return;
  }
  const auto found = clients_.find(asker.client);
  if (found == clients_.end()) return;
  found->second.out += framed(packet);
  if (write_some(found->second.fd.get(), found->second.out) && !found->second.out.empty())
    add(found->second.fd.get(), kClient, asker.client, EPOLLIN | EPOLLOUT);
}

void Server::Impl::refuse(const Forwarded& forward) {
  Answer answer;
  answer.code = Code::server_failure;
  reply(forward.asker, make_response(forward.query, answer, kMessageMax));
}

void Server::Impl::forward(Forwarded one) {
  if (one.alias.empty()) {
    if (const auto cached = cache_.find(one.packet, one.query, Steady::now())) {
      if (one.asker.client || (*cached).size() <= one.query.udp_bytes_max) return reply(one.asker, *cached);
    }
  }
  if (forwards_.size() >= kForwardsMax) return refuse(one);
  const std::uint64_t id = ++last_id_;
  if (const auto client = clients_.find(one.asker.client); client != clients_.end()) ++client->second.waiting;
  Forwarded& kept = forwards_[id] = std::move(one);
  if (!take_turn(id, kept)) next_turn(id);
}

const std::vector<std::string>& Server::Impl::resolvers_of(const Forwarded& forward) {
  if (!forward.resolvers.empty()) return forward.resolvers;
  const auto now = Steady::now();
  if (resolvers_.empty() || now - resolvers_read_ > kResolversAge) {
    resolvers_ = read_resolvers(options_.resolv_conf, options_.address);
    resolvers_read_ = now;
  }
  return resolvers_;
}

// Asks the resolver whose turn it is. False when that can't be done.
bool Server::Impl::take_turn(std::uint64_t id, Forwarded& one) {
  one.ends = Steady::now() + kTurn;
  const auto& all = resolvers_of(one);
  if (all.empty()) return false;
  const auto to = socket_address(all[one.turn % all.size()]);
  const auto wire_id = static_cast<std::uint16_t>(random_u64());
  one.sent = one.alias.empty() ? one.packet : make_query(wire_id, one.alias, one.query.type);
  one.sent[0] = static_cast<char>(wire_id >> 8);
  one.sent[1] = static_cast<char>(wire_id);
  one.in.clear();
  one.out.clear();
  // A resolver that speaks no TCP still answers its second turn by UDP.
  const bool tcp = one.tcp && one.turn < all.size();
  one.fd.reset(::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!one.fd) return false;
  const int connected = ::connect(one.fd.get(), reinterpret_cast<const sockaddr*>(&*to), sizeof *to);
  if (connected != 0 && errno != EINPROGRESS) return false;
  if (tcp)
    one.out = framed(one.sent);
  else if (::send(one.fd.get(), one.sent.data(), one.sent.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    return false;
  add(one.fd.get(), kForward, id, EPOLLIN | (tcp ? static_cast<std::uint32_t>(EPOLLOUT) : 0u));
  return true;
}

void Server::Impl::next_turn(std::uint64_t id) {
  const auto found = forwards_.find(id);
  if (found == forwards_.end()) return;
  const std::size_t turns = 2 * resolvers_of(found->second).size();
  while (++found->second.turn < turns)
    if (take_turn(id, found->second)) return;
  refuse(found->second);
  if (const auto client = clients_.find(found->second.asker.client); client != clients_.end()) --client->second.waiting;
  forwards_.erase(found);
}

void Server::Impl::on_forward(std::uint64_t id, std::uint32_t events) {
  const auto found = forwards_.find(id);
  if (found == forwards_.end()) return;
  Forwarded& one = found->second;
  std::optional<std::string> packet;
  if (!one.out.empty() || (one.tcp && one.turn < resolvers_of(one).size())) {
    if ((events & (EPOLLERR | EPOLLHUP)) || !write_some(one.fd.get(), one.out)) return next_turn(id);
    if (one.out.empty()) add(one.fd.get(), kForward, id, EPOLLIN);
    const bool more = read_some(one.fd.get(), one.in);
    packet = take_message(one.in);
    if (!packet && !more) return next_turn(id);
  } else {
    std::string buffer(kMessageMax, '\0');
    const ssize_t got = ::recv(one.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN ? void() : next_turn(id);
    buffer.resize(static_cast<std::size_t>(got));
    packet = std::move(buffer);
  }
  if (!packet) return;
  const Result<Reply> upstream = parse_reply(*packet);
  if (!upstream.ok() || (*packet).substr(0, 2) != one.sent.substr(0, 2)) return;  // not the answer: wait on
  if (!same_question((*upstream).question, std::string_view(one.sent).substr(12, (*upstream).question.size()))) return;
  const bool failed = (*upstream).code == Code::server_failure || (*upstream).code == Code::refused;
  if (failed && one.turn + 1 < resolvers_of(one).size()) return next_turn(id);
  if (!one.alias.empty() && (*upstream).truncated && !one.tcp) {
    one.tcp = true;
    if (!take_turn(id, one)) next_turn(id);
    return;
  }
  if (!on_reply(one, *packet)) return;
  if (const auto client = clients_.find(one.asker.client); client != clients_.end()) --client->second.waiting;
  forwards_.erase(id);
}

bool Server::Impl::on_reply(Forwarded& one, const std::string& packet) {
  const Result<Reply> upstream = parse_reply(packet);
  if (!upstream.ok()) return false;
  if (!one.alias.empty()) {
    finish_alias(one, *upstream);
    return true;
  }
  std::string out = packet;
  out.replace(0, 2, one.packet.substr(0, 2));
  out.replace(12, one.query.question.size(), one.query.question);
  cache_.put(one.packet, out, *upstream, Steady::now());
  reply(one.asker, out);
  return true;
}

void Server::Impl::finish_alias(Forwarded& one, const Reply& upstream) {
  Answer answer = std::move(one.begun);
  answer.code = upstream.code;
  answer.authoritative = false;
  answer.answers.insert(answer.answers.end(), upstream.answers.begin(), upstream.answers.end());
  reply(one.asker, make_response(one.query, answer, one.asker.client ? kMessageMax : one.query.udp_bytes_max));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
int Server::port() const {
  return impl_->port();
}

Result<std::unique_ptr<Server>> Server::start(const Options& options,
                                              std::function<ZoneAnswer(const std::string&, std::uint16_t)> zone) {
  auto impl = std::make_unique<Impl>(options, std::move(zone));
  TRY(impl->start());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

}  // namespace caisson::network::dns
