// SPDX-License-Identifier: Apache-2.0
// apply, by the client (three-way, with the annotation last-applied-configuration) or the server; apply
// view-last-applied; kustomize. Follows kubectl 1.33, pkg/cmd/apply.
#include "main/cli/kubectl/apply.h"

#include <limits.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>

#include "cluster/schema/schema.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "delivery/render/render.h"

namespace caisson::cli::kubectl {
namespace {

constexpr FlagSpec kApplyFlags[] = {{"server-side", FlagKind::boolean}, {"force-conflicts", FlagKind::boolean},
                                    {"validate", FlagKind::optional},   {"overwrite", FlagKind::boolean},
                                    {"force", FlagKind::boolean},       {"wait", FlagKind::boolean},
                                    {"grace-period", FlagKind::text},   {"timeout", FlagKind::text},
                                    {"prune", FlagKind::boolean},       {"prune-allowlist", FlagKind::array},
                                    {"cascade", FlagKind::optional}};
constexpr FlagSpec kSetLastFlags[] = {{"create-annotation", FlagKind::boolean}};
constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";
constexpr std::string_view kClientManager = "kubectl-client-side-apply", kServerManager = "kubectl";

const document::MergeSchema* field_of(const document::MergeSchema* schema, std::string_view name) {
  return schema ? schema->field(name) : nullptr;
}

// Whether two items of a list are one by its merge keys; a key that one of them leaves out is the server's default.
bool is_same_item(const Value& a, const Value& b, const std::vector<std::string>& keys) {
  return std::all_of(keys.begin(), keys.end(), [&](const std::string& key) {
    return a[key] == b[key] || (&key != &keys[0] && (a[key].is_null() || b[key].is_null()));
  });
}
const Value* find_item(const Value& list, const Value& like, const std::vector<std::string>& keys) {
  for (const Value& item : list.items()) {
    if (is_same_item(item, like, keys)) return &item;
  }
  return nullptr;
}

Value merge_lists(const Value& original, const Value& modified, const Value& current,
                  const document::MergeSchema& schema) {
  const std::vector<std::string>& keys = schema.merge_keys();
  Value out = Value::list();
  for (const Value& item : modified.items()) {
    const Value* live = find_item(current, item, keys);
    const Value* before = find_item(original, item, keys);
    out.push_back(live ? three_way(before ? *before : Value(), item, *live, schema.item()) : item);
  }
  for (const Value& item : current.items()) {  // what others added stays
    if (!find_item(modified, item, keys) && !find_item(original, item, keys)) out.push_back(item);
  }
  return out;
}

Value merge_sets(const Value& original, const Value& modified, const Value& current) {
  Value out = modified;
  const auto holds = [](const Value& list, const Value& item) {
    const auto items = list.items();
    return std::find(items.begin(), items.end(), item) != items.end();
  };
  for (const Value& item : current.items()) {
    if (!holds(out, item) && !holds(original, item)) out.push_back(item);
  }
  return out;
}

// As Go writes it into the annotation: keys in order, a line end behind.
std::string annotation_text(Value object) {
  if (object["metadata"]["annotations"].contains(kLastApplied))
    object.edit({"metadata", "annotations"}).erase(kLastApplied);
  if (object["metadata"]["annotations"].is_null()) object.edit("metadata").set("annotations", Value::map());
  return json::write(object, {.escape_html = true, .sort_keys = true}) + "\n";
}

std::string validation(const Call& call) {
  const std::string mode = call.text("validate", "strict");
  return mode == "warn" ? "Warn" : mode == "false" || mode == "ignore" ? "Ignore" : "Strict";
}

Error about_file(const Call& call, const Error& error, std::string_view doing) {
  const std::vector<std::string> files = call.flags.all("filename");
  const auto close = error.message.find("): ");
  if (files.empty() || !error.message.starts_with("Error from server (") || close == std::string::npos) return error;
  return Error{error.code, error.message.substr(0, close + 3) + "error when " + std::string(doing) + " \"" + files[0] +
                               "\": " + error.message.substr(close + 3)};
}

std::string with_options(const Call& call, const std::string& path) {
  return path + "?fieldManager=" + percent_encode(call.text("field-manager", kClientManager)) +
         "&fieldValidation=" + validation(call) + (call.dry_run() == "server" ? "&dryRun=All" : "");
}

Result<void> apply_new(const Call& call, const Target& target, const Value& modified) {
  if (call.dry_run() == "client") return print_result(call, target, modified, "created");
  const auto made =
      send(call, "POST", with_options(call, target.resource.path(target.ns)), modified, "application/json", false);
  if (!made.ok()) return about_file(call, made.error(), "creating");
  return print_result(call, target, *made, "created");
}

Result<void> apply_by_client(const Call& call, const Target& target, const schema::Schema& schema) {
  Value modified = target.object;
  modified.edit({"metadata", "annotations"}).set(kLastApplied, annotation_text(target.object));
  const auto live = get(call, target.path());
  if (!live.ok() && live.error().code == ErrorCode::not_found) return apply_new(call, target, modified);
  if (!live.ok()) return live.error();
  const std::string_view before = (*live)["metadata"]["annotations"][kLastApplied].as_string();
  if (before.empty()) {
    std::fprintf(
        stderr,
        "Warning: resource %s/%s is missing the %s annotation which is required by caisson apply. caisson apply "
        "should only be used on resources created declaratively by either caisson create --save-config or caisson "
        "apply. The missing annotation will be patched automatically.\n",
        target.resource.plural.c_str(), target.name.c_str(), std::string(kLastApplied).c_str());
  }
  const Value original =
      before.empty() ? Value() : TRY(json::parse(before).in("the annotation " + std::string(kLastApplied)));
  const schema::KindPtr kind = schema.find_object(target.object);
  const Value wanted = three_way(original, modified, *live, kind ? schema::merge_schema(*kind) : nullptr);
  const Value change = document::merge_patch_between(*live, wanted);
  if (change.empty()) return print_result(call, target, *live, "unchanged");
  if (call.dry_run() == "client") return print_result(call, target, *live, "configured");
  const auto after = send(call, "PATCH", with_options(call, target.path()), change, kMergePatch, false);
  if (!after.ok()) return about_file(call, after.error(), "applying patch to");
  // A change that the server saw none in is no news, unless it dropped what the file asked for.
  const bool same =
      (*after)["metadata"]["resourceVersion"] == (*live)["metadata"]["resourceVersion"] && call.dry_run().empty();
  const auto members = change.entries();
  const bool dropped = std::any_of(members.begin(), members.end(), [&](const auto& member) {
    return !member.value.is_null() && !after->contains(member.key);
  });
  return print_result(call, target, *after, same && !dropped ? "unchanged" : "configured");
}

Result<void> apply_by_server(const Call& call, const Target& target) {
  const std::string path = target.path() +
                           "?fieldManager=" + percent_encode(call.text("field-manager", kServerManager)) +
                           "&force=" + (call.is_set("force-conflicts") ? "true" : "false") +
                           "&fieldValidation=" + validation(call) + (call.dry_run().empty() ? "" : "&dryRun=All");
  const auto after = send(call, "PATCH", path, target.object, "application/apply-patch+yaml", false);
  if (after.ok()) return print_result(call, target, *after, "serverside-applied");
  const std::string& text = after.error().message;
  const auto conflict = text.find("Apply failed with");
  if (conflict == std::string::npos) return after.error();
  return usage(
      text.substr(conflict) +
      "\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this "
      "warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the "
      "`--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to "
      "remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by "
      "updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other "
      "manager(s)\n  stop managing the field (remove it from their configuration).\nSee "
      "https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts");
}

// --- prune: what an apply made earlier and the files no longer say

// "core/v1/ConfigMap". Without the flag: kubectl's own list.
Result<std::vector<kube::Resource>> prunable(const Call& call) {
  std::vector<std::string> given = call.flags.all("prune-allowlist");
  if (given.empty()) {
    given = {"core/v1/ConfigMap",
             "core/v1/Endpoints",
             "core/v1/Namespace",
             "core/v1/PersistentVolumeClaim",
             "core/v1/PersistentVolume",
             "core/v1/Pod",
             "core/v1/ReplicationController",
             "core/v1/Secret",
             "core/v1/Service",
             "batch/v1/Job",
             "batch/v1/CronJob",
             "networking.k8s.io/v1/Ingress",
             "apps/v1/DaemonSet",
             "apps/v1/Deployment",
             "apps/v1/ReplicaSet",
             "apps/v1/StatefulSet"};
  }
  std::vector<kube::Resource> out;
  for (const std::string& text : given) {
    const auto parts = split(text, '/');
    if (parts.size() != 3)
      return usage("invalid GroupVersionKind format: " + text + ", please follow <group/version/kind>");
    const std::string version = parts[0] == "core" || parts[0].empty()
                                    ? std::string(parts[1])
                                    : std::string(parts[0]) + "/" + std::string(parts[1]);
    out.push_back(TRY(call.session.client->resource_for(version, parts[2])));
  }
  return out;
}

Result<void> prune_in(const Call& call, const kube::Resource& resource, const std::string& ns,
                      const std::vector<std::string>& kept) {
  const std::string selector = call.text("selector");
  const Value list =
      TRY(get(call, resource.path(ns) + (selector.empty() ? "" : "?labelSelector=" + percent_encode(selector))));
  for (const Value& item : list["items"].items()) {
    const Value& metadata = item["metadata"];
    if (metadata["annotations"][kLastApplied].is_null() || !metadata["deletionTimestamp"].is_null()) continue;
    if (std::find(kept.begin(), kept.end(), metadata["uid"].str()) != kept.end()) continue;
    const Target target{resource, metadata["namespace"].str(), metadata["name"].str(), item};
    Value options{{"apiVersion", "v1"},
                  {"kind", "DeleteOptions"},
                  {"propagationPolicy", call.text("cascade") == "orphan" ? "Orphan" : "Background"}};
    if (call.dry_run() == "server") options.set("dryRun", Value::list_of({"All"}));
    if (call.dry_run() != "client") TRY(send(call, "DELETE", target.path(), options, "application/json", false));
    TRY(print_result(call, target, item, "pruned"));
  }
  return {};
}

Result<void> prune(const Call& call, const std::vector<Target>& applied) {
  std::vector<std::string> namespaces, kept;
  for (const Target& target : applied) {
    const auto live = get(call, target.path());
    if (live.ok()) kept.push_back((*live)["metadata"]["uid"].str());
    if (!target.ns.empty() && std::find(namespaces.begin(), namespaces.end(), target.ns) == namespaces.end())
      namespaces.push_back(target.ns);
  }
  for (const kube::Resource& resource : TRY(prunable(call))) {
    if (!resource.namespaced) TRY(prune_in(call, resource, "", kept));
    for (const std::string& ns : namespaces) {
      if (resource.namespaced) TRY(prune_in(call, resource, ns, kept));
    }
  }
  return {};
}

Result<int> run_apply(Call& call) {
  if (!call.flags.has("filename") && !call.flags.has("kustomize")) return usage("must specify one of -f and -k");
  if (call.is_set("force-conflicts") && !call.is_set("server-side"))
    return usage("--force-conflicts only works with --server-side");
  const schema::Schema schema = TRY(schema::Schema::built_in());
  std::vector<std::string> errors;
  if (call.is_set("prune") && !call.is_set("all") && !call.flags.has("selector"))
    return usage(
        "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all "
        "flag. If you did not mean to prune all resources, specify a label selector");
  const std::vector<Target> targets = TRY(read_files(call));
  for (const Target& target : targets) {
    const auto done =
        call.is_set("server-side") ? apply_by_server(call, target) : apply_by_client(call, target, schema);
    if (!done.ok()) errors.push_back(done.error().message);
  }
  if (!errors.empty()) return usage(join(errors, "\n"));
  if (call.is_set("prune")) TRY(prune(call, targets));
  return 0;
}

constexpr std::string_view kNoAnnotation =
    "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply "
    "set-last-applied --create-annotation`";

// The annotation as the file would have it, by a patch of nothing else.
Result<void> set_annotation(const Call& call, const Target& target, const Value& live, const std::string& text) {
  if (live["metadata"]["annotations"][kLastApplied].as_string() == text)
    return print_result(call, target, live, "configured");
  const Value body{{"metadata", Value{{"annotations", Value{{kLastApplied, text}}}}}};
  const Value after = TRY(patch(call, target, body, kMergePatch, document::merge_patch(live, body)));
  return print_result(call, target, after, "configured");
}

Result<int> run_set_last(Call& call) {
  if (!call.flags.has("filename")) return usage("must specify -f FILE");
  for (const Target& target : TRY(read_files(call))) {
    const Value live = TRY(get(call, target.path()));
    if (live["metadata"]["annotations"][kLastApplied].is_null() && !call.is_set("create-annotation"))
      return usage(std::string(kNoAnnotation));
    TRY(set_annotation(call, target, live, annotation_text(target.object)));
  }
  return 0;
}

Result<int> run_edit_last(Call& call) {
  const TempDir folder = TRY(TempDir::make("edit"));
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const std::string_view text = target.object["metadata"]["annotations"][kLastApplied].as_string();
    if (text.empty()) return usage(std::string(kNoAnnotation));
    const std::string file = folder.path() + "/" + target.resource.plural + "-" + target.name + ".yaml",
                      shown = yaml::write(TRY(json::parse(text)));
    TRY(write_file(file, shown));
    TRY(run_editor(file));
    const std::string edited = TRY(read_file(file));
    if (edited == shown) {
      std::fprintf(stderr, "Edit cancelled, no changes made.\n");
      continue;
    }
    TRY(set_annotation(call, target, target.object, annotation_text(TRY(yaml::read(edited).in("the edited file")))));
  }
  return 0;
}

Result<int> run_view(Call& call) {
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const std::string_view text = target.object["metadata"]["annotations"][kLastApplied].as_string();
    if (text.empty()) return usage(std::string(kNoAnnotation));
    const Value value = TRY(json::parse(text));
    const std::string format = call.text("output", "yaml");
    if (format != "yaml" && format != "json")
      return usage("Unexpected -o output mode: " + format + ", the flag 'output' must be one of yaml|json");
    print_value(value, format);
  }
  return 0;
}

constexpr Command kCommands[] = {
    {"apply", "Make objects as files say, remembering what they said.", "apply (-f FILE | -k FOLDER)",
     "caisson apply -f deploy/", kApplyFlags, run_apply},
    {"apply view-last-applied", "Show what the last apply of a resource said.",
     "apply view-last-applied (TYPE/NAME | TYPE NAME)", "caisson apply view-last-applied deploy/web", kApplyFlags,
     run_view},
    {"apply set-last-applied", "Set what the last apply of a resource said, to what a file says.",
     "apply set-last-applied -f FILE [--create-annotation]", "caisson apply set-last-applied -f web.yaml",
     kSetLastFlags, run_set_last},
    {"apply edit-last-applied",
     "Edit what the last apply of a resource said.",
     "apply edit-last-applied (TYPE/NAME | TYPE NAME)",
     "caisson apply edit-last-applied deploy/web",
     {},
     run_edit_last},
};

}  // namespace

Value three_way(const Value& original, const Value& modified, const Value& current,
                const document::MergeSchema* schema) {
  if (modified.is_list() && current.is_list() && schema) {
    if (!schema->merge_keys().empty()) return merge_lists(original, modified, current, *schema);
    if (schema->merges_as_set()) return merge_sets(original, modified, current);
  }
  if (!modified.is_map() || !current.is_map()) return modified;
  Value out = current;
  for (const auto& [key, value] : original.entries()) {
    if (!modified.contains(key)) out.erase(key);
  }
  for (const auto& [key, value] : modified.entries()) {
    if (value.is_null())
      out.erase(key);
    else
      out.set(key, three_way(original[key], value, current[key], field_of(schema, key)));
  }
  return out;
}

namespace {

// "PATH: 'commonLabels' is deprecated; use 'labels'" as kubectl says it.
std::string in_kubectls_words(const std::string& warning) {
  constexpr std::string_view kDeprecated = "' is deprecated; use '";
  const auto middle = warning.find(kDeprecated);
  const auto begin = middle == std::string::npos ? middle : warning.rfind('\'', middle - 1);
  if (middle == std::string::npos || begin == std::string::npos) return warning;
  std::string instead = warning.substr(middle + kDeprecated.size());
  instead = instead.substr(0, instead.find('\''));
  return warning.substr(begin, middle - begin) + "' is deprecated. Please use '" + instead +
         "' instead. Run 'kustomize edit fix' to update your Kustomization automatically.";
}

}  // namespace

Result<std::string> kustomized(const std::string& folder) {
  char absolute[PATH_MAX];
  if (!::realpath(folder.c_str(), absolute)) return errno_error("open " + folder);
  const auto files = render::disk_source("/");
  const render::Rendering rendering = TRY(render::kustomize(*files, std::string(absolute).substr(1), {}));
  for (const std::string& warning : rendering.warnings)
    std::fprintf(stderr, "# Warning: %s\n", in_kubectls_words(warning).c_str());
  return rendering.yaml();
}

std::span<const Command> apply_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
