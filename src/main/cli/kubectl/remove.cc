// SPDX-License-Identifier: Apache-2.0
// delete: objects by name, file or selector, waited for unless told otherwise.
#include <algorithm>
#include <cstdio>

#include "core/base/text.h"
#include "main/cli/kubectl/watch.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kDeleteFlags[] = {{"ignore-not-found", FlagKind::optional},
                                     {"cascade", FlagKind::optional},
                                     {"grace-period", FlagKind::text},
                                     {"now", FlagKind::boolean},
                                     {"force", FlagKind::boolean},
                                     {"wait", FlagKind::boolean},
                                     {"timeout", FlagKind::text},
                                     {"interactive", FlagKind::boolean, 'i'},
                                     {"raw", FlagKind::text}};

bool ignores_absent(const Call& call) {
  return call.flags.has("ignore-not-found") ? call.text("ignore-not-found") != "false"
                                            : call.is_set("all") || call.flags.has("selector");
}

Result<Value> options_of(const Call& call) {
  Value out{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  const std::string cascade = call.text("cascade", "background");
  out.set("propagationPolicy", cascade == "orphan" ? "Orphan" : cascade == "foreground" ? "Foreground" : "Background");
  if (cascade != "orphan" && cascade != "foreground" && cascade != "background" && cascade != kOptionalFlagAlone)
    return usage("invalid cascade value (" + cascade + "). Must be \"background\", \"foreground\", or \"orphan\"");
  if (call.is_set("now")) out.set("gracePeriodSeconds", 1);
  if (call.flags.has("grace-period")) {
    const auto seconds = parse_int(call.text("grace-period"));
    if (!seconds) return usage("invalid argument \"" + call.text("grace-period") + "\" for \"--grace-period\" flag");
    if (*seconds == 0 && !call.is_set("force"))
      out.set("gracePeriodSeconds", 1);
    else if (*seconds >= 0)
      out.set("gracePeriodSeconds", *seconds);
  }
  if (call.is_set("force") && !call.flags.has("grace-period")) out.set("gracePeriodSeconds", 0);
  if (call.dry_run() == "server") out.set("dryRun", Value::list_of({"All"}));
  return out;
}

std::string kind_name(const kube::Resource& resource) {
  const std::string shown = shown_name(resource, "");
  return shown.substr(0, shown.size() - 1);
}

Result<void> wait_gone(const Call& call, const Target& target, std::string_view uid, Time end) {
  const auto done =
      follow(call, target.resource, target.ns, target.name, end, [uid](const Value* object) -> Result<bool> {
        return object == nullptr || (*object)["metadata"]["uid"].as_string() != uid;
      });
  if (!done.ok() && done.error().code == ErrorCode::timeout)
    return usage("timed out waiting for the condition on " + target.resource.plural + "/" + target.name);
  return done;
}

struct Gone {
  Target target;
  std::string uid;
};

Result<void> remove(const Call& call, const Target& target, const Value& options, std::vector<Gone>& gone) {
  if (call.dry_run() != "client") {
    const Value answer = TRY(send(call, "DELETE", target.path(), options, "application/json", false));
    const Value& uid = answer["kind"].as_string() == "Status" ? answer["details"]["uid"] : answer["metadata"]["uid"];
    gone.push_back({target, uid.str()});
  }
  const std::string dry = call.dry_run();
  if (call.text("output") == "name") {
    std::printf("%s\n", target.shown().c_str());
    return {};
  }
  const bool forced = call.is_set("force") && options["gracePeriodSeconds"] == Value(0);
  std::printf("%s \"%s\" %s%s\n", kind_name(target.resource).c_str(), target.name.c_str(),
              forced ? "force deleted" : "deleted",
              dry == "client"   ? " (dry run)"
              : dry == "server" ? " (server dry run)"
                                : "");
  return {};
}

// What to delete, without reading it first where a name says it.
Result<std::vector<Target>> chosen(Call& call) {
  const std::vector<std::string>& words = call.arguments;
  std::vector<Target> out = TRY(read_files(call));
  if (words.empty()) return out;
  const bool selects = call.flags.has("selector") || call.is_set("all") || call.flags.has("field-selector");
  const bool slashed = words[0].find('/') != std::string::npos;
  if (!slashed && words.size() == 1) {
    if (!selects) return usage("resource(s) were provided, but no name was specified");
    return read_targets(call, words);
  }
  for (std::size_t i = slashed ? 0 : 1; i < words.size(); ++i) {
    const auto slash = words[i].find('/');
    if (slashed && slash == std::string::npos)
      return usage(
          "there is no need to specify a resource type as a separate argument when passing arguments in resource/name "
          "form");
    const kube::Resource resource =
        TRY(resource_of(call, slashed ? std::string_view(words[i]).substr(0, slash) : words[0]));
    out.push_back(
        {resource, resource.namespaced ? call.session.ns : "", slashed ? words[i].substr(slash + 1) : words[i], {}});
  }
  return out;
}

Result<int> run_delete(Call& call) {
  if (call.arguments.empty() && !call.flags.has("filename"))
    return usage("You must provide one or more resources by argument or filename.");
  const Value options = TRY(options_of(call));
  if (call.is_set("force"))
    std::fprintf(stderr,
                 "Warning: Immediate deletion does not wait for confirmation that the running resource has been "
                 "terminated. The resource may continue to run on the cluster indefinitely.\n");
  const std::vector<Target> targets = TRY(chosen(call));
  if (targets.empty()) std::printf("No resources found\n");
  std::vector<Gone> gone;
  std::vector<std::string> errors;
  for (const Target& target : targets) {
    const auto removed = remove(call, target, options, gone);
    if (removed.ok() || (removed.error().code == ErrorCode::not_found && ignores_absent(call))) continue;
    std::string text = removed.error().message;
    if (const auto close = text.find("): "); call.flags.has("filename") && close != std::string::npos)
      text = text.substr(0, close + 3) + "error when deleting \"" + call.flags.all("filename")[0] +
             "\": " + text.substr(close + 3);
    errors.push_back(std::move(text));
  }
  std::fflush(stdout);
  const bool waits =
      (!call.flags.has("wait") || call.is_set("wait")) && call.dry_run().empty() && !call.is_set("force");
  const Time end = TRY(end_of_wait(call, "0"));
  if (waits) {
    for (const Gone& one : gone) TRY(wait_gone(call, one.target, one.uid, end));
  }
  if (!errors.empty()) return Error{ErrorCode::not_found, join(errors, "\n")};
  return 0;
}

constexpr Command kCommands[] = {
    {"delete", "Delete resources by file, name or label selector.",
     "delete (-f FILE | TYPE NAME | TYPE -l LABEL | TYPE --all)", "caisson delete pod web-1 --grace-period=5",
     kDeleteFlags, run_delete},
};

}  // namespace

std::span<const Command> delete_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
