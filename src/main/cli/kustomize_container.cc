// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kustomize_container.h"

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/commands.h"

namespace caisson::cli {
namespace {

constexpr auto kStartTimeMax = std::chrono::minutes(3);  // with the pull of the image
constexpr auto kEndTimeMax = std::chrono::seconds(60);   // from the last output to the status
constexpr auto kLostTimeMax = std::chrono::seconds(5);   // from a failed attach to the status that explains it
constexpr std::size_t kOutputBytesMax = 64u << 20;
constexpr std::size_t kMessageBytes = 16u << 10;
constexpr char kStdin = 0, kStdout = 1, kStderr = 2, kError = 3;

kube::Resource network_policies() {
  return {"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"};
}

// What the status of a function's Pod says.
struct Progress {
  bool running = false, ended = false;
  int code = 0;
  std::string message;  // about its end
  std::string problem;  // why it will never run
};

Progress progress_of(const Value& pod) {
  Progress out;
  const Value& state = pod["status"]["containerStatuses"][0]["state"];
  out.running = !state["running"].is_null();
  out.ended = !state["terminated"].is_null();
  out.code = static_cast<int>(state["terminated"]["exitCode"].as_int());
  out.message = state["terminated"]["message"].str();
  if (pod["status"]["reason"].as_string() == "DeadlineExceeded") out.problem = "it did not end in time";
  static constexpr std::string_view kFatal[] = {
      "ErrImagePull",         "ImagePullBackOff",           "InvalidImageName", "ErrImageNeverPull",
      "CreateContainerError", "CreateContainerConfigError", "RunContainerError"};
  const std::string_view reason = state["waiting"]["reason"].as_string();
  if (std::find(std::begin(kFatal), std::end(kFatal), reason) != std::end(kFatal))
    out.problem = std::string(reason) + ": " + state["waiting"]["message"].str();
  if (pod["status"]["phase"].as_string() == "Failed" && !out.ended && out.problem.empty())
    out.problem = pod["status"]["reason"].str() + ": " + pod["status"]["message"].str();
  return out;
}

// Follows one Pod.
class Follower {
 public:
  Result<void> follow(kube::Client& client, const kube::ObjectKey& key) {
    kube::ListOptions options{.ns = key.ns};
    options.field_selector = "metadata.name=" + key.name;
    watch_ = TRY(client.watch(schema::kPods, options, [this](const kube::WatchEvent& event) { note(event); }));
    return {};
  }

  // Blocks until `enough`. Errors: timeout; internal when the Pod can't run; what ended the watch.
  Result<Progress> wait(const std::function<bool(const Progress&)>& enough, Duration time_max) {
    std::unique_lock lock(mutex_);
    const bool came =
        changed_.wait_for(lock, time_max, [&] { return error_ || !progress_.problem.empty() || enough(progress_); });
    if (enough(progress_)) return progress_;
    if (!progress_.problem.empty()) return Error{ErrorCode::internal, progress_.problem};
    if (error_) return *error_;
    return came ? Result<Progress>(progress_)
                : Error{ErrorCode::timeout, "nothing happened within " + format_duration(time_max)};
  }

 private:
  void note(const kube::WatchEvent& event) {
    using Type = kube::WatchEvent::Type;
    if (event.type == Type::bookmark) return;
    const std::lock_guard lock(mutex_);
    if (event.type == Type::deleted)
      error_ = Error{ErrorCode::gone, "somebody deleted its Pod"};
    else if (event.type == Type::closed)
      error_ = event.error.value_or(Error{ErrorCode::unavailable, "the platform ended the watch"});
    else
      progress_ = progress_of(event.object.value());
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Progress progress_;
  std::optional<Error> error_;
  std::unique_ptr<kube::Watch> watch_;  // last: its callbacks end before the rest goes
};

// Removes what was created, also when something fails in between.
class Leftovers {
 public:
  explicit Leftovers(kube::Client& client) : client_(client) {}
  ~Leftovers() {
    for (auto one = made_.rbegin(); one != made_.rend(); ++one) {
      kube::DeleteOptions now;
      now.grace_period_seconds = 0;
      const auto removed = client_.remove(one->first, one->second, now);
      if (!removed.ok() && removed.error().code != ErrorCode::not_found)
        std::fprintf(stderr, "# Warning: %s %s stays: %s\n", one->first.kind.c_str(), one->second.str().c_str(),
                     removed.error().message.c_str());
    }
  }
  Result<void> create(const kube::Resource& resource, Value object, const std::string& ns) {
    object.edit("metadata").set("namespace", Value(ns));
    const kube::Object made(std::move(object));
    TRY(client_.create(made));
    made_.emplace_back(resource, made.key());
    return {};
  }

 private:
  kube::Client& client_;
  std::vector<std::pair<kube::Resource, kube::ObjectKey>> made_;
};

struct Streams {
  std::string out, err;
};

// A failed send is the function's end, which the reader learns of.
void send_input(http::ClientWebSocket& socket, std::string_view input) {
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, kMessageBytes);
    if (!socket.send(std::string(1, kStdin).append(piece)).ok()) return;
    input.remove_prefix(piece.size());
  }
  static_cast<void>(socket.send(std::string("\xff\x00", 2)));  // v5.channel.k8s.io: channel 0 ends
}

Result<Streams> receive(http::ClientWebSocket& socket) {
  Streams out;
  for (;;) {
    const auto message = TRY(socket.receive());
    if (!message) return out;
    if (message->data.empty()) continue;
    const std::string_view data = std::string_view(message->data).substr(1);
    const char channel = message->data[0];
    if (channel == kError) return out;  // how it ended stands in the Pod's status
    if (channel == kStdout) out.out += data;
    if (channel == kStderr) out.err += data;
    if (out.out.size() + out.err.size() > kOutputBytesMax)
      return Error{ErrorCode::too_large, "it wrote more than " + std::to_string(kOutputBytesMax >> 20) + " MiB"};
  }
}

Result<Streams> talk(const Session& session, const std::string& path, const std::string& input) {
  http::Request request = session.request(
      "GET", path + "/attach?stdin=true&stdout=true&stderr=true&container=" + std::string(render::kFunctionContainer));
  request.time_max = Duration(0);  // the Pod has a deadline of its own
  const auto socket = TRY(http::Client(session.connection.http).websocket(request, {"v5.channel.k8s.io"}));
  std::thread sender([&] { send_input(*socket, input); });
  auto streams = receive(*socket);
  socket->close();
  sender.join();
  return streams;
}

Result<std::string> run_in(const Session& session, const render::FunctionCall& call, const render::FunctionPod& objects,
                           const std::string& name) {
  Leftovers leftovers(*session.client);
  if (!objects.network_policy.is_null()) TRY(leftovers.create(network_policies(), objects.network_policy, session.ns));
  TRY(leftovers.create(schema::kPods, objects.pod, session.ns));
  Follower pod;
  TRY(pod.follow(*session.client, {session.ns, name}));
  const auto has_begun = [](const Progress& now) { return now.running || now.ended; };
  const Progress begun = TRY(pod.wait(has_begun, kStartTimeMax).in("start " + call.image));
  const std::string path = schema::kPods.path(session.ns, name);
  auto talked = begun.ended ? Result<Streams>(Error{ErrorCode::gone, "it has ended"}) : talk(session, path, call.input);
  const auto end = pod.wait([](const Progress& now) { return now.ended; }, talked.ok() ? kEndTimeMax : kLostTimeMax);
  if (!end.ok()) return talked.ok() ? end.error() : std::move(talked).error();
  Streams streams;
  if (talked.ok())
    streams = std::move(talked).value();
  else  // It ended without waiting for its input; what it wrote is in the log, both streams in one.
    (end->code == 0 ? streams.out : streams.err) = TRY(session.send("GET", path + "/log")).body;
  if (!streams.err.empty()) std::fprintf(stderr, "%s%s", streams.err.c_str(), streams.err.ends_with('\n') ? "" : "\n");
  if (end->code == 0) return std::move(streams.out);
  return Error{ErrorCode::internal, "couldn't execute function: exit status " + std::to_string(end->code) +
                                        (end->message.empty() ? "" : ": " + end->message)};
}

}  // namespace

Result<std::string> run_container_function(const render::FunctionCall& call, render::FunctionPodOptions options) {
  options.name = "krm-function-" + random_name_suffix(8);
  const render::FunctionPod objects = TRY(render::function_pod(call, options));
  Global global;
  global.data_dir = default_data_dir();
  const auto session = connect(global);
  if (!session.ok()) {
    return Error{ErrorCode::unavailable, call.name + ": container functions (" + call.image +
                                             ") run as Pods of a platform, and none is known (" +
                                             session.error().message +
                                             "); `caisson up` starts one, KUBECONFIG names another"};
  }
  return run_in(*session, call, objects, options.name).in(call.name);
}

}  // namespace caisson::cli
