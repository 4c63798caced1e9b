// SPDX-License-Identifier: Apache-2.0
#include "main/platform/observe.h"

#include "cluster/kube/status.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/http/client.h"
#include "main/platform/tenants.h"
#include "main/platform/version.h"
#include "observe/alerts/server.h"
#include "observe/logs/ruler.h"
#include "observe/logs/server.h"
#include "observe/metrics/rules/recorded.h"
#include "observe/metrics/server.h"
#include "observe/metrics/sources/machine.h"
#include "observe/metrics/sources/own.h"
#include "observe/metrics/sources/requests.h"

namespace caisson::platform {
namespace {

constexpr std::size_t kFormBytesMax = 4u << 20, kWriteBytesMax = 32u << 20;
constexpr Duration kSyncTimeMax = std::chrono::seconds(30);       // at the start; then informers answer at once
constexpr std::string_view kKubeletMetrics = "/metrics/kubelet";  // on the agent's socket
constexpr std::string_view kRemoteWrite = "/prometheus/api/v1/write";
constexpr std::string_view kPrometheus = "/prometheus", kAlertmanager = "/alertmanager", kLoki = "/loki",
                           kOtlp = "/otlp";

bool is_below(std::string_view path, std::string_view mount) {
  return path.starts_with(mount) && (path.size() == mount.size() || path[mount.size()] == '/');
}

std::string token_of(const http::Exchange& exchange) {
  const std::string_view header = exchange.headers.get("Authorization");
  if (header.starts_with("Bearer ")) return std::string(header.substr(7));
  if (!header.starts_with("Basic ")) return "";
  const auto decoded = unbase64(header.substr(6));
  if (!decoded.ok()) return "";
  const auto colon = decoded->find(':');
  return colon == std::string::npos ? "" : decoded->substr(colon + 1);
}

// Reading by POST is how Grafana asks: the query is too long for a URL.
const char* verb_of(const http::Exchange& exchange) {
  const std::string_view path = exchange.path;
  if (exchange.method == "GET" || exchange.method == "HEAD") return "get";
  const bool reads = path.ends_with("/query") || path.ends_with("/query_range") || path.ends_with("/series") ||
                     path.ends_with("/labels") || path.ends_with("/query_exemplars") ||
                     path.ends_with("/format_query") || path.ends_with("/parse_query");
  const bool writes = path.ends_with("/push") || path.ends_with("/v1/logs") || path.ends_with("/delete");
  return exchange.method == "POST" && (reads || (path.starts_with(kLoki) && !writes)) ? "get" : "update";
}

// `path` is what is asked for: below /tenants/<name> when the request is of a tenant.
Result<void> authorize(kube::Client& client, const http::Exchange& exchange, const std::string& path) {
  const std::string token = token_of(exchange);
  if (token.empty())
    return Error{ErrorCode::unauthorized, "send a bearer token, or the token as the password of Basic credentials"};
  kube::Object review = kube::Object::make(schema::kTokenReviews, "", "");
  review.edit({"spec", "token"}) = Value(token);
  const kube::Object known = TRY(client.create(review));
  if (!known.status()["authenticated"].as_bool())
    return Error{ErrorCode::unauthorized, "these credentials are not known here"};
  const Value& user = known.status()["user"];
  kube::Object access = kube::Object::make(schema::kSubjectAccessReviews, "", "");
  access.edit({"spec"}) = Value{{"user", user["username"]},
                                {"groups", user["groups"]},
                                {"nonResourceAttributes", Value{{"path", path}, {"verb", verb_of(exchange)}}}};
  const kube::Object answer = TRY(client.create(access));
  if (answer.status()["allowed"].as_bool()) return {};
  return Error{ErrorCode::forbidden, user["username"].str() + " may not " + verb_of(exchange) + " " + path};
}

void refuse(http::Exchange& exchange, const Error& error) {
  const int status = kube::http_status(error.code);
  http::Response response{status, {{"Content-Type", "application/json"}}, ""};
  if (status == 401) response.headers.set("WWW-Authenticate", "Basic realm=\"caisson\"");
  response.body = json::write(
      Value{{"status", "error"}, {"errorType", status == 401 ? "unauthorized" : "bad_data"}, {"error", error.message}});
  exchange.respond(std::move(response));
}

Result<http::Query> parameters_of(http::Exchange& exchange) {
  http::Query parameters = exchange.query;
  if (!exchange.headers.get("Content-Type").starts_with("application/x-www-form-urlencoded")) return parameters;
  const std::string body = TRY(exchange.read_body(kFormBytesMax));
  const http::Query form = http::parse_query(replace_all(body, "+", "%20"));
  parameters.insert(parameters.begin(), form.begin(), form.end());
  return parameters;
}

// What the agent says on its socket, as samples. `path` is also what a kubelet would serve them under.
metrics::Source agent_source(const NodePlace& node, const std::string& job, const std::string& path) {
  std::vector<metrics::Label> labels{{"job", job}, {"instance", node.name}, {"node", node.name}};
  if (job == "kubelet") labels.push_back({"metrics_path", path == kKubeletMetrics ? "/metrics" : path});
  const auto client = std::make_shared<http::Client>(http::ClientOptions{.unix_socket = node.socket});
  return {job, "agent:" + (node.first ? "" : node.name) + path, metrics::Labels::from(std::move(labels)), 15'000,
          [client, path]() -> Result<metrics::Exposition> {
            http::Request request;
            request.url = "http://unix" + path;
            request.time_max = std::chrono::seconds(10);
            const http::Response response = TRY(client->send(request));
            if (response.status != 200)
              return Error{ErrorCode::unavailable, "the agent answered " + std::to_string(response.status)};
            return metrics::parse_text(response.body);
          }};
}

// Where the volume lies that a pod claims by `volume`; empty when it is not bound, or lies elsewhere than on this host.
std::string claimed_path(kube::Client& client, const kube::Object& pod, const std::string& volume) {
  for (const Value& one : pod.spec()["volumes"].items()) {
    if (one["name"].as_string() != volume) continue;
    const auto claim =
        client.get(schema::kPersistentVolumeClaims, {pod.ns(), one["persistentVolumeClaim"]["claimName"].str()});
    if (!claim.ok() || claim->spec()["volumeName"].as_string().empty()) return "";
    const kube::Resource volumes{"", "v1", "PersistentVolume", "persistentvolumes", false};
    const auto bound = client.get(volumes, {"", claim->spec()["volumeName"].str()});
    if (!bound.ok()) return "";
    const Value& local = bound->spec()["local"]["path"];
    return local.is_null() ? bound->spec()["hostPath"]["path"].str() : local.str();
  }
  return "";
}

}  // namespace

struct Observability::Impl {
  kube::Runtime& runtime;
  std::string external_url;
  metrics::RequestMetrics requests;
  std::unique_ptr<alerts::Server> alerts;  // before what tells it
  std::unique_ptr<logs::Server> logs;      // before the rules that ask it
  std::unique_ptr<metrics::Server> metrics;
  std::unique_ptr<Tenants> tenants;

  void answer(const http::ExchangePtr& exchange) {
    // Alerts and silences are the platform's, whoever asks.
    const bool of_all = is_below(exchange->path, kAlertmanager);
    const auto tenant = of_all ? Result<std::string>(std::string()) : tenants->name_of(exchange->headers);
    if (!tenant.ok()) {  // which names there are is for those who may ask at all
      const auto known = authorize(runtime.client(), *exchange, exchange->path);
      return refuse(*exchange, known.ok() ? tenant.error() : known.error());
    }
    const std::string asked = tenant->empty() ? exchange->path : "/tenants/" + *tenant + exchange->path;
    const auto allowed = authorize(runtime.client(), *exchange, asked);
    if (!allowed.ok()) return refuse(*exchange, allowed.error());
    if (!tenant->empty()) return answer_tenant(exchange, *tenant);
    const std::string_view path = exchange->path;
    if (is_below(path, kAlertmanager)) return alerts->handle(exchange, path.substr(kAlertmanager.size()));
    if (path == kRemoteWrite)
      return write(*exchange, [&](std::string_view body) { return metrics->write(exchange->headers, body); });
    const auto parameters = parameters_of(*exchange);
    if (!parameters.ok()) return refuse(*exchange, parameters.error());
    if (is_below(path, kLoki) || is_below(path, kOtlp)) return logs->handle(exchange, path, *parameters);
    exchange->respond(metrics->answer(exchange->method, path.substr(kPrometheus.size()), *parameters));
  }

  void answer_tenant(const http::ExchangePtr& exchange, const std::string& name) {
    const auto tenant = tenants->open(name);
    if (!tenant.ok()) return refuse(*exchange, tenant.error());
    metrics::Tenant& samples = *(*tenant)->metrics;
    const std::string_view path = exchange->path;
    if (path == kRemoteWrite)
      return write(*exchange, [&](std::string_view body) { return samples.write(exchange->headers, body); });
    const auto parameters = parameters_of(*exchange);
    if (!parameters.ok()) return refuse(*exchange, parameters.error());
    if (is_below(path, kPrometheus))
      return exchange->respond(samples.answer(path.substr(kPrometheus.size()), *parameters));
    (*tenant)->logs->handle(exchange, path, *parameters);
  }

  template <class Write>
  void write(http::Exchange& exchange, Write write_body) {
    if (exchange.method != "POST") return exchange.respond({405, {{"Allow", "POST"}}, "remote write wants POST\n"});
    const auto body = exchange.read_body(kWriteBytesMax);
    if (!body.ok()) return refuse(exchange, body.error());
    exchange.respond(write_body(*body));
  }
};

Observability::Observability(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Observability::~Observability() = default;

Result<std::unique_ptr<Observability>> Observability::open(const Instance& instance, kube::Runtime& runtime) {
  const std::string portal = "http://localhost:" + std::to_string(instance.settings.ports.portal);
  auto impl = std::unique_ptr<Impl>(new Impl{runtime, portal});
  for (const kube::Resource& kind : metrics::Server::kinds()) runtime.informer(kind);
  for (const kube::Resource& kind : alerts::Server::kinds()) runtime.informer(kind);
  for (const kube::Resource& kind : logs::Server::kinds()) runtime.informer(kind);
  const auto list = [&runtime](const kube::Resource& kind) {
    kube::Informer& informer = runtime.informer(kind);
    if (!informer.wait_synced(kSyncTimeMax)) log::warning("objects are not known yet", {{"kind", kind.kind}});
    return informer.list();
  };
  impl->alerts = TRY(
      alerts::Server::open({.directory = instance.path("metrics"), .external_url = portal + std::string(kAlertmanager)},
                           list, system_clock()));
  metrics::ServerOptions options;
  options.directory = instance.path("metrics");
  options.external_url = portal + std::string(kPrometheus);
  options.default_rules = TRY(alerts::default_rules());
  const std::vector<metrics::RuleGroup> recorded = TRY(metrics::recording_rules());
  options.default_rules.insert(options.default_rules.end(), recorded.begin(), recorded.end());
  Impl* own = impl.get();
  impl->logs = TRY(logs::Server::open({.directory = instance.path("loki"),
                                       .agent_socket = instance.path("run/agent.sock"),
                                       .node = instance.settings.node_name,
                                       .rules = [own] { return own->metrics->rule_groups("logql"); }},
                                      list, system_clock()));
  options.languages.push_back(logs::rule_language(impl->logs->store(), system_clock()));
  impl->metrics = TRY(metrics::Server::open(
      std::move(options), list, [own](std::vector<metrics::AlertNotice> notices) { own->alerts->receive(notices); },
      system_clock()));
  impl->tenants = std::make_unique<Tenants>(instance.path("metrics"), instance.path("loki"), list, system_clock());
  impl->metrics->add({"apiserver", "internal:apiserver",
                      metrics::Labels::from({{"job", "apiserver"}, {"instance", "caisson"}}), 15'000,
                      [own]() -> Result<metrics::Exposition> {
                        metrics::Families process;
                        metrics::process_state(process);
                        return metrics::joined(own->requests.read(), process.take());
                      }});
  impl->metrics->add({"caisson", "internal:caisson",
                      metrics::Labels::from({{"job", "caisson"}, {"instance", "caisson"}}), 15'000,
                      [own]() -> Result<metrics::Exposition> {
                        return metrics::own_state(own->runtime.metrics(), own->metrics->storage().stats(), kVersion);
                      }});
  for (const NodePlace& node : TRY(nodes_of(instance))) {
    impl->metrics->add(agent_source(node, "kubelet", "/metrics/cadvisor"));
    impl->metrics->add(agent_source(node, "kubelet", std::string(kKubeletMetrics)));
    if (node.first) impl->metrics->add(agent_source(node, "node-exporter", "/metrics/node"));  // they share the machine
  }
  return std::unique_ptr<Observability>(new Observability(std::move(impl)));
}

void Observability::start() {
  impl_->alerts->start();
  impl_->metrics->start();
  impl_->logs->start();
  impl_->tenants->start();
}

http::Handler Observability::mounted_before(http::Handler next) {
  return [this, next = std::move(next)](const http::ExchangePtr& exchange) {
    if (is_below(exchange->path, kPrometheus) || is_below(exchange->path, kAlertmanager) ||
        is_below(exchange->path, kLoki) || is_below(exchange->path, kOtlp))
      impl_->answer(exchange);
    else
      next(exchange);
  };
}

http::Handler Observability::metered(http::Handler next) {
  return impl_->requests.meter(std::move(next));
}

http::Handler with_machine_metrics(http::Handler next, kube::Runtime& runtime, const NodePlace& place) {
  kube::Informer& pods = runtime.informer(schema::kPods);
  return [next = std::move(next), &pods, &runtime, node = place.name,
          root = place.cgroup](const http::ExchangePtr& exchange) {
    const std::string& path = exchange->path;
    metrics::Exposition all;
    if (path == "/metrics/node") {
      all = metrics::node_usage();
    } else if (path == "/metrics/cadvisor") {
      const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(system_clock().now().time_since_epoch());
      all = metrics::container_usage(root, pods.list(), now.count());
    } else if (path == kKubeletMetrics) {
      all = metrics::kubelet_state(node, pods.list(), [&runtime](const kube::Object& pod, const std::string& volume) {
        return claimed_path(runtime.client(), pod, volume);
      });
    } else {
      return next(exchange);
    }
    exchange->respond({200, {{"Content-Type", "text/plain; version=0.0.4"}}, metrics::write_text(all)});
  };
}

}  // namespace caisson::platform
