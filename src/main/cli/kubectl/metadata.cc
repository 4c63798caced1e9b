// SPDX-License-Identifier: Apache-2.0
// label, annotate, patch, taint.
#include <algorithm>
#include <cstdio>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kLabelFlags[] = {{"overwrite", FlagKind::boolean},
                                    {"list", FlagKind::boolean},
                                    {"local", FlagKind::boolean},
                                    {"resource-version", FlagKind::text}};
constexpr FlagSpec kPatchFlags[] = {{"patch", FlagKind::text, 'p'},
                                    {"patch-file", FlagKind::text},
                                    {"type", FlagKind::text},
                                    {"subresource", FlagKind::text}};
constexpr FlagSpec kTaintFlags[] = {{"overwrite", FlagKind::boolean}};

// Arguments "k=v" and "k-" behind those that name objects.
struct Changes {
  std::vector<std::string> objects;
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::string> removed;
};
Changes split_arguments(const std::vector<std::string>& arguments) {
  Changes out;
  for (const std::string& word : arguments) {
    const auto equals = word.find('=');
    if (equals != std::string::npos)
      out.set.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    else if (word.size() > 1 && word.ends_with('-'))
      out.removed.push_back(word.substr(0, word.size() - 1));
    else
      out.objects.push_back(word);
  }
  return out;
}

Result<void> refuse_overwriting(const Changes& changes, const Value& have, bool is_label) {
  std::vector<std::string> taken;
  for (const auto& [key, value] : changes.set) {
    const Value& now = have[key];
    if (now.is_null() || now.as_string() == value) continue;
    if (is_label) return usage("'" + key + "' already has a value (" + now.str() + "), and --overwrite is false");
    taken.push_back("'" + key + "' already has a value (" + now.str() + ")");
  }
  if (taken.empty()) return {};
  return usage("--overwrite is false but found the following declared annotation(s): " + join(taken, "; "));
}

Result<void> change_metadata(Call& call, const Target& target, const Changes& changes, bool is_label) {
  const char* field = is_label ? "labels" : "annotations";
  const Value& have = target.object["metadata"][field];
  if (!call.is_set("overwrite")) TRY(refuse_overwriting(changes, have, is_label));
  Value wanted = Value::map();
  for (const auto& [key, value] : changes.set) wanted.set(key, value);
  for (const std::string& key : changes.removed) {
    if (have[key].is_null()) std::printf("%s \"%s\" not found.\n", is_label ? "label" : "annotation", key.c_str());
    wanted.set(key, Value());
  }
  Value metadata = Value::map();
  metadata.set(field, std::move(wanted));
  if (const std::string version = call.text("resource-version"); !version.empty())
    metadata.set("resourceVersion", version);
  const Value body{{"metadata", std::move(metadata)}};
  const Value local = document::merge_patch(target.object, body);
  const bool same = local == target.object;
  const Value after = same ? target.object : TRY(patch(call, target, body, kMergePatch, local));
  std::string_view verb = "annotated";
  if (is_label) verb = same ? "not labeled" : changes.set.empty() ? "unlabeled" : "labeled";
  return print_result(call, target, after, verb);
}

void list_entries(const Target& target, const char* field) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : target.object["metadata"][field].entries())
    lines.push_back(std::string(key) + "=" + value.str());
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
}

Result<int> run_metadata(Call& call, bool is_label) {
  const Changes changes = split_arguments(call.arguments);
  const std::string noun = is_label ? "label" : "annotation";
  if (changes.objects.empty() && !call.flags.has("filename"))
    return usage("one or more resources must be specified as <resource> <name> or <resource>/<name>");
  if (changes.set.empty() && changes.removed.empty() && !call.is_set("list"))
    return usage("at least one " + noun + " update is required");
  for (const auto& [key, value] : changes.set) {
    if (std::find(changes.removed.begin(), changes.removed.end(), key) != changes.removed.end())
      return usage("can not both modify and remove " + std::string(is_label ? "a label" : "an annotation") +
                   " in the same command");
  }
  for (const Target& target : TRY(read_targets(call, changes.objects))) {
    if (call.is_set("list"))
      list_entries(target, is_label ? "labels" : "annotations");
    else
      TRY(change_metadata(call, target, changes, is_label));
  }
  return 0;
}

Result<int> run_label(Call& call) {
  return run_metadata(call, true);
}
Result<int> run_annotate(Call& call) {
  return run_metadata(call, false);
}

Result<int> run_patch(Call& call) {
  std::string text = call.text("patch");
  if (const std::string file = call.text("patch-file"); !file.empty()) text = TRY(read_file(file));
  if (text.empty()) return usage("must specify --patch or --patch-file containing the contents of the patch");
  const Value body = TRY(yaml::read(text).in("unable to parse \"" + text + "\""));
  const std::string type = call.text("type", "strategic");
  if (type != "json" && type != "merge" && type != "strategic")
    return usage("--type must be one of [json merge strategic], not \"" + type + "\"");
  const std::string_view content = type == "json" ? kJsonPatch : type == "merge" ? kMergePatch : kStrategicPatch;
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    Value local = target.object;
    if (call.dry_run() == "client")
      local = type == "json" ? TRY(document::json_patch(local, body)) : document::merge_patch(local, body);
    const Value after = TRY(patch(call, target, body, content, local, call.text("subresource")));
    const bool same =
        after["metadata"]["resourceVersion"] == target.object["metadata"]["resourceVersion"] && call.dry_run().empty();
    TRY(print_result(call, target, after, same ? "patched (no change)" : "patched"));
  }
  return 0;
}

// --- taint

struct Taint {
  std::string key, value, effect;
  bool remove = false;
};
Result<Taint> parse_taint(std::string text) {
  Taint out;
  const std::string given = text;
  if (text.ends_with('-')) {
    out.remove = true;
    text.pop_back();
  }
  if (const auto colon = text.find(':'); colon != std::string::npos) {
    out.effect = text.substr(colon + 1);
    text.resize(colon);
    if (out.effect != "NoSchedule" && out.effect != "PreferNoSchedule" && out.effect != "NoExecute")
      return usage("invalid taint effect: " + out.effect + ", unsupported taint effect");
  } else if (!out.remove) {
    return usage("invalid taint spec: " + given);
  }
  if (const auto equals = text.find('='); equals != std::string::npos) {
    out.value = text.substr(equals + 1);
    text.resize(equals);
  }
  out.key = text;
  return out;
}

bool is_of(const Value& taint, const Taint& change) {
  return taint["key"].as_string() == change.key &&
         (change.effect.empty() || taint["effect"].as_string() == change.effect);
}

Result<void> taint_node(Call& call, const Target& target, const std::vector<Taint>& changes) {
  std::vector<Value> taints(target.object["spec"]["taints"].items().begin(),
                            target.object["spec"]["taints"].items().end());
  bool added = false, removed = false;
  for (const Taint& change : changes) {
    const auto found = std::find_if(taints.begin(), taints.end(), [&](const Value& t) { return is_of(t, change); });
    if (change.remove) {
      if (found == taints.end()) {
        return usage("taint \"" + change.key + (change.effect.empty() ? "" : ":" + change.effect) + "\" not found");
      }
      std::erase_if(taints, [&](const Value& t) { return is_of(t, change); });
      removed = true;
      continue;
    }
    if (found != taints.end() && !call.is_set("overwrite"))
      return usage("node " + target.name + " already has " + change.key +
                   " taint(s) with same effect(s) and --overwrite is false");
    if (found != taints.end()) {
      taints.erase(found);
      removed = true;
    }
    Value made{{"effect", change.effect}, {"key", change.key}};
    if (!change.value.empty()) made.set("value", change.value);
    taints.insert(taints.begin(), std::move(made));
    added = true;
  }
  const Value list = taints.empty() ? Value() : Value(taints);
  const Value body{{"spec", Value{{"taints", list}}}};
  const Value after = TRY(patch(call, target, body, kMergePatch, document::merge_patch(target.object, body)));
  return print_result(call, target, after, added && removed ? "modified" : added ? "tainted" : "untainted");
}

Result<int> run_taint(Call& call) {
  std::vector<std::string> objects;
  std::vector<Taint> changes;
  for (const std::string& word : call.arguments) {
    if (word.find('=') != std::string::npos || word.find(':') != std::string::npos || word.ends_with('-'))
      changes.push_back(TRY(parse_taint(word)));
    else
      objects.push_back(word);
  }
  if (changes.empty()) return usage("at least one taint update is required");
  if (objects.size() < 2 && !call.flags.has("selector") && !call.is_set("all") &&
      (objects.empty() || objects[0].find('/') == std::string::npos))
    return usage("one or more resources must be specified as <resource> <name>");
  for (const Target& target : TRY(read_targets(call, objects))) {
    if (target.resource.kind != "Node")
      return usage("invalid resource type " + target.resource.plural + ", only node(s) is supported");
    TRY(taint_node(call, target, changes));
  }
  return 0;
}

constexpr Command kCommands[] = {
    {"label", "Update the labels on a resource.", "label (-f FILE | TYPE NAME) KEY=VALUE ... KEY-",
     "caisson label pods web-1 tier=front --overwrite", kLabelFlags, run_label},
    {"annotate", "Update the annotations on a resource.", "annotate (-f FILE | TYPE NAME) KEY=VALUE ... KEY-",
     "caisson annotate deploy/web owner=shop", kLabelFlags, run_annotate},
    {"patch", "Update fields of a resource.", "patch (-f FILE | TYPE NAME) -p PATCH",
     "caisson patch deploy/web -p '{\"spec\":{\"replicas\":3}}'", kPatchFlags, run_patch},
    {"taint", "Update the taints on one or more nodes.", "taint NODE NAME KEY=VALUE:EFFECT ... KEY:EFFECT-",
     "caisson taint nodes node-1 dedicated=build:NoSchedule", kTaintFlags, run_taint},
};

}  // namespace

std::span<const Command> metadata_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
