// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/server.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "cluster/schema/resource.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "observe/logs/api/deletions.h"
#include "observe/logs/api/query_api.h"
#include "observe/logs/api/tail.h"
#include "observe/logs/ingest/push.h"
#include "observe/logs/ruler.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

constexpr auto kMaintainEvery = std::chrono::minutes(5);
constexpr int kQueriesMax = 6;  // at once
constexpr std::string_view kApi = "/loki/api/v1/", kRules = "/loki/api/v1/rules", kDelete = "/loki/api/v1/delete";

Result<std::int64_t> period(const Value& value) {
  const std::int64_t ms = TRY(metrics::parse_duration(value.as_string()));
  constexpr std::int64_t kLeast = 3'600'000;
  if (ms != 0 && ms < kLeast) return Error{ErrorCode::bad_request, "a retention period is at least 1h"};
  return ms == 0 ? INT64_MAX / 4 : ms * 1'000'000;  // 0: for ever, up to the cap of size
}

// limits_config as far as it is read.
Result<Retention> read_retention(const Value& loki_yaml, Retention retention) {
  const Value& limits = loki_yaml["limits_config"];
  if (limits.contains("retention_period"))
    retention.period = TRY(period(limits["retention_period"]).in("retention_period"));
  for (const Value& one : limits["retention_stream"].items()) {
    RetentionRule rule;
    rule.matchers = TRY(logql::parse_matchers(one["selector"].as_string()).in("retention_stream"));
    rule.period = TRY(period(one["period"]).in("retention_stream"));
    rule.priority = static_cast<int>(one["priority"].as_int());
    retention.rules.push_back(std::move(rule));
  }
  return retention;
}

bool is_json(const http::Exchange& exchange) {
  return exchange.headers.get("Content-Type").starts_with("application/json");
}

}  // namespace

struct Server::Impl {
  ServerOptions options;
  metrics::ObjectLister list;
  Clock& clock;
  std::unique_ptr<Store> store;
  std::unique_ptr<Deletions> deletions;
  ApiOptions api;
  std::unique_ptr<Tails> tails;
  std::unique_ptr<ContainerLogs> containers;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // GUARDED_BY(mutex)
  std::thread thread;
  std::atomic<int> running{0};

  std::int64_t now() const { return clock.now().time_since_epoch().count(); }

  Result<void> configure(const std::string& text) {
    const Value document = TRY(yaml::read(text, {.name = "loki.yaml"}));
    Retention retention = TRY(read_retention(document, options.store.retention));
    deletions->configure(TRY(read_deletion_options(document)));
    store->set_retention(std::move(retention));
    return {};
  }

  void tend() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      changed.wait_for(lock, kMaintainEvery, [this] { return stopping; });
      if (stopping) return;
      lock.unlock();
      if (const auto done = store->maintain(); !done.ok()) log::warning("logs not tended", {{"error", done.error()}});
      if (const auto done = deletions->process(); !done.ok())
        log::warning("logs not deleted, trying again", {{"error", done.error()}});
      lock.lock();
    }
  }

  // Loki's way: what is taken is kept though something was refused, and the answer says why.
  http::Response answer_push(Result<Batch> batch, int success, std::string_view type) {
    if (!batch.ok()) return error_response(std::move(batch).error());
    const auto report = store->push(batch->streams);
    if (!report.ok()) return error_response(report.error());
    if (report->error) return error_response(*report->error);
    http::Response response{success, {}, ""};
    if (!type.empty()) response.headers.set("Content-Type", type);
    if (type == "application/json") response.body = "{}";
    return response;
  }

  Result<Batch> read_push(http::Exchange& exchange) {
    auto body = TRY(exchange.read_body(kBodyBytesMax));
    if (is_json(exchange))
      return read_push_json(TRY(unpack_body(std::move(body), exchange.headers.get("Content-Encoding"))));
    const std::string_view type = exchange.headers.get("Content-Type");
    if (!type.empty() && !type.starts_with("application/x-protobuf"))
      return Error{ErrorCode::unsupported_media_type,
                   "Content-Type \"" + std::string(type) + "\" is neither application/json nor application/x-protobuf"};
    // The protobuf body is snappy by itself; a Content-Encoding is around it.
    const std::string_view encoding = exchange.headers.get("Content-Encoding");
    if (!encoding.empty() && encoding != "snappy") body = TRY(unpack_body(std::move(body), encoding));
    return read_push_protobuf(TRY(unsnappy(body, kUnpackedBytesMax)));
  }

  Result<Batch> read_otlp(http::Exchange& exchange) {
    auto body = TRY(unpack_body(TRY(exchange.read_body(kBodyBytesMax)), exchange.headers.get("Content-Encoding")));
    return is_json(exchange) ? read_otlp_json(std::move(body), now()) : read_otlp_protobuf(std::move(body), now());
  }

  void handle(http::Exchange& exchange, std::string_view path, const http::Query& parameters) {
    const bool post = exchange.method == "POST";
    if (path == "/loki/api/v1/push" || path == "/api/prom/push") {
      if (!post) return exchange.respond(error_response({ErrorCode::method_not_allowed, "push is a POST"}));
      return exchange.respond(answer_push(read_push(exchange), 204, ""));
    }
    if (path == "/otlp/v1/logs") {
      if (!post) return exchange.respond(error_response({ErrorCode::method_not_allowed, "an export is a POST"}));
      return exchange.respond(
          answer_push(read_otlp(exchange), 200, is_json(exchange) ? "application/json" : "application/x-protobuf"));
    }
    if (path == "/ready" || path == "/loki/ready")
      return exchange.respond({200, {{"Content-Type", "text/plain; charset=utf-8"}}, "ready\n"});
    if (path == "/loki/api/v1/tail") {
      const auto opened = tails->open(exchange, parameters);
      if (!opened.ok()) exchange.respond(error_response(opened.error()));
      return;
    }
    if (path == kDelete) return exchange.respond(deletions->answer(exchange.method, parameters));
    if (path == kRules || path.starts_with(std::string(kRules) + "/")) {
      const auto groups = options.rules ? options.rules() : std::vector<metrics::GroupView>();
      return exchange.respond(answer_rules(groups, exchange.method, path.substr(kRules.size())));
    }
    if (!path.starts_with(kApi)) return exchange.respond(error_response({ErrorCode::not_found, "404 page not found"}));
    if (exchange.method != "GET" && !post)
      return exchange.respond(error_response({ErrorCode::method_not_allowed, "use GET or POST"}));
    // Queries are long, and share their threads with everything else that is asked of the platform.
    const auto place = std::unique_ptr<std::atomic<int>, void (*)(std::atomic<int>*)>(
        &running, [](std::atomic<int>* count) { --*count; });
    if (++running > kQueriesMax)
      return exchange.respond(error_response({ErrorCode::too_many_requests, "too many outstanding requests"}));
    exchange.respond(answer_query_api(*store, api, now(), path.substr(kApi.size()), parameters, exchange.headers));
  }
};

Result<std::unique_ptr<Server>> Server::open(ServerOptions options, metrics::ObjectLister list, Clock& clock) {
  auto impl = std::unique_ptr<Impl>(new Impl{std::move(options), std::move(list), clock});
  impl->store = TRY(Store::open(impl->options.directory, impl->options.store, clock));
  impl->deletions = TRY(Deletions::open(impl->options.directory + "/deletions.json", *impl->store, clock));
  impl->tails = std::make_unique<Tails>(*impl->store, clock);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::start() {
  Impl& it = *impl_;
  for (const kube::Object& map : it.list(schema::kConfigMaps)) {
    if (map.ns() != "caisson-system" || map.name() != "loki") continue;
    if (const auto read = it.configure(map["data"]["loki.yaml"].str()); !read.ok())
      log::warning("ConfigMap caisson-system/loki is not read", {{"error", read.error()}});
  }
  if (!it.options.agent_socket.empty()) {
    it.containers = std::make_unique<ContainerLogs>(
        *it.store, ContainerLogsOptions{
                       {.unix_socket = it.options.agent_socket}, it.options.node, [&it](const ContainerSource& source) {
                         return describe_container(it.list, source, it.options.node);
                       }});
    it.containers->start();
  }
  it.thread = std::thread([&it] { it.tend(); });
}

void Server::handle(const http::ExchangePtr& exchange, std::string_view path, const http::Query& parameters) {
  impl_->handle(*exchange, path, parameters);
}

Store& Server::store() {
  return *impl_->store;
}

std::vector<kube::Resource> Server::kinds() {
  return {schema::kPods,       schema::kReplicaSets, schema::kDeployments, schema::kStatefulSets,
          schema::kDaemonSets, schema::kJobs,        schema::kConfigMaps,  schema::kApplications};
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->containers.reset();
}

}  // namespace caisson::logs
