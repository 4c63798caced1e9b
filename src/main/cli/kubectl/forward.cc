// SPDX-License-Identifier: Apache-2.0
// port-forward: ports of this machine that lead into a pod, each connection over a WebSocket of its own
// (v4.channel.k8s.io: channel 0 data, 1 error; each begins with the port). proxy: the API without its credentials.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/http/server.h"
#include "main/cli/kubectl/forward.h"
#include "main/cli/kubectl/streams.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kForwardFlags[] = {{"address", FlagKind::list}, {"pod-running-timeout", FlagKind::text}};
constexpr FlagSpec kProxyFlags[] = {
    {"address", FlagKind::text}, {"port", FlagKind::text, 'p'}, {"api-prefix", FlagKind::text}};
constexpr std::size_t kPieceBytes = 32768;
constexpr std::size_t kConnectionsMax = 1000;  // of one command
constexpr std::size_t kProxyBodyBytesMax = 64u << 20;

// --- listening

Result<UniqueFd> listen_on(const std::string& address, int port, int& bound) {
  const bool six = address.find(':') != std::string::npos;
  UniqueFd fd(::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("make a socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (six) {
    auto& to = reinterpret_cast<sockaddr_in6&>(storage);
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(static_cast<std::uint16_t>(port));
    if (::inet_pton(AF_INET6, address.c_str(), &to.sin6_addr) != 1) return usage("invalid address: " + address);
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    length = sizeof to;
  } else {
    auto& to = reinterpret_cast<sockaddr_in&>(storage);
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) return usage("invalid address: " + address);
    length = sizeof to;
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 || ::listen(fd.get(), 64) != 0)
    return errno_error("listen on port " + std::to_string(port) + " of " + address);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  bound = ntohs(six ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                    : reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  return fd;
}

std::string shown_address(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

struct Listener {
  UniqueFd fd;
  int local = 0, remote = 0;
};

// --- one connection

// What came from the pod goes to `client`, until the pod is done. Errors: what the node says of the port.
Result<void> read_pod(http::ClientWebSocket& socket, int client) {
  std::size_t skip[2] = {2, 2};  // the port, at the head of each channel
  for (;;) {
    auto message = TRY(socket.receive());
    if (!message) return {};
    std::string_view data = message->data;
    if (data.empty() || data[0] > 1) continue;
    const auto channel = static_cast<std::size_t>(data[0]);
    data.remove_prefix(1);
    const std::size_t head = std::min(skip[channel], data.size());
    skip[channel] -= head;
    data.remove_prefix(head);
    if (data.empty()) continue;
    if (channel == 1) return Error{ErrorCode::unavailable, std::string(data)};
    TRY(write_all(client, data));
  }
}

void read_client(http::ClientWebSocket& socket, int client) {
  char buffer[kPieceBytes];
  for (;;) {
    const ssize_t got = ::read(client, buffer, sizeof buffer);
    if (got <= 0) return;
    if (!socket.send(std::string(1, '\0') + std::string(buffer, static_cast<std::size_t>(got))).ok()) return;
  }
}

void forward(const Call& call, const std::string& pod_path, int remote, const UniqueFd& client) {
  http::Request request = call.session.request("GET", pod_path + "/portforward?ports=" + std::to_string(remote));
  request.time_max = Duration(0);
  const auto told = [remote](const Error& error) {
    std::fprintf(stderr, "an error occurred forwarding to port %d: %s\n", remote, error.message.c_str());
  };
  const auto socket = call.http->websocket(request, {"v4.channel.k8s.io"});
  if (!socket.ok()) return told(socket.error());
  std::thread up([&] { read_client(**socket, client.get()); });
  const auto ended = read_pod(**socket, client.get());
  if (!ended.ok() && ended.error().code != ErrorCode::unavailable)
    told(ended.error());
  else if (!ended.ok())
    told(ended.error());
  ::shutdown(client.get(), SHUT_RDWR);
  (*socket)->close();
  up.join();
}

// Accepts until the process is ended, a thread for each connection.
Result<void> serve(const Call& call, const std::string& pod_path, const std::vector<Listener>& listeners) {
  std::vector<pollfd> fds;
  for (const Listener& listener : listeners) fds.push_back({listener.fd.get(), POLLIN, 0});
  std::atomic<std::size_t> open{0};
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return errno_error("wait for connections");
    }
    for (std::size_t i = 0; i < fds.size(); ++i) {
      if (!fds[i].revents) continue;
      UniqueFd client(::accept4(fds[i].fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (!client || open >= kConnectionsMax) continue;
      std::printf("Handling connection for %d\n", listeners[i].local);
      std::fflush(stdout);
      ++open;
      std::thread([&call, &open, pod_path, remote = listeners[i].remote, fd = std::move(client)] {
        forward(call, pod_path, remote, fd);
        --open;
      }).detach();  // the loop above never ends: only the process does
    }
  }
}

// --- which ports

Result<int> port_number(std::string_view text) {
  const auto number = parse_int(text);
  if (number && *number >= 0 && *number <= 65535) return static_cast<int>(*number);
  return usage("invalid port: \"" + std::string(text) + "\"");
}

Result<int> port_of_pod(const Value& pod, std::string_view name) {
  for (const char* list : {"containers", "initContainers"}) {
    for (const Value& container : pod["spec"][list].items()) {
      for (const Value& port : container["ports"].items()) {
        if (port["name"].as_string() == name) return static_cast<int>(port["containerPort"].as_int());
      }
    }
  }
  return usage("Pod '" + pod["metadata"]["name"].str() + "' does not have a named port '" + std::string(name) + "'");
}

}  // namespace

Result<int> remote_port(const Value& service, const Value& pod, std::string_view word) {
  const auto number = parse_int(word);
  if (service.is_null()) return number ? port_number(word) : port_of_pod(pod, word);
  for (const Value& port : service["spec"]["ports"].items()) {
    if (number ? port["port"].as_int() != *number : port["name"].as_string() != word) continue;
    if (service["spec"]["clusterIP"].as_string() == "None" && number) return port_number(word);
    const Value& target = port["targetPort"];
    if (target.is_string()) return port_of_pod(pod, target.as_string());
    return static_cast<int>(target.is_null() ? port["port"].as_int() : target.as_int());
  }
  return usage("Service " + service["metadata"]["name"].str() + " does not have a " +
               (number ? "service port " : "named port ") + std::string(word));
}

Result<PortPair> parse_ports(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view local = text.substr(0, colon),
                         remote = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (remote.empty()) return usage("remote port must be given in \"" + std::string(text) + "\"");
  PortPair out{0, std::string(remote), colon == std::string_view::npos};
  if (!out.same && !local.empty()) out.local = TRY(port_number(local));
  const auto number = parse_int(remote);
  if (number && (*number < 1 || *number > 65535))
    return usage("remote port must be > 0: \"" + std::string(text) + "\"");
  return out;
}

namespace {

Result<int> run_forward(Call& call) {
  if (call.arguments.size() < 2) return usage("TYPE/NAME and list of ports are required for port-forward");
  const std::string& word = call.arguments[0];
  Value service;
  if (const auto slash = word.find('/'); slash != std::string::npos) {
    const kube::Resource resource = TRY(resource_of(call, std::string_view(word).substr(0, slash)));
    if (resource == schema::kServices) service = TRY(get(call, resource.path(call.session.ns, word.substr(slash + 1))));
  }
  const Value pod = TRY(pod_for(call, word));
  if (pod["status"]["phase"].as_string() != "Running")
    return usage("unable to forward port because pod is not running. Current status=" + pod["status"]["phase"].str());
  std::vector<std::string> addresses = call.flags.all("address");
  if (addresses.empty()) addresses = {"localhost"};
  std::vector<Listener> listeners;
  for (std::size_t i = 1; i < call.arguments.size(); ++i) {
    const PortPair pair = TRY(parse_ports(call.arguments[i]));
    const int remote = TRY(remote_port(service, pod, pair.remote));
    // A Service's own port is the local one, whatever its target.
    const auto shown = parse_int(pair.remote);
    int local = pair.same ? (shown ? static_cast<int>(*shown) : remote) : pair.local;
    std::size_t bound_count = 0;
    for (const std::string& given : addresses) {
      for (const std::string& address :
           given == "localhost" ? std::vector<std::string>{"127.0.0.1", "::1"} : std::vector<std::string>{given}) {
        int bound = 0;
        auto fd = listen_on(address, local, bound);
        if (!fd.ok() && address == "::1") continue;  // a machine without IPv6
        if (!fd.ok()) return usage("unable to listen on port " + std::to_string(local) + ": " + fd.error().message);
        local = bound;  // a random port is the same on every address
        ++bound_count;
        std::printf("Forwarding from %s:%d -> %d\n", shown_address(address).c_str(), bound, remote);
        listeners.push_back({std::move(fd).value(), bound, remote});
      }
    }
    if (bound_count == 0) return usage("unable to listen on any of the requested ports: [" + call.arguments[i] + "]");
  }
  std::fflush(stdout);
  TRY(serve(call, schema::kPods.path(call.session.ns, pod["metadata"]["name"].as_string()), listeners));
  return 0;
}

// --- proxy

bool is_of_connection(std::string_view name) {
  for (const std::string_view one : {"Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Upgrade", "Host",
                                     "Content-Length", "Authorization", "Accept-Encoding"}) {
    if (equals_ignoring_case(one, name)) return true;
  }
  return false;
}

// Passes a request on with this user's credentials, and the answer back as it comes.
void pass_on(const Call& call, const std::string& prefix, const http::ExchangePtr& exchange) {
  const auto refuse = [&](int status, const std::string& why) {
    exchange->respond({status, {{"Content-Type", "text/plain"}}, why + "\n"});
  };
  if (!exchange->target.starts_with(prefix)) return refuse(404, "not below " + prefix);
  // A page that a browser shows must not reach the API with the reader's rights, by whatever name it came here.
  const std::string_view host = exchange->headers.get("Host");
  const std::string_view name = host.substr(0, host.rfind(':'));
  if (name != "localhost" && name != "127.0.0.1" && name != "[::1]") return refuse(403, "Forbidden");
  http::Request request = call.session.request(exchange->method, "/" + exchange->target.substr(prefix.size()));
  for (const auto& [header, value] : exchange->headers.fields()) {
    if (!is_of_connection(header)) request.headers.set(header, value);
  }
  request.time_max = Duration(0);
  auto body = exchange->read_body(kProxyBodyBytesMax);
  if (!body.ok()) return refuse(400, body.error().message);
  request.body = std::move(body).value();
  const auto answer = call.http->open(request);
  if (!answer.ok()) return refuse(502, answer.error().message);
  http::Headers headers;
  for (const auto& [header, value] : (*answer)->headers.fields()) {
    if (!is_of_connection(header)) headers.add(header, value);
  }
  const auto stream = exchange->stream((*answer)->status, headers);
  for (;;) {
    const auto piece = (*answer)->read_some();
    if (!piece.ok()) return stream->abort();
    if (piece->empty() || !stream->write_blocking(*piece).ok()) return stream->finish();
  }
}

Result<int> run_proxy(Call& call) {
  std::string prefix = call.text("api-prefix", "/");
  if (!prefix.ends_with('/')) prefix += '/';
  if (!prefix.starts_with('/')) prefix.insert(prefix.begin(), '/');
  const std::string address = call.text("address", "127.0.0.1");
  const int wanted = TRY(port_number(call.text("port", "8001")));
  http::Server server = TRY(http::Server::start({}));
  const int port = TRY(
      server.listen(address, wanted, [&call, prefix](http::ExchangePtr exchange) { pass_on(call, prefix, exchange); }));
  std::printf("Starting to serve on %s:%d\n", address.c_str(), port);
  std::fflush(stdout);
  for (;;) ::pause();
}

constexpr Command kCommands[] = {
    {"port-forward", "Forward local ports to a pod.",
     "port-forward TYPE/NAME [--address=HOST] [LOCAL_PORT:]REMOTE_PORT ...", "caisson port-forward svc/web 8080:80",
     kForwardFlags, run_forward},
    {"proxy", "Serve the API on a local port, with your credentials.",
     "proxy [--port=8001] [--address=127.0.0.1] [--api-prefix=/]", "caisson proxy --port=8001", kProxyFlags, run_proxy},
};

}  // namespace

std::span<const Command> forward_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
