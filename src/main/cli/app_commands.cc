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
#include "main/cli/argument_table.h"

namespace caisson::cli {
namespace {

constexpr std::string_view kUsage =
    "caisson app list\n"
    "caisson app get|resources|history NAME\n"
    "caisson app diff NAME [--revision R] [--prune]\n"
    "caisson app preview REVISION [--repo URL]\n"
    "caisson app sync NAME [--revision R] [--prune] [--dry-run] [--force] [--resource GROUP:KIND:NAME] [--async]\n"
    "caisson app wait NAME [--sync] [--health] [--operation] [--timeout SECONDS]\n"
    "caisson app rollback NAME [ID] [--git] | terminate NAME | approve PLAN\n"
    "caisson app adopt NAME [--resource GROUP:KIND:NAME] [--dry-run]\n"
    "caisson app logs NAME [--follow] | actions NAME list|run ACTION --kind K [--resource-name N] [--param A=B]\n"
    "caisson app create NAME --repo URL --path P --dest-namespace N | set NAME … | delete NAME [--cascade=false]\n";

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
  line("Target:", source["targetRevision"].str() + " " + source["path"].str());
  line("Sync Status:",
       sync_painted(status["sync"]["status"].str()) + " " + status["sync"]["revision"].str().substr(0, 7));
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
    rows.push_back({entry["id"].scalar_text(), entry["deployedAt"].str(), entry["revision"].str().substr(0, 12),
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

struct AppCommand {
  std::string_view name;
  std::size_t words_min;
  Result<int> (*run)(const AppSession&, const AppArguments&);
};
constexpr AppCommand kCommands[] = {
    {"list", 0, app_list},           {"get", 1, app_get},
    {"resources", 1, app_resources}, {"history", 1, app_history},
    {"wait", 1, app_wait},           {"diff", 1, app_diff},
    {"preview", 1, app_preview},     {"sync", 1, app_sync},
    {"rollback", 1, app_rollback},   {"adopt", 1, app_adopt},
    {"terminate", 1, app_terminate}, {"terminate-op", 1, app_terminate},
    {"approve", 1, app_approve},     {"actions", 2, app_actions},
    {"create", 0, app_create},       {"set", 1, app_set},
    {"delete", 1, app_delete},       {"logs", 1, app_logs},
};

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
      return Error{ErrorCode::timeout, what + ": not there after " + std::to_string(timeout_seconds) + " s"};
    if (newest.empty()) return Error{ErrorCode::gone, what + ": deleted, or the watch ended"};
    const auto objects = std::exchange(newest, {});
    lock.unlock();
    for (const auto& [_, object] : objects)
      if (seen(object)) return {};
    lock.lock();
  }
}

Result<int> command_app(const Global& global, const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    std::printf("%s", std::string(kUsage).c_str());
    return words.empty() ? 2 : 0;
  }
  const auto command = std::find_if(std::begin(kCommands), std::end(kCommands),
                                    [&](const AppCommand& one) { return one.name == words[0]; });
  if (command == std::end(kCommands)) {
    std::fprintf(stderr, "there is no command 'app %s'\n%s", words[0].c_str(), std::string(kUsage).c_str());
    return 2;
  }
  const AppArguments arguments = TRY(read_app_arguments({words.begin() + 1, words.end()}));
  if (arguments.words.size() < command->words_min) {
    std::fprintf(stderr, "app %s needs a name\n%s", words[0].c_str(), std::string(kUsage).c_str());
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
