// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/kubectl.h"

#include "main/cli/kubectl/apply.h"

#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kCommonFlags[] = {
    {"namespace", FlagKind::text, 'n'},
    {"kubeconfig", FlagKind::text},
    {"context", FlagKind::text},
    {"output", FlagKind::text, 'o'},
    {"help", FlagKind::boolean, 'h'},
    {"filename", FlagKind::list, 'f'},
    {"kustomize", FlagKind::text, 'k'},
    {"recursive", FlagKind::boolean, 'R'},
    {"selector", FlagKind::text, 'l'},
    {"dry-run", FlagKind::optional},
    {"field-manager", FlagKind::text},
    {"field-selector", FlagKind::text},
    {"all", FlagKind::boolean},
    {"all-namespaces", FlagKind::boolean, 'A'},
    {"data-dir", FlagKind::text},
    {"show-managed-fields", FlagKind::boolean},
    {"warnings-as-errors", FlagKind::boolean},
    {"request-timeout", FlagKind::text},
    {"v", FlagKind::text, 'v'},
};
constexpr std::size_t kFileBytesMax = 64u << 20;

std::string server_error(const http::Response& response) {
  const auto parsed = json::parse(response.body);
  const Value status = parsed.ok() ? *parsed : Value();
  if (status["kind"].as_string() != "Status")
    return "Error from server: " +
           (response.body.empty() ? "status " + std::to_string(response.status) : response.body);
  const std::string reason = status["reason"].str(), message = status["message"].str();
  if (reason == "Unauthorized") return "error: You must be logged in to the server (Unauthorized)";
  const Value& details = status["details"];
  if (reason != "Invalid" || details["kind"].as_string().empty())
    return reason.empty() ? "Error from server: " + message : "Error from server (" + reason + "): " + message;
  std::string out = "The " + details["kind"].str() + " \"" + details["name"].str() + "\" is invalid";
  const auto causes = details["causes"].items();
  if (causes.empty()) return out + ": " + message;
  for (const Value& cause : causes) {
    const std::string field = cause["field"].str();
    out += (causes.size() == 1     ? ": "
            : &cause == &causes[0] ? ": \n* "
                                   : "\n* ") +
           (field.empty() ? "" : field + ": ") + cause["message"].str();
  }
  return out;
}

ErrorCode code_of(int status) {
  return status == 404 ? ErrorCode::not_found : status == 409 ? ErrorCode::conflict : ErrorCode::bad_request;
}

void show_warnings(const http::Response& response) {
  for (const auto& [name, warning] : response.headers.fields()) {
    if (!equals_ignoring_case(name, "Warning")) continue;
    const auto first = warning.find('"'), last = warning.rfind('"');
    if (first == std::string::npos || last <= first) continue;
    std::fprintf(stderr, "Warning: %s\n",
                 replace_all(warning.substr(first + 1, last - first - 1), "\\\"", "\"").c_str());
  }
}

std::string write_query(const Call& call, const std::string& path) {
  std::string query =
      "fieldManager=" +
      percent_encode(call.text("field-manager", "kubectl-" + std::string(split(call.command.name, ' ')[0])));
  if (call.dry_run() == "server") query += "&dryRun=All";
  return path + (path.find('?') == std::string::npos ? "?" : "&") + query;
}

int report(const Error& error) {
  const std::string& text = error.message;
  const bool complete = text.starts_with("Error from server") || text.starts_with("error: ") ||
                        (text.starts_with("The ") && text.find(" is invalid") != std::string::npos);
  std::fprintf(stderr, "%s%s\n", complete ? "" : "error: ", text.c_str());
  return 1;
}

void print_help(const Command& command) {
  std::printf("%s\n\nUsage:\n  caisson %s\n\nExample:\n  %s\n\nFlags:\n", std::string(command.help).c_str(),
              std::string(command.usage).c_str(), std::string(command.example).c_str());
  for (const auto set : {command.flags, std::span<const FlagSpec>(kCommonFlags)}) {
    for (const FlagSpec& flag : set) {
      const std::string letter = flag.letter ? std::string("-") + flag.letter + ", " : "    ";
      std::printf("  %s--%s%s\n", letter.c_str(), std::string(flag.name).c_str(),
                  flag.kind == FlagKind::boolean ? "" : " VALUE");
    }
  }
}

std::vector<std::string> files_below(const std::string& path, bool recursive) {
  std::vector<std::string> out;
  std::error_code error;
  if (path == "-" || !std::filesystem::is_directory(path, error)) return {path};
  const auto take = [&out](const std::filesystem::path& file) {
    const std::string extension = file.extension().string();
    if (extension == ".yaml" || extension == ".yml" || extension == ".json") out.push_back(file.string());
  };
  if (recursive) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) take(entry.path());
  } else {
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) take(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::string> read_stdin() {
  std::string out;
  char buffer[65536];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;) {
    out.append(buffer, got);
    if (out.size() > kFileBytesMax) return usage("standard input is larger than 64 MiB");
  }
  return out;
}

Result<std::string> read_input(const std::string& path) {
  if (path == "-") return read_stdin();
  if (!exists(path)) return usage("the path \"" + path + "\" does not exist");
  return read_file(path, kFileBytesMax);
}

void flatten(const Value& document, std::vector<Value>& out) {
  if (document.is_null()) return;
  if (!document["items"].is_list() || !document["kind"].as_string().ends_with("List")) {
    out.push_back(document);
    return;
  }
  for (const Value& item : document["items"].items()) flatten(item, out);
}

// The objects of a file's text, each with its kind looked up and its namespace filled in.
Result<void> add_documents(Call& call, const std::string& text, const std::string& file, std::vector<Target>& out) {
  std::vector<Value> objects;
  for (const Value& document : TRY(yaml::read_all(text).in("error parsing " + file))) flatten(document, objects);
  for (Value& object : objects) {
    const std::string kind = object["kind"].str(), version = object["apiVersion"].str();
    const auto resource = call.session.client->resource_for(version, kind);
    if (!resource.ok()) {
      return usage("resource mapping not found for name: \"" + object["metadata"]["name"].str() + "\" namespace: \"" +
                   object["metadata"]["namespace"].str() + "\" from \"" + file + "\": no matches for kind \"" + kind +
                   "\" in version \"" + version + "\"\nensure CRDs are installed first");
    }
    Target target{*resource, "", object["metadata"]["name"].str(), {}};
    if (resource->namespaced) {
      target.ns = object["metadata"]["namespace"].str();
      if (target.ns.empty()) target.ns = call.session.ns;
      object.edit("metadata").set("namespace", target.ns);
    }
    target.object = std::move(object);
    out.push_back(std::move(target));
  }
  return {};
}

Result<void> add_listed(Call& call, const kube::Resource& resource, std::vector<Target>& out) {
  std::string query;
  if (const std::string selector = call.text("selector"); !selector.empty())
    query += "labelSelector=" + percent_encode(selector);
  if (const std::string fields = call.text("field-selector"); !fields.empty())
    query += std::string(query.empty() ? "" : "&") + "fieldSelector=" + percent_encode(fields);
  const std::string ns = resource.namespaced && !call.all_namespaces() ? call.session.ns : "";
  const Value list = TRY(get(call, resource.path(ns) + (query.empty() ? "" : "?" + query)));
  for (const Value& item : list["items"].items()) {
    Value object{{"apiVersion", resource.api_version()}, {"kind", resource.kind}};
    for (const auto& [key, value] : item.entries()) object.set(key, value);
    out.push_back({resource, item["metadata"]["namespace"].str(), item["metadata"]["name"].str(), std::move(object)});
  }
  return {};
}

Result<void> add_named(Call& call, const kube::Resource& resource, const std::string& name, std::vector<Target>& out) {
  Target target{resource, resource.namespaced ? call.session.ns : "", name, {}};
  target.object = TRY(get(call, target.path()));
  out.push_back(std::move(target));
  return {};
}

}  // namespace

std::string Call::dry_run() const {
  if (!flags.has("dry-run")) return "";
  const std::string value = flags.text("dry-run");
  return value == "none" || value == "false" ? "" : value == "server" ? "server" : "client";
}

std::vector<std::span<const Command>> all_commands() {
  return {get_commands(),      apply_commands(),    delete_commands(),  create_commands(), create_more_commands(),
          metadata_commands(), workload_commands(), rollout_commands(), node_commands(),   file_commands(),
          look_commands(),     describe_commands(), wait_commands(),    pod_commands(),    forward_commands(),
          debug_commands(),    config_commands(),   other_commands()};
}

const Command* find_command(const std::vector<std::string>& words) {
  const Command* found = nullptr;
  for (const auto family : all_commands()) {
    for (const Command& command : family) {
      const auto parts = split(command.name, ' ');
      if (parts.size() > words.size() || !std::equal(parts.begin(), parts.end(), words.begin())) continue;
      if (!found || command.name.size() > found->name.size()) found = &command;
    }
  }
  return found;
}

int run_command(const Command& command, const std::vector<std::string>& words, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), words.begin() + std::ssize(split(command.name, ' ')), words.end());
  const std::span<const FlagSpec> known[] = {command.flags, kCommonFlags};
  auto flags = Flags::parse(std::move(arguments), known);
  if (!flags.ok()) {
    std::fprintf(stderr, "error: %s\nSee 'caisson %s --help' for usage.\n", flags.error().message.c_str(),
                 std::string(command.name).c_str());
    return 1;
  }
  if (flags->is_set("help")) {
    print_help(command);
    return 0;
  }
  Global global{flags->text("kubeconfig"), flags->text("context"), flags->text("namespace"),
                flags->text("data-dir", default_data_dir()), flags->text("output")};
  Session session;
  if (command.connects) {
    auto connected = connect(global);
    if (!connected.ok()) return report(connected.error());
    session = std::move(connected).value();
  }
  Call call{command, std::move(flags).value(), std::move(session), {}, {}};
  call.http = std::make_shared<http::Client>(call.session.connection.http);
  call.arguments = call.flags.arguments();
  const auto result = command.run(call);
  std::fflush(stdout);
  return result.ok() ? *result : report(result.error());
}

Result<kube::Resource> resource_of(const Call& call, std::string_view word) {
  auto found = find_resource(call.session, word);
  if (found.ok() || found.error().code != ErrorCode::not_found) return found;
  return Error{ErrorCode::not_found, "the server doesn't have a resource type \"" + std::string(word) + "\""};
}

std::string shown_name(const kube::Resource& resource, std::string_view name) {
  return to_lower(resource.kind) + (resource.group.empty() ? "" : "." + resource.group) + "/" + std::string(name);
}

Result<std::vector<Target>> read_files(Call& call) {
  std::vector<Target> out;
  if (call.flags.has("kustomize")) {
    const std::string text = TRY(kustomized(call.text("kustomize")));
    TRY(add_documents(call, text, call.text("kustomize"), out));
  }
  for (const std::string& given : call.flags.all("filename")) {
    for (const std::string& file : files_below(given, call.is_set("recursive"))) {
      const std::string text = TRY(read_input(file));
      TRY(add_documents(call, text, file, out));
    }
  }
  if (out.empty() && call.flags.has("filename")) return usage("no objects passed to " + std::string(call.command.name));
  return out;
}

Result<std::vector<Target>> read_targets(Call& call, const std::vector<std::string>& words) {
  std::vector<Target> out;
  for (Target& target : TRY(read_files(call))) {
    target.object = TRY(get(call, target.path()));
    out.push_back(std::move(target));
  }
  if (words.empty()) {
    if (out.empty()) return usage("You must provide one or more resources by argument or filename.");
    return out;
  }
  if (words[0].find('/') != std::string::npos) {
    for (const std::string& word : words) {
      const auto slash = word.find('/');
      if (slash == std::string::npos)
        return usage(
            "there is no need to specify a resource type as a separate argument when passing arguments in "
            "resource/name form (e.g. 'caisson get resource/<resource_name>' instead of 'caisson get resource "
            "resource/<resource_name>'");
      const kube::Resource resource = TRY(resource_of(call, std::string_view(word).substr(0, slash)));
      TRY(add_named(call, resource, word.substr(slash + 1), out));
    }
    return out;
  }
  for (const std::string_view kind : split(words[0], ',')) {
    const kube::Resource resource = TRY(resource_of(call, kind));
    if (words.size() == 1) {
      if (!call.flags.has("selector") && !call.is_set("all") && !call.flags.has("field-selector"))
        return usage("resource(s) were provided, but no name was specified");
      TRY(add_listed(call, resource, out));
    }
    for (std::size_t i = 1; i < words.size(); ++i) TRY(add_named(call, resource, words[i], out));
  }
  return out;
}

Result<Value> get(const Call& call, const std::string& path, std::string_view accept) {
  return send(call, "GET", path, {}, accept, false);
}

Result<Value> send(const Call& call, const std::string& method, const std::string& path, const Value& body,
                   std::string_view content_type, bool is_write) {
  http::Request request = call.session.request(method, is_write ? write_query(call, path) : path);
  request.headers.set("Accept", is_write || method != "GET" ? "application/json" : std::string(content_type));
  if (!body.is_null()) {
    request.headers.set("Content-Type", std::string(content_type));
    request.body = json::write(body);
  }
  const http::Response response = TRY(call.http->send(request));
  show_warnings(response);
  if (response.status >= 400) return Error{code_of(response.status), server_error(response)};
  return json::parse(response.body);
}

Result<Value> patch(const Call& call, const Target& target, const Value& body, std::string_view type,
                    const Value& local, std::string_view subresource) {
  if (call.dry_run() == "client") return local;
  const std::string path = target.path() + (subresource.empty() ? "" : "/" + std::string(subresource));
  return send(call, "PATCH", path, body, type);
}

Result<Value> create(const Call& call, const kube::Resource& resource, const Value& object) {
  if (call.dry_run() == "client") return object;
  return send(call, "POST", resource.path(object["metadata"]["namespace"].as_string()), object);
}

}  // namespace caisson::cli::kubectl
