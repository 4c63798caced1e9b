// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/server.h"

#include <condition_variable>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/worker_pool.h"
#include "core/document/json.h"
#include "observe/alerts/api.h"

namespace caisson::alerts {
namespace {

constexpr std::size_t kBodyBytesMax = 8u << 20;

std::int64_t to_ms(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

const kube::Resource& configs() {
  static const kube::Resource kind{"monitoring.coreos.com", "v1alpha1", "AlertmanagerConfig", "alertmanagerconfigs"};
  return kind;
}

std::string decoded(const Value& base64_text) {
  auto bytes = unbase64(base64_text.as_string());
  return bytes.ok() ? std::move(bytes).value() : "";
}

}  // namespace

struct Server::Impl {
  ServerOptions options;
  metrics::ObjectLister list;
  Clock& clock;
  Manager manager{empty_config()};
  std::int64_t started_ms = 0;
  std::uint64_t saved_version = 0;  // the thread's own, as the two below
  std::int64_t refreshed_ms = 0;
  std::vector<std::string> problems;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // GUARDED_BY(mutex)
  bool woken = false;     // GUARDED_BY(mutex)
  std::optional<WorkerPool> senders;
  std::thread thread;

  std::int64_t now() const { return to_ms(clock.now()); }
  std::string file() const { return options.directory + "/notified.json"; }

  void wake() {
    const std::lock_guard lock(mutex);
    woken = true;
    changed.notify_all();
  }

  void load() {
    if (!exists(file())) return;
    const auto text = read_file(file());
    const auto state = text.ok() ? json::parse(*text) : Result<Value>(text.error());
    if (state.ok())
      manager.restore(*state, now());
    else
      log::warning("silences and notices not read", {{"file", file()}, {"error", state.error()}});
    saved_version = manager.version();
  }

  void save() {
    const std::uint64_t version = manager.version();
    if (version == saved_version) return;
    const auto written = write_file(file(), json::write(manager.state()), 0640);
    if (written.ok())
      saved_version = version;
    else
      log::warning("silences and notices not written", {{"error", written.error()}});
  }

  Result<Config> own_config(const std::vector<kube::Object>& secrets) {
    for (const kube::Object& secret : secrets) {
      if (secret.ns() != "caisson-system" || secret.name() != "alertmanager") continue;
      std::vector<std::string> templates;
      for (const auto& entry : secret["data"].entries())
        if (entry.key.ends_with(".tmpl")) templates.push_back(decoded(entry.value));
      return parse_config(decoded(secret["data"]["alertmanager.yaml"]), std::move(templates))
          .in("Secret caisson-system/alertmanager");
    }
    return empty_config();
  }

  void refresh() {
    refreshed_ms = now();
    const auto secrets = list(schema::kSecrets);
    std::vector<std::string> found;
    auto config = own_config(secrets);
    const SecretReader secret_of = [&](const std::string& ns, const Value& selector) {
      for (const kube::Object& secret : secrets)
        if (secret.ns() == ns && secret.name() == selector["name"].as_string())
          return decoded(secret["data"][selector["key"].as_string()]);
      return std::string();
    };
    if (!config.ok()) {
      found.push_back(config.error().message);
    } else {
      Config all = std::move(config).value();
      for (const kube::Object& object : list(configs()))
        if (const auto added = add_object(all, object, secret_of); !added.ok())
          found.push_back("AlertmanagerConfig " + object.key().str() + ": " + added.error().message);
      manager.set_config(std::move(all));
    }
    if (found != problems)
      for (const std::string& problem : found) log::warning("alerting configuration not read", {{"problem", problem}});
    problems = std::move(found);
  }

  void dispatch(Due due) {
    due.notification.external_url = options.external_url;
    const auto queued = senders->run([this, due] {
      const Sent sent = send(due.integration, due.notification, due.templates);
      if (!sent.result.ok())
        log::warning("notice not sent",
                     {{"channel", due.integration.id}, {"retry", sent.retry}, {"error", sent.result.error()}});
      manager.done(due, sent.result.ok(), sent.retry, now());
      wake();
    });
    if (!queued.ok()) manager.done(due, false, true, now());
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      woken = false;
      lock.unlock();
      if (now() - refreshed_ms >= options.refresh_ms) refresh();
      for (Due& due : manager.take_due(now())) dispatch(std::move(due));
      save();
      const std::int64_t next = std::min(refreshed_ms + options.refresh_ms, manager.next_due());
      lock.lock();
      const std::int64_t wait = std::max<std::int64_t>(1, next - now());
      changed.wait_for(lock, std::chrono::milliseconds(wait), [this] { return stopping || woken; });
    }
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->senders.reset();
  impl_->save();
}

Result<std::unique_ptr<Server>> Server::open(ServerOptions options, metrics::ObjectLister list, Clock& clock) {
  auto impl = std::unique_ptr<Impl>(new Impl{std::move(options), std::move(list), clock});
  TRY(make_dirs(impl->options.directory, 0750));
  impl->started_ms = impl->now();
  impl->load();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::start() {
  impl_->senders.emplace("notify", 2);
  impl_->thread = std::thread([this] { impl_->run(); });
}

void Server::receive(const std::vector<metrics::AlertNotice>& notices) {
  std::vector<Alert> alerts;
  for (const metrics::AlertNotice& n : notices)
    alerts.push_back({n.labels, n.annotations, n.starts_at, n.ends_at, 0, n.generator_url});
  impl_->manager.receive(alerts, impl_->now());
  impl_->wake();
}

void Server::handle(const http::ExchangePtr& exchange, std::string_view path) {
  std::string body;
  if (exchange->method == "POST") {
    auto read = exchange->read_body(kBodyBytesMax);
    if (!read.ok()) return exchange->respond({400, {{"Content-Type", "text/plain"}}, read.error().message});
    body = std::move(read).value();
  }
  exchange->respond(
      answer_api(impl_->manager, exchange->method, path, exchange->query, body, impl_->now(), impl_->started_ms));
  impl_->wake();
}

std::vector<kube::Resource> Server::kinds() {
  return {schema::kSecrets, configs()};
}

}  // namespace caisson::alerts
