// SPDX-License-Identifier: Apache-2.0
#include "machine/node/action.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/http/client.h"
#include "machine/node/grpc_health.h"

namespace caisson::node {
namespace {

constexpr std::size_t kBodyBytesMax = 10u << 10;

Result<ActionResult> run_exec(const ActionTarget& target, const Value& handler, Duration time_max) {
  container::ExecSpec exec;
  for (const auto& arg : handler["command"].items()) exec.args.push_back(arg.str());
  const auto done = target.containers->exec_run(target.container_id, exec, time_max, kBodyBytesMax);
  if (!done.ok()) {
    if (done.error().code == ErrorCode::timeout)
      return ActionResult{false, "command timed out after " + format_duration(time_max)};
    return ActionResult{false, done.error().message};
  }
  return ActionResult{done->code == 0, done->output.empty() ? "exit code " + std::to_string(done->code) : done->output};
}

Result<ActionResult> run_http(const ActionTarget& target, const Value& handler, Duration time_max) {
  static const http::Client client(
      {.verify = false, .use_proxy = false, .redirects_max = 0});  // a probe does not verify, as the kubelet
  const int port = TRY(port_number(target.container, handler["port"]));
  std::string host = handler["host"].str();
  if (host.empty()) host = target.pod_ip;
  std::string path = handler["path"].str();
  if (!path.starts_with('/')) path.insert(0, "/");
  http::Request request;
  request.url = to_lower(handler["scheme"].as_string("HTTP")) + "://" + host + ":" + std::to_string(port) + path;
  request.headers = {{"User-Agent", "kube-probe/1.33"}, {"Accept", "*/*"}, {"Connection", "close"}};
  for (const auto& header : handler["httpHeaders"].items())
    request.headers.set(header["name"].as_string(), header["value"].as_string());
  request.time_max = time_max;
  request.response_bytes_max = 1u << 20;
  const auto response = client.send(request);
  if (!response.ok()) return ActionResult{false, "Get \"" + request.url + "\": " + response.error().message};
  if (response->status >= 200 && response->status < 400) return ActionResult{true, ""};
  return ActionResult{false, "HTTP probe failed with statuscode: " + std::to_string(response->status)};
}

Result<ActionResult> run_tcp(const ActionTarget& target, const Value& handler, Duration time_max) {
  const int port = TRY(port_number(target.container, handler["port"]));
  const std::string host = handler["host"].as_string().empty() ? target.pod_ip : handler["host"].str();
  const std::string where = "dial tcp " + host + ":" + std::to_string(port) + ": ";
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    return Error{ErrorCode::invalid, where + "not an IPv4 address"};
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return errno_error("open a socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    return ActionResult{false, where + std::strerror(errno)};
  }
  pollfd one{socket.get(), POLLOUT, 0};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(time_max).count();
  if (::poll(&one, 1, static_cast<int>(ms)) == 0) return ActionResult{false, where + "i/o timeout"};
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  return ActionResult{error == 0, error == 0 ? "" : where + std::strerror(error)};
}

Result<ActionResult> run_grpc(const ActionTarget& target, const Value& handler, Duration time_max) {
  const int port = TRY(port_number(target.container, handler["port"]));
  const auto healthy = grpc_health(target.pod_ip, port, handler["service"].as_string(), time_max);
  return ActionResult{healthy.ok(), healthy.ok() ? "" : healthy.error().message};
}

}  // namespace

Result<int> port_number(const Value& container, const Value& port) {
  if (port.is_int()) return static_cast<int>(port.as_int());
  const std::string_view name = port.as_string();
  if (const auto number = parse_int(name)) return static_cast<int>(*number);
  for (const auto& one : container["ports"].items()) {
    if (one["name"].as_string() == name) return static_cast<int>(one["containerPort"].as_int());
  }
  return Error{ErrorCode::invalid, "the container has no port named \"" + std::string(name) + "\""};
}

Result<ActionResult> run_action(const ActionTarget& target, const Value& handler, Duration time_max) {
  if (const Value& exec = handler["exec"]; !exec.is_null()) return run_exec(target, exec, time_max);
  if (const Value& http = handler["httpGet"]; !http.is_null()) return run_http(target, http, time_max);
  if (const Value& tcp = handler["tcpSocket"]; !tcp.is_null()) return run_tcp(target, tcp, time_max);
  if (const Value& sleep = handler["sleep"]; !sleep.is_null()) {
    std::this_thread::sleep_for(std::min<Duration>(time_max, std::chrono::seconds(sleep["seconds"].as_int())));
    return ActionResult{true, ""};
  }
  if (const Value& grpc = handler["grpc"]; !grpc.is_null()) return run_grpc(target, grpc, time_max);
  return Error{ErrorCode::invalid, "the handler names no action (exec, httpGet, tcpSocket, grpc, sleep)"};
}

}  // namespace caisson::node
