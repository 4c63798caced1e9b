// SPDX-License-Identifier: Apache-2.0
// The command tree. CLI11 is known here only.
#include "main/cli/commands.h"

#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>

#include "artifact/build/executor.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "main/cli/attach_commands.h"
#include "main/cli/image_commands.h"
#include "main/cli/scan_commands.h"
#include "main/cli/kubectl/kubectl.h"
#include "main/cli/logs_query.h"
#include "main/cli/observe_commands.h"
#include "main/platform/up.h"

namespace caisson::cli {
namespace {

// Holds what the flags write to, and what the chosen command will do.
struct Tree {
  CLI::App app{"Caisson: git push to running containers, on one machine.\n\nFirst steps: caisson preflight, sudo caisson up --detach, caisson login", "caisson"};
  Global global;
  UpFlags up;
  AttachFlags attach;
  GetFlags get;
  LogFlags logs;
  ExecFlags exec;
  PromqlFlags promql;
  AlertFlags alert;
  std::vector<std::string> files;
  std::string data_dir = "/var/lib/caisson", text, timeout = "10m", from;
  DownFlags down;
  ScanFlags scan;
  ImageFlags image;
  BuildFlags build;
  std::function<Result<int>()> action;
};

Result<int> done(const Result<void>& result) {
  if (!result.ok()) return result.error();
  return 0;
}

CLI::App* add(Tree& tree, CLI::App& parent, const std::string& name, const std::string& help, const std::string& example,
              std::function<Result<int>()> action) {
  CLI::App* command = parent.add_subcommand(name, help);
  if (!example.empty()) command->footer("Example:\n  " + example);
  if (action) command->callback([&tree, action] { tree.action = action; });
  return command;
}

void take_output(Tree& tree, CLI::App* command) { command->add_option("-o,--output", tree.global.output, "json, yaml, wide or name"); }

void take_connection(Tree& tree, CLI::App* command) {
  command->add_option("-n,--namespace", tree.global.ns, "namespace");
  command->add_option("--kubeconfig", tree.global.kubeconfig, "file that says which platform; else $KUBECONFIG, ~/.kube/config");
  command->add_option("--context", tree.global.context, "context of the kubeconfig");
  take_output(tree, command);
}

void take_settings(Tree& tree, CLI::App* command) {
  platform::Settings& s = tree.up.settings;
  command->add_option("--config", tree.up.config, "caisson.yaml: the same settings by name; flags are overridden by it");
  command->add_option("--listen", s.listen, "address to listen on")->capture_default_str();
  command->add_option("--api-port", s.ports.api, "Kubernetes API (TLS)")->capture_default_str();
  command->add_option("--portal-port", s.ports.portal, "git, webhooks, health")->capture_default_str();
  command->add_option("--registry-port", s.ports.registry, "container registry")->capture_default_str();
  command->add_option("--http-port", s.ports.http, "ingress")->capture_default_str();
  command->add_option("--https-port", s.ports.https, "ingress, TLS")->capture_default_str();
  command->add_option("--pod-cidr", s.pod_cidr, "address range of pods (default: the first free one)");
  command->add_option("--service-cidr", s.service_cidr, "address range of services (default: the first free one)");
  command->add_option("--node-name", s.node_name, "name of the node (default: the host's)");
  command->add_option("--stand-ins", s.stand_ins, "auto, always or never: base images from distribution packages")
      ->check(CLI::IsMember({"auto", "always", "never"}))->capture_default_str();
  command->add_option("--package-cache", s.package_cache, "directory for downloaded packages, shared between instances");
  command->add_option("--collect-every", s.collect_every, "how often images and layers that nobody needs any more are taken away")->capture_default_str();
  command->add_option("--trust-host-ca", s.trust_host_ca, "builds get this host's CA bundle")->capture_default_str();
}

void take_attachment(Tree& t, CLI::App* command) {
  command->add_option("--kubeconfig", t.attach.kubeconfig, "reconcile Applications of this Kubernetes instead of starting one");
  command->add_option("--context", t.attach.context, "context of the kubeconfig");
  command->add_option("--home-namespace", t.attach.home_namespace, "where the Applications are")->capture_default_str();
  command->add_flag("--take-over", t.attach.take_over, "stop an Argo CD that works there, and adopt its Applications");
}

void add_platform_commands(Tree& t) {
  auto* up = add(t, t.app, "up", "start the platform", "sudo caisson up --detach", [&t] {
    t.up.settings.data_dir = t.global.data_dir;
    if (t.attach.kubeconfig.empty()) return done(command_up(t.up));
    t.attach.settings = t.up.settings;
    t.attach.detach = t.up.detach;
    return done(command_attach(t.attach));
  });
  take_settings(t, up);
  take_attachment(t, up);
  up->add_flag("-d,--detach", t.up.detach, "return when it is ready; it goes on in the background");
  auto* attach = add(t, t.app, "attach", "reconcile Applications of a Kubernetes that is there already", "caisson attach --kubeconfig ~/.kube/config", [&t] {
    t.attach.settings = t.up.settings;
    t.attach.settings.data_dir = t.global.data_dir;
    return done(t.attach.print_rbac ? command_print_rbac(t.attach) : command_attach(t.attach));
  });
  take_attachment(t, attach);
  attach->add_flag("--print-rbac", t.attach.print_rbac, "print the rights it needs, as a manifest; with --kubeconfig for the kinds in use there");
  attach->add_option("--listen", t.up.settings.listen, "address for webhooks and health")->capture_default_str();
  attach->add_option("--portal-port", t.up.settings.ports.portal, "webhooks, health")->capture_default_str();
  auto* down = add(t, t.app, "down", "stop the platform and everything it started", "sudo caisson down --purge",
                   [&t] {
                     t.down.data_dir = t.global.data_dir;
                     return done(command_down(t.down));
                   });
  down->add_flag("--purge", t.down.purge, "remove the data too");
  down->add_option("--grace", t.down.grace_seconds, "seconds that containers get to end by themselves")->check(CLI::Range(0, 3600))->capture_default_str();
  down->add_option("--config", t.down.config, "caisson.yaml that says where the data is");
  auto* preflight = add(t, t.app, "preflight", "say what of this machine would keep the platform from running", "caisson preflight", [&t] {
    t.up.settings.data_dir = t.global.data_dir;
    return done(command_preflight(t.up, t.global.output));
  });
  take_settings(t, preflight);
  take_output(t, preflight);
  take_connection(t, add(t, t.app, "status", "say what runs and what is wrong", "caisson status", [&t] { return done(command_status(t.global)); }));
  take_output(t, add(t, t.app, "version", "print the version", "caisson version -o json", [&t] { return done(command_version(t.global.output)); }));
  auto* login = add(t, t.app, "login", "let kubectl, git and docker of this user talk to the platform", "caisson login",
                    [&t] { return done(command_login(t.global, t.from)); });
  login->add_option("--from", t.from, "kubeconfig to take the credentials from");
  auto* credential = add(t, t.app, "git-credential", "answer git's credential questions (set by login)", "", [&t] { return done(command_git_credential(t.global, t.text)); });
  credential->add_option("operation", t.text)->required();
}

void add_object_commands(Tree& t) {
  auto* describe = add(t, t.app, "describe", "show objects with their events", "caisson describe pod/web-1", [&t] { return done(command_describe(t.global, t.get)); });
  describe->add_option("what", t.get.what, "KIND, KIND NAME or KIND/NAME")->required();
  describe->add_option("-l,--selector", t.get.selector, "label selector");
  take_connection(t, describe);
  // Only for the list of commands: kubectl/kubectl.h reads their arguments itself (see run_command_line).
  std::set<std::string_view> listed;
  for (const auto family : kubectl::all_commands()) {
    for (const kubectl::Command& command : family) {
      const std::string_view word = command.name.substr(0, command.name.find(' '));
      if (word != "rollout" && listed.insert(word).second) t.app.add_subcommand(std::string(word), std::string(command.help));
    }
  }
  auto* rollout = add(t, t.app, "rollout", "follow a rollout", "caisson rollout status deploy/web", nullptr);
  rollout->require_subcommand(1);
  auto* status = add(t, *rollout, "status", "until it is complete", "caisson rollout status deploy/web", [&t] { return done(command_rollout_status(t.global, t.text, t.timeout)); });
  status->add_option("deployment", t.text)->required();
  status->add_option("--timeout", t.timeout)->capture_default_str();
  take_connection(t, status);
}

void add_pod_commands(Tree& t) {
  auto* logs = add(t, t.app, "logs", "print a container's log", "caisson logs web-1 -f", [&t] { return done(command_logs(t.global, t.logs)); });
  logs->add_option("pod", t.logs.pod)->required();
  logs->add_option("-c,--container", t.logs.container);
  logs->add_flag("-f,--follow", t.logs.follow);
  logs->add_flag("-p,--previous", t.logs.previous, "of the container before the last restart");
  logs->add_flag("--timestamps", t.logs.timestamps);
  logs->add_option("--tail", t.logs.tail, "only the last lines");
  take_connection(t, logs);
  auto* exec = add(t, t.app, "exec", "run a command in a container", "caisson exec -it web-1 -- sh", [&t] { return command_exec(t.global, t.exec); });
  exec->add_option("pod", t.exec.pod)->required();
  exec->add_option("-c,--container", t.exec.container);
  exec->add_flag("-i,--stdin", t.exec.stdin_open);
  exec->add_flag("-t,--tty", t.exec.tty);
  exec->add_option("command", t.exec.command)->required();
  take_connection(t, exec);
  auto* timeline = add(t, t.app, "timeline", "show where the time of the last push went", "caisson timeline shop-dev", [&t] { return done(command_timeline(t.global, t.text)); });
  timeline->add_option("application", t.text, "of this Application; else the newest push");
  take_connection(t, timeline);
}

void take_scan_flags(Tree& t, CLI::App* command, const char* what) {
  command->preparse_callback([&t, what](std::size_t) { t.scan.what = what; });
  command->add_option("-f,--format", t.scan.format, "table, json, sarif, cyclonedx, cyclonedx-1.5 or spdx-json")->capture_default_str();
  command->add_option("-o,--output", t.scan.output, "file to write to");
  command->add_option("-s,--severity", t.scan.severity, "only these, as in HIGH,CRITICAL; one found ends with --exit-code");
  command->add_option("--exit-code", t.scan.exit_code, "exit status when --severity names something found")->check(CLI::Range(0, 255))->capture_default_str();
  command->add_flag("--ignore-unfixed", t.scan.ignore_unfixed, "only what a new version would mend");
  command->add_flag("--no-secrets", t.scan.no_secrets, "packages only");
  command->add_option("--ignorefile", t.scan.ignore_file, "what is accepted, with until when: 'CVE-2024-1 exp:2026-12-31' (default .caissonignore)");
  command->add_option("--db", t.scan.database, "the advisories' file (default ~/.cache/caisson/advisories.db)");
}

void add_scan_commands(Tree& t) {
  auto* scan = add(t, t.app, "scan", "find known vulnerabilities and secrets", "caisson scan image localhost:5000/shop/web:1.0", nullptr);
  scan->require_subcommand(1);
  const auto run = [&t] { return command_scan(t.scan); };
  auto* image = add(t, *scan, "image", "an image of a registry, or of a file", "caisson scan image nginx:1.27 --severity HIGH,CRITICAL", run);
  image->add_option("image", t.scan.target, "as in nginx:1.27");
  image->add_option("--input", t.scan.input, "archive of docker save, skopeo or caisson image save");
  auto* fs = add(t, *scan, "fs", "a folder: a checkout, an unpacked root", "caisson scan fs .", run);
  fs->add_option("folder", t.scan.target)->required();
  auto* sbom = add(t, *scan, "sbom", "a bill of materials (CycloneDX, SPDX)", "caisson scan sbom web.cdx.json", run);
  sbom->add_option("file", t.scan.target)->required();
  take_scan_flags(t, image, "image");
  take_scan_flags(t, fs, "fs");
  take_scan_flags(t, sbom, "sbom");
  auto* db = add(t, *scan, "db", "the advisories that scans look into", "caisson scan db import debian.json", nullptr);
  db->require_subcommand(1);
  auto* import = add(t, *db, "import", "read OSV records, their zips, Debian's tracker file", "caisson scan db import all.zip",
                     [&t] { return done(command_scan_import(t.scan.target, t.scan.database)); });
  import->add_option("path", t.scan.target, "file or folder")->required();
  auto* push = add(t, *db, "push", "send advisories to a platform, which looks at its images and pods at once",
                   "caisson scan db push examples/advisories localhost:5000/caisson-system/advisories:latest",
                   [&t] { return done(command_scan_push(t.scan.target, t.text)); });
  push->add_option("path", t.scan.target, "file or folder")->required();
  push->add_option("to", t.text, "where its registry keeps them")->required();
  auto* status = add(t, *db, "status", "say what there is", "caisson scan db status", [&t] { return done(command_scan_status(t.scan.database)); });
  for (CLI::App* command : {import, status}) command->add_option("--db", t.scan.database, "the advisories' file");
}

void add_image_commands(Tree& t) {
  auto* build = add(t, t.app, "build", "have the platform build a Dockerfile", "caisson build -t localhost:5000/shop/web:1.0 .",
                    [&t] { return done(command_build(t.global, t.build)); });
  build->add_option("context", t.build.context, "folder")->capture_default_str();
  build->add_option("-t,--tag", t.build.tags, "where the image goes, as in localhost:5000/shop/web:1.0")->allow_extra_args(false);
  build->add_option("-f,--file", t.build.dockerfile, "relative to the context")->capture_default_str();
  build->add_option("--target", t.build.target, "stage");
  build->add_option("--build-arg", t.build.build_args, "NAME=value")->allow_extra_args(false);
  build->add_option("--label", t.build.labels, "NAME=value")->allow_extra_args(false);
  build->add_flag("--no-cache", t.build.no_cache, "run every instruction");
  build->add_option("--tar-path", t.build.tar_path, "archive to write");
  build->add_option("--digest-file", t.build.digest_file, "file for the digest");
  build->add_option("--portal", t.build.portal, "where the log comes from (default: the platform's on this machine)");
  take_connection(t, build);
  auto* image = add(t, t.app, "image", "look at, move and remove images", "caisson image ls", nullptr);
  image->require_subcommand(1);
  auto* ls = add(t, *image, "ls", "list the images of a registry", "caisson image ls localhost:5000", [&t] { return done(command_image_list(t.image)); });
  ls->add_option("registry", t.image.target, "host, or host/repository")->required();
  auto* inspect = add(t, *image, "inspect", "print configuration, layers and what refers to it", "caisson image inspect localhost:5000/shop/web:1.0",
                      [&t] { return done(command_image_inspect(t.image)); });
  auto* pull = add(t, *image, "pull", "fetch an image into an archive", "caisson image pull nginx:1.27 --output nginx.tar",
                   [&t] { return done(command_image_save(t.image)); });
  auto* save = add(t, *image, "save", "the same as pull", "caisson image save localhost:5000/shop/web:1.0 -o web.tar", [&t] { return done(command_image_save(t.image)); });
  auto* push = add(t, *image, "push", "send an image of an archive to a registry", "caisson image push web.tar localhost:5000/shop/web:1.0",
                   [&t] { return done(command_image_push(t.image)); });
  auto* load = add(t, *image, "load", "send every image of an archive to a registry, by its own name", "caisson image load web.tar localhost:5000",
                   [&t] { return done(command_image_load(t.image)); });
  auto* remove = add(t, *image, "rm", "take a tag or a manifest away", "caisson image rm localhost:5000/shop/web:1.0", [&t] { return done(command_image_remove(t.image)); });
  for (CLI::App* command : {inspect, pull, save, remove}) command->add_option("image", t.image.target)->required();
  for (CLI::App* command : {pull, save}) command->add_option("-o,--output", t.image.file, "archive to write")->required();
  for (CLI::App* command : {push, load}) command->add_option("archive", t.image.file)->required();
  push->add_option("image", t.image.target)->required();
  load->add_option("registry", t.image.target)->required();
}

void add_observe_commands(Tree& t) {
  auto* promql = add(t, t.app, "promql", "ask for metrics, by PromQL", "caisson promql 'rate(node_cpu_seconds_total[5m])' --start 1h",
                     [&t] { return done(command_promql(t.global, t.promql)); });
  promql->add_option("query", t.promql.query)->required();
  promql->add_option("--time", t.promql.time, "when: a time, or how long ago (5m); default: now");
  promql->add_option("--start", t.promql.start, "draw a graph from then on: a time, or how long ago (1h)");
  promql->add_option("--end", t.promql.end, "until then; default: now");
  promql->add_option("--step", t.promql.step, "between two points; default: as the terminal is wide");
  take_connection(t, promql);
  auto* metrics = add(t, t.app, "metrics", "check rules", "caisson metrics test rules tests.yaml", nullptr);
  metrics->require_subcommand(1);
  auto* test = add(t, *metrics, "test", "run unit tests", "caisson metrics test rules tests.yaml", nullptr);
  test->require_subcommand(1);
  auto* rules = add(t, *test, "rules", "of recording and alerting rules, in promtool's format", "caisson metrics test rules tests.yaml",
                    [&t] { return command_metrics_test_rules(t.files); });
  rules->add_option("file", t.files)->required();
  auto* alert = add(t, t.app, "alert", "see, silence and test alerts", "caisson alert ls", nullptr);
  alert->require_subcommand(1);
  auto* ls = add(t, *alert, "ls", "list alerts", "caisson alert ls namespace=shop", [&t] { return done(command_alert_ls(t.global, t.alert)); });
  auto* silence = add(t, *alert, "silence", "keep alerts from being told, for a while", "caisson alert silence alertname=TargetDown job=web --duration 1h",
                      [&t] { return done(command_alert_silence(t.global, t.alert)); });
  silence->add_option("--duration", t.alert.duration, "how long")->capture_default_str();
  silence->add_option("--comment", t.alert.comment, "why");
  silence->add_option("--expire", t.alert.expire, "end the silence with this id");
  silence->add_flag("--list", t.alert.list, "list silences");
  auto* send = add(t, *alert, "test", "send an alert, to see whom it reaches", "caisson alert test TestAlert severity=critical", [&t] { return done(command_alert_test(t.global, t.alert)); });
  send->add_option("--duration", t.alert.duration, "until it ends by itself")->capture_default_str();
  auto* why = add(t, *alert, "why", "say which routes, timers, silences and inhibitions decide about an alert", "caisson alert why TargetDown job=web",
                  [&t] { return done(command_alert_why(t.global, t.alert)); });
  for (CLI::App* command : {ls, silence, send, why}) {
    command->add_option("matchers", t.alert.matchers, "NAME=VALUE of labels; a first word without = is the alert's name");
    take_connection(t, command);
  }
}

void add_other_commands(Tree& t) {
  // Only for the help: kustomize_commands.cc reads the arguments itself (see run_command_line).
  add(t, t.app, "kustomize", "render and edit Kustomize trees, with kustomize's sub-commands and flags", "caisson kustomize build overlays/dev",
      [] { return Result<int>(command_kustomize({})); });
  add(t, t.app, "helm", "render charts, with Helm's sub-commands and flags", "caisson helm template web ./chart -f values.yaml",
      [&t] { return done(command_helm({})); });
  add(t, t.app, "app", "Applications: list, get, diff, sync, wait, history, rollback, …", "caisson app sync web --prune",
      [&t] { return command_app(t.global, {"--help"}); });
  auto* policy = add(t, t.app, "policy", "check objects against policies", "caisson policy test policies/", nullptr);
  policy->require_subcommand(1);
  // Only for the help: policy_commands.cc reads the arguments itself (see run_command_line).
  add(t, *policy, "test", "run the kyverno-test.yaml files of folders", "caisson policy test policies/", [] { return command_policy({"test"}); });
  add(t, *policy, "apply", "apply policies to resource files", "caisson policy apply policy.yaml --resource pod.yaml", [] { return command_policy({"apply"}); });
  add(t, *policy, "jp", "JMESPath: query EXPRESSION -i FILE, function [NAME]", "caisson policy jp query 'length(@)' -i list.yaml", [] { return command_policy({"jp"}); });
  // The two processes of `up`; not for people.
  for (const char* role : {"server", "agent"}) {
    auto* process = add(t, t.app, role, "", "", [&t, role]() -> Result<int> {
      const platform::Instance instance = TRY(platform::load_instance(t.global.data_dir));
      log::set_process(role);
      return done(std::string_view(role) == "server" ? platform::run_server(instance) : platform::run_agent(instance));
    });
    process->group("");
  }
}

// A command line needs only the group of its command: making the whole tree takes as long as loading the program.
struct Group {
  std::string_view commands;
  void (*add)(Tree&);
};
constexpr Group kGroups[] = {
    {" up attach down preflight status version login git-credential ", add_platform_commands},
    {" describe rollout ", add_object_commands},
    {" logs exec timeline ", add_pod_commands},
    {" scan ", add_scan_commands},
    {" image build ", add_image_commands},
    {" promql metrics alert ", add_observe_commands},
    {" kustomize helm app policy server agent ", add_other_commands},
};

bool has_command(const Group& group, const std::string& word) { return group.commands.find(" " + word + " ") != std::string_view::npos; }

bool is_command(const std::string& word) {
  return std::any_of(std::begin(kGroups), std::end(kGroups), [&](const Group& group) { return has_command(group, word); });
}

std::string own_path() {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "caisson";
}

int finish(const Result<int>& result) {
  if (result.ok()) return *result;
  std::fprintf(stderr, "%s %s\n", paint("error:", kRed).c_str(), result.error().message.c_str());
  return 1;
}

// How many words before the command are flags of all commands, as in "--data-dir /x get pods", and their values.
std::size_t leading_flags(const std::vector<std::string>& words) {
  constexpr std::string_view kFlags[] = {"--data-dir", "--kubeconfig", "--context", "--namespace", "-n"};
  std::size_t at = 0;
  while (at < words.size()) {
    const std::string_view word = words[at], name = word.substr(0, word.find('='));
    if (std::find(std::begin(kFlags), std::end(kFlags), name) == std::end(kFlags)) break;
    at += word.size() > name.size() ? 1 : 2;
  }
  return std::min(at, words.size());
}

}  // namespace

int run_command_line(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  // Inside a build step's container this program is the executor.
  if (path_base(argv[0]) == "executor") return build::executor_main({argv + 1, argv + argc});
  const std::vector<std::string> words(argv + 1, argv + argc);
  const bool asks_help = std::find_if(words.begin(), words.end(), [](const auto& w) { return w == "--help" || w == "-h"; }) != words.end();
  // Run in loops by people and tools, with kustomize's own rules for flags: the tree need not be built for it.
  if (!words.empty() && words[0] == "kustomize") return command_kustomize({words.begin() + 1, words.end()});
  if (!words.empty() && words[0] == "helm") {
    const Result<void> result = command_helm({words.begin() + 1, words.end()});
    if (!result.ok()) std::fprintf(stderr, "Error: %s\n", result.error().message.c_str());
    return result.ok() ? 0 : 1;
  }
  const std::size_t flags = leading_flags(words);
  const std::vector<std::string> front(words.begin(), words.begin() + flags), rest(words.begin() + flags, words.end());
  if (is_logs_query(rest)) return finish(command_logs_query(rest, front));
  if (const kubectl::Command* command = kubectl::find_command(rest)) return kubectl::run_command(*command, rest, front);
  if (!rest.empty() && rest[0] == "app") {
    std::vector<std::string> arguments(rest.begin() + 1, rest.end());
    arguments.insert(arguments.end(), front.begin(), front.end());
    Global global;
    global.data_dir = default_data_dir();
    return finish(command_app(global, arguments));
  }
  if (words.size() >= 2 && words[0] == "policy" && !asks_help) return finish(command_policy({words.begin() + 1, words.end()}));
  Tree tree;
  tree.app.require_subcommand(1);
  tree.app.fallthrough();
  tree.app.add_option("--data-dir", tree.global.data_dir, "the platform's directory")->envname("CAISSON_DATA_DIR")->capture_default_str();
  tree.up.program = own_path();
  const bool named = !words.empty() && is_command(words[0]);
  if (!named && !words.empty() && !words[0].starts_with('-')) {
    std::fprintf(stderr, "%s there is no command '%s': 'caisson --help' lists them\n", paint("error:", kRed).c_str(), words[0].c_str());
    return 2;
  }
  for (const Group& group : kGroups) {
    if (!named || has_command(group, words[0])) group.add(tree);  // help, or a flag first: all of them
  }
  try {
    tree.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = tree.app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return finish(tree.action ? tree.action() : Result<int>(Error{ErrorCode::bad_request, "no command"}));
}

}  // namespace caisson::cli
