// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "main/cli/commands.h"
#include "main/platform/nodes.h"
#include "main/platform/preflight.h"
#include "main/platform/up.h"
#include "main/platform/version.h"

namespace caisson::cli {
namespace {

using platform::Check;

std::string home() {
  const char* path = std::getenv("HOME");
  return path && *path ? path : "/root";
}

Result<platform::Settings> settings_of(const UpFlags& flags) {
  if (flags.config.empty()) return flags.settings;
  return platform::load_settings(flags.config, flags.settings);
}

const char* mark(Check::State state) {
  return state == Check::State::ok ? "✓" : state == Check::State::warning ? "!" : "✗";
}

void print_checks(const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    const char* color = check.state == Check::State::ok        ? kGreen
                        : check.state == Check::State::warning ? kYellow
                                                               : kRed;
    std::printf("%s %-10s %s\n", paint(mark(check.state), color).c_str(), check.name.c_str(), check.found.c_str());
    if (!check.advice.empty()) std::printf("             → %s\n", check.advice.c_str());
  }
}

// Replaces or appends the item named `name` of a kubeconfig list; the others stay.
void put_named(Value& config, std::string_view list, std::string_view name, Value item) {
  Value& items = config.edit(list);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i]["name"].as_string() == name) {
      items.edit(i) = std::move(item);
      return;
    }
  }
  items.push_back(std::move(item));
}

Result<void> merge_kubeconfig(const std::string& path, const Value& from, const std::string& context) {
  Value config{{"apiVersion", "v1"}, {"kind", "Config"}};
  if (exists(path)) {
    const std::string text = TRY(read_file(path));
    config = TRY(yaml::read(text, {.name = path}));
  }
  Value cluster = from["clusters"][0], user = from["users"][0];
  cluster.set("name", context);
  user.set("name", context);
  put_named(config, "clusters", context, cluster);
  put_named(config, "users", context, user);
  put_named(config, "contexts", context,
            Value{{"name", context}, {"context", Value{{"cluster", context}, {"user", context}}}});
  config.set("current-context", context);
  TRY(make_dirs(path_dir(path), 0700));
  return write_file(path, yaml::write(config), 0600);
}

// ~/.docker/config.json: docker, crane and skopeo read it.
Result<void> merge_registry_login(const std::string& path, const std::string& registry, const std::string& token) {
  Value config = Value::map();
  if (exists(path)) {
    const std::string text = TRY(read_file(path));
    config = TRY(json::parse(text).in(path));
  }
  const std::string auth = base64("admin:" + token);
  config.edit({"auths", registry}) = Value{{"auth", auth}};
  TRY(make_dirs(path_dir(path), 0700));
  return write_file(path, json::write(config, {.indent = 2}) + "\n", 0600);
}

Result<void> set_git_helper(const std::string& portal, const std::string& program, const std::string& data_dir) {
  const std::string helper = "!'" + program + "' --data-dir '" + data_dir + "' git-credential";
  TRY(run_checked(
      {.args = {"git", "config", "--global", "credential." + portal + ".helper", helper}, .env = {{"HOME", home()}}}));
  return {};
}

Result<platform::Instance> instance_of(const Global& global) {
  return platform::load_instance(global.data_dir);
}

// One line a thing that is wrong, with where to look.
Result<std::vector<std::string>> find_trouble(const Session& session) {
  std::vector<std::string> trouble;
  const kube::ObjectList apps = TRY(session.client->list(schema::kApplications, {}));
  for (const kube::Object& app : apps.items) {
    const auto health = app.status()["health"]["status"].as_string(), sync = app.status()["sync"]["status"].as_string();
    for (const Value& condition : app.status()["conditions"].items()) {
      if (condition["type"].as_string().ends_with("Error"))
        trouble.push_back("application " + app.name() + ": " + condition["message"].str());
    }
    if (health == "Degraded" || health == "Missing")
      trouble.push_back("application " + app.name() + " is " + std::string(health) + " (" + std::string(sync) + ")");
  }
  const kube::ObjectList runs = TRY(session.client->list(schema::kPipelineRuns, {}));
  for (const kube::Object& run : runs.items) {
    const Value& done = kube::condition(run, "Succeeded");
    if (done["status"].as_string() == "False")
      trouble.push_back("pipeline run " + run.key().str() + ": " + done["message"].str());
  }
  const kube::ObjectList pods = TRY(session.client->list(schema::kPods, {}));
  for (const kube::Object& pod : pods.items) {
    for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
      for (const Value& status : pod.status()[list].items()) {
        const Value& waiting = status["state"]["waiting"];
        const auto reason = waiting["reason"].as_string();
        if (reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing") continue;
        trouble.push_back("pod " + pod.key().str() + ", container " + status["name"].str() + ": " +
                          std::string(reason) + ": " + waiting["message"].str());
      }
    }
    const Value& scheduled = kube::condition(pod, "PodScheduled");
    if (scheduled["status"].as_string() == "False")
      trouble.push_back("pod " + pod.key().str() + ": " + scheduled["message"].str());
  }
  return trouble;
}

Result<void> print_applications(const Session& session) {
  const kube::ObjectList apps = TRY(session.client->list(schema::kApplications, {}));
  std::vector<std::vector<std::string>> rows;
  for (const kube::Object& app : apps.items) {
    rows.push_back({app.name(), app.status()["sync"]["status"].str(), app.status()["health"]["status"].str(),
                    app.status()["sync"]["revision"].str().substr(0, 8)});
  }
  if (!rows.empty()) print_table({"APPLICATION", "SYNC", "HEALTH", "REVISION"}, rows);
  return {};
}

Result<void> print_ingresses(const Session& session, const platform::Instance& instance) {
  const kube::ObjectList ingresses = TRY(session.client->list(schema::kIngresses, {}));
  const int port = instance.settings.ports.http;
  for (const kube::Object& ingress : ingresses.items) {
    for (const Value& rule : ingress.spec()["rules"].items()) {
      const std::string host = rule["host"].str();
      std::printf("  http://%s%s/\n", (host.empty() ? instance.settings.listen : host).c_str(),
                  port == 80 ? "" : (":" + std::to_string(port)).c_str());
    }
  }
  return {};
}

}  // namespace

Result<void> command_up(const UpFlags& flags) {
  platform::UpOptions options;
  options.settings = TRY(settings_of(flags));
  options.detach = flags.detach;
  options.program = flags.program;
  options.progress = [](const std::string& line) { std::fprintf(stderr, "caisson: %s\n", line.c_str()); };
  const auto checks = platform::preflight(options.settings);
  std::vector<Check> failed;
  std::copy_if(checks.begin(), checks.end(), std::back_inserter(failed),
               [](const Check& c) { return c.state == Check::State::failed; });
  if (!failed.empty()) {
    print_checks(failed);
    return Error{ErrorCode::conflict, "this machine is not ready; 'caisson preflight' shows all checks"};
  }
  return platform::up(options);
}

Result<void> command_down(const DownFlags& flags) {
  platform::DownOptions options;
  options.data_dir = flags.data_dir;
  if (!flags.config.empty()) {
    const platform::Settings settings = TRY(platform::load_settings(flags.config, {.data_dir = flags.data_dir}));
    options.data_dir = settings.data_dir;
  }
  options.purge = flags.purge;
  options.grace = std::chrono::seconds(flags.grace_seconds);
  options.progress = [](const std::string& line) { std::fprintf(stderr, "caisson: %s\n", line.c_str()); };
  return platform::down(options);
}

Result<void> command_node(const Global& global, const std::string& name, bool start) {
  const platform::Instance instance = TRY(instance_of(global));
  if (::geteuid() != 0)
    return Error{ErrorCode::forbidden, "'caisson node' ends and starts agents and needs root: run it with sudo"};
  return start ? platform::start_node(instance, name) : platform::stop_node(instance, name);
}

Result<void> command_preflight(const UpFlags& flags, const std::string& output) {
  const platform::Settings settings = TRY(settings_of(flags));
  const auto checks = platform::preflight(settings);
  if (!output.empty()) {
    std::vector<Value> items;
    for (const Check& check : checks) {
      const char* state = check.state == Check::State::ok        ? "ok"
                          : check.state == Check::State::warning ? "warning"
                                                                 : "failed";
      items.push_back(Value{{"name", check.name}, {"state", state}, {"found", check.found}, {"advice", check.advice}});
    }
    print_value(Value(std::move(items)), output);
  } else {
    print_checks(checks);
  }
  const bool failed =
      std::any_of(checks.begin(), checks.end(), [](const Check& c) { return c.state == Check::State::failed; });
  if (failed) return Error{ErrorCode::conflict, "this machine is not ready: see ✗ above"};
  return {};
}

Result<void> command_status(const Global& global) {
  const platform::Instance instance = TRY(instance_of(global));
  const int pid = platform::running_supervisor(global.data_dir);
  if (pid == 0) {
    return Error{ErrorCode::unavailable, "the platform in " + global.data_dir +
                                             " does not run: start it with 'caisson up --data-dir " + global.data_dir +
                                             "'"};
  }
  const Session session = TRY(connect(global));
  const auto trouble = TRY(find_trouble(session));
  if (!global.output.empty()) {
    print_value(
        Value{{"running", true}, {"process", pid}, {"instance", instance.id}, {"trouble", Value::list_of(trouble)}},
        global.output);
    return {};
  }
  const auto& ports = instance.settings.ports;
  const std::string& listen = instance.settings.listen;
  std::printf("platform %s runs in %s (process %d)\n", instance.id.c_str(), global.data_dir.c_str(), pid);
  std::printf("  API       https://%s:%d\n  git       http://%s:%d\n  registry  %s:%d\n", listen.c_str(), ports.api,
              listen.c_str(), ports.portal, listen.c_str(), ports.registry);
  TRY(print_ingresses(session, instance));
  TRY(print_applications(session));
  if (trouble.empty()) std::printf("%s nothing is wrong\n", paint("✓", kGreen).c_str());
  for (const std::string& line : trouble) std::printf("%s %s\n", paint("✗", kRed).c_str(), line.c_str());
  return {};
}

Result<void> command_login(const Global& global, const std::string& from) {
  const std::string source = from.empty() ? global.data_dir + "/pki/admin.kubeconfig" : from;
  const auto text = read_file(source);
  if (!text.ok()) {
    const bool denied = text.error().code == ErrorCode::forbidden;
    return Error{text.error().code,
                 "read " + source + ": " +
                     (denied ? "it belongs to whoever ran 'caisson up'; ask them for a copy and use --from"
                             : "not there; is the platform up, and --data-dir right?")};
  }
  const Value config = TRY(yaml::read(*text, {.name = source}));
  const std::string token = config["users"][0]["user"]["token"].str();
  const platform::Instance instance = TRY(instance_of(global));
  const std::string context = instance.settings.data_dir == "/var/lib/caisson" ? "caisson" : "caisson-" + instance.id;
  const std::string portal = "http://localhost:" + std::to_string(instance.settings.ports.portal);
  const std::string registry = "localhost:" + std::to_string(instance.settings.ports.registry);
  char program[4096];
  const ssize_t length = ::readlink("/proc/self/exe", program, sizeof program);
  if (length <= 0) return errno_error("read /proc/self/exe");
  const char* kubeconfig = std::getenv("KUBECONFIG");
  const std::string target =
      kubeconfig && *kubeconfig ? std::string(split(kubeconfig, ':')[0]) : home() + "/.kube/config";
  TRY(merge_kubeconfig(target, config, context));
  TRY(set_git_helper(portal, std::string(program, static_cast<std::size_t>(length)), global.data_dir));
  TRY(merge_registry_login(home() + "/.docker/config.json", registry, token));
  std::printf("kubectl   context %s in %s\ngit       %s/<organisation>/<repository>.git\nregistry  %s\n",
              context.c_str(), target.c_str(), portal.c_str(), registry.c_str());
  return {};
}

// git's credential helper protocol (gitcredentials(7)): "get" answers user name and password; "store" and "erase" need
// nothing.
Result<void> command_git_credential(const Global& global, const std::string& operation) {
  if (operation != "get") return {};
  const Session session = TRY(connect(global));
  std::printf("username=admin\npassword=%s\n", session.connection.token.c_str());
  return {};
}

}  // namespace caisson::cli
