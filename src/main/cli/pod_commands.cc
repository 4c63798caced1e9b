// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/commands.h"

namespace caisson::cli {
namespace {

constexpr char kStdin = 0, kStdout = 1, kStderr = 2, kError = 3, kResize = 4;

std::string pod_path(const Session& session, std::string_view pod, std::string_view subresource) {
  for (const std::string_view prefix : {"pod/", "pods/", "po/"}) {
    if (pod.starts_with(prefix)) pod.remove_prefix(prefix.size());
  }
  return schema::kPods.path(session.ns, pod) + "/" + std::string(subresource);
}

// Puts the terminal in raw mode while a tty session lasts.
class RawTerminal {
 public:
  explicit RawTerminal(bool wanted) : active_(wanted && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!active_) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (active_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

 private:
  termios before_{};
  bool active_;
};

void send_size(http::ClientWebSocket& socket) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
  const Value message{{"Width", static_cast<int>(size.ws_col)}, {"Height", static_cast<int>(size.ws_row)}};
  (void)socket.send(std::string(1, kResize) + json::write(message));   // the session's end is seen by the reader
}

// Copies standard input to the remote process until it ends or `stop` is written to.
void copy_input(http::ClientWebSocket& socket, int stop) {
  char buffer[4096];
  for (;;) {
    pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {stop, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 || fds[1].revents) return;
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0) {
      (void)socket.send(std::string("\xff\x00", 2));   // v5.channel.k8s.io: closes channel 0
      return;
    }
    if (!socket.send(std::string(1, kStdin) + std::string(buffer, static_cast<std::size_t>(got))).ok()) return;
  }
}

// The exit status in the Status object of the error channel.
Result<int> exit_status(std::string_view text) {
  const Value status = TRY(json::parse(text));
  if (status["status"].as_string() == "Success") return 0;
  for (const Value& cause : status["details"]["causes"].items()) {
    if (cause["reason"].as_string() == "ExitCode") return static_cast<int>(parse_int(cause["message"].as_string()).value_or(1));
  }
  return Error{ErrorCode::internal, status["message"].str()};
}

Result<int> run_session(http::ClientWebSocket& socket) {
  for (;;) {
    auto message = TRY(socket.receive());
    if (!message) return Error{ErrorCode::unavailable, "the connection ended before the command did"};
    if (message->data.empty()) continue;
    const char channel = message->data[0];
    const std::string_view data = std::string_view(message->data).substr(1);
    if (channel == kStdout) TRY(write_all(STDOUT_FILENO, data));
    else if (channel == kStderr) TRY(write_all(STDERR_FILENO, data));
    else if (channel == kError) return exit_status(data);
  }
}

}  // namespace

Result<void> command_logs(const Global& global, const LogFlags& flags) {
  const Session session = TRY(connect(global));
  std::string query = std::string("?follow=") + (flags.follow ? "true" : "false");
  if (!flags.container.empty()) query += "&container=" + percent_encode(flags.container);
  if (flags.previous) query += "&previous=true";
  if (flags.timestamps) query += "&timestamps=true";
  if (flags.tail >= 0) query += "&tailLines=" + std::to_string(flags.tail);
  auto stream = TRY(session.open(pod_path(session, flags.pod, "log") + query));
  for (;;) {
    const std::string piece = TRY(stream->read_some());
    if (piece.empty()) return {};
    TRY(write_all(STDOUT_FILENO, piece));
  }
}

Result<int> command_exec(const Global& global, const ExecFlags& flags) {
  const Session session = TRY(connect(global));
  std::string query = "?stdout=true";
  if (!flags.tty) query += "&stderr=true";
  if (flags.stdin_open) query += "&stdin=true";
  if (flags.tty) query += "&tty=true";
  if (!flags.container.empty()) query += "&container=" + percent_encode(flags.container);
  for (const std::string& word : flags.command) query += "&command=" + percent_encode(word);
  http::Request request = session.request("GET", pod_path(session, flags.pod, "exec") + query);
  request.time_max = Duration(0);
  const http::Client http(session.connection.http);
  auto socket = TRY(http.websocket(request, {"v5.channel.k8s.io", "v4.channel.k8s.io"}));
  const bool raw = flags.tty && flags.stdin_open && ::isatty(STDIN_FILENO) == 1;
  const RawTerminal terminal(raw);
  if (flags.tty) send_size(*socket);
  int stop[2];
  if (::pipe(stop) != 0) return errno_error("make a pipe");
  const UniqueFd stop_read(stop[0]);
  UniqueFd stop_write(stop[1]);
  std::thread input;
  if (flags.stdin_open) input = std::thread([&] { copy_input(*socket, stop_read.get()); });
  const auto result = run_session(*socket);
  stop_write.reset();   // the hang-up wakes the copier
  if (input.joinable()) input.join();
  return result;
}

}  // namespace caisson::cli
