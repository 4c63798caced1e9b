// SPDX-License-Identifier: Apache-2.0
// `caisson app`: its flags, which are those of argocd 3.2 (docs/user-guide/commands), and what of argocd's is refused.
#include <algorithm>

#include "cluster/kube/selector.h"
#include "core/base/text.h"
#include "main/cli/app_commands.h"
#include "main/cli/argument_table.h"

namespace caisson::cli {
namespace {

Result<void> read_timeout(AppArguments& arguments, const std::string& value) {
  const auto seconds = parse_int(value);
  if (!seconds || *seconds < 0) return Error{ErrorCode::bad_request, "--timeout needs seconds"};
  arguments.timeout_seconds = static_cast<int>(*seconds);
  return {};
}

Result<void> read_sync_policy(AppArguments& arguments, const std::string& value) {
  if (value != "automated" && value != "auto" && value != "none" && value != "manual")
    return Error{ErrorCode::bad_request, "--sync-policy is automated or none"};
  (value.starts_with("auto") ? arguments.automated : arguments.manual) = true;
  return {};
}

constexpr ArgumentFlag<AppArguments> kFlags[] = {
    {"-N", &AppArguments::application_ns},
    {"--kubeconfig", &AppArguments::kubeconfig},
    {"--context", &AppArguments::context},
    {"--data-dir", &AppArguments::data_dir},
    {"--app-namespace", &AppArguments::application_ns},
    {"-o", &AppArguments::output},
    {"--output", &AppArguments::output},
    {"--revision", &AppArguments::revision},
    {"--repo", &AppArguments::repo},
    {"--path", &AppArguments::path},
    {"--project", &AppArguments::project},
    {"--dest-namespace", &AppArguments::dest_namespace},
    {"--dest-server", &AppArguments::dest_server},
    {"-f", &AppArguments::file},
    {"--file", &AppArguments::file},
    {"--kind", &AppArguments::kind},
    {"--group", &AppArguments::group},
    {"--resource-name", &AppArguments::resource_name},
    {"--namespace", &AppArguments::resource_ns},
    {"--propagation-policy", &AppArguments::propagation},
    {"-l", &AppArguments::selector},
    {"--selector", &AppArguments::selector},
    {"--dest-name", &AppArguments::dest_name},
    {"--helm-chart", &AppArguments::chart},
    {"--chart", &AppArguments::chart},
    {"--ref", &AppArguments::ref},
    {"--release-name", &AppArguments::release_name},
    {"--values-literal-file", &AppArguments::values_file},
    {"--nameprefix", &AppArguments::name_prefix},
    {"--namesuffix", &AppArguments::name_suffix},
    {"--kustomize-namespace", &AppArguments::kustomize_namespace},
    {"--directory-include", &AppArguments::directory_include},
    {"--directory-exclude", &AppArguments::directory_exclude},
    {"--revision-history-limit", &AppArguments::history_limit},
    {"--sync-retry-limit", &AppArguments::retry_limit},
    {"--values", nullptr, nullptr, &AppArguments::value_files},
    {"-p", nullptr, nullptr, &AppArguments::helm_sets},
    {"--parameter", nullptr, nullptr, &AppArguments::helm_sets},
    {"--helm-set", nullptr, nullptr, &AppArguments::helm_sets},
    {"--helm-set-string", nullptr, nullptr, &AppArguments::helm_strings},
    {"--helm-set-file", nullptr, nullptr, &AppArguments::helm_files},
    {"--kustomize-image", nullptr, nullptr, &AppArguments::images},
    {"--kustomize-replica", nullptr, nullptr, &AppArguments::replicas},
    {"--kustomize-common-label", nullptr, nullptr, &AppArguments::kustomize_labels},
    {"--label", nullptr, nullptr, &AppArguments::labels},
    {"--annotations", nullptr, nullptr, &AppArguments::annotations},
    {"--directory-recurse", nullptr, nullptr, nullptr, nullptr, &AppArguments::recurse},
    {"--helm-skip-crds", nullptr, nullptr, nullptr, nullptr, &AppArguments::skip_crds},
    {"--helm-pass-credentials", nullptr, nullptr, nullptr, nullptr, &AppArguments::pass_credentials},
    {"--ignore-missing-value-files", nullptr, nullptr, nullptr, nullptr, &AppArguments::ignore_missing_values},
    {"--allow-empty", nullptr, nullptr, nullptr, nullptr, &AppArguments::allow_empty},
    {"--set-finalizer", nullptr, &AppArguments::set_finalizer},
    {"--resource", nullptr, nullptr, &AppArguments::resources},
    {"--sync-option", nullptr, nullptr, &AppArguments::sync_options},
    {"--param", nullptr, nullptr, &AppArguments::parameters},
    {"--prune", nullptr, &AppArguments::prune},
    {"--dry-run", nullptr, &AppArguments::dry_run},
    {"--force", nullptr, &AppArguments::force},
    {"--async", nullptr, &AppArguments::async},
    {"--cascade", nullptr, &AppArguments::cascade},
    {"--follow", nullptr, &AppArguments::follow},
    {"--auto-prune", nullptr, nullptr, nullptr, nullptr, &AppArguments::auto_prune},
    {"--self-heal", nullptr, nullptr, nullptr, nullptr, &AppArguments::self_heal},
    {"--sync", nullptr, &AppArguments::wait_sync},
    {"--health", nullptr, &AppArguments::wait_health},
    {"--operation", nullptr, &AppArguments::wait_operation},
    {"--hard-refresh", nullptr, &AppArguments::hard},
    {"--upsert", nullptr, &AppArguments::upsert},
    {"--git", nullptr, &AppArguments::in_git},
    {"-c", &AppArguments::container},
    {"--container", &AppArguments::container},
    {"--cluster", &AppArguments::container},
    {"-r", &AppArguments::repo},
    {"--patch", &AppArguments::patch},
    {"--type", &AppArguments::patch_type},
    {"--patch-type", &AppArguments::patch_type},
    {"--source", &AppArguments::manifest_source},
    {"--strategy", &AppArguments::strategy},
    {"--retry-limit", &AppArguments::retry_limit},
    {"--retry-backoff-duration", &AppArguments::backoff_first},
    {"--retry-backoff-max-duration", &AppArguments::backoff_most},
    {"--retry-backoff-factor", &AppArguments::backoff_factor},
    {"--sync-retry-backoff-duration", &AppArguments::backoff_first},
    {"--sync-retry-backoff-max-duration", &AppArguments::backoff_most},
    {"--sync-retry-backoff-factor", &AppArguments::backoff_factor},
    {"--source-position", &AppArguments::source_position},
    {"--source-name", &AppArguments::source_name},
    {"--tail", &AppArguments::tail},
    {"--since-seconds", &AppArguments::since_seconds},
    {"--filter", &AppArguments::filter},
    {"--name", &AppArguments::resource_name},
    {"--helm-namespace", &AppArguments::helm_namespace},
    {"--helm-kube-version", &AppArguments::helm_kube_version},
    {"--kustomize-kube-version", &AppArguments::kustomize_kube_version},
    {"--helm-api-versions", nullptr, nullptr, &AppArguments::helm_api_versions},
    {"--kustomize-api-versions", nullptr, nullptr, &AppArguments::kustomize_api_versions},
    {"--kustomize-common-annotation", nullptr, nullptr, &AppArguments::kustomize_annotations},
    {"--info", nullptr, nullptr, &AppArguments::info},
    {"--revisions", nullptr, nullptr, &AppArguments::revisions},
    {"--source-positions", nullptr, nullptr, &AppArguments::source_positions},
    {"--source-names", nullptr, nullptr, &AppArguments::source_names},
    {"--filter-fields", nullptr, nullptr, &AppArguments::fields},
    {"--all", nullptr, &AppArguments::all},
    {"--orphan", nullptr, &AppArguments::orphan},
    {"--refresh", nullptr, &AppArguments::refresh},
    {"--show-params", nullptr, &AppArguments::show_params},
    {"--show-operation", nullptr, &AppArguments::show_operation},
    {"--show-managed-fields", nullptr, &AppArguments::show_managed_fields},
    {"--replace", nullptr, &AppArguments::replace},
    {"--apply-out-of-sync-only", nullptr, &AppArguments::out_of_sync_only},
    {"--server-side", nullptr, &AppArguments::server_side},
    {"--suspended", nullptr, &AppArguments::wait_suspended},
    {"--degraded", nullptr, &AppArguments::wait_degraded},
    {"--delete", nullptr, &AppArguments::wait_delete},
    {"--wait", nullptr, &AppArguments::wait},
    {"-y", nullptr, &AppArguments::yes},
    {"--yes", nullptr, &AppArguments::yes},
    {"--assumeYes", nullptr, &AppArguments::yes},
    {"--previous", nullptr, &AppArguments::previous},
    {"-m", nullptr, &AppArguments::match_case},
    {"--match-case", nullptr, &AppArguments::match_case},
    {"--exit-code", nullptr, &AppArguments::exit_code},
    {"--helm-skip-tests", nullptr, nullptr, nullptr, nullptr, &AppArguments::skip_tests},
    {"--helm-skip-schema-validation", nullptr, nullptr, nullptr, nullptr, &AppArguments::skip_schema},
    {"--retry-refresh", nullptr, nullptr, nullptr, nullptr, &AppArguments::retry_refresh},
    {"--sync-retry-refresh", nullptr, nullptr, nullptr, nullptr, &AppArguments::retry_refresh},
    {"--kustomize-force-common-label", nullptr, nullptr, nullptr, nullptr, &AppArguments::force_labels},
    {"--kustomize-force-common-annotation", nullptr, nullptr, nullptr, nullptr, &AppArguments::force_annotations},
    {"--kustomize-label-without-selector", nullptr, nullptr, nullptr, nullptr, &AppArguments::labels_without_selector},
    {"--kustomize-label-include-templates", nullptr, nullptr, nullptr, nullptr, &AppArguments::labels_in_templates},
    {"--ignore-missing-components", nullptr, nullptr, nullptr, nullptr, &AppArguments::ignore_missing_components},
    {"--timeout", nullptr, nullptr, nullptr, read_timeout},
    {"--sync-policy", nullptr, nullptr, nullptr, read_sync_policy},
};

// How argocd reaches its server, which is not here; and what a plug-in, Jsonnet or the hydrator would do.
struct Foreign {
  std::string_view flag, why;
};
constexpr std::string_view kNoServer = "there is no Argo CD server: --kubeconfig and --context say which cluster";
constexpr std::string_view kNoPlugins = "config management plugins are not supported";
constexpr std::string_view kNoJsonnet = "Jsonnet is not supported";
constexpr std::string_view kNoHydrator = "the source hydrator is not supported";
constexpr std::string_view kNoLocal =
    "local manifests are not sent to the controller: kustomize build, helm template "
    "and diff -f show them";
constexpr Foreign kForeign[] = {
    {"--server", kNoServer},
    {"--auth-token", kNoServer},
    {"--grpc-web", kNoServer},
    {"--core", kNoServer},
    {"--grpc-web-root-path", kNoServer},
    {"--insecure", kNoServer},
    {"--plaintext", kNoServer},
    {"--port-forward", kNoServer},
    {"--port-forward-namespace", kNoServer},
    {"--argocd-context", kNoServer},
    {"--kube-context", kNoServer},
    {"--config-management-plugin", kNoPlugins},
    {"--plugin-env", kNoPlugins},
    {"--jsonnet-ext-var-code", kNoJsonnet},
    {"--jsonnet-ext-var-str", kNoJsonnet},
    {"--jsonnet-libs", kNoJsonnet},
    {"--jsonnet-tla-code", kNoJsonnet},
    {"--jsonnet-tla-str", kNoJsonnet},
    {"--dry-source-path", kNoHydrator},
    {"--dry-source-repo", kNoHydrator},
    {"--dry-source-revision", kNoHydrator},
    {"--hydrate-to-branch", kNoHydrator},
    {"--sync-source-branch", kNoHydrator},
    {"--sync-source-path", kNoHydrator},
    {"--hydrated", kNoHydrator},
    {"--local", kNoLocal},
    {"--local-repo-root", kNoLocal},
    {"--local-include", kNoLocal},
    {"--server-side-generate", kNoLocal},
    {"--helm-version", "there is one Helm"},
    {"--kustomize-version", "there is one Kustomize"},
    {"--env", "ksonnet is gone"},
    {"--preview-changes", "app diff shows what a sync would do"},
    {"--until-time", "give --since-seconds or --tail"},
};

}  // namespace

Result<AppArguments> read_app_arguments(const std::vector<std::string>& words) {
  auto read = read_arguments<AppArguments>("app", words, kFlags);
  if (read.ok()) return read;
  for (const Foreign& one : kForeign) {
    if (!read.error().message.starts_with("app: flag " + std::string(one.flag) + " is not known")) continue;
    return Error{ErrorCode::bad_request, "argocd's " + std::string(one.flag) + " is not here: " + std::string(one.why)};
  }
  return read;
}

Result<std::vector<kube::Object>> AppSession::chosen(const AppArguments& arguments) const {
  std::vector<kube::Object> out;
  if (arguments.selector.empty() && arguments.project.empty()) {
    for (const std::string& name : arguments.words) out.push_back(TRY(get(name)));
    return out;
  }
  const kube::LabelSelector selector = TRY(kube::LabelSelector::parse(arguments.selector));
  for (kube::Object& one : TRY(list())) {
    const auto& words = arguments.words;
    const bool named = words.empty() || std::find(words.begin(), words.end(), one.name()) != words.end();
    const bool of_project = arguments.project.empty() || one.spec()["project"].as_string() == arguments.project;
    if (named && of_project && selector.matches(one.metadata()["labels"])) out.push_back(std::move(one));
  }
  if (out.empty()) return Error{ErrorCode::not_found, "no Application is of that project and has such labels"};
  return out;
}

}  // namespace caisson::cli
