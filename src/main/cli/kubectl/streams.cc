// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/streams.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/kubectl/watch.h"

namespace caisson::cli::kubectl {
namespace {

constexpr char kStdin = 0, kStdout = 1, kStderr = 2, kError = 3, kResize = 4;
constexpr std::string_view kCloseStdin("\xff\x00", 2);  // v5.channel.k8s.io
constexpr auto kPoll = std::chrono::milliseconds(200);

// --- pods

struct Rank {
  bool unbound, waiting, unready;
  std::int64_t restarts;
  std::string age;
  auto operator<=>(const Rank&) const = default;
};
// The order of k8s.io/kubectl/pkg/util/podutils.ActivePods: the best first.
Rank rank_of(const Value& pod) {
  bool ready = false;
  for (const Value& c : pod["status"]["conditions"].items())
    ready = ready || (c["type"].as_string() == "Ready" && c["status"].as_string() == "True");
  std::int64_t restarts = 0;
  for (const Value& status : pod["status"]["containerStatuses"].items())
    restarts = std::max(restarts, status["restartCount"].as_int());
  return {pod["spec"]["nodeName"].as_string().empty(), pod["status"]["phase"].as_string() != "Running", !ready,
          restarts, pod["metadata"]["creationTimestamp"].str()};
}

Result<std::string> selector_of(const Value& object) {
  const Value& selector = object["spec"]["selector"];
  if (selector.is_null() || selector.empty())
    return usage("cannot attach to *" + object["kind"].str() + ": it selects no pods");
  const bool plain = selector["matchLabels"].is_null() && selector["matchExpressions"].is_null();
  std::vector<std::string> parts;
  for (const auto& [key, value] : (plain ? selector : selector["matchLabels"]).entries())
    parts.push_back(std::string(key) + "=" + value.str());
  for (const Value& expression : selector["matchExpressions"].items()) {
    const std::string key = expression["key"].str(), op = expression["operator"].str();
    std::vector<std::string> values;
    for (const Value& value : expression["values"].items()) values.push_back(value.str());
    parts.push_back(op == "Exists"         ? key
                    : op == "DoesNotExist" ? "!" + key
                                           : key + (op == "In" ? " in (" : " notin (") + join(values, ",") + ")");
  }
  return join(parts, ",");
}

Result<Target> named_object(Call& call, const std::string& word) {
  const auto slash = word.find('/');
  const kube::Resource resource =
      slash == std::string::npos ? schema::kPods : TRY(resource_of(call, std::string_view(word).substr(0, slash)));
  Target target{resource,
                resource.namespaced ? call.session.ns : "",
                slash == std::string::npos ? word : word.substr(slash + 1),
                {}};
  target.object = TRY(get(call, target.path()));
  return target;
}

// --- the terminal

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
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  termios before_{};
  bool active_;
};

volatile sig_atomic_t g_resized = 0;
void on_resize(int) {
  g_resized = 1;
}

void send_size(http::ClientWebSocket& socket) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
  const Value message{{"Width", static_cast<int>(size.ws_col)}, {"Height", static_cast<int>(size.ws_row)}};
  (void)socket.send(std::string(1, kResize) + json::write(message));  // the session's end is seen by the reader
}

// --- copying

// Copies standard input to the remote process until it ends or `stop` is written to; tells of new sizes of the
// terminal.
void copy_standard_input(http::ClientWebSocket& socket, int stop, bool terminal) {
  char buffer[32768];
  for (;;) {
    pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {stop, POLLIN, 0}};
    const int ready = ::poll(fds, 2, terminal ? 200 : -1);
    if (terminal && g_resized) {
      g_resized = 0;
      send_size(socket);
    }
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0 || fds[1].revents) return;
    if (ready == 0 || !fds[0].revents) continue;
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got <= 0) {
      (void)socket.send(kCloseStdin);
      return;
    }
    if (!socket.send(std::string(1, kStdin) + std::string(buffer, static_cast<std::size_t>(got))).ok()) return;
  }
}

// The same from a source. An error of the source ends the session: the remote process would take a half for the whole.
Result<void> copy_source(http::ClientWebSocket& socket, const std::function<Result<std::string>()>& source,
                         const std::atomic<bool>& stop) {
  while (!stop) {
    auto piece = source();
    if (!piece.ok()) {
      socket.close();
      return piece.error();
    }
    if (!socket.send(piece->empty() ? std::string(kCloseStdin) : std::string(1, kStdin) + *piece).ok() ||
        piece->empty())
      break;
  }
  return {};
}

// The exit status in the Status object of the error channel.
Result<int> exit_status(std::string_view text) {
  const Value status = TRY(json::parse(text));
  if (status["status"].as_string() == "Success") return 0;
  for (const Value& cause : status["details"]["causes"].items()) {
    if (cause["reason"].as_string() == "ExitCode")
      return static_cast<int>(parse_int(cause["message"].as_string()).value_or(1));
  }
  return Error{ErrorCode::internal, status["message"].str()};
}

Result<int> read_session(http::ClientWebSocket& socket, const StreamEnds& ends) {
  for (;;) {
    auto message = TRY(socket.receive());
    if (!message) return Error{ErrorCode::unavailable, "the connection ended before the command did"};
    if (message->data.empty()) continue;
    const char channel = message->data[0];
    const std::string_view data = std::string_view(message->data).substr(1);
    if (channel == kStdout && ends.out)
      TRY(ends.out(data));
    else if (channel == kStdout)
      TRY(write_all(STDOUT_FILENO, data));
    else if (channel == kStderr)
      TRY(write_all(STDERR_FILENO, data));
    else if (channel == kError)
      return exit_status(data);
  }
}

}  // namespace

Result<std::vector<Value>> pods_for(Call& call, const std::string& word) {
  Target target = TRY(named_object(call, word));
  if (target.resource == schema::kPods) return std::vector<Value>{std::move(target.object)};
  const std::string selector = TRY(selector_of(target.object));
  const Value list = TRY(get(call, schema::kPods.path(target.ns) + "?labelSelector=" + percent_encode(selector)));
  std::vector<Value> pods(list["items"].items().begin(), list["items"].items().end());
  std::stable_sort(pods.begin(), pods.end(), [](const Value& a, const Value& b) { return rank_of(a) < rank_of(b); });
  return pods;
}

Result<Value> pod_for(Call& call, const std::string& word) {
  const Time end = system_clock().now() + TRY(parse_duration(call.text("pod-running-timeout", "1m")));
  for (;;) {
    std::vector<Value> pods = TRY(pods_for(call, word));
    if (!pods.empty()) return pods[0];
    // Many pods of one selector: a list now and then is cheaper for the server than a watch of them all.
    if (system_clock().now() >= end) return usage("timed out waiting for the condition");
    std::this_thread::sleep_for(kPoll);
  }
}

Result<std::string> container_for(const Call& call, const Value& pod, bool says_default) {
  std::vector<std::string> names, all;
  for (const Value& container : pod["spec"]["containers"].items()) names.push_back(container["name"].str());
  all = names;
  for (const char* list : {"initContainers", "ephemeralContainers"}) {
    for (const Value& container : pod["spec"][list].items()) all.push_back(container["name"].str());
  }
  const std::string wanted = call.text("container");
  if (!wanted.empty()) {
    if (std::find(all.begin(), all.end(), wanted) == all.end())
      return usage("container " + wanted + " not found in pod " + pod["metadata"]["name"].str());
    return wanted;
  }
  const std::string annotated = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].str();
  if (!annotated.empty() && std::find(all.begin(), all.end(), annotated) != all.end()) return annotated;
  if (names.empty()) return usage("pod " + pod["metadata"]["name"].str() + " has no containers");
  if (says_default && all.size() > 1) {
    std::vector<std::string> shown = names;
    for (const Value& container : pod["spec"]["ephemeralContainers"].items())
      shown.push_back(container["name"].str() + " (ephem)");
    for (const Value& container : pod["spec"]["initContainers"].items())
      shown.push_back(container["name"].str() + " (init)");
    std::fprintf(stderr, "Defaulted container \"%s\" out of: %s\n", names[0].c_str(), join(shown, ", ").c_str());
  }
  return names[0];
}

StreamWishes wishes_of(const Call& call) {
  StreamWishes wishes{call.is_set("stdin"), true, call.is_set("tty")};
  if (wishes.terminal && (!wishes.in || ::isatty(STDIN_FILENO) != 1)) {
    if (wishes.in) std::fprintf(stderr, "Unable to use a TTY - input is not a terminal or the right kind of file\n");
    wishes.terminal = wishes.terminal && !wishes.in;
  }
  return wishes;
}

Result<int> attach_when_running(Call& call, const std::string& pod, const std::string& container,
                                const StreamWishes& wishes) {
  const auto status_of = [&](const Value& object) -> const Value& {
    for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
      for (const Value& status : object["status"][list].items()) {
        if (status["name"].as_string() == container) return status;
      }
    }
    return document::kNull;
  };
  const Time end = system_clock().now() + TRY(parse_duration(call.text("pod-running-timeout", "1m")));
  Value state;
  TRY(follow(call, schema::kPods, call.session.ns, pod, end, [&](const Value* object) -> Result<bool> {
    if (object == nullptr) return usage("pod " + pod + " was deleted while it was waited for");
    state = status_of(*object)["state"];
    return !state["running"].is_null() || !state["terminated"].is_null();
  }));
  const std::string path = schema::kPods.path(call.session.ns, pod);
  if (!state["terminated"].is_null()) {
    auto log = TRY(call.session.open(path + "/log?container=" + percent_encode(container)));
    for (;;) {
      const std::string piece = TRY(log->read_some());
      if (piece.empty()) return static_cast<int>(state["terminated"]["exitCode"].as_int());
      TRY(write_all(STDOUT_FILENO, piece));
    }
  }
  if (wishes.in) std::fprintf(stderr, "If you don't see a command prompt, try pressing enter.\n");
  TRY(run_streams(call, path + "/attach?container=" + percent_encode(container), wishes));
  const Value after = TRY(get(call, path));
  return static_cast<int>(status_of(after)["state"]["terminated"]["exitCode"].as_int());
}

std::string exec_path(const Value& pod, const std::string& container, const std::vector<std::string>& command) {
  std::string path = schema::kPods.path(pod["metadata"]["namespace"].as_string(), pod["metadata"]["name"].as_string()) +
                     "/exec?container=" + percent_encode(container);
  for (const std::string& word : command) path += "&command=" + percent_encode(word);
  return path;
}

Result<int> run_streams(const Call& call, const std::string& path, const StreamWishes& wishes, const StreamEnds& ends) {
  std::string url = path + (path.find('?') == std::string::npos ? "?" : "&") + "stdout=true";
  if (wishes.err && !wishes.terminal) url += "&stderr=true";
  if (wishes.in) url += "&stdin=true";
  if (wishes.terminal) url += "&tty=true";
  http::Request request = call.session.request("GET", url);
  request.time_max = Duration(0);
  auto socket = TRY(call.http->websocket(request, {"v5.channel.k8s.io", "v4.channel.k8s.io"}));
  const RawTerminal terminal(wishes.terminal && wishes.in && ::isatty(STDIN_FILENO) == 1);
  if (wishes.terminal) {
    ::signal(SIGWINCH, on_resize);
    send_size(*socket);
  }
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) return errno_error("make a pipe");
  const UniqueFd stop_read(pipe_ends[0]);
  UniqueFd stop_write(pipe_ends[1]);
  std::atomic<bool> stop{false};
  Result<void> sent;
  std::thread input;
  if (ends.in)
    input = std::thread([&] { sent = copy_source(*socket, ends.in, stop); });
  else if (wishes.in)
    input = std::thread([&] { copy_standard_input(*socket, stop_read.get(), wishes.terminal); });
  auto result = read_session(*socket, ends);
  stop = true;
  stop_write.reset();  // the hang-up wakes the copier
  if (input.joinable()) input.join();
  if (!sent.ok()) return sent.error();
  return result;
}

}  // namespace caisson::cli::kubectl
