// SPDX-License-Identifier: Apache-2.0
#include "machine/node/serve.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "machine/node/action.h"
#include "machine/node/channels.h"
#include "machine/node/logs.h"

namespace caisson::node {
namespace {

constexpr std::size_t kPieceBytes = 256u << 10;
constexpr int kConnectMs = 5'000;
constexpr std::size_t kPortsMax = 32;

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::bad_request:
    case ErrorCode::invalid:
      return 400;
    case ErrorCode::timeout:
      return 504;
    case ErrorCode::unavailable:
      return 503;
    default:
      return 500;
  }
}

bool is_true(const http::Query& query, std::string_view name) {
  const std::string_view value = http::query_get(query, name);
  return value == "true" || value == "1";
}

StreamsWanted wanted_of(const http::Query& query) {
  // The API has `stdin`, the kubelet's own paths `input`; both come here.
  return {.in = is_true(query, "stdin") || is_true(query, "input"),
          .out = is_true(query, "stdout") || is_true(query, "output"),
          .err = is_true(query, "stderr") || is_true(query, "error"),
          .terminal = is_true(query, "tty")};
}

// Connects inside the pod's network namespace: what listens on the pod's 127.0.0.1 only can be forwarded too.
Result<UniqueFd> connect_in(const std::string& network, int port) {
  Result<UniqueFd> result = Error{ErrorCode::internal, "not tried"};
  std::thread([&] {
    if (!network.empty()) {
      const UniqueFd ns(::open(network.c_str(), O_RDONLY | O_CLOEXEC));
      if (!ns || ::setns(ns.get(), CLONE_NEWNET) != 0) {
        result = errno_error("enter the pod's network");
        return;
      }
    }
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS) {
      result = errno_error("connect to port " + std::to_string(port) + " in the pod");
      return;
    }
    pollfd one{socket.get(), POLLOUT, 0};
    ::poll(&one, 1, kConnectMs);
    int error = ETIMEDOUT;
    socklen_t length = sizeof error;
    if (one.revents) ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    errno = error;
    if (error != 0) {
      result = errno_error("connect to port " + std::to_string(port) + " in the pod");
    } else {
      result = std::move(socket);
    }
  }).join();
  return result;
}

}  // namespace

Serving::Serving(std::shared_ptr<Pods> pods) : pods_(std::move(pods)) {}

void Serving::handle(http::ExchangePtr exchange) {
  const auto parts = split(exchange->path, '/');
  const auto part = [&parts](std::size_t i) { return i < parts.size() ? std::string(parts[i]) : std::string(); };
  const std::string verb = part(1);
  Result<void> done = Error{ErrorCode::not_found, exchange->path + " is not served here"};
  if (verb == "containerLogs" && parts.size() == 5) done = logs(*exchange, part(2), part(3), part(4));
  if (verb == "exec" && parts.size() == 5) done = exec(*exchange, part(2), part(3), part(4));
  if (verb == "attach" && parts.size() == 5) done = attach(*exchange, part(2), part(3), part(4));
  if (verb == "portForward" && parts.size() == 4) done = port_forward(*exchange, part(2), part(3));
  if (exchange->path == "/stats/summary") {
    const bool with_disk = !is_true(exchange->query, "only_cpu_and_memory");
    exchange->respond({.status = 200,
                       .headers = {{"Content-Type", "application/json"}},
                       .body = json::write(pods_->stats_summary(with_disk))});
    return;
  }
  if (done.ok()) return;
  http::Response response;
  response.status = status_of(done.error().code);
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.body = done.error().message;
  exchange->respond(std::move(response));
}

Result<void> Serving::logs(http::Exchange& exchange, const std::string& ns, const std::string& name,
                           const std::string& container) {
  const LogOptions options = TRY(LogOptions::parse(exchange.query, system_clock().now()));
  const auto [object, state] = TRY(pods_->find(ns, name));
  if (!find_container(object, container))
    return Error{ErrorCode::bad_request, "container " + container + " is not valid for pod " + name};
  const auto it = state.containers.find(container);
  const bool previous = is_true(exchange.query, "previous");
  if (it == state.containers.end() || it->second.id.empty()) {
    const std::string reason = it == state.containers.end() || it->second.waiting_reason.empty()
                                   ? "ContainerCreating"
                                   : it->second.waiting_reason;
    if (it != state.containers.end() &&
        it->second.phase == ContainerState::Phase::terminated) {  // a skipped step has no log
      exchange.stream(200, {{"Content-Type", "text/plain"}})->finish();
      return {};
    }
    return Error{ErrorCode::bad_request,
                 "container \"" + container + "\" in pod \"" + name + "\" is waiting to start: " + reason};
  }
  const ContainerState& one = it->second;
  if (previous && one.restarts == 0) {
    return Error{ErrorCode::bad_request,
                 "previous terminated container \"" + container + "\" in pod \"" + name + "\" not found"};
  }
  const int attempt = previous ? one.restarts - 1 : one.restarts;
  const std::string path =
      pods_->log_directory(ns, name, state.uid, container) + "/" + std::to_string(attempt) + ".log";
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return Error{ErrorCode::not_found,
                 "the log of container \"" + container + "\" is not there: " + std::strerror(errno)};
  if (options.tail_lines) {
    const std::uint64_t offset = TRY(tail_offset(file.get(), *options.tail_lines));
    ::lseek(file.get(), static_cast<off_t>(offset), SEEK_SET);
  }
  LogFormatter formatter(options);
  auto stream = exchange.stream(200, {{"Content-Type", "text/plain"}});
  std::string buffer(kPieceBytes, '\0');
  while (!formatter.full()) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    const std::string text = formatter.format(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)));
    if (!text.empty() && !stream->write_blocking(text).ok()) return {};  // the client is gone
  }
  if (!options.follow || previous || formatter.full()) {
    stream->finish();
    return {};
  }
  const auto ended = [&containers = pods_->containers(), id = one.id] {
    const auto status = containers.find(id);
    return !status || status->exit.has_value();
  };
  pods_->crew().follower->follow(std::move(file), path, std::move(formatter), std::move(stream), ended);
  return {};
}

Result<std::string> Serving::running(const std::string& ns, const std::string& name, const std::string& container) {
  const auto [object, state] = TRY(pods_->find(ns, name));
  if (!find_container(object, container))
    return Error{ErrorCode::bad_request, "container " + container + " is not valid for pod " + name};
  const auto it = state.containers.find(container);
  if (it != state.containers.end() && it->second.phase == ContainerState::Phase::running) return it->second.id;
  return Error{ErrorCode::bad_request, "container \"" + container + "\" in pod \"" + name + "\" is not running"};
}

Result<void> Serving::exec(http::Exchange& exchange, const std::string& ns, const std::string& name,
                           const std::string& container) {
  const std::string id = TRY(running(ns, name, container));
  const std::string protocol = TRY(choose_protocol(exchange.headers.get("Sec-WebSocket-Protocol")));
  const StreamsWanted wanted = wanted_of(exchange.query);
  container::ExecSpec spec;
  spec.terminal = wanted.terminal;
  for (const auto& [key, value] : exchange.query) {
    if (key == "command") spec.args.push_back(value);
  }
  if (spec.args.empty())
    return Error{ErrorCode::bad_request, "you must specify at least one command for the container"};
  auto socket = TRY(exchange.websocket(protocol));
  auto process = pods_->containers().exec(id, spec);
  if (!process.ok()) {
    const std::string message(1, static_cast<char>(Channel::error));
    const auto sent = socket->send(message + failure_message(process.error().message));
    if (!sent.ok()) log::debug("exec answer not sent", {{"error", sent.error()}});
    socket->close(1000, "");
    return {};
  }
  serve_process(loop_, std::move(socket), std::move(process).value(), wanted);
  return {};
}

Result<void> Serving::attach(http::Exchange& exchange, const std::string& ns, const std::string& name,
                             const std::string& container) {
  const std::string id = TRY(running(ns, name, container));
  const std::string protocol = TRY(choose_protocol(exchange.headers.get("Sec-WebSocket-Protocol")));
  auto attachment = TRY(pods_->containers().attach(id));
  auto socket = TRY(exchange.websocket(protocol));
  serve_attachment(loop_, std::move(socket), std::move(attachment), wanted_of(exchange.query));
  return {};
}

Result<void> Serving::port_forward(http::Exchange& exchange, const std::string& ns, const std::string& name) {
  const auto [object, state] = TRY(pods_->find(ns, name));
  if (!state.sandbox) return Error{ErrorCode::bad_request, "pod " + name + " is not running"};
  const std::string protocol = TRY(choose_protocol(exchange.headers.get("Sec-WebSocket-Protocol")));
  std::vector<int> ports;
  for (const auto& [key, value] : exchange.query) {
    if (key != "ports" && key != "port") continue;
    for (const auto text : split(value, ',')) {
      const auto port = parse_int(text);
      if (!port || *port < 1 || *port > 65535)
        return Error{ErrorCode::bad_request, "ports: \"" + std::string(text) + "\" is no port"};
      ports.push_back(static_cast<int>(*port));
    }
  }
  if (ports.empty() || ports.size() > kPortsMax)
    return Error{ErrorCode::bad_request, "ports: one to " + std::to_string(kPortsMax) + " are wanted"};
  const std::string network =
      object.spec()["hostNetwork"].as_bool() ? "" : pods_->options().state_dir + "/pods/" + state.uid + "/sandbox/net";
  std::vector<UniqueFd> connections;
  std::vector<std::string> errors;
  for (const int port : ports) {
    auto connection = connect_in(network, port);
    errors.push_back(connection.ok() ? "" : connection.error().message);
    connections.push_back(connection.ok() ? std::move(connection).value() : UniqueFd());
  }
  auto socket = TRY(exchange.websocket(protocol));
  serve_ports(loop_, std::move(socket), std::move(ports), std::move(connections), std::move(errors));
  return {};
}

}  // namespace caisson::node
