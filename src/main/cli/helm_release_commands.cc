// SPDX-License-Identifier: Apache-2.0
// helm install, upgrade, rollback, uninstall, test, diff.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <thread>

#include "cluster/kube/status.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/patch.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/go_text.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

Result<Value> look_up(kube::Client& client, std::string_view api_version, std::string_view kind, std::string_view ns,
                      std::string_view name) {
  const kube::Resource resource = TRY(client.resource_for(api_version, kind));
  if (!name.empty()) {
    const kube::Object object =
        TRY(client.get(resource, {resource.namespaced ? std::string(ns) : std::string(), std::string(name)}));
    return object.value();
  }
  kube::ListOptions options;
  options.ns = ns;
  Value items = Value::list();
  const kube::ObjectList list = TRY(client.list(resource, options));
  for (const kube::Object& object : list.items) items.push_back(object.value());
  return Value{{"apiVersion", api_version}, {"kind", std::string(kind) + "List"}, {"items", std::move(items)}};
}

Result<kube::Propagation> propagation_of(const std::string& cascade) {
  if (cascade == "background") return kube::Propagation::background;
  if (cascade == "foreground") return kube::Propagation::foreground;
  if (cascade == "orphan") return kube::Propagation::orphan;
  return Error{ErrorCode::bad_request,
               "invalid cascade value (" + cascade + "). Must be \"background\", \"foreground\", or \"orphan\""};
}

// What one command works with; the schema is there for three-way merges.
struct Work {
  HelmSession session;
  schema::Schema schema;
  ActionOptions options;
  Actions actions() {
    return Actions(Cluster(*session.session.client, &schema, system_clock(),
                           [](Duration pause) { std::this_thread::sleep_for(pause); }),
                   session.ns());
  }
};

Result<Work> prepare_work(const Flags& flags) {
  auto session = TRY(connect_helm(flags));
  auto built_in = TRY(schema::Schema::built_in());
  Work work{std::move(session), std::move(built_in), {}};
  ActionOptions& options = work.options;
  options.ns = work.session.ns();
  options.description = flags.text("description");
  const DryRun dry_run = TRY(dry_run_of(flags));
  options.dry_run = dry_run != DryRun::none;
  if (flags.is_set("hide-secret") && !options.dry_run)
    return Error{ErrorCode::bad_request, "Hiding Kubernetes secrets requires a dry-run mode"};
  options.no_hooks = flags.is_set("no-hooks");
  options.atomic = flags.is_set("atomic");
  options.wait = flags.is_set("wait") || options.atomic;
  options.wait_for_jobs = flags.is_set("wait-for-jobs");
  options.force = flags.is_set("force");
  options.timeout = TRY(parse_duration(flags.text("timeout", "5m")).in("--timeout"));
  options.create_namespace = flags.is_set("create-namespace");
  options.replace = flags.is_set("replace");
  options.skip_crds = flags.is_set("skip-crds");
  options.take_ownership = flags.is_set("take-ownership");
  options.reset_values = flags.is_set("reset-values");
  options.reuse_values = flags.is_set("reuse-values");
  options.reset_then_reuse_values = flags.is_set("reset-then-reuse-values");
  options.cleanup_on_fail = flags.is_set("cleanup-on-fail");
  options.keep_history = flags.is_set("keep-history");
  options.ignore_not_found = flags.is_set("ignore-not-found");
  options.cascade = TRY(propagation_of(flags.text("cascade", "background")));
  for (const std::string& filter : flags.all("filter")) {
    if (filter.starts_with("name=")) options.tests.push_back(filter.substr(5));
    if (filter.starts_with("!name=")) options.tests.push_back("!" + filter.substr(6));
  }
  options.history_max =
      static_cast<std::size_t>(std::max<std::int64_t>(0, parse_int(flags.text("history-max", "10")).value_or(10)));
  for (const std::string& label : flags.all("labels")) {
    const std::size_t equal = label.find('=');
    if (equal == std::string::npos)
      return Error{ErrorCode::bad_request, "--labels: " + go_quote(label) + " is not KEY=VALUE"};
    options.labels[label.substr(0, equal)] = label.substr(equal + 1);
  }
  options.render = helm_render_options(flags);
  return work;
}

// .Capabilities from the cluster, and lookup unless the dry run is the client's.
Result<void> use_cluster_as_asked(Work& work, const Flags& flags) {
  TRY(use_cluster(work.session, work.options.render));
  if (TRY(dry_run_of(flags)) == DryRun::client) work.options.render.engine.lookup = nullptr;
  return {};
}

// --hide-secret: what a dry run shows of Secrets.
void hide_secrets(Release& release) {
  std::string shown;
  for (const std::string& document : split_manifests(release.manifest)) {
    const auto object = read_yaml(document, false);
    const bool is_secret = !object.ok() || ((*object)["kind"].scalar_text() == "Secret" &&
                                            (*object)["apiVersion"].scalar_text() == "v1");  // when in doubt, hidden
    const std::string source = document.substr(0, document.find('\n'));
    shown += "---\n" + (is_secret ? source + "\n# HIDDEN: The Secret output has been suppressed" : document) + "\n";
  }
  release.manifest = std::move(shown);
}

// The logs of the pods that tests ran in.
Result<void> print_test_logs(const HelmSession& session, const Release& release) {
  for (const ReleaseHook& hook : release.hooks) {
    if (!hook.hook.has_event("test") || hook.phase.empty()) continue;
    const std::string path = "/api/v1/namespaces/" + release.ns + "/pods/" + hook.hook.name + "/log";
    const auto answer = TRY(session.get(path).in("unable to get pod logs for " + hook.hook.name));
    TRY(write_all(STDOUT_FILENO, "POD LOGS: " + hook.hook.name + "\n" + answer.body + "\n"));
  }
  return {};
}

ReleaseView view_of(const Flags& flags) {
  return {flags.is_set("hide-notes"), false, flags.text("output", "table"), flags.is_set("debug")};
}

Result<void> print_done(Release release, const Flags& flags) {
  if (flags.is_set("hide-secret")) hide_secrets(release);
  return print_release(release, view_of(flags));
}

Result<Chart> chart_to_install(const std::string& path, const Flags& flags) {
  Chart chart = TRY(load_helm_chart(path, flags));
  TRY(check_installable(chart));
  if (chart.metadata.deprecated) std::fprintf(stderr, "WARNING: This chart is deprecated\n");
  return chart;
}

Result<void> run_install(Work& work, const NameAndChart& target, const Flags& flags) {
  work.options.name = target.name;
  const Value values = TRY(helm_values(flags));
  const Chart chart = TRY(chart_to_install(target.chart, flags));
  TRY(use_cluster_as_asked(work, flags));
  Actions actions = work.actions();
  const auto release = actions.install(chart, values, work.options);
  print_helm_warnings(actions.warnings);
  if (!release.ok()) return Error(release.error()).in("INSTALLATION FAILED");
  return print_done(*release, flags);
}

}  // namespace

namespace {

// The address stays what it is, but its certificate is to be of `name`.
Result<void> check_certificate_for(const std::string& name, kube::Connection& connection) {
  const http::Url url = TRY(http::Url::parse(connection.server));
  constexpr int kHttpsPort = 443;
  connection.http.connect_host = url.host;
  connection.http.connect_port = url.port == 0 ? kHttpsPort : url.port;
  connection.server = url.scheme + "://" + name + ":" + std::to_string(connection.http.connect_port) + url.path;
  return {};
}

}  // namespace

Result<DryRun> dry_run_of(const Flags& flags) {
  const std::string mode = flags.has("dry-run") ? flags.text("dry-run") : "none";
  if (mode == "none" || mode == "false") return DryRun::none;
  if (mode == "server") return DryRun::server;
  if (mode == "client" || mode == "true") return DryRun::client;
  return Error{ErrorCode::bad_request,
               "Invalid dry-run flag. Flag must one of the following: false, true, none, client, server"};
}

Result<HelmSession> connect_helm(const Flags& flags) {
  Global global;
  global.data_dir = default_data_dir();
  global.kubeconfig = flags.text("kubeconfig");
  global.context = flags.text("kube-context");
  global.ns = flags.text("namespace");
  kube::Impersonation as{flags.text("kube-as-user"), flags.all("kube-as-group")};
  if (as.user.empty() && !as.empty()) {
    return Error{
        ErrorCode::bad_request,
        "Kubernetes cluster unreachable: invalid configuration: requesting groups without impersonating a user: "
        "--kube-as-group needs --kube-as-user"};
  }
  Session session = TRY(connect(global).in("Kubernetes cluster unreachable"));
  kube::Connection& connection = session.connection;
  connection.server = flags.text("kube-apiserver", connection.server);
  if (flags.has("kube-ca-file")) connection.http.ca_pem = TRY(read_file(flags.text("kube-ca-file")));
  if (flags.is_set("kube-insecure-skip-tls-verify")) connection.http.verify = false;
  if (flags.has("kube-token")) {
    connection.token = flags.text("kube-token");
    connection.http.certificate_pem = connection.http.key_pem = "";
  }
  if (flags.has("kube-tls-server-name")) TRY(check_certificate_for(flags.text("kube-tls-server-name"), connection));
  session.client = kube::make_http_client(connection, as);
  return HelmSession{std::move(session), std::move(as)};
}

Result<http::Response> HelmSession::get(const std::string& path, std::string_view accept) const {
  http::Request request = session.request("GET", path);
  request.headers.set("Accept", accept);
  as.add_to(request.headers);
  const http::Client http(session.connection.http);
  http::Response response = TRY(http.send(request));
  if (response.status >= 400) return kube::error_from_response(response.status, response.body);
  return response;
}

Result<void> use_cluster(const HelmSession& session, RenderOptions& options) {
  const http::Response answer = TRY(session.get("/version").in("Kubernetes cluster unreachable"));
  const Value version = TRY(json::parse(answer.body));
  options.capabilities.kube_version = {version["gitVersion"].str(), version["major"].str(), version["minor"].str()};
  kube::Client& client = *session.session.client;
  options.capabilities.api_versions.clear();
  std::set<std::string> versions;
  for (const kube::Resource& resource : TRY(client.resources().in("could not get apiVersions from Kubernetes"))) {
    versions.insert(resource.api_version());
    versions.insert(resource.api_version() + "/" + resource.kind);
  }
  options.capabilities.api_versions.assign(versions.begin(), versions.end());
  options.engine.lookup = [&client](std::string_view api_version, std::string_view kind, std::string_view ns,
                                    std::string_view name) { return look_up(client, api_version, kind, ns, name); };
  return {};
}

Result<void> command_helm_install(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, SIZE_MAX, "install [NAME] [CHART] [flags]"));
  Work work = TRY(prepare_work(flags));
  return run_install(work, TRY(name_and_chart(flags, "")), flags);
}

Result<void> command_helm_upgrade(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 2, 2, "upgrade [RELEASE] [CHART] [flags]"));
  const NameAndChart target{flags.arguments()[0], flags.arguments()[1]};
  Work work = TRY(prepare_work(flags));
  work.options.name = target.name;
  Actions actions = work.actions();
  const bool as_table = flags.text("output", "table") == "table";
  if (flags.is_set("install")) {
    const auto history = TRY(actions.store().history(target.name));
    const bool there = !history.empty() && history.back().status != "uninstalled";
    if (!there) {
      if (as_table) std::printf("Release %s does not exist. Installing it now.\n", go_quote(target.name).c_str());
      std::fflush(stdout);
      work.options.replace = !history.empty();
      return run_install(work, target, flags);
    }
  }
  const Value values = TRY(helm_values(flags));
  Chart chart = TRY(chart_to_install(target.chart, flags));
  TRY(use_cluster_as_asked(work, flags));
  const auto release = actions.upgrade(std::move(chart), values, work.options);
  print_helm_warnings(actions.warnings);
  if (!release.ok()) return Error(release.error()).in("UPGRADE FAILED");
  if (as_table) std::printf("Release %s has been upgraded. Happy Helming!\n", go_quote(target.name).c_str());
  return print_done(*release, flags);
}

Result<void> command_helm_rollback(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, SIZE_MAX, "rollback <RELEASE> [REVISION] [flags]"));
  Work work = TRY(prepare_work(flags));
  work.options.name = flags.arguments()[0];
  std::int64_t version = 0;
  if (flags.arguments().size() > 1) {
    const auto given = parse_int(flags.arguments()[1]);
    if (!given) return Error{ErrorCode::bad_request, "could not convert revision to a number: " + flags.arguments()[1]};
    version = *given;
  }
  TRY(work.actions().rollback(version, work.options));
  std::printf("Rollback was a success! Happy Helming!\n");
  return {};
}

Result<void> command_helm_uninstall(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, SIZE_MAX, "uninstall RELEASE_NAME [...] [flags]"));
  Work work = TRY(prepare_work(flags));
  for (const std::string& name : flags.arguments()) {
    work.options.name = name;
    const Actions::Uninstalled done = TRY(work.actions().uninstall(work.options));
    if (!done.kept.empty())
      std::printf("These resources were kept due to the resource policy:\n%s\n", done.kept.c_str());
    std::printf("release %s uninstalled\n", go_quote(name).c_str());
  }
  return {};
}

Result<void> command_helm_test(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, 1, "test [RELEASE] [flags]"));
  Work work = TRY(prepare_work(flags));
  work.options.name = flags.arguments()[0];
  Actions actions = work.actions();
  const auto done = actions.test(work.options);
  const Release release = TRY(actions.find(work.options.name));
  TRY(print_release(release, {flags.is_set("hide-notes"), false, "", flags.is_set("debug")}));
  if (flags.is_set("logs")) TRY(print_test_logs(work.session, release));
  if (!done.ok()) return Error(done.error());
  return {};
}

// What an upgrade would change of the release's manifest.
Result<void> command_helm_diff(const Flags& flags) {
  std::vector<std::string> words = flags.arguments();
  if (!words.empty() && words[0] == "upgrade") words.erase(words.begin());
  if (words.size() != 2)
    return Error{ErrorCode::bad_request, "\"helm diff upgrade\" requires 2 arguments: RELEASE and CHART"};
  Work work = TRY(prepare_work(flags));
  work.options.name = words[0];
  work.options.dry_run = true;
  const Value values = TRY(helm_values(flags));
  Chart chart = TRY(chart_to_install(words[1], flags));
  TRY(use_cluster(work.session, work.options.render));
  Actions actions = work.actions();
  const Release before = TRY(actions.find(words[0]));
  const Release after = TRY(actions.upgrade(std::move(chart), values, work.options));
  const std::string diff =
      document::unified_diff(before.manifest, after.manifest, "revision " + std::to_string(before.version), "upgrade");
  for (const std::string_view line : split(diff, '\n')) {
    const char* const color = line.starts_with('+') ? kGreen : line.starts_with('-') ? kRed : nullptr;
    if (!line.empty()) std::printf("%s\n", (color == nullptr ? std::string(line) : paint(line, color)).c_str());
  }
  return {};
}

}  // namespace caisson::cli
