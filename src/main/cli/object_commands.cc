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

constexpr std::string_view kTableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

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

// As kubectl names an object: "deployment.apps/web".
std::string shown_name(const kube::Resource& resource, const std::string& name) {
  return to_lower(resource.kind) + (resource.group.empty() ? "" : "." + resource.group) + "/" + name;
}

std::string collection_path(const Session& session, const kube::Resource& resource, bool all_namespaces) {
  return resource.path(all_namespaces || !resource.namespaced ? "" : session.ns);
}

std::vector<std::string> row_of(const Value& row, const std::vector<std::size_t>& columns, bool with_namespace) {
  std::vector<std::string> cells;
  if (with_namespace) cells.push_back(row["object"]["metadata"]["namespace"].str());
  for (const std::size_t column : columns) cells.push_back(row["cells"][column].scalar_text());
  return cells;
}

void print_server_table(const Value& table, bool wide, bool with_namespace) {
  std::vector<std::string> header;
  std::vector<std::size_t> columns;
  if (with_namespace) header.emplace_back("NAMESPACE");
  const auto definitions = table["columnDefinitions"].items();
  for (std::size_t i = 0; i < definitions.size(); ++i) {
    if (definitions[i]["priority"].as_int() > 0 && !wide) continue;
    columns.push_back(i);
    std::string name = definitions[i]["name"].str();
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    header.push_back(std::move(name));
  }
  std::vector<std::vector<std::string>> rows;
  for (const Value& row : table["rows"].items()) rows.push_back(row_of(row, columns, with_namespace));
  print_table(header, rows);
}

Result<Value> fetch(const Session& session, const Selection& selection, const std::string& name, const GetFlags& flags,
                    std::string_view accept) {
  std::string path = name.empty() ? collection_path(session, selection.resource, flags.all_namespaces)
                                  : selection.resource.path(selection.resource.namespaced ? session.ns : "", name);
  if (name.empty() && !flags.selector.empty()) path += "?labelSelector=" + percent_encode(flags.selector);
  const http::Response response = TRY(session.send("GET", path, accept));
  return json::parse(response.body);
}

// As kubectl does: who set which field is noise to a reader, and an apply of what was read would be refused for it.
Value without_managed_fields(Value answer) {
  const auto clear = [](Value& object) {
    if (object["metadata"].contains("managedFields")) object.edit("metadata").erase("managedFields");
  };
  if (!answer["items"].is_list()) {
    clear(answer);
    return answer;
  }
  Value& items = answer.edit("items");
  for (std::size_t i = 0; i < items.size(); ++i) clear(items.edit(i));
  return answer;
}

Result<void> get_one(const Session& session, const Global& global, const Selection& selection, const GetFlags& flags) {
  const bool machine = global.output == "json" || global.output == "yaml" || global.output == "name";
  std::vector<std::string> names = selection.names;
  if (names.empty()) names.emplace_back();
  for (const std::string& name : names) {
    const Value answer = TRY(fetch(session, selection, name, flags, machine ? "application/json" : kTableAccept));
    if (global.output == "name") {
      const auto print_name = [&](const Value& object) {
        std::printf("%s\n", shown_name(selection.resource, object["metadata"]["name"].str()).c_str());
      };
      if (name.empty()) {
        for (const Value& item : answer["items"].items()) print_name(item);
      } else {
        print_name(answer);
      }
    } else if (machine) {
      print_value(without_managed_fields(answer), global.output);
    } else if (answer["rows"].empty()) {
      std::printf("%s\n", flags.all_namespaces || !selection.resource.namespaced
                              ? "No resources found"
                              : ("No resources found in " + session.ns + " namespace.").c_str());
    } else {
      print_server_table(answer, global.output == "wide", flags.all_namespaces && selection.resource.namespaced);
    }
  }
  return {};
}

// --- apply and delete

struct Manifest {
  std::string file;
  kube::Object object;
};

Result<void> read_manifests(const std::string& path, std::vector<Manifest>& into) {
  if (is_directory(path)) {
    for (const std::string& name : TRY(list_dir(path))) {
      const bool manifest = name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
      if (manifest) TRY(read_manifests(path_join(path, name), into));
    }
    return {};
  }
  const std::string text = TRY(read_file(path == "-" ? "/dev/stdin" : path));
  for (const Value& document : TRY(yaml::read_all(text, {.name = path}))) {
    if (document.is_null()) continue;
    const bool is_list = document["kind"].as_string().ends_with("List") && document["items"].is_list();
    if (!is_list) into.push_back({path, kube::Object(document)});
    for (const Value& item : is_list ? document["items"].items() : std::span<const Value>()) into.push_back({path, kube::Object(item)});
  }
  return {};
}

Result<std::vector<Manifest>> read_manifests(const std::vector<std::string>& paths) {
  std::vector<Manifest> manifests;
  for (const std::string& path : paths) TRY(read_manifests(path, manifests));
  if (manifests.empty()) return Error{ErrorCode::bad_request, "no objects in " + join(paths, ", ")};
  return manifests;
}

Result<kube::Resource> place(const Session& session, Manifest& manifest) {
  if (manifest.object.kind().empty() || manifest.object.api_version().empty()) {
    return Error{ErrorCode::bad_request, manifest.file + ": an object without apiVersion or kind"};
  }
  const kube::Resource resource =
      TRY(session.client->resource_for(manifest.object.api_version(), manifest.object.kind()).in(manifest.file));
  if (resource.namespaced && manifest.object.ns().empty()) manifest.object.edit({"metadata", "namespace"}) = Value(session.ns);
  return resource;
}

Result<void> apply_one(const Session& session, Manifest& manifest, bool dry_run) {
  const kube::Resource resource = TRY(place(session, manifest));
  const auto before = session.client->get(resource, manifest.object.key());
  if (!before.ok() && before.error().code != ErrorCode::not_found) return before.error();
  const kube::WriteOptions options{.field_manager = "caisson-apply", .dry_run = dry_run, .force = true};
  const kube::Object after = TRY(session.client->apply(manifest.object, options).in(manifest.file + ": " + shown_name(resource, manifest.object.name())));
  const char* verb = !before.ok() ? "created" : before->resource_version() == after.resource_version() ? "unchanged" : "configured";
  std::printf("%s %s%s\n", shown_name(resource, after.name()).c_str(), verb, dry_run ? " (server dry run)" : "");
  return {};
}

std::string join_finalizers(const kube::Object& object) {
  std::vector<std::string> names;
  for (const Value& name : object.metadata()["finalizers"].items()) names.push_back(name.str());
  return names.empty() ? "none" : join(names, ", ");
}

// Waits until the object of that uid is gone; one that is made again under its name is another object.
Result<void> wait_gone(const Session& session, const kube::Resource& resource, const kube::Object& object) {
  std::mutex mutex;
  std::condition_variable changed;
  bool gone = false;
  const kube::ListOptions only{.ns = object.ns(), .field_selector = "metadata.name=" + object.name()};
  auto watch = TRY(session.client->watch(resource, only, [&](const kube::WatchEvent& event) {
    const bool another = event.type != kube::WatchEvent::Type::bookmark && event.object.uid() != object.uid();
    if (event.type != kube::WatchEvent::Type::deleted && event.type != kube::WatchEvent::Type::closed && !another) return;
    const std::lock_guard lock(mutex);
    gone = true;
    changed.notify_all();
  }));
  const auto still = session.client->get(resource, object.key());
  if (!still.ok() || still->uid() != object.uid()) return {};
  std::unique_lock lock(mutex);
  if (!changed.wait_for(lock, std::chrono::minutes(5), [&] { return gone; })) {
    return Error{ErrorCode::timeout, shown_name(resource, object.name()) + " is still there after 5 minutes; finalizers: " +
                                         join_finalizers(object)};
  }
  return {};
}

Result<void> remove_one(const Session& session, const kube::Resource& resource, const kube::ObjectKey& key, bool wait) {
  const kube::Object object = TRY(session.client->get(resource, key));
  TRY(session.client->remove(resource, key, {.uid = object.uid()}));
  std::printf("%s deleted\n", shown_name(resource, key.name).c_str());
  std::fflush(stdout);
  return wait ? wait_gone(session, resource, object) : Result<void>{};
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

Result<void> command_get(const Global& global, const GetFlags& flags) {
  const Session session = TRY(connect(global));
  for (const Selection& selection : TRY(select(session, flags.what))) TRY(get_one(session, global, selection, flags));
  if (!flags.watch) return {};
  const auto selections = TRY(select(session, flags.what));
  std::string path = collection_path(session, selections[0].resource, flags.all_namespaces) + "?watch=true";
  if (!flags.selector.empty()) path += "&labelSelector=" + percent_encode(flags.selector);
  auto stream = TRY(session.open(path));
  std::string pending;
  for (;;) {
    const std::string piece = TRY(stream->read_some());
    if (piece.empty()) return {};
    pending += piece;
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      const Value event = TRY(json::parse(std::string_view(pending).substr(0, end)));
      std::printf("%-9s %s %s\n", event["type"].str().c_str(), event["object"]["metadata"]["name"].str().c_str(),
                  event["object"]["status"]["phase"].str().c_str());
      std::fflush(stdout);
    }
  }
}

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

Result<void> command_apply(const Global& global, const std::vector<std::string>& files, bool server_dry_run) {
  const Session session = TRY(connect(global));
  std::vector<Manifest> manifests = TRY(read_manifests(files));
  for (Manifest& manifest : manifests) TRY(apply_one(session, manifest, server_dry_run));
  return {};
}

Result<void> command_delete(const Global& global, const DeleteFlags& flags) {
  const Session session = TRY(connect(global));
  if (!flags.files.empty()) {
    for (Manifest& manifest : TRY(read_manifests(flags.files))) {
      const kube::Resource resource = TRY(place(session, manifest));
      TRY(remove_one(session, resource, manifest.object.key(), flags.wait));
    }
    return {};
  }
  for (const Selection& selection : TRY(select(session, flags.get.what))) {
    std::vector<std::string> names = selection.names;
    if (names.empty() && flags.get.selector.empty()) {
      return Error{ErrorCode::bad_request, "name what to delete, or select it with -l"};
    }
    if (names.empty()) {
      const kube::ObjectList found = TRY(session.client->list(selection.resource, {.ns = session.ns, .label_selector = flags.get.selector}));
      for (const kube::Object& object : found.items) names.push_back(object.name());
    }
    for (const std::string& name : names) {
      TRY(remove_one(session, selection.resource, {selection.resource.namespaced ? session.ns : "", name}, flags.wait));
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
