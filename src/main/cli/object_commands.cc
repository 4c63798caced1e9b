// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "main/cli/commands.h"

namespace caisson::cli {
namespace {

struct Selection {
  kube::Resource resource;
  std::vector<std::string> names;   // empty: all
};

// "pods", "pods,svc", "deploy/web svc/web", "pod web-1 web-2".
Result<std::vector<Selection>> select(const Session& session, const std::vector<std::string>& words) {
  std::vector<Selection> selections;
  if (words.empty()) return Error{ErrorCode::bad_request, "say what to show, as in 'caisson get pods' or 'caisson get deploy/web'"};
  const bool with_slash = words[0].find('/') != std::string::npos;
  if (!with_slash) {
    for (const std::string_view kind : split(words[0], ',')) {
      Selection selection{TRY(find_resource(session, kind)), {}};
      selection.names.assign(words.begin() + 1, words.end());
      selections.push_back(std::move(selection));
    }
    return selections;
  }
  for (const std::string& word : words) {
    const auto slash = word.find('/');
    if (slash == std::string::npos) return Error{ErrorCode::bad_request, "'" + word + "' is not of the form KIND/NAME like the others"};
    Selection selection{TRY(find_resource(session, word.substr(0, slash))), {word.substr(slash + 1)}};
    selections.push_back(std::move(selection));
  }
  return selections;
}

// --- describe

void describe_value(const Value& value, int indent) {
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  for (const auto& [key, member] : value.entries()) {
    if (member.is_map() && !member.empty()) {
      std::printf("%s%s:\n", pad.c_str(), std::string(key).c_str());
      describe_value(member, indent + 2);
    } else if (member.is_list() && !member.empty()) {
      std::printf("%s%s:\n%s", pad.c_str(), std::string(key).c_str(),
                  replace_all(pad + "  " + yaml::write(member), "\n", "\n" + pad + "  ").c_str());
      std::printf("\n");
    } else {
      std::printf("%s%s: %s\n", pad.c_str(), std::string(key).c_str(), member.scalar_text().c_str());
    }
  }
}

Result<void> describe_events(const Session& session, const kube::Object& object) {
  const kube::ListOptions about{.ns = object.ns(), .field_selector = "involvedObject.name=" + object.name() + ",involvedObject.kind=" + object.kind()};
  kube::ObjectList events = TRY(session.client->list(schema::kEvents, about));
  if (events.items.empty()) {
    std::printf("Events: <none>\n");
    return {};
  }
  std::printf("Events:\n");
  std::vector<std::vector<std::string>> rows;
  for (const kube::Object& event : events.items) {
    const auto last = parse_time(event["lastTimestamp"].as_string());
    std::string age = last ? format_age(system_clock().now() - *last) : "";
    if (event["count"].as_int() > 1) age += " (x" + event["count"].scalar_text() + ")";
    rows.push_back({"  " + event["type"].str(), event["reason"].str(), age, event["source"]["component"].str(), std::string(trim(event["message"].as_string()))});
  }
  print_table({"  TYPE", "REASON", "AGE", "FROM", "MESSAGE"}, rows);
  return {};
}

Result<void> describe_one(const Session& session, const kube::Object& object) {
  Value shown = object.value();
  shown.edit("metadata").erase("managedFields");
  Value metadata = shown["metadata"];
  std::printf("Name:         %s\n", object.name().c_str());
  if (!object.ns().empty()) std::printf("Namespace:    %s\n", object.ns().c_str());
  std::printf("Kind:         %s (%s)\n", object.kind().c_str(), object.api_version().c_str());
  for (const char* key : {"labels", "annotations"}) {
    if (metadata[key].empty()) continue;
    std::printf("%s:\n", key[0] == 'l' ? "Labels" : "Annotations");
    describe_value(metadata[key], 2);
  }
  for (const auto& [key, member] : shown.entries()) {
    if (key == "metadata" || key == "apiVersion" || key == "kind") continue;
    std::printf("%s:\n", std::string(key).c_str());
    if (member.is_map()) describe_value(member, 2);
    else std::printf("  %s\n", member.scalar_text().c_str());
  }
  return describe_events(session, object);
}

// --- rollout

// kubectl's words (DeploymentStatusViewer). Gives whether it is complete.
Result<bool> rollout_state(const kube::Object& deployment, std::string& line) {
  const Value& status = deployment.status();
  const std::string name = "deployment \"" + deployment.name() + "\"";
  const auto wanted = deployment.spec()["replicas"].as_int(1);
  const auto updated = status["updatedReplicas"].as_int(), total = status["replicas"].as_int(), available = status["availableReplicas"].as_int();
  const Value& progressing = kube::condition(deployment, "Progressing");
  if (deployment.generation() > status["observedGeneration"].as_int()) {
    line = "Waiting for deployment spec update to be observed...";
    return false;
  }
  if (progressing["reason"].as_string() == "ProgressDeadlineExceeded") {
    return Error{ErrorCode::timeout, name + " exceeded its progress deadline: " + progressing["message"].str()};
  }
  const auto n = [](std::int64_t number) { return std::to_string(number); };
  if (updated < wanted) {
    line = "Waiting for " + name + " rollout to finish: " + n(updated) + " out of " + n(wanted) + " new replicas have been updated...";
  } else if (total > updated) {
    line = "Waiting for " + name + " rollout to finish: " + n(total - updated) + " old replicas are pending termination...";
  } else if (available < updated) {
    line = "Waiting for " + name + " rollout to finish: " + n(available) + " of " + n(updated) + " updated replicas are available...";
  } else {
    line = name + " successfully rolled out";
    return true;
  }
  return false;
}

}  // namespace

Result<void> command_describe(const Global& global, const GetFlags& flags) {
  const Session session = TRY(connect(global));
  bool first = true;
  for (const Selection& selection : TRY(select(session, flags.what))) {
    std::vector<kube::Object> objects;
    for (const std::string& name : selection.names) {
      objects.push_back(TRY(session.client->get(selection.resource, {selection.resource.namespaced ? session.ns : "", name})));
    }
    if (selection.names.empty()) objects = TRY(session.client->list(selection.resource, {.ns = session.ns, .label_selector = flags.selector})).items;
    for (const kube::Object& object : objects) {
      if (!first) std::printf("\n\n");
      first = false;
      TRY(describe_one(session, object));
    }
  }
  return {};
}

Result<void> command_rollout_status(const Global& global, const std::string& what, const std::string& timeout) {
  const Session session = TRY(connect(global));
  const Duration time_max = TRY(parse_duration(timeout));
  const std::string name = what.find('/') == std::string::npos ? what : what.substr(what.find('/') + 1);
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<kube::Object> newest;
  bool closed = false;
  const kube::ListOptions only{.ns = session.ns, .field_selector = "metadata.name=" + name};
  const kube::Object now = TRY(session.client->get(schema::kDeployments, {session.ns, name}));
  newest = now;
  auto watch = TRY(session.client->watch(schema::kDeployments, only, [&](const kube::WatchEvent& event) {
    const std::lock_guard lock(mutex);
    if (event.type == kube::WatchEvent::Type::closed || event.type == kube::WatchEvent::Type::deleted) closed = true;
    else if (event.type != kube::WatchEvent::Type::bookmark) newest = event.object;
    changed.notify_all();
  }));
  const Duration end = system_clock().monotonic() + time_max;
  std::string printed;
  std::unique_lock lock(mutex);
  for (;;) {
    std::string line;
    const bool done = TRY(rollout_state(*newest, line));
    if (line != printed) std::printf("%s\n", line.c_str()), std::fflush(stdout);
    printed = line;
    if (done) return {};
    if (closed) return Error{ErrorCode::unavailable, "the deployment went away while it was watched"};
    newest.reset();
    const auto left = end - system_clock().monotonic();
    if (!changed.wait_for(lock, std::max<Duration>(left, Duration(0)), [&] { return newest || closed; })) {
      return Error{ErrorCode::timeout, "the rollout was not complete after " + timeout + ": see 'caisson describe deployment/" + name + "'"};
    }
    if (!newest) newest = now;
  }
}

}  // namespace caisson::cli
