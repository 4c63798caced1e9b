// SPDX-License-Identifier: Apache-2.0
// `caisson app`: patch, edit, unset, add-source, remove-source, confirm-deletion.
#include <algorithm>
#include <cstdio>

#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/sync.h"
#include "main/cli/app_commands.h"
#include "main/cli/argument_table.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli {
namespace {

// What `unset` takes away: most flags have no value here.
struct UnsetArguments {
  std::vector<std::string> words;
  std::string kubeconfig, context, data_dir, application_ns = "argocd", source_position, source_name;
  bool name_prefix = false, name_suffix = false, kustomize_namespace = false, ignore_missing_components = false;
  bool ignore_missing_values = false, pass_credentials = false, ref = false, values_literal = false;
  std::vector<std::string> images, replicas, parameters, value_files;
};
constexpr ArgumentFlag<UnsetArguments> kUnsetFlags[] = {
    {"-N", &UnsetArguments::application_ns},
    {"--app-namespace", &UnsetArguments::application_ns},
    {"--kubeconfig", &UnsetArguments::kubeconfig},
    {"--context", &UnsetArguments::context},
    {"--data-dir", &UnsetArguments::data_dir},
    {"--source-position", &UnsetArguments::source_position},
    {"--source-name", &UnsetArguments::source_name},
    {"--nameprefix", nullptr, &UnsetArguments::name_prefix},
    {"--namesuffix", nullptr, &UnsetArguments::name_suffix},
    {"--kustomize-namespace", nullptr, &UnsetArguments::kustomize_namespace},
    {"--ignore-missing-components", nullptr, &UnsetArguments::ignore_missing_components},
    {"--ignore-missing-value-files", nullptr, &UnsetArguments::ignore_missing_values},
    {"--pass-credentials", nullptr, &UnsetArguments::pass_credentials},
    {"--ref", nullptr, &UnsetArguments::ref},
    {"--values-literal", nullptr, &UnsetArguments::values_literal},
    {"--kustomize-image", nullptr, nullptr, &UnsetArguments::images},
    {"--kustomize-replica", nullptr, nullptr, &UnsetArguments::replicas},
    {"-p", nullptr, nullptr, &UnsetArguments::parameters},
    {"--parameter", nullptr, nullptr, &UnsetArguments::parameters},
    {"--values", nullptr, nullptr, &UnsetArguments::value_files},
};

bool is_in(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "web" of "web=registry/web:2", "web:2" and "web@sha256:…".
std::string_view name_in_image(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  return text.substr(0, text.find_first_of("=:@", slash == std::string_view::npos ? 0 : slash));
}

// The list without the entries that `gone` chooses; an empty one goes.
template <class Gone>
void drop(Value& map, std::string_view field, Gone gone) {
  if (!map[field].is_list()) return;
  Value left = Value::list();
  for (const Value& one : map[field].items())
    if (!gone(one)) left.push_back(one);
  if (left.empty())
    map.erase(field);
  else
    map.set(field, std::move(left));
}

void drop_if(Value& map, std::string_view field, bool wanted) {
  if (wanted && map.is_map()) map.erase(field);
}

void unset_in(Value& source, const UnsetArguments& gone) {
  drop_if(source, "ref", gone.ref);
  Value kustomize = source["kustomize"], helm = source["helm"];
  drop_if(kustomize, "namePrefix", gone.name_prefix);
  drop_if(kustomize, "nameSuffix", gone.name_suffix);
  drop_if(kustomize, "namespace", gone.kustomize_namespace);
  drop_if(kustomize, "ignoreMissingComponents", gone.ignore_missing_components);
  drop(kustomize, "images", [&](const Value& one) {
    return is_in(gone.images, one.as_string()) || is_in(gone.images, name_in_image(one.as_string()));
  });
  drop(kustomize, "replicas", [&](const Value& one) { return is_in(gone.replicas, one["name"].as_string()); });
  drop_if(helm, "ignoreMissingValueFiles", gone.ignore_missing_values);
  drop_if(helm, "passCredentials", gone.pass_credentials);
  drop_if(helm, "values", gone.values_literal);
  drop_if(helm, "valuesObject", gone.values_literal);
  for (const char* field : {"parameters", "fileParameters"})
    drop(helm, field, [&](const Value& one) { return is_in(gone.parameters, one["name"].as_string()); });
  drop(helm, "valueFiles", [&](const Value& one) { return is_in(gone.value_files, one.as_string()); });
  for (const auto& [field, value] : {std::pair<const char*, Value&>{"kustomize", kustomize}, {"helm", helm}}) {
    if (value.is_map() && value.empty())
      source.erase(field);
    else if (value.is_map())
      source.set(field, value);
  }
}

// Edits the spec until nobody came between. Gives whether it changed.
Result<bool> change_spec(const AppSession& app, const std::string& name,
                         const std::function<Result<void>(Value& spec)>& edit) {
  Result<void> edited;
  bool changed = false;
  TRY(app.change(name, [&](kube::Object& one) {
    Value spec = one.spec();
    edited = edit(spec);
    changed = edited.ok() && !(spec == one.spec());
    if (changed) one.edit().set("spec", std::move(spec));
    return changed;
  }));
  TRY(std::move(edited));
  return changed;
}

}  // namespace

Result<int> command_unset(const Global& global, const std::vector<std::string>& words) {
  const UnsetArguments gone = TRY(read_arguments<UnsetArguments>("app unset", words, kUnsetFlags));
  if (gone.words.empty()) return Error{ErrorCode::bad_request, "app unset needs a name"};
  AppArguments where;
  where.kubeconfig = gone.kubeconfig;
  where.context = gone.context;
  where.data_dir = gone.data_dir;
  where.application_ns = gone.application_ns;
  where.source_position = gone.source_position;
  where.source_name = gone.source_name;
  const AppSession app = TRY(open_app_session(global, where));
  const bool changed = TRY(change_spec(app, gone.words[0], [&](Value& spec) -> Result<void> {
    const auto index = TRY(source_index(spec, where));
    if (!index && !spec["sources"].empty())
      return Error{ErrorCode::bad_request,
                   "the Application has several sources: --source-position or --source-name says which"};
    unset_in(index ? spec.edit("sources").edit(*index) : spec.edit("source"), gone);
    return {};
  }));
  if (!changed) std::fprintf(stderr, "nothing of that is set\n");
  return changed ? 0 : 1;
}

Result<int> app_patch(const AppSession& app, const AppArguments& arguments) {
  const std::string type = arguments.patch_type.empty() ? "json" : arguments.patch_type;
  if (type != "json" && type != "merge") return Error{ErrorCode::bad_request, "--type is json or merge, not " + type};
  if (arguments.patch.empty()) return Error{ErrorCode::bad_request, "app patch needs --patch"};
  const Value patch = TRY(json::parse(arguments.patch).in("--patch"));
  const auto done =
      TRY(app.session.client->patch(schema::kApplications, {app.ns, arguments.words[0]},
                                    type == "json" ? kube::PatchType::json : kube::PatchType::merge, patch));
  print_value(done.value(), arguments.output.empty() ? "yaml" : arguments.output);
  return 0;
}

// In the editor, as `caisson edit`.
Result<int> app_edit(const AppSession& app, const AppArguments& arguments) {
  const std::vector<std::string> words = {"edit", "applications.argoproj.io", arguments.words[0], "-n", app.ns};
  std::vector<std::string> front;
  for (const auto& [flag, value] : {std::pair<const char*, const std::string&>{"--kubeconfig", arguments.kubeconfig},
                                    {"--context", arguments.context},
                                    {"--data-dir", arguments.data_dir}}) {
    if (!value.empty()) front.push_back(std::string(flag) + "=" + value);
  }
  return kubectl::run_command(*kubectl::find_command(words), words, front);
}

Result<int> app_add_source(const AppSession& app, const AppArguments& arguments) {
  Value added = Value::map();
  TRY(put_flags(added, arguments));
  const Value& source = added["source"];
  if (source["repoURL"].as_string().empty()) return Error{ErrorCode::bad_request, "app add-source needs --repo"};
  TRY(change_spec(app, arguments.words[0], [&](Value& spec) -> Result<void> {
    if (spec["source"].is_map() && spec["sources"].empty())
      return Error{ErrorCode::bad_request,
                   "the Application has one source, in spec.source: move it to spec.sources first (app edit)"};
    spec.edit("sources").push_back(source);
    return {};
  }));
  std::printf("application '%s' has one more source\n", arguments.words[0].c_str());
  return 0;
}

Result<int> app_remove_source(const AppSession& app, const AppArguments& arguments) {
  TRY(change_spec(app, arguments.words[0], [&](Value& spec) -> Result<void> {
    const auto index = TRY(source_index(spec, arguments));
    if (!index) return Error{ErrorCode::bad_request, "--source-position or --source-name says which source goes"};
    if (spec["sources"].size() == 1) return Error{ErrorCode::bad_request, "the last source of an Application stays"};
    Value left = Value::list();
    for (std::size_t i = 0; i < spec["sources"].size(); ++i)
      if (i != *index) left.push_back(spec["sources"][i]);
    spec.set("sources", std::move(left));
    return {};
  }));
  std::printf("application '%s' has one source less\n", arguments.words[0].c_str());
  return 0;
}

// What Prune=confirm and Delete=confirm wait for.
Result<int> app_confirm_deletion(const AppSession& app, const AppArguments& arguments) {
  TRY(app.change(arguments.words[0], [](kube::Object& one) {
    one.set_annotation(gitops::kConfirmAnnotation, format_time(system_clock().now()));
    return true;
  }));
  std::printf("application '%s': deletions are confirmed\n", arguments.words[0].c_str());
  return 0;
}

}  // namespace caisson::cli
