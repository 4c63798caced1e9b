// SPDX-License-Identifier: Apache-2.0
// `caisson app`: the table of its commands, and those that only read.
#include "main/cli/app_commands.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <map>
#include <mutex>

#include "cluster/schema/resource.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/status.h"

namespace caisson::cli {
namespace {

constexpr std::string_view kRefresh = "argocd.argoproj.io/refresh";
constexpr int kRefreshSecondsMax = 60;

std::string health_painted(const std::string& health) {
  return paint(health, health == "Healthy" ? kGreen : health == "Degraded" || health == "Missing" ? kRed : kYellow);
}
std::string sync_painted(const std::string& sync) {
  return paint(sync, sync == "Synced" ? kGreen : kYellow);
}

// The commits of one source or several.
std::string short_commits(const Value& at, std::size_t digits) {
  std::vector<std::string> out;
  const std::string all = gitops::commits_of(at);
  for (const std::string_view one : split(all, ',')) out.emplace_back(one.substr(0, digits));
  return join(out, ",");
}

const Value& source_of(const Value& spec) {
  return spec["source"].is_map() ? spec["source"] : spec["sources"][0];
}

// "tree" and "tree=detailed" are not among these.
bool is_data(const std::string& output) {
  return output == "json" || output == "yaml";
}
Result<void> check_output(const std::string& output, std::initializer_list<std::string_view> known) {
  std::vector<std::string> names;
  for (const std::string_view one : known) {
    if (output.empty() || output == one) return {};
    names.emplace_back(one);
  }
  return Error{ErrorCode::bad_request, "-o is one of " + join(names, ", ") + ", not " + output};
}

bool is_listed(const kube::Object& one, const AppArguments& arguments) {
  const Value& destination = one.spec()["destination"];
  const auto& projects = arguments.helm_sets;  // -p, which is a parameter elsewhere
  const std::string project = one.spec()["project"].str(), cluster = arguments.container;
  const bool of_project = projects.empty() || std::find(projects.begin(), projects.end(), project) != projects.end();
  const bool of_cluster =
      cluster.empty() || destination["name"].as_string() == cluster || destination["server"].as_string() == cluster;
  const auto sources = one.spec()["sources"].items();
  const bool of_repo = arguments.repo.empty() || one.spec()["source"]["repoURL"].as_string() == arguments.repo ||
                       std::any_of(sources.begin(), sources.end(), [&](const Value& source) {
                         return source["repoURL"].as_string() == arguments.repo;
                       });
  return of_project && of_cluster && of_repo;
}

Result<int> app_list(const AppSession& app, const AppArguments& arguments) {
  TRY(check_output(arguments.output, {"wide", "name", "json", "yaml"}));
  const bool chooses = !arguments.selector.empty() || !arguments.project.empty();
  auto list = TRY(chooses ? app.chosen(arguments) : app.list());
  std::erase_if(list, [&](const kube::Object& one) { return !is_listed(one, arguments); });
  if (arguments.output == "name") {
    for (const kube::Object& one : list) std::printf("%s/%s\n", one.ns().c_str(), one.name().c_str());
    return 0;
  }
  if (is_data(arguments.output)) {
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

void print_operation(const Value& state) {
  const auto line = [](const char* name, const std::string& text) {
    if (!text.empty()) std::printf("%-16s %s\n", name, text.c_str());
  };
  const Value& by = state["operation"]["initiatedBy"];
  line("Sync Revision:", short_commits(state["syncResult"], 40));
  line("Phase:", state["phase"].str());
  line("Initiated By:", by["automated"].as_bool() ? "automated" : by["username"].str());
  line("Start:", state["startedAt"].str());
  line("Finished:", state["finishedAt"].str());
  line("Message:", state["message"].str());
  if (state["retryCount"].as_int() > 0) line("Retries:", std::to_string(state["retryCount"].as_int()));
}

// What the spec sets over the source: parameters of charts, images and the rest of kustomizations.
Result<void> print_parameters(const Value& spec, const AppArguments& arguments) {
  const auto index = TRY(source_index(spec, arguments));
  const Value& source = index ? spec["sources"][*index] : source_of(spec);
  std::vector<std::vector<std::string>> rows;
  for (const Value& one : source["helm"]["parameters"].items())
    rows.push_back({one["name"].str(), one["value"].scalar_text()});
  for (const auto& entry : source["kustomize"].entries()) {
    if (!entry.value.is_list() && !entry.value.is_map())
      rows.push_back({std::string(entry.key), entry.value.scalar_text()});
    for (const Value& one : entry.value.items()) rows.push_back({std::string(entry.key), json::write(one)});
  }
  std::printf("\n");
  print_table({"NAME", "VALUE"}, rows);
  return {};
}

Result<int> app_get(const AppSession& app, const AppArguments& arguments) {
  TRY(check_output(arguments.output, {"wide", "tree", "tree=detailed", "json", "yaml"}));
  if (arguments.hard || arguments.refresh) TRY(app.refresh(arguments.words[0], arguments.hard));
  const kube::Object one = TRY(app.get(arguments.words[0]));
  if (is_data(arguments.output)) {
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
  if (arguments.show_operation && operation.is_map()) print_operation(operation);
  if (arguments.show_params) TRY(print_parameters(one.spec(), arguments));
  std::printf("\n");
  if (arguments.output.starts_with("tree"))
    TRY(print_tree(app, one, arguments.output == "tree=detailed"));
  else
    print_resources(one);
  return 0;
}

Result<int> app_resources(const AppSession& app, const AppArguments& arguments) {
  TRY(check_output(arguments.output, {"wide", "tree", "tree=detailed", "json", "yaml"}));
  const kube::Object one = TRY(app.get(arguments.words[0]));
  if (arguments.output.starts_with("tree"))
    TRY(print_tree(app, one, arguments.output == "tree=detailed"));
  else if (is_data(arguments.output))
    print_value(one.status()["resources"], arguments.output);
  else
    print_resources(one);
  return 0;
}

Result<int> app_history(const AppSession& app, const AppArguments& arguments) {
  TRY(check_output(arguments.output, {"wide", "id", "json", "yaml"}));
  const kube::Object one = TRY(app.get(arguments.words[0]));
  if (is_data(arguments.output)) {
    print_value(one.status()["history"], arguments.output);
    return 0;
  }
  if (arguments.output == "id") {
    for (const Value& entry : one.status()["history"].items()) std::printf("%s\n", entry["id"].scalar_text().c_str());
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

// Synced, Healthy and idle, or what the flags say; of the three healths that may be waited for, any.
Result<void> wait_for(const AppSession& app, const std::string& name, const AppArguments& arguments) {
  const bool any_health = arguments.wait_health || arguments.wait_suspended || arguments.wait_degraded;
  const bool any = arguments.wait_sync || any_health || arguments.wait_operation;
  std::string last;
  return app.follow(name, arguments.timeout_seconds, [&](const kube::Object& one) {
    const Value& status = one.status();
    const std::string now = status["sync"]["status"].str() + " " + status["health"]["status"].str() + " " +
                            status["operationState"]["message"].str();
    if (now != last) std::printf("%s\n", now.c_str());
    std::fflush(stdout);
    last = now;
    const bool synced = status["sync"]["status"].as_string() == "Synced";
    const std::string_view health = status["health"]["status"].as_string();
    const bool healthy = ((!any || arguments.wait_health) && health == "Healthy") ||
                         (arguments.wait_suspended && health == "Suspended") ||
                         (arguments.wait_degraded && health == "Degraded");
    const bool idle = one["operation"].is_null() && status["operationState"]["phase"].as_string() != "Running";
    if (!any) return synced && healthy && idle;
    return (!arguments.wait_sync || synced) && (!any_health || healthy) && (!arguments.wait_operation || idle);
  });
}

Result<int> app_wait(const AppSession& app, const AppArguments& arguments) {
  if (arguments.wait_delete) {  // those that are gone already need no waiting
    std::vector<std::string> names = arguments.words;
    if (!arguments.selector.empty())
      for (const kube::Object& one : TRY(app.chosen(arguments))) names.push_back(one.name());
    for (const std::string& name : names) TRY(app.wait_until_gone(name, arguments.timeout_seconds));
    return 0;
  }
  const auto all = TRY(app.chosen(arguments));
  if (all.empty()) return Error{ErrorCode::bad_request, "app wait needs a name or -l SELECTOR"};
  for (const kube::Object& one : all) TRY(wait_for(app, one.name(), arguments));
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
    {"list", 0, app_list, "[-l SELECTOR] [-p PROJECT] [-r REPO] [-c CLUSTER] [-o name|json|yaml]",
     "Applications, and how they are"},
    {"get", 1, app_get, "NAME [--refresh] [--hard-refresh] [--show-operation] [--show-params] [-o tree|json|yaml]",
     "one Application and its resources"},
    {"resources", 1, app_resources, "NAME [-o tree|json|yaml]", "its resources"},
    {"history", 1, app_history, "NAME [-o id|json|yaml]", "what was synced when, and by whom"},
    {"diff", 1, app_diff, "NAME [--revision R] [--prune] [--refresh] [--exit-code=false]",
     "what a sync would change, and who changed it (ends with 1)"},
    {"preview", 1, app_preview, "REVISION [--repo URL]", "which Applications a branch would touch, and how"},
    {"sync", 0, app_sync,
     "NAME…|-l SELECTOR|--project P [--revision R] [--prune] [--dry-run] [--resource GROUP:KIND:NAME]",
     "make it what the repository says",
     "  --timeout SECONDS --async --force --replace --server-side --apply-out-of-sync-only --sync-option A=B\n"
     "  --strategy apply|hook --info A=B --revisions R --source-positions N (or --source-names NAME), side by side\n"
     "  --retry-limit N --retry-backoff-duration D --retry-backoff-max-duration D --retry-backoff-factor N\n"
     "  --retry-refresh\n"},
    {"wait", 0, app_wait,
     "NAME…|-l SELECTOR [--sync] [--health] [--suspended] [--degraded] [--operation] [--delete] [--timeout SECONDS]",
     "wait until it is so"},
    {"rollback", 1, app_rollback, "NAME [ID] [--git] [--prune]", "back to an entry of the history, or as a commit"},
    {"terminate", 1, app_terminate, "NAME", "end the operation that runs"},
    {"terminate-op", 1, app_terminate, {}, {}},
    {"approve", 1, app_approve, "PLAN", "let a sync go on that the safety catch stopped"},
    {"adopt", 1, app_adopt, "NAME [--resource GROUP:KIND:NAME] [--dry-run]", "what differs live becomes a commit"},
    {"logs", 1, app_logs, "NAME [--follow] [--kind K] [--group G] [--resource-name N] [-c CONTAINER]", "of its pods",
     "  --tail N --since-seconds N --previous --filter TEXT --match-case\n"},
    {"actions", 2, app_actions, "list|run NAME [ACTION] --kind K [--resource-name N] [--param A=B] [-o json|yaml]",
     "restart, scale, promote …"},
    {"manifests", 1, app_manifests, "NAME --source live", "its live objects"},
    {"get-resource", 1, app_get_resource, "NAME --kind K [--resource-name N] [--filter-fields a.b,c] [-o json|yaml]",
     "one kind of its live objects"},
    {"patch-resource", 1, app_patch_resource, "NAME --kind K [--resource-name N] --patch JSON [--patch-type T] [--all]",
     "changes a live object"},
    {"delete-resource", 1, app_delete_resource, "NAME --kind K [--resource-name N] [--all] [--orphan] [--force]",
     "deletes a live object"},
    {"create", 0, app_create, "NAME --repo URL --path P --dest-namespace N | -f FILE [--upsert]", "a new Application",
     "  --label A=B --annotations A=B --set-finalizer\n"},
    {"set", 1, app_set, "NAME [--source-position N] [flags of create]", "change its spec"},
    {"unset", 1, nullptr, "NAME [-p PARAMETER] [--values FILE] [--values-literal] [--kustomize-image NAME]",
     "take settings of its source away",
     "  --nameprefix --namesuffix --kustomize-namespace --kustomize-replica NAME --ref --pass-credentials\n"
     "  --ignore-missing-value-files --ignore-missing-components --source-position N --source-name NAME\n"},
    {"patch", 1, app_patch, "NAME --patch JSON [--type json|merge]", "change the Application by a patch"},
    {"edit", 1, app_edit, "NAME", "change the Application in $EDITOR"},
    {"add-source", 1, app_add_source, "NAME --repo URL [flags of create]", "one more source"},
    {"remove-source", 1, app_remove_source, "NAME --source-position N|--source-name NAME", "one source less"},
    {"confirm-deletion", 1, app_confirm_deletion, "NAME", "let what waits for Prune=confirm or Delete=confirm go"},
    {"delete", 0, app_delete,
     "NAME…|-l SELECTOR [--cascade=false] [--propagation-policy foreground|background] [--wait]",
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

Result<void> AppSession::wait_until_gone(const std::string& name, int timeout_seconds) const {
  const auto there = get(name);
  if (!there.ok() && there.error().code == ErrorCode::not_found) return {};
  TRY(there);
  const auto followed = follow(name, timeout_seconds, [](const kube::Object&) { return false; });
  const auto still = get(name);
  if (!still.ok() && still.error().code == ErrorCode::not_found) return {};
  return followed;
}

Result<void> AppSession::refresh(const std::string& name, bool hard) const {
  TRY(change(name, [&](kube::Object& one) {
    one.set_annotation(kRefresh, hard ? "hard" : "normal");
    return true;
  }));
  return follow(name, kRefreshSecondsMax, [](const kube::Object& one) { return one.annotation(kRefresh).empty(); });
}

Result<AppSession> open_app_session(const Global& global, const AppArguments& arguments) {
  Global where = global;
  where.kubeconfig = arguments.kubeconfig;
  where.context = arguments.context;
  if (!arguments.data_dir.empty()) where.data_dir = arguments.data_dir;
  Session session = TRY(connect(where));
  return AppSession{std::move(session), arguments.application_ns};
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
  if (command->run == nullptr) return command_unset(global, {words.begin() + 1, words.end()});
  const AppArguments arguments = TRY(read_app_arguments({words.begin() + 1, words.end()}));
  if (arguments.words.size() < command->words_min) {
    std::fprintf(stderr, "app %s needs a name\nusage: caisson app %s %s\n", words[0].c_str(), words[0].c_str(),
                 std::string(command->usage).c_str());
    return 2;
  }
  const AppSession app = TRY(open_app_session(global, arguments));
  return command->run(app, arguments);
}

}  // namespace caisson::cli
