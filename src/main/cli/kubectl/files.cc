// SPDX-License-Identifier: Apache-2.0
// replace, edit, diff: objects against files.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kReplaceFlags[] = {{"force", FlagKind::boolean}, {"grace-period", FlagKind::text}, {"save-config", FlagKind::boolean}, {"subresource", FlagKind::text}};
constexpr FlagSpec kEditFlags[] = {{"output-patch", FlagKind::boolean}, {"subresource", FlagKind::text}, {"save-config", FlagKind::boolean}};
constexpr FlagSpec kDiffFlags[] = {{"server-side", FlagKind::boolean}, {"force-conflicts", FlagKind::boolean}, {"prune", FlagKind::boolean}};

Result<int> run_replace(Call& call) {
  if (!call.flags.has("filename")) return usage("must specify one of -f and -k");
  for (const Target& target : TRY(read_files(call))) {
    if (call.is_set("force")) {
      const auto removed = send(call, "DELETE", target.path(), {});
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
      if (removed.ok()) std::printf("%s \"%s\" deleted\n", shown_name(target.resource, "").substr(0, shown_name(target.resource, "").size() - 1).c_str(), target.name.c_str());
      const Value after = TRY(create(call, target.resource, target.object));
      TRY(print_result(call, target, after, "replaced"));
      continue;
    }
    const std::string subresource = call.text("subresource");
    const auto after = call.dry_run() == "client" ? Result<Value>(target.object)
                                                  : send(call, "PUT", target.path() + (subresource.empty() ? "" : "/" + subresource), target.object);
    if (!after.ok()) {
      const std::string& text = after.error().message;
      const auto close = text.find("): ");
      if (!text.starts_with("Error from server (") || close == std::string::npos) return after.error();
      return Error{after.error().code, text.substr(0, close + 3) + "error when replacing \"" + call.flags.all("filename")[0] + "\": " + text.substr(close + 3)};
    }
    TRY(print_result(call, target, *after, "replaced"));
  }
  return 0;
}

// --- edit

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
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return usage("there was a problem with the editor \"" + std::string(editor) + "\"");
  return {};
}

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
  const kube::WriteOptions options{.field_manager = call.text("field-manager", "kubectl-client-side-apply"), .dry_run = true, .force = true};
  const Object after = TRY(call.session.client->apply(Object(target.object), options));
  return after.value();
}

Result<int> run_diff(Call& call) {
  if (!call.flags.has("filename")) return usage("must specify one of -f and -k");
  bool differs = false;
  for (const Target& target : TRY(read_files(call))) {
    const auto live = get(call, target.path());
    if (!live.ok() && live.error().code != ErrorCode::not_found) return live.error();
    const Value after = shown_object(TRY(merged(call, target, live.ok())));
    const std::string before = live.ok() ? yaml::write(shown_object(*live)) : "";
    const std::string version = replace_all(target.resource.api_version(), "/", ".");
    const std::string name = version + "." + target.resource.kind + "." + target.ns + "." + target.name;
    const std::string text = document::unified_diff(before, yaml::write(after), "LIVE/" + name, "MERGED/" + name);
    if (text.empty()) continue;
    differs = true;
    std::printf("diff -u -N LIVE/%s MERGED/%s\n%s", name.c_str(), name.c_str(), text.c_str());
  }
  return differs ? 1 : 0;
}

constexpr Command kCommands[] = {
    {"replace", "Replace objects by what files say.", "replace -f FILE", "caisson replace -f pod.yaml", kReplaceFlags, run_replace},
    {"edit", "Edit objects in $KUBE_EDITOR or $EDITOR.", "edit (-f FILE | TYPE NAME)", "caisson edit deploy/web", kEditFlags, run_edit},
    {"diff", "Show what an apply of files would change; exit status 1 when something would.", "diff -f FILE", "caisson diff -f deploy/", kDiffFlags, run_diff},
};

}  // namespace

std::span<const Command> file_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
