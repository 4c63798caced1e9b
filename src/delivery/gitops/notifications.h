// SPDX-License-Identifier: Apache-2.0
// Notifications: triggers, templates and services of argocd-notifications-cm, subscriptions by annotation or for all.
// Services: slack, discord and teams (incoming webhooks), webhook.NAME, email and email.NAME (SMTP). Follows Argo
// CD 3.0 docs/operator-manual/notifications. The planning is pure; add_notifications sends on the worker pool, each at
// least once.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/reconciler.h"
#include "core/base/worker_pool.h"
#include "core/http/smtp.h"

namespace caisson::gitops {

inline constexpr std::string_view kNotifiedAnnotation = "notified.notifications.argoproj.io";

struct NotificationConfig {
  std::map<std::string, Value> services, templates, triggers;  // by name: "slack", "webhook.deploys"
  Value context, subscriptions, default_triggers;
  std::vector<std::string> errors;
};
// `data` of the ConfigMap; `$key` in services is looked up in `secrets` (data of argocd-notifications-secret, decoded).
NotificationConfig parse_notifications(const Value& data, const std::map<std::string, std::string>& secrets);

// A message by SMTP.
struct MailNotice {
  http::MailServer server;
  http::Mail mail;
};

struct Notification {
  std::string key;  // what the annotation remembers: "revision:trigger:0:service:recipient"
  std::string method = "POST", url, body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<MailNotice> mail;  // then nothing of the request above counts but `body`
};
struct NotificationPlan {
  std::vector<Notification> send;
  std::vector<std::string> forget;  // keys whose condition no longer holds: they may be told again
  std::vector<std::string> errors;  // "trigger on-x: at 3: …", "service email is not supported"
};
// `project` may be null: its annotations subscribe all of its Applications. `now` is what conditions know as
// time.Now().
NotificationPlan plan_notifications(const kube::Object& application, const kube::Object* project,
                                    const NotificationConfig& config, Time now = {});

// Everything that is borrowed lives longer than the runtime.
void add_notifications(kube::Runtime& runtime, WorkerPool& workers, const std::string& home_namespace);

}  // namespace caisson::gitops
