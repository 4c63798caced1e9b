// SPDX-License-Identifier: Apache-2.0
// Notifications: what a group of alerts becomes for each kind of channel. Payloads follow Alertmanager 0.29 and the
// channels' own documentation (Slack incoming webhooks, Discord webhooks, Teams cards, PagerDuty Events v2, Telegram
// Bot API). Building is pure; send() blocks. Any thread.
#pragma once
#include <string>
#include <vector>

#include "core/http/client.h"
#include "core/http/smtp.h"
#include "observe/alerts/config.h"

namespace caisson::alerts {

using Pairs = std::vector<std::pair<std::string, std::string>>;  // sorted by name

struct Alert {
  Labels labels;
  Pairs annotations;
  std::int64_t starts_at = 0, ends_at = 0, updated_at = 0;  // milliseconds; ends_at 0: not said
  std::string generator_url;

  bool resolved(std::int64_t now) const { return ends_at != 0 && ends_at <= now; }
  std::string fingerprint() const;  // 16 hex digits
};

struct Notification {
  std::string receiver, group_key, external_url;
  Labels group_labels;
  std::vector<Alert> alerts;  // sorted
  std::int64_t now = 0;

  bool firing() const;
};

// Expands `text` with upstream's data (.Status, .Alerts.Firing, .CommonLabels …) and functions. Errors: bad_request in
// Go's words.
Result<std::string> expand(std::string_view text, const Notification& notification,
                           const std::vector<std::string>& templates);

struct Outgoing {
  http::Request request;
  http::ClientOptions client;
};
// Errors: bad_request, which names the setting that is missing or the template that fails.
Result<Outgoing> make_request(const Integration& integration, const Notification& notification,
                              const std::vector<std::string>& templates);

// A notice by e-mail. Errors as make_request()'s.
struct OutgoingMail {
  http::MailServer server;
  http::Mail mail;
};
Result<OutgoingMail> make_mail(const Integration& integration, const Notification& notification,
                               const std::vector<std::string>& templates);

struct Sent {
  bool retry = false;  // the channel may take it later
  Result<void> result;
};
Sent send(const Integration& integration, const Notification& notification, const std::vector<std::string>& templates);

std::string time_text(std::int64_t ms);  // RFC 3339 with milliseconds
Value value_of(const Labels& labels);
Value value_of(const Pairs& pairs);

}  // namespace caisson::alerts
