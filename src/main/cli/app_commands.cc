// SPDX-License-Identifier: Apache-2.0
// `caisson app`: arguments, and the commands that only read.
#include "main/cli/app_commands.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>

#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "delivery/gitops/status.h"
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
    {"--directory-recurse", nullptr, &AppArguments::recurse},
    {"--helm-skip-crds", nullptr, &AppArguments::skip_crds},
    {"--helm-pass-credentials", nullptr, &AppArguments::pass_credentials},
    {"--ignore-missing-value-files", nullptr, &AppArguments::ignore_missing_values},
    {"--allow-empty", nullptr, &AppArguments::allow_empty},
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
    {"--auto-prune", nullptr, &AppArguments::auto_prune},
    {"--self-heal", nullptr, &AppArguments::self_heal},
    {"--sync", nullptr, &AppArguments::wait_sync},
    {"--health", nullptr, &AppArguments::wait_health},
    {"--operation", nullptr, &AppArguments::wait_operation},
    {"--hard-refresh", nullptr, &AppArguments::hard},
    {"--upsert", nullptr, &AppArguments::upsert},
    {"--git", nullptr, &AppArguments::in_git},
    {"--timeout", nullptr, nullptr, nullptr, read_timeout},
    {"--sync-policy", nullptr, nullptr, nullptr, read_sync_policy},
};

std::string health_painted(const std::string& health) {
  return paint(health, health == "Healthy" ? kGreen : health == "Degraded" || health == "Missing" ? kRed : kYellow);
}
std::string sync_painted(const std::string& sync) {
  return paint(sync, sync == "Synced" ? kGreen : kYellow);
}

// The commits of one source or several.
std::string short_commits(const Value& at, std::size_t digits) {
  std::vector<std::string> out;
  for (const std::string_view one : split(gitops::commits_of(at), ',')) out.emplace_back(one.substr(0, digits));
  return join(out, ",");
}

const Value& source_of(const Value& spec) {
  return spec["source"].is_map() ? spec["source"] : spec["sources"][0];
}

Result<int> app_list(const AppSession& app, const AppArguments& arguments) {
  const auto list = TRY(app.list());
  if (!arguments.output.empty()) {
    Value all = Value::list();
    for (const kube::Object& one : list) all.push_back(one.value());
    print_value(all, arguments.output);
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const kube::Object& one : list) {
    const Value& automated = one.spec()["syncPolicy"]["automated"];
    rows.push_back({one.name(), one.spec()["destination"]["namespace"].str(), one.spec()["project"].str(),
                    sync_painted(one.status()["sync"]["status"].str()),
                    health_painted(one.status()["health"]["status"].str()),
                    automated.is_map() ? (automated["prune"].as_bool() ? "Auto-Prune" : "Auto") : "Manual",
                    source_of(one.spec())["repoURL"].str(), source_of(one.spec())["path"].str(),
                    source_of(one.spec())["targetRevision"].str()});
  }
  print_table({"NAME", "NAMESPACE", "PROJECT", "STATUS", "HEALTH", "SYNCPOLICY", "REPO", "PATH", "TARGET"}, rows);
  return 0;
}

void print_resources(const kube::Object& application) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& one : application.status()["resources"].items()) {
    rows.push_back({one["group"].str(), one["kind"].str(), one["namespace"].str(), one["name"].str(),
                    sync_painted(one["status"].str()) + (one["requiresPruning"].as_bool() ? " (requires pruning)" : ""),
                    one["health"].is_map() ? health_painted(one["health"]["status"].str()) : "",
                    one["health"]["message"].str()});
  }
  print_table({"GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "MESSAGE"}, rows);
}

Result<int> app_get(const AppSession& app, const AppArguments& arguments) {
  if (arguments.hard) {
    TRY(app.change(arguments.words[0], [](kube::Object& one) {
      one.set_annotation("argocd.argoproj.io/refresh", "hard");
      return true;
    }));
    TRY(app.follow(arguments.words[0], 60,
                   [](const kube::Object& one) { return one.annotation("argocd.argoproj.io/refresh").empty(); }));
  }
  const kube::Object one = TRY(app.get(arguments.words[0]));
  if (!arguments.output.empty()) {
    print_value(one.value(), arguments.output);
    return 0;
  }
  const Value &status = one.status(), &source = source_of(one.spec());
  const auto line = [](const char* name, const std::string& text) { std::printf("%-16s %s\n", name, text.c_str()); };
  line("Name:", one.name());
  line("Project:", one.spec()["project"].str());
  line("Destination:", one.spec()["destination"]["namespace"].str());
  line("Repo:", source["repoURL"].str());
  line("Target:", std::string(source["targetRevision"].as_string("HEAD")) + " " + source["path"].str());
  line("Sync Status:", sync_painted(status["sync"]["status"].str()) + " " + short_commits(status["sync"], 7));
  line("Health Status:", health_painted(status["health"]["status"].str()) + " " + status["health"]["message"].str());
  const Value& operation = status["operationState"];
  if (operation.is_map()) line("Operation:", operation["phase"].str() + " " + operation["message"].str());
  for (const Value& condition : status["conditions"].items())
    line("Condition:", paint(condition["type"].str(), kRed) + ": " + condition["message"].str());
  std::printf("\n");
  print_resources(one);
  return 0;
}

Result<int> app_resources(const AppSession& app, const AppArguments& arguments) {
  const kube::Object one = TRY(app.get(arguments.words[0]));
  if (arguments.output.empty())
    print_resources(one);
  else
    print_value(one.status()["resources"], arguments.output);
  return 0;
}

Result<int> app_history(const AppSession& app, const AppArguments& arguments) {
  const kube::Object one = TRY(app.get(arguments.words[0]));
  if (!arguments.output.empty()) {
    print_value(one.status()["history"], arguments.output);
    return 0;
  }
  std::vector<std::vector<std::string>> rows;
  for (const Value& entry : one.status()["history"].items()) {
    const Value& by = entry["initiatedBy"];
    rows.push_back({entry["id"].scalar_text(), entry["deployedAt"].str(), short_commits(entry, 12),
                    by["automated"].as_bool() ? "automated" : by["username"].str()});
  }
  print_table({"ID", "DATE", "REVISION", "BY"}, rows);
  return 0;
}

Result<int> app_wait(const AppSession& app, const AppArguments& arguments) {
  const bool any = arguments.wait_sync || arguments.wait_health || arguments.wait_operation;
  std::string last;
  TRY(app.follow(arguments.words[0], arguments.timeout_seconds, [&](const kube::Object& one) {
    const Value& status = one.status();
    const std::string now = status["sync"]["status"].str() + " " + status["health"]["status"].str() + " " +
                            status["operationState"]["message"].str();
    if (now != last) std::printf("%s\n", now.c_str());
    std::fflush(stdout);
    last = now;
    const bool synced = status["sync"]["status"].as_string() == "Synced";
    const bool healthy = status["health"]["status"].as_string() == "Healthy";
    const bool idle = one["operation"].is_null() && status["operationState"]["phase"].as_string() != "Running";
    if (!any) return synced && healthy && idle;
    return (!arguments.wait_sync || synced) && (!arguments.wait_health || healthy) &&
           (!arguments.wait_operation || idle);
  }));
  return 0;
}

constexpr std::string_view kSpecFlags =
    "  --repo URL --path P --revision R --helm-chart C --ref NAME --project P\n"
    "  --dest-namespace N --dest-server URL|--dest-name NAME\n"
    "  --sync-policy automated|none --auto-prune --self-heal --allow-empty --sync-option A=B --sync-retry-limit N\n"
    "  --revision-history-limit N\n"
    "  --helm-set A=B --helm-set-string A=B --helm-set-file A=FILE --values FILE --values-literal-file FILE\n"
    "  --release-name N --helm-skip-crds --helm-pass-credentials --ignore-missing-value-files\n"
    "  --kustomize-image IMAGE --kustomize-replica NAME=N --kustomize-namespace N --kustomize-common-label A=B\n"
    "  --nameprefix P --namesuffix S --directory-recurse --directory-include GLOB --directory-exclude GLOB\n";

struct AppCommand {
  std::string_view name;
  std::size_t words_min;
  Result<int> (*run)(const AppSession&, const AppArguments&);
  std::string_view usage, about;  // what follows the name; no usage: another command's other name
  std::string_view flags = {};    // more of them, a line each
};
constexpr AppCommand kCommands[] = {
    {"list", 0, app_list, "[-o json|yaml]", "Applications, and how they are"},
    {"get", 1, app_get, "NAME [--hard-refresh] [-o json|yaml]", "one Application and its resources"},
    {"resources", 1, app_resources, "NAME [-o json|yaml]", "its resources"},
    {"history", 1, app_history, "NAME [-o json|yaml]", "what was synced when, and by whom"},
    {"diff", 1, app_diff, "NAME [--revision R] [--prune]",
     "what a sync would change, and who changed it (ends with 1)"},
    {"preview", 1, app_preview, "REVISION [--repo URL]", "which Applications a branch would touch, and how"},
    {"sync", 1, app_sync,
     "NAME [--revision R] [--prune] [--dry-run] [--force] [--resource GROUP:KIND:NAME] [--timeout SECONDS] [--async]",
     "make it what the repository says"},
    {"wait", 1, app_wait, "NAME [--sync] [--health] [--operation] [--timeout SECONDS]", "wait until it is so"},
    {"rollback", 1, app_rollback, "NAME [ID] [--git] [--prune]", "back to an entry of the history, or as a commit"},
    {"terminate", 1, app_terminate, "NAME", "end the operation that runs"},
    {"terminate-op", 1, app_terminate, {}, {}},
    {"approve", 1, app_approve, "PLAN", "let a sync go on that the safety catch stopped"},
    {"adopt", 1, app_adopt, "NAME [--resource GROUP:KIND:NAME] [--dry-run]", "what differs live becomes a commit"},
    {"logs", 1, app_logs, "NAME [--follow] [--kind K] [--group G] [--resource-name N]", "of its pods"},
    {"actions", 2, app_actions, "NAME list|run ACTION --kind K [--resource-name N] [--param A=B]",
     "restart, scale, promote …"},
    {"create", 0, app_create, "NAME --repo URL --path P --dest-namespace N | -f FILE [--upsert]", "a new Application",
     "  --label A=B --annotations A=B --set-finalizer\n"},
    {"set", 1, app_set, "NAME [flags of create]", "change its spec"},
    {"delete", 1, app_delete, "NAME [--cascade=false] [--propagation-policy foreground|background]",
     "with what it made, unless --cascade=false"},
};

void print_usage(std::FILE* out) {
  for (const AppCommand& one : kCommands) {
    if (!one.usage.empty())
      std::fprintf(out, "caisson app %s %s\n", std::string(one.name).c_str(), std::string(one.usage).c_str());
  }
  std::fprintf(out, "everywhere: -N NAMESPACE, --kubeconfig FILE, --context NAME; caisson app COMMAND --help\n");
}

void print_usage(const AppCommand& one) {
  const bool of_spec = one.run == app_create || one.run == app_set;
  std::printf("%s\nUsage: caisson app %s %s\n%s%s", std::string(one.about).c_str(), std::string(one.name).c_str(),
              std::string(one.usage).c_str(), of_spec ? std::string(kSpecFlags).c_str() : "",
              std::string(one.flags).c_str());
}

bool is_help(const std::string& word) {
  return word == "--help" || word == "-h";
}

}  // namespace

Result<AppArguments> read_app_arguments(const std::vector<std::string>& words) {
  return read_arguments<AppArguments>("app", words, kFlags);
}

Result<kube::Object> AppSession::get(const std::string& name) const {
  return session.client->get(schema::kApplications, {ns, name});
}

Result<std::vector<kube::Object>> AppSession::list() const {
  auto found = TRY(session.client->list(schema::kApplications, {.ns = ns}));
  return std::move(found.items);
}

Result<kube::Object> AppSession::change(const std::string& name, const std::function<bool(kube::Object&)>& edit) const {
  return kube::modify(*session.client, schema::kApplications, {ns, name}, edit);
}

Result<void> AppSession::follow(const std::string& name, int timeout_seconds,
                                const std::function<bool(const kube::Object&)>& seen) const {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, kube::Object> newest;  // of each what was seen last
  bool closed = false;
  kube::ListOptions options;
  options.ns = ns;
  if (!name.empty()) options.field_selector = "metadata.name=" + name;
  auto watch = TRY(session.client->watch(schema::kApplications, options, [&](const kube::WatchEvent& event) {
    const std::lock_guard lock(mutex);
    const bool deleted = event.type == kube::WatchEvent::Type::deleted;
    if (event.type == kube::WatchEvent::Type::closed || (deleted && !name.empty()))
      closed = true;
    else if (event.type != kube::WatchEvent::Type::bookmark)
      newest[event.object.name()] = event.object;
    changed.notify_all();
  }));
  const auto deadline = std::chrono::steady_clock::now() +
                        (timeout_seconds > 0 ? std::chrono::seconds(timeout_seconds) : std::chrono::hours(24));
  std::unique_lock lock(mutex);
  for (;;) {
    const std::string what = name.empty() ? "Applications" : "Application " + name;
    if (!changed.wait_until(lock, deadline, [&] { return !newest.empty() || closed; }))
      return Error{ErrorCode::timeout, what + ": not yet so after " + std::to_string(timeout_seconds) + " s"};
    if (newest.empty()) return Error{ErrorCode::gone, what + ": deleted, or the watch ended"};
    const auto objects = std::exchange(newest, {});
    lock.unlock();
    for (const auto& [_, object] : objects)
      if (seen(object)) return {};
    lock.lock();
  }
}

Result<int> command_app(const Global& global, const std::vector<std::string>& words) {
  if (words.empty() || is_help(words[0]) || words[0] == "help") {
    print_usage(stdout);
    return words.empty() ? 2 : 0;
  }
  const auto command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const AppCommand& one) { return one.name == words[0]; });
  if (command == std::end(kCommands)) {
    std::fprintf(stderr, "there is no command 'app %s'\n", words[0].c_str());
    print_usage(stderr);
    return 2;
  }
  if (std::any_of(words.begin() + 1, words.end(), is_help)) {
    print_usage(*command);
    return 0;
  }
  const AppArguments arguments = TRY(read_app_arguments({words.begin() + 1, words.end()}));
  if (arguments.words.size() < command->words_min) {
    std::fprintf(stderr, "app %s needs a name\nusage: caisson app %s %s\n", words[0].c_str(), words[0].c_str(),
                 std::string(command->usage).c_str());
    return 2;
  }
  Global where = global;
  where.kubeconfig = arguments.kubeconfig;
  where.context = arguments.context;
  if (!arguments.data_dir.empty()) where.data_dir = arguments.data_dir;
  Session session = TRY(connect(where));
  const AppSession app{std::move(session), arguments.application_ns};
  return command->run(app, arguments);
}

}  // namespace caisson::cli
