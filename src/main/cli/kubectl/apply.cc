// SPDX-License-Identifier: Apache-2.0
// apply, by the client (three-way, with the annotation last-applied-configuration) or the server; apply view-last-applied;
// kustomize. Follows kubectl 1.33, pkg/cmd/apply.
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

constexpr FlagSpec kApplyFlags[] = {{"server-side", FlagKind::boolean}, {"force-conflicts", FlagKind::boolean}, {"validate", FlagKind::optional},
                                    {"overwrite", FlagKind::boolean}, {"force", FlagKind::boolean}, {"wait", FlagKind::boolean},
                                    {"grace-period", FlagKind::text}, {"timeout", FlagKind::text}};
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

Value merge_lists(const Value& original, const Value& modified, const Value& current, const document::MergeSchema& schema) {
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
  if (object["metadata"]["annotations"].contains(kLastApplied)) object.edit({"metadata", "annotations"}).erase(kLastApplied);
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
  return Error{error.code, error.message.substr(0, close + 3) + "error when " + std::string(doing) + " \"" + files[0] + "\": " + error.message.substr(close + 3)};
}

std::string with_options(const Call& call, const std::string& path) {
  return path + "?fieldManager=" + percent_encode(call.text("field-manager", kClientManager)) + "&fieldValidation=" + validation(call) +
         (call.dry_run() == "server" ? "&dryRun=All" : "");
}

Result<void> apply_new(const Call& call, const Target& target, const Value& modified) {
  if (call.dry_run() == "client") return print_result(call, target, modified, "created");
  const auto made = send(call, "POST", with_options(call, target.resource.path(target.ns)), modified, "application/json", false);
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
    std::fprintf(stderr,
                 "Warning: resource %s/%s is missing the %s annotation which is required by caisson apply. caisson apply "
                 "should only be used on resources created declaratively by either caisson create --save-config or caisson "
                 "apply. The missing annotation will be patched automatically.\n",
                 target.resource.plural.c_str(), target.name.c_str(), std::string(kLastApplied).c_str());
  }
  const Value original = before.empty() ? Value() : TRY(json::parse(before).in("the annotation " + std::string(kLastApplied)));
  const schema::KindPtr kind = schema.find_object(target.object);
  const Value wanted = three_way(original, modified, *live, kind ? schema::merge_schema(*kind) : nullptr);
  const Value change = document::merge_patch_between(*live, wanted);
  if (change.empty()) return print_result(call, target, *live, "unchanged");
  if (call.dry_run() == "client") return print_result(call, target, wanted, "configured");
  const auto after = send(call, "PATCH", with_options(call, target.path()), change, kMergePatch, false);
  if (!after.ok()) return about_file(call, after.error(), "applying patch to");
  const bool same = (*after)["metadata"]["resourceVersion"] == (*live)["metadata"]["resourceVersion"] && call.dry_run().empty();
  return print_result(call, target, *after, same && !target.object.contains("stringData") ? "unchanged" : "configured");
}

Result<void> apply_by_server(const Call& call, const Target& target) {
  const std::string path = target.path() + "?fieldManager=" + percent_encode(call.text("field-manager", kServerManager)) +
                           "&force=" + (call.is_set("force-conflicts") ? "true" : "false") + "&fieldValidation=" + validation(call) +
                           (call.dry_run().empty() ? "" : "&dryRun=All");
  const auto after = send(call, "PATCH", path, target.object, "application/apply-patch+yaml", false);
  if (after.ok()) return print_result(call, target, *after, "serverside-applied");
  const std::string& text = after.error().message;
  const auto conflict = text.find("Apply failed with");
  if (conflict == std::string::npos) return after.error();
  return usage(text.substr(conflict) +
               "\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this "
               "warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the "
               "`--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to "
               "remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by "
               "updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other "
               "manager(s)\n  stop managing the field (remove it from their configuration).\nSee "
               "https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts");
}

Result<int> run_apply(Call& call) {
  if (!call.flags.has("filename") && !call.flags.has("kustomize")) return usage("must specify one of -f and -k");
  if (call.is_set("force-conflicts") && !call.is_set("server-side")) return usage("--force-conflicts only works with --server-side");
  const schema::Schema schema = TRY(schema::Schema::built_in());
  std::vector<std::string> errors;
  for (const Target& target : TRY(read_files(call))) {
    const auto done = call.is_set("server-side") ? apply_by_server(call, target) : apply_by_client(call, target, schema);
    if (!done.ok()) errors.push_back(done.error().message);
  }
  if (!errors.empty()) return usage(join(errors, "\n"));
  return 0;
}

Result<int> run_view(Call& call) {
  for (const Target& target : TRY(read_targets(call, call.arguments))) {
    const std::string_view text = target.object["metadata"]["annotations"][kLastApplied].as_string();
    if (text.empty()) return usage("no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply set-last-applied --create-annotation`");
    const Value value = TRY(json::parse(text));
    const std::string format = call.text("output", "yaml");
    if (format != "yaml" && format != "json") return usage("Unexpected -o output mode: " + format + ", the flag 'output' must be one of yaml|json");
    print_value(value, format);
  }
  return 0;
}

constexpr Command kCommands[] = {
    {"apply", "Make objects as files say, remembering what they said.", "apply (-f FILE | -k FOLDER)", "caisson apply -f deploy/", kApplyFlags, run_apply},
    {"apply view-last-applied", "Show what the last apply of a resource said.", "apply view-last-applied (TYPE/NAME | TYPE NAME)", "caisson apply view-last-applied deploy/web", kApplyFlags, run_view},
};

}  // namespace

Value three_way(const Value& original, const Value& modified, const Value& current, const document::MergeSchema* schema) {
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

Result<std::string> kustomized(const std::string& folder) {
  char absolute[PATH_MAX];
  if (!::realpath(folder.c_str(), absolute)) return errno_error("open " + folder);
  const auto files = render::disk_source("/");
  const render::Rendering rendering = TRY(render::kustomize(*files, std::string(absolute).substr(1), {}));
  for (const std::string& warning : rendering.warnings) std::fprintf(stderr, "# Warning: %s\n", warning.c_str());
  return rendering.yaml();
}

std::span<const Command> apply_commands() {
  return kCommands;
}

}  // namespace caisson::cli::kubectl
