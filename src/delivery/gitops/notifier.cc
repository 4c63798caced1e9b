// SPDX-License-Identifier: Apache-2.0
// Sends what plan_notifications wants: see notifications.h.
#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "cluster/schema/resource.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/document/json.h"
#include "core/http/client.h"
#include "delivery/gitops/lanes.h"
#include "delivery/gitops/notifications.h"

namespace caisson::gitops {
namespace {

constexpr Duration kAgain = std::chrono::seconds(30);  // after a message that did not arrive
constexpr Duration kTimeMax = std::chrono::seconds(10);
constexpr std::size_t kAnswerBytesMax = 64u << 10;

Result<void> deliver(const Notification& one) {
  if (one.mail) return http::send_mail(one.mail->server, one.mail->mail);
  http::Request request;
  request.method = one.method;
  request.url = one.url;
  for (const auto& [name, value] : one.headers) request.headers.set(name, value);
  request.body = one.body;
  request.time_max = kTimeMax;
  request.response_bytes_max = kAnswerBytesMax;
  const http::Response answer = TRY(http::Client().send(request));
  if (answer.status >= 400)
    return Error{ErrorCode::unavailable, "the receiver answered " + std::to_string(answer.status)};
  // Slack says with 200 that it did not take a message.
  const auto body = json::parse(answer.body);
  if (body.ok() && body->is_map() && (*body)["ok"].is_bool() && !(*body)["ok"].as_bool())
    return Error{ErrorCode::unavailable, "the receiver answered " + (*body)["error"].str()};
  return {};
}

Result<void> remember(kube::Client& client, const kube::ObjectKey& key, const std::vector<std::string>& told,
                      const std::vector<std::string>& forgotten, Time now) {
  const auto written = kube::modify(client, schema::kApplications, key, [&](kube::Object& application) {
    auto parsed = json::parse(application.annotation(kNotifiedAnnotation));
    Value state = parsed.ok() && parsed->is_map() ? *parsed : Value::map();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    for (const std::string& one : told) state.set(one, seconds);
    for (const std::string& one : forgotten) state.erase(one);
    application.set_annotation(kNotifiedAnnotation, json::write(state));
    return true;
  });
  if (written.ok() || written.error().code == ErrorCode::not_found) return {};
  return written.error();
}

class Notifier final : public kube::Reconciler {
 public:
  Notifier(kube::Runtime& runtime, WorkerPool& workers, std::string home)
      : runtime_(runtime), lanes_(workers, kNoticeLanes), home_(std::move(home)) {}
  std::string_view name() const override { return "notifications"; }
  void set_queue(kube::Queue queue) { shared_->queue = std::move(queue); }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto application = runtime_.informer(schema::kApplications).find(key);
    const auto map = runtime_.informer(schema::kConfigMaps).find({home_, "argocd-notifications-cm"});
    if (!application) forget_told(key, {});
    if (!application || !map) return kube::Requeue::never();
    const auto project = runtime_.informer(schema::kAppProjects).find({key.ns, application->spec()["project"].str()});
    const NotificationConfig config = parse_notifications((*map)["data"], TRY(secrets()));
    const NotificationPlan plan =
        plan_notifications(*application, project ? &*project : nullptr, config, runtime_.clock().now());
    for (const auto* errors : {&config.errors, &plan.errors}) {
      for (const std::string& one : *errors) log::warning("notification", {{"application", key.str()}, {"error", one}});
    }
    if (!plan.forget.empty()) TRY(remember(runtime_.client(), key, {}, plan.forget, runtime_.clock().now()));
    forget_told(key, plan.send);
    for (const Notification& one : plan.send) send(key, one);
    return kube::Requeue::never();
  }

 private:
  // What workers touch outlives the reconciler.
  struct Shared {
    std::mutex mutex;
    std::set<std::string> under_way;  // GUARDED_BY(mutex)
    // By Application: what was told and stands in the annotation, which the informer may not have seen yet.
    std::map<std::string, std::set<std::string>> told;  // GUARDED_BY(mutex)
    std::optional<kube::Queue> queue;
  };

  Result<std::map<std::string, std::string>> secrets() {
    std::map<std::string, std::string> out;
    const auto secret = runtime_.client().get(schema::kSecrets, {home_, "argocd-notifications-secret"});
    if (!secret.ok()) {
      if (secret.error().code == ErrorCode::not_found) return out;
      return secret.error();
    }
    for (const auto& [key, value] : (*secret)["data"].entries()) {
      const auto decoded = unbase64(value.as_string());
      if (decoded.ok()) out[std::string(key)] = *decoded;
    }
    return out;
  }

  static std::string id_of(const kube::ObjectKey& key, const Notification& one) {
    return key.str() + " " + one.key + " " + one.body;
  }

  // What is not wanted any more was seen in the annotation.
  void forget_told(const kube::ObjectKey& key, const std::vector<Notification>& wanted) {
    const std::lock_guard lock(shared_->mutex);
    const auto told = shared_->told.find(key.str());
    if (told == shared_->told.end()) return;
    std::erase_if(told->second, [&](const std::string& id) {
      return std::none_of(wanted.begin(), wanted.end(), [&](const Notification& one) { return id_of(key, one) == id; });
    });
    if (told->second.empty()) shared_->told.erase(told);
  }

  void send(const kube::ObjectKey& key, const Notification& one) {
    const std::string id = id_of(key, one);
    {
      const std::lock_guard lock(shared_->mutex);
      const auto told = shared_->told.find(key.str());
      if (told != shared_->told.end() && told->second.count(id) != 0) return;
      if (!shared_->under_way.insert(id).second) return;
    }
    const auto started = lanes_.run(
        one.url.substr(0, one.url.find('/', 8)),
        [shared = shared_, key, one, id, &client = runtime_.client(), &clock = runtime_.clock()] {
          auto done = deliver(one);
          if (done.ok()) done = remember(client, key, {one.key}, {}, clock.now());
          if (!done.ok())
            log::warning("notification not sent", {{"application", key.str()}, {"error", done.error().message}});
          const std::lock_guard lock(shared->mutex);
          shared->under_way.erase(id);
          if (done.ok()) shared->told[key.str()].insert(id);
          if (!done.ok() && shared->queue) shared->queue->add_after(key, kAgain);
        });
    if (started.ok()) return;
    const std::lock_guard lock(shared_->mutex);
    shared_->under_way.erase(id);
    if (shared_->queue) shared_->queue->add_after(key, kAgain);
  }

  kube::Runtime& runtime_;
  Lanes lanes_;
  const std::string home_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

void add_notifications(kube::Runtime& runtime, WorkerPool& workers, const std::string& home_namespace) {
  auto notifier = std::make_unique<Notifier>(runtime, workers, home_namespace);
  Notifier* const reconciler = notifier.get();  // the runtime owns it
  const kube::Queue queue = runtime.add(std::move(notifier), 1);
  reconciler->set_queue(queue);
  runtime.watch(schema::kApplications, queue);
}

}  // namespace caisson::gitops
