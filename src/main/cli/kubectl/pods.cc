// SPDX-License-Identifier: Apache-2.0
// logs, exec, attach. cp is in copy.cc.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/kubectl/copy.h"
#include "main/cli/kubectl/streams.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kLogFlags[] = {{"container", FlagKind::text, 'c'},
                                  {"follow", FlagKind::boolean, 'f'},
                                  {"previous", FlagKind::boolean, 'p'},
                                  {"timestamps", FlagKind::boolean},
                                  {"tail", FlagKind::text},
                                  {"since", FlagKind::text},
                                  {"since-time", FlagKind::text},
                                  {"limit-bytes", FlagKind::text},
                                  {"all-containers", FlagKind::boolean},
                                  {"all-pods", FlagKind::boolean},
                                  {"prefix", FlagKind::boolean},
                                  {"ignore-errors", FlagKind::boolean},
                                  {"max-log-requests", FlagKind::text},
                                  {"pod-running-timeout", FlagKind::text}};
constexpr FlagSpec kExecFlags[] = {{"container", FlagKind::text, 'c'},
                                   {"stdin", FlagKind::boolean, 'i'},
                                   {"tty", FlagKind::boolean, 't'},
                                   {"quiet", FlagKind::boolean, 'q'},
                                   {"pod-running-timeout", FlagKind::text}};

// --- logs

struct LogSource {
  std::string path, prefix;
};

Result<std::string> log_query(const Call& call) {
  std::string query = call.is_set("follow") ? "&follow=true" : "";
  if (call.is_set("previous")) query += "&previous=true";
  if (call.is_set("timestamps")) query += "&timestamps=true";
  if (call.flags.has("since") && call.flags.has("since-time"))
    return usage("only one of sinceTime or sinceSeconds can be specified");
  if (call.flags.has("since")) {
    const Duration since = TRY(parse_duration(call.text("since")));
    query +=
        "&sinceSeconds=" + std::to_string(std::max<std::int64_t>(1, (since.count() + 999'999'999) / 1'000'000'000));
  }
  if (call.flags.has("since-time")) {
    if (!parse_time(call.text("since-time")))
      return usage("--since-time must be a time like 2026-01-02T15:04:05Z, not \"" + call.text("since-time") + "\"");
    query += "&sinceTime=" + percent_encode(call.text("since-time"));
  }
  for (const auto& [flag, parameter] : {std::pair("tail", "tailLines"), {"limit-bytes", "limitBytes"}}) {
    if (!call.flags.has(flag)) continue;
    const auto number = parse_int(call.text(flag));
    if (!number)
      return usage("invalid argument \"" + call.text(flag) + "\" for \"--" + flag + "\" flag: it is no number");
    if (*number >= 0) query += std::string("&") + parameter + "=" + std::to_string(*number);
  }
  if (call.flags.has("selector") && !call.flags.has("tail")) query += "&tailLines=10";
  return query;
}

// Each container that the flags ask for, of one pod.
Result<void> add_sources(const Call& call, const Value& pod, const std::string& query, std::vector<LogSource>& out) {
  const std::string name = pod["metadata"]["name"].str();
  const auto add = [&](const std::string& container) {
    out.push_back({schema::kPods.path(pod["metadata"]["namespace"].as_string(), name) +
                       "/log?container=" + percent_encode(container) + query,
                   call.is_set("prefix") || call.is_set("all-pods") ? "[pod/" + name + "/" + container + "] " : ""});
  };
  if (!call.is_set("all-containers")) {
    add(TRY(container_for(call, pod, !call.flags.has("selector"))));
    return {};
  }
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    for (const Value& container : pod["spec"][list].items()) add(container["name"].str());
  }
  return {};
}

Result<std::vector<LogSource>> log_sources(Call& call, const std::string& query) {
  std::vector<LogSource> out;
  if (call.flags.has("selector")) {
    if (!call.arguments.empty()) return usage("only a selector (-l) or a POD name is allowed");
    const Value list =
        TRY(get(call, schema::kPods.path(call.session.ns) + "?labelSelector=" + percent_encode(call.text("selector"))));
    for (const Value& pod : list["items"].items()) TRY(add_sources(call, pod, query, out));
    if (out.empty()) std::fprintf(stderr, "No resources found in %s namespace.\n", call.session.ns.c_str());
    return out;
  }
  const std::string word =
      call.arguments.size() > 1 && call.arguments[0].find('/') == std::string::npos &&
              (call.arguments[0] == "pod" || call.arguments[0] == "pods" || call.arguments[0] == "po")
          ? call.arguments[1]
          : call.arguments[0];
  std::vector<Value> pods = TRY(pods_for(call, word));
  if (pods.empty()) pods.push_back(TRY(pod_for(call, word)));
  if (!call.is_set("all-pods") && pods.size() > 1) {
    std::fprintf(stderr, "Found %zu pods, using pod/%s\n", pods.size(), pods[0]["metadata"]["name"].str().c_str());
    pods.resize(1);
  }
  for (const Value& pod : pods) TRY(add_sources(call, pod, query, out));
  return out;
}

// The server's refusal of a request whose body streams.
Error refusal(http::ResponseStream& stream) {
  std::string body;
  while (body.size() < 65536) {
    const auto piece = stream.read_some();
    if (!piece.ok() || piece->empty()) break;
    body += *piece;
  }
  const auto status = json::parse(body);
  const std::string message = status.ok() ? (*status)["message"].str() : body,
                    reason = status.ok() ? (*status)["reason"].str() : "";
  return {stream.status == 404 ? ErrorCode::not_found : ErrorCode::bad_request,
          "Error from server" + (reason.empty() ? "" : " (" + reason + ")") + ": " + message};
}

// Whole lines, so that those of several containers do not mix.
Result<void> copy_log(const Call& call, const LogSource& source, std::mutex& printing) {
  http::Request request = call.session.request("GET", source.path);
  request.time_max = Duration(0);
  auto stream = TRY(call.http->open(request));
  if (stream->status >= 400) return refusal(*stream);
  std::string pending;
  for (;;) {
    const std::string piece = TRY(stream->read_some());
    const std::lock_guard lock(printing);
    if (source.prefix.empty()) {
      if (piece.empty()) return {};
      TRY(write_all(STDOUT_FILENO, piece));
      continue;
    }
    pending += piece;
    std::string lines;
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1))
      lines += source.prefix + pending.substr(0, end + 1);
    if (piece.empty() && !pending.empty()) lines += source.prefix + pending;
    TRY(write_all(STDOUT_FILENO, lines));
    if (piece.empty()) return {};
  }
}

Result<int> run_logs(Call& call) {
  if (call.arguments.empty() && !call.flags.has("selector"))
    return usage(
        "'logs (POD | TYPE/NAME) [CONTAINER_NAME]'.\nPOD or TYPE/NAME is a required argument for the logs command");
  const std::string query = TRY(log_query(call));
  const std::vector<LogSource> sources = TRY(log_sources(call, query));
  std::mutex printing;
  const bool tolerant = call.is_set("ignore-errors");
  if (!call.is_set("follow") || sources.size() < 2) {
    for (const LogSource& source : sources) {
      const auto copied = copy_log(call, source, printing);
      if (!copied.ok() && !tolerant) return copied.error();
      if (!copied.ok()) std::fprintf(stderr, "error: %s\n", copied.error().message.c_str());
    }
    return 0;
  }
  const std::int64_t streams_max = parse_int(call.text("max-log-requests", "5")).value_or(5);
  if (std::ssize(sources) > streams_max)
    return usage("you are attempting to follow " + std::to_string(sources.size()) +
                 " log streams, but maximum allowed concurrency is " + std::to_string(streams_max) +
                 ", use --max-log-requests to increase the limit");
  std::vector<Result<void>> results(sources.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sources.size(); ++i)
    threads.emplace_back([&, i] { results[i] = copy_log(call, sources[i], printing); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) {
    if (!result.ok() && !tolerant) return result.error();
  }
  return 0;
}

// --- exec, attach

Result<int> ended(const Result<int>& result) {
  if (!result.ok() || *result == 0) return result;
  std::fprintf(stderr, "command terminated with exit code %d\n", *result);
  return result;
}

Result<int> run_exec(Call& call) {
  if (call.arguments.empty() || (call.flags.has_dash() && call.flags.arguments_before_dash() == 0))
    return usage("pod, type/name or --filename must be specified");
  if (call.arguments.size() < 2) return usage("you must specify at least one command for the container");
  const Value pod = TRY(pod_for(call, call.arguments[0]));
  const std::string phase = pod["status"]["phase"].str();
  if (phase == "Succeeded" || phase == "Failed")
    return usage("cannot exec into a container in a completed pod; current phase is " + phase);
  const std::string container = TRY(container_for(call, pod, !call.is_set("quiet")));
  const StreamWishes wishes = wishes_of(call);
  return ended(
      run_streams(call, exec_path(pod, container, {call.arguments.begin() + 1, call.arguments.end()}), wishes));
}

Result<int> run_attach(Call& call) {
  if (call.arguments.empty()) return usage("at least 1 argument is required for attach");
  const Value pod = TRY(pod_for(call, call.arguments[0]));
  const std::string phase = pod["status"]["phase"].str();
  if (phase == "Succeeded" || phase == "Failed")
    return usage("cannot attach a container in a completed pod; current phase is " + phase);
  const std::string container = TRY(container_for(call, pod, !call.is_set("quiet")));
  if (!call.is_set("quiet") && call.is_set("stdin"))
    std::fprintf(stderr, "If you don't see a command prompt, try pressing enter.\n");
  const std::string path = schema::kPods.path(call.session.ns, pod["metadata"]["name"].as_string()) +
                           "/attach?container=" + percent_encode(container);
  return ended(run_streams(call, path, wishes_of(call)));
}

constexpr Command kCommands[] = {
    {"logs", "Print the logs of containers.",
     "logs (POD | TYPE/NAME | -l LABEL) [-c CONTAINER] [-f] [-p] [--tail=N] [--since=1h]",
     "caisson logs deploy/web -f --tail=20", kLogFlags, run_logs},
    {"exec", "Run a command in a container.", "exec (POD | TYPE/NAME) [-c CONTAINER] [-it] -- COMMAND [ARGS]",
     "caisson exec -it deploy/web -- sh", kExecFlags, run_exec},
    {"attach", "Attach to the running process of a container.", "attach (POD | TYPE/NAME) [-c CONTAINER] [-it]",
     "caisson attach web-1 -c web", kExecFlags, run_attach},
    {"cp", "Copy files and directories to and from containers.",
     "cp SRC DEST [-c CONTAINER], where one of them is [NAMESPACE/]POD:PATH", "caisson cp web-1:/var/log ./log",
     kCopyFlags, run_copy},
};

}  // namespace

std::span<const Command> pod_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
