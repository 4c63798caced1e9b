// SPDX-License-Identifier: Apache-2.0
// What the commands that `caisson` shares with kubectl (1.33) have in common: flags, objects by name, file or selector,
// requests with kubectl's error texts, and printing. One file beside this for each family of commands; commands.cc of
// this folder lists them.
//
// Exit status: 0, or 1 with the error on standard error, in kubectl's words.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "main/cli/helm_flags.h"
#include "main/cli/session.h"

namespace caisson::cli::kubectl {

using kube::Object;

struct Call;
struct Command {
  std::string_view name;  // "rollout undo"
  std::string_view help, usage, example;
  std::span<const FlagSpec> flags;  // beside kCommonFlags
  Result<int> (*run)(Call&);
  bool connects = true;  // false: works without a platform (config, completion)
};

// One command line, connected.
struct Call {
  const Command& command;
  Flags flags;
  Session session;
  std::vector<std::string> arguments;
  std::shared_ptr<http::Client> http;  // one connection for all requests of the command

  bool is_set(std::string_view flag) const { return flags.is_set(flag); }
  std::string text(std::string_view flag, std::string_view otherwise = {}) const { return flags.text(flag, otherwise); }
  std::string dry_run() const;  // "", "client" or "server"
  bool all_namespaces() const { return flags.is_set("all-namespaces"); }
};

// Every command of the families; `all_commands` gives them in the order of help.
std::vector<std::span<const Command>> all_commands();
// The command that `words` begin with ("rollout undo web"); nullptr: none of ours.
const Command* find_command(const std::vector<std::string>& words);
// `front`: flags that stood before the command's name. Gives the exit status.
int run_command(const Command& command, const std::vector<std::string>& words, std::vector<std::string> front = {});

// --- objects

// The kind behind a word of a command line. Errors: kubectl's text.
Result<kube::Resource> resource_of(const Call& call, std::string_view word);
std::string shown_name(const kube::Resource& resource, std::string_view name);  // "deployment.apps/web"

struct Target {
  kube::Resource resource;
  std::string ns, name;
  Value object;  // as read from the server, or from the file
  std::string path() const { return resource.path(ns, name); }
  std::string shown() const { return shown_name(resource, name); }
};
// The objects that arguments (KIND NAME…, KIND/NAME…), -f, -l, --all and --field-selector name, read from the server.
Result<std::vector<Target>> read_targets(Call& call, const std::vector<std::string>& words);
// Those of the files of -f, as the files say; kinds are looked up, namespaces filled in.
Result<std::vector<Target>> read_files(Call& call);

// --- requests. Errors are kubectl's: "Error from server (NotFound): …", "The Pod "x" is invalid: …".

Result<Value> get(const Call& call, const std::string& path, std::string_view accept = "application/json");
Result<Value> send(const Call& call, const std::string& method, const std::string& path, const Value& body,
                   std::string_view content_type = "application/json", bool is_write = true);
inline constexpr std::string_view kMergePatch = "application/merge-patch+json";
inline constexpr std::string_view kStrategicPatch = "application/strategic-merge-patch+json";
inline constexpr std::string_view kJsonPatch = "application/json-patch+json";
// Patches and gives what became of it; with --dry-run=client nothing is sent and `local` comes back.
Result<Value> patch(const Call& call, const Target& target, const Value& body, std::string_view type,
                    const Value& local, std::string_view subresource = {});
Result<Value> create(const Call& call, const kube::Resource& resource, const Value& object);

// --- output

// As -o says: json, yaml, name, jsonpath=…, jsonpath-file, custom-columns=…; else "NAME VERB" with what a dry run adds.
Result<void> print_result(const Call& call, const Target& target, const Value& object, std::string_view verb);
Result<void> print_object(const Call& call, const Value& object, std::string_view format);
// Errors: kubectl's text for a format that there is not.
Result<void> check_format(std::string_view format);
// kubectl's table: three blanks between columns, none after the last.
void print_columns(const std::vector<std::vector<std::string>>& rows);
// A kubectl JSONPath template, as "{range .items[*]}{.metadata.name}{"\n"}{end}". Errors: what is malformed.
Result<std::string> json_path_template(const Value& value, std::string_view text);
// "NAME:.metadata.name,AGE:.x" over an object or a list: header and rows.
Result<std::vector<std::vector<std::string>>> custom_columns(const Value& value, std::string_view spec);
// Where a workload's pod template stands: {"spec", "template"}; of a Pod {}. Error for kinds without.
Result<std::vector<std::string>> template_path(std::string_view kind);
Value wrapped(const std::vector<std::string>& path, Value inner);  // {"spec": {"template": inner}}
const Value& at(const Value& value, const std::vector<std::string>& path);

// Ends a command with this text, as kubectl's "error: …".
inline Error usage(std::string text) {
  return Error{ErrorCode::bad_request, std::move(text)};
}

// --- the families
std::span<const Command> metadata_commands();  // label annotate patch taint
std::span<const Command> workload_commands();  // scale autoscale set …
std::span<const Command> rollout_commands();   // rollout …
std::span<const Command> create_commands();    // create … expose run
std::span<const Command> get_commands();
std::span<const Command> apply_commands();
std::span<const Command> delete_commands();
std::span<const Command> create_more_commands();  // create role, ingress, token …
std::span<const Command> node_commands();         // cordon uncordon drain top
std::span<const Command> file_commands();         // replace edit diff
std::span<const Command> look_commands();         // events api-resources api-versions explain auth … why
std::span<const Command> describe_commands();
std::span<const Command> wait_commands();     // wait, rollout status
std::span<const Command> pod_commands();      // logs exec attach cp
std::span<const Command> forward_commands();  // port-forward proxy
std::span<const Command> debug_commands();
std::span<const Command> config_commands();  // config …
std::span<const Command> other_commands();   // certificate … completion options version

}  // namespace caisson::cli::kubectl
