// SPDX-License-Identifier: Apache-2.0
// The map of the server: declaration order is start order; C++ destroys in reverse.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "artifact/content/blob_store.h"
#include "artifact/content/tag_index.h"
#include "artifact/registry/registry.h"
#include "artifact/scan/scans.h"
#include "cluster/apiserver/api_server.h"
#include "cluster/controllers/controllers.h"
#include "cluster/kube/reconciler.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/worker_pool.h"
#include "core/document/yaml.h"
#include "core/http/server.h"
#include "delivery/git/git_server.h"
#include "delivery/git/repositories.h"
#include "delivery/gitops/gitops.h"
#include "delivery/gitops/logins.h"
#include "delivery/gitops/project_rights.h"
#include "delivery/gitops/webhook.h"
#include "delivery/pipeline/pipeline.h"
#include "main/platform/agent_link.h"
#include "main/platform/images.h"
#include "main/platform/images_upstreams.h"
#include "main/platform/nodes.h"
#include "main/platform/observe.h"
#include "main/platform/portal.h"
#include "main/platform/process_role.h"
#include "main/platform/system_objects.h"
#include "main/platform/up.h"
#include "security/policy/admission_plugin.h"
#include "security/policy/background.h"
#include "security/policy/cleanup.h"
#include "security/policy/registry_images.h"
#include "security/policy/verdict.h"

namespace caisson::platform {
namespace {

// What is on record, and users of an identity provider: files that caisson.yaml names.
Result<void> read_api_files(const Instance& instance, apiserver::ApiServerOptions& options) {
  const auto document = [](const std::string& path) -> Result<Value> {
    const std::string text = TRY(read_file(path, 1 << 20));
    return yaml::read(text, {.name = path});
  };
  const Settings& settings = instance.settings;
  if (settings.audit_policy != "none") options.audit.path = instance.path("audit/audit.log");
  if (!settings.audit_policy.empty() && settings.audit_policy != "none")
    options.audit.policy = TRY(document(settings.audit_policy).in("auditPolicy"));
  if (!settings.authentication_config.empty())
    options.authentication = TRY(document(settings.authentication_config).in("authenticationConfig"));
  return {};
}

apiserver::ApiServerOptions api_options(const Instance& instance, std::string ca_pem, SecretBytes key) {
  apiserver::ApiServerOptions options;
  options.service_account_key_pem = std::move(key);
  options.ca_pem = std::move(ca_pem);
  options.service_cidr = instance.settings.service_cidr;
  options.advertise_address = instance.settings.listen;
  options.node_name = instance.settings.node_name;
  options.node_proxy = [instance](const std::string& node) -> Result<http::ClientOptions> {
    const NodePlace place = TRY(find_node(instance, node));
    return http::ClientOptions{.unix_socket = place.socket};
  };
  return options;
}

git::RepositoriesOptions repository_options(const Instance& instance) {
  const std::string port = std::to_string(instance.settings.ports.portal);
  return {.directory = instance.path("git"),
          .mirrors = instance.path("git/.mirrors"),
          .own_hosts = {"localhost:" + port, "127.0.0.1:" + port, instance.settings.listen + ":" + port,
                        "git.caisson-system.svc", "git.caisson-system.svc.cluster.local", "git.caisson-system"}};
}

// The scan of what was pushed, and the span of the push: the manifest's way, as layers built here are there already.
std::function<void(const registry::Pushed&)> tell_push(SpanSink& spans, scan::Scans& scans) {
  return [&spans, &scans](const registry::Pushed& push) {
    if (!push.tag.empty()) scans.changed(push.repository, push.tag);
    const TraceContext parent = TraceContext::parse(push.traceparent);
    if (parent.empty()) return;
    Span span;
    span.context = parent.child("registry push " + push.repository + push.digest.str());
    span.parent_span_id = parent.span_id;
    span.name = "registry push";
    span.component = "registry";
    span.end = system_clock().now();
    span.start = span.end - push.took;
    span.attributes = {{"repository", push.repository}, {"tag", push.tag}, {"digest", push.digest.str()}};
    spans.record(std::move(span));
  };
}

// What policies would say of the objects of an Application.
gitops::PreSyncVerdict pre_sync_verdict(const policy::Verdict& verdict) {
  return {[&verdict] { return verdict.generation(); },
          [&verdict](const Value& object) {
            std::vector<gitops::ForeseenViolation> out;
            for (policy::ForeseenViolation& one : verdict.of(object))
              out.push_back({std::move(one.policy), std::move(one.rule), std::move(one.message), one.enforced});
            return out;
          }};
}

// A node beside the first has a socket of its own, whose other end only root can open: that node's agent.
http::Handler as_node(const std::string& name, http::Handler handler) {
  return [name, handler = std::move(handler)](const http::ExchangePtr& exchange) {
    if (exchange->peer.unix_uid == 0) {
      exchange->peer.certificate_common_name = "system:node:" + name;
      exchange->peer.certificate_organizations = {"system:nodes", "caisson:agents"};
    }
    handler(exchange);
  };
}

}  // namespace

Result<void> run_server(const Instance& instance) {
  ProcessRole role = TRY(ProcessRole::enter());
  const std::string ca_pem = TRY(read_file(instance.path("pki/ca.crt")));
  http::KeyPair signer;
  signer.certificate_pem = TRY(read_file(instance.path("pki/signer.crt")));
  signer.key_pem = SecretBytes(TRY(read_file(instance.path("pki/signer.key"))));
  const http::TlsOptions tls{TRY(read_file(instance.path("pki/server.crt"))),
                             TRY(read_file(instance.path("pki/server.key"))), ca_pem + signer.certificate_pem};
  SecretBytes service_account_key(TRY(read_file(instance.path("pki/service-account.key"))));
  const Ports& ports = instance.settings.ports;

  // --- cluster
  auto store = TRY(store::Store::open(instance.path("store/store.db"), system_clock()));
  schema::Schema schema = TRY(schema::Schema::built_in());
  // Policies and the rights of projects ask the server that they are part of: its client is there once it is.
  const auto policies = std::make_shared<policy::Policies>();
  std::atomic<kube::Client*> own_client = nullptr;
  std::atomic<const policy::ImageSource*> policies_images = nullptr;
  const auto notices = std::make_shared<policy::Notices>();
  const auto deadlines = std::make_shared<policy::Deadlines>();
  apiserver::ApiServerOptions options = api_options(instance, ca_pem, std::move(service_account_key));
  TRY(read_api_files(instance, options));
  options.admission.push_back(
      policy::make_policy_admission({.policies = policies,
                                     .client = [&own_client] { return own_client.load(); },
                                     .images = [&policies_images] { return policies_images.load(); },
                                     .notices = notices,
                                     .deadlines = deadlines}));
  options.access.push_back(gitops::make_project_rights({.client = [&own_client] { return own_client.load(); }}));
  auto api = TRY(apiserver::ApiServer::open(*store, schema, std::move(options)));
  const auto client = api->client({.name = "system:caisson", .groups = {"system:masters"}});
  own_client = client.get();
  TRY(policies->load(*client));
  TRY(ensure_system_objects(*client, instance));
  // The runtime ends first, then the workers: what they borrow stands above them.
  content::BlobStore blobs = TRY(content::BlobStore::open(instance.path("content")));
  content::TagIndex tags = TRY(content::TagIndex::open(instance.path("content")));
  const auto images = policy::make_registry_images({.blobs = &blobs, .tags = &tags, .names = registry_names(instance)});
  policies_images = images.get();
  const auto layers = make_agent_layers(instance.path("run/agent.sock"));
  scan::AdvisoryStore advisories = TRY(scan::AdvisoryStore::open(instance.path("scan/advisories.db")));
  const auto spans = kube::make_span_recorder(*client);
  git::RepositoriesOptions reading = repository_options(instance);
  reading.logins = [&client](const std::string& url) { return gitops::git_login(*client, "argocd", url); };
  git::Repositories repositories(std::move(reading));
  // Of Tekton's git resolver: no logins of the platform, and mirrors of its own.
  git::RepositoriesOptions of_runs = repository_options(instance);
  of_runs.mirrors = instance.path("git/.mirrors-of-runs");
  const git::Repositories repositories_of_runs(std::move(of_runs));
  WorkerPool workers("worker", 4), deliverers("gitops", gitops::kGitopsThreads);
  http::Server listeners = TRY(http::Server::start({.connections_max = 2'000, .workers = 8}));  // of Tekton's events
  const policy::Verdict verdict(policies, *client, {"system:caisson", "", {"system:masters"}, {}, {}, true});
  kube::Runtime runtime(*client, system_clock(), {.threads = 6, .crash_file = instance.path("run/server.running")});
  controllers::add_controllers(
      runtime, {.ca_pem = ca_pem,
                .volumes_root = instance.path("volumes"),
                .spans = spans.get(),
                .signer = signer,
                .node_grace = TRY(parse_duration(instance.settings.node_monitor_grace).in("nodeMonitorGracePeriod")),
                .schema = &schema});

  policy::add_policies(runtime, {.policies = policies, .images = images.get(), .notices = notices});
  policy::add_cleanup(runtime, {.deadlines = deadlines, .images = images.get()});
  policy::add_notices(runtime, {.notices = notices, .workers = &workers});

  // --- delivery
  git::GitServer git(*client, *spans, system_clock(),
                     {.directory = instance.path("git"), .url = "http://localhost:" + std::to_string(ports.portal)});
  git.add_reconciler(runtime);
  pipeline::add_pipeline(
      runtime, {.spans = spans.get(),
                .up_since = system_clock().now(),
                .portal_url = "http://localhost:" + std::to_string(ports.portal),
                .listen =
                    [&](http::Handler handler, const http::TlsOptions* tls_of_listener) {
                      return listeners.listen(instance.node_address(), 0, std::move(handler), tls_of_listener, true);
                    },
                .stop_listening = [&](int port) { listeners.stop_listening(instance.node_address(), port); },
                .node_address = instance.node_address(),
                .repositories = &repositories_of_runs});
  gitops::add_gitops(runtime, {.repositories = repositories,
                               .workers = deliverers,
                               .spans = *spans,
                               .schema = schema,
                               .own_registry = {&blobs, &tags, {.port = ports.registry}},
                               .verdict = pre_sync_verdict(verdict)});

  // --- observability
  const auto observe = TRY(Observability::open(instance, runtime));

  // --- artifacts
  const auto scans = TRY(scan::add_scans(runtime, {.blobs = blobs,
                                                   .tags = tags,
                                                   .layers = layers.get(),
                                                   .advisories = advisories,
                                                   .workers = workers,
                                                   .names = registry_names(instance),
                                                   .cache_dir = instance.path("scan")}));
  const http::Handler registry = registry::make_registry(
      {.blobs = blobs,
       .tags = tags,
       .layers = layers.get(),
       .authorize = make_registry_rights(*client),
       .rules = make_registry_rules(*client),
       .upstream = make_registry_upstreams(*client),
       .on_push = tell_push(*spans, *scans),
       .on_remove = [&scans](std::string_view repository, std::string_view tag) { scans->changed(repository, tag); }});
  const http::Handler hooks = [&client](const http::ExchangePtr& exchange) {
    pipeline::handle_hook(*client, exchange);
  };
  const http::Handler pages = make_portal(git, hooks, make_build_logs(*client, instance.path("run/agent.sock")));
  const http::Handler portal = observe->mounted_before([&client, pages](const http::ExchangePtr& exchange) {
    if (exchange->path == "/api/webhook")
      gitops::handle_webhook(*client, "argocd", exchange);  // where Argo CD has it
    else
      pages(exchange);
  });
  const http::Handler api_handler =
      observe->mounted_before(observe->metered([&api](const http::ExchangePtr& exchange) { api->handle(exchange); }));
  const http::ShortTest is_short = [&api](const http::Exchange& exchange) { return api->is_short(exchange); };

  // --- listeners: the agent's socket, loopback for people, the node's address (which the agent makes later) for pods
  http::Server server = TRY(http::Server::start({}));
  for (const NodePlace& place : TRY(nodes_of(instance)))
    TRY(server.listen_unix(place.api_socket, place.first ? api_handler : as_node(place.name, api_handler), 0660,
                           is_short));
  TRY(server.listen(instance.settings.listen, ports.api, api_handler, &tls, false, is_short));
  const bool loopback = instance.settings.listen.starts_with("127.");  // off loopback every listener speaks TLS only
  TRY(server.listen(instance.settings.listen, ports.portal, portal, loopback ? nullptr : &tls));
  TRY(server.listen(instance.settings.listen, ports.registry, registry, loopback ? nullptr : &tls));
  TRY(server.listen(instance.node_address(), kNodeApiPort, api_handler, &tls, true, is_short));
  TRY(server.listen(instance.node_address(), kNodePortalPort, portal, &tls, true));
  TRY(server.listen(instance.node_address(), kNodeRegistryPort, registry, &tls, true));
  runtime.start();
  observe->start();
  log::info("server started", {{"data_dir", instance.settings.data_dir}, {"api_port", ports.api}});
  role.wait_for_end();
  return {};
}

}  // namespace caisson::platform
