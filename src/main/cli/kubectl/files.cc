// SPDX-License-Identifier: Apache-2.0
// replace, edit, diff: objects against files.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/apply.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kReplaceFlags[] = {{"force", FlagKind::boolean},
                                      {"grace-period", FlagKind::text},
                                      {"save-config", FlagKind::boolean},
                                      {"subresource", FlagKind::text}};
constexpr FlagSpec kEditFlags[] = {
    {"output-patch", FlagKind::boolean}, {"subresource", FlagKind::text}, {"save-config", FlagKind::boolean}};
constexpr FlagSpec kDiffFlags[] = {
    {"server-side", FlagKind::boolean}, {"force-conflicts", FlagKind::boolean}, {"prune", FlagKind::boolean}};

Result<int> run_replace(Call& call) {
  if (!call.flags.has("filename")) return usage("must specify one of -f and -k");
  for (const Target& target : TRY(read_files(call))) {
    if (call.is_set("force")) {
      const auto removed = send(call, "DELETE", target.path(), {});
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
      if (removed.ok())
        std::printf("%s \"%s\" deleted\n",
                    shown_name(target.resource, "").substr(0, shown_name(target.resource, "").size() - 1).c_str(),
                    target.name.c_str());
      const Value after = TRY(create(call, target.resource, target.object));
      TRY(print_result(call, target, after, "replaced"));
      continue;
    }
    const std::string subresource = call.text("subresource");
    const auto after =
        call.dry_run() == "client"
            ? Result<Value>(target.object)
            : send(call, "PUT", target.path() + (subresource.empty() ? "" : "/" + subresource), target.object);
    if (!after.ok()) {
      const std::string& text = after.error().message;
      const auto close = text.find("): ");
      if (!text.starts_with("Error from server (") || close == std::string::npos) return after.error();
      return Error{after.error().code, text.substr(0, close + 3) + "error when replacing \"" +
                                           call.flags.all("filename")[0] + "\": " + text.substr(close + 3)};
    }
    TRY(print_result(call, target, *after, "replaced"));
  }
  return 0;
}

// --- edit

constexpr std::string_view kEditHead =
    "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
    "# and an empty file will abort the edit. If an error occurs while saving this file will be\n"
    "# reopened with the relevant failures.\n#\n";

Value shown_object(Value object) {
  object.edit("metadata").erase("managedFields");
  object.sort_keys();
  return object;
}

Result<int> run_edit(Call& call) {
  const TempDir folder = TRY(TempDir::make("edit"));
  bool any = false;
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const Value before = shown_object(target.object);
    const std::string file = folder.path() + "/" + target.resource.plural + "-" + target.name + ".yaml";
    const std::string text = std::string(kEditHead) + yaml::write(before);
    TRY(write_file(file, text));
    TRY(run_editor(file));
    const std::string edited = TRY(read_file(file));
    if (edited == text) continue;
    const Value after = TRY(yaml::read(edited).in("the edited file"));
    if (after.is_null() || after == before) continue;
    any = true;
    const Value change = document::merge_patch_between(before, after);
    const Value answer = TRY(patch(call, target, change, kMergePatch, after, call.text("subresource")));
    TRY(print_result(call, target, answer, "edited"));
  }
  if (!any) std::fprintf(stderr, "Edit cancelled, no changes made.\n");
  return 0;
}

// --- diff

// What the server would make of the file, by an apply that is a dry run.
Result<Value> merged(const Call& call, const Target& target, bool exists) {
  if (!exists) return send(call, "POST", target.resource.path(target.ns) + "?dryRun=All", target.object);
  const kube::WriteOptions options{
      .field_manager = call.text("field-manager", "kubectl-client-side-apply"), .dry_run = true, .force = true};
  const Object after = TRY(call.session.client->apply(Object(target.object), options));
  return after.value();
}

// A Secret's values, so that they show only whether they differ.
void mask(Value& before, Value& after) {
  const Value old_data = before["data"], new_data = after["data"];
  for (const auto& [key, value] : old_data.entries()) {
    const bool same = new_data[key] == value, stays = new_data.contains(key);
    before.edit("data").set(key, same || !stays ? "***" : "*** (before)");
    if (stays) after.edit("data").set(key, same ? "***" : "*** (after)");
  }
  for (const auto& [key, value] : new_data.entries()) {
    if (!old_data.contains(key)) after.edit("data").set(key, "***");
  }
}

struct Difference {
  std::string name, before, after;
};

// As kubectl shows it: the program of $KUBECTL_EXTERNAL_DIFF over two folders, or its own `diff -u -N`.
Result<void> show(const std::vector<Difference>& differences) {
  const char* temporary = std::getenv("TMPDIR");
  const std::string parent = temporary && *temporary ? temporary : "/tmp",
                    number = std::to_string(random_u64() % 10'000'000'000);
  const std::string live = parent + "/LIVE-" + number, merged = parent + "/MERGED-" + number;
  const char* program = std::getenv("KUBECTL_EXTERNAL_DIFF");
  if (!program || !*program) {
    const std::string now = format_time_nanos(system_clock().now());
    const std::string stamp = "\t" + now.substr(0, 10) + " " + now.substr(11, 18) + " +0000";
    for (const Difference& one : differences) {
      const std::string a = live + "/" + one.name, b = merged + "/" + one.name;
      std::printf("diff -u -N %s %s\n%s", a.c_str(), b.c_str(),
                  document::unified_diff(one.before, one.after, a + stamp, b + stamp).c_str());
    }
    return {};
  }
  TRY(make_dirs(live));
  TRY(make_dirs(merged));
  for (const Difference& one : differences) {
    TRY(write_file_unsynced(live + "/" + one.name, one.before, 0600));
    TRY(write_file_unsynced(merged + "/" + one.name, one.after, 0600));
  }
  caisson::Command command;
  for (const std::string_view word : split(program, ' ')) {
    if (!word.empty()) command.args.emplace_back(word);
  }
  command.args.insert(command.args.end(), {live, merged});
  const auto ended = run(command);
  for (const std::string& folder : {live, merged}) {
    std::error_code error;
    std::filesystem::remove_all(folder, error);
  }
  if (!ended.ok()) return ended.error();
  std::printf("%s", ended->out.c_str());
  if (ended->code > 1)
    return usage("the program of KUBECTL_EXTERNAL_DIFF ended with status " + std::to_string(ended->code) + ": " +
                 ended->err);
  return {};
}

Result<int> run_diff(Call& call) {
  if (!call.flags.has("filename") && !call.flags.has("kustomize")) return usage("must specify one of -f and -k");
  std::vector<Difference> differences;
  for (const Target& target : TRY(read_files(call))) {
    const auto live = get(call, target.path());
    if (!live.ok() && live.error().code != ErrorCode::not_found) return live.error();
    Value after = shown_object(TRY(merged(call, target, live.ok()))),
          before = live.ok() ? shown_object(*live) : Value();
    if (target.resource.kind == "Secret" && target.resource.group.empty()) mask(before, after);
    const std::string version = replace_all(target.resource.api_version(), "/", ".");
    Difference difference{version + "." + target.resource.kind + "." + target.ns + "." + target.name,
                          live.ok() ? yaml::write(before) : "", yaml::write(after)};
    if (difference.before != difference.after) differences.push_back(std::move(difference));
  }
  if (differences.empty()) return 0;
  TRY(show(differences));
  return 1;
}

constexpr Command kCommands[] = {
    {"replace", "Replace objects by what files say.", "replace -f FILE", "caisson replace -f pod.yaml", kReplaceFlags,
     run_replace},
    {"edit", "Edit objects in $KUBE_EDITOR or $EDITOR.", "edit (-f FILE | TYPE NAME)", "caisson edit deploy/web",
     kEditFlags, run_edit},
    {"diff", "Show what an apply of files would change; exit status 1 when something would.", "diff -f FILE",
     "caisson diff -f deploy/", kDiffFlags, run_diff},
};

}  // namespace

Result<void> run_editor(const std::string& file) {
  const char* editor = std::getenv("KUBE_EDITOR");
  if (!editor || !*editor) editor = std::getenv("EDITOR");
  if (!editor || !*editor) editor = "vi";
  // The variable is a command line by convention ("code --wait"): the shell splits it, the file name is an argument.
  const pid_t child = ::fork();
  if (child < 0) return errno_error("start the editor");
  if (child == 0) {
    const std::string command = std::string(editor) + " \"$0\"";
    ::execl("/bin/sh", "sh", "-c", command.c_str(), file.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  if (::waitpid(child, &status, 0) < 0) return errno_error("wait for the editor");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return usage("there was a problem with the editor \"" + std::string(editor) + "\"");
  return {};
}

std::span<const Command> file_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
