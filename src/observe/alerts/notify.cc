// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/notify.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/alerts/settings.h"

namespace caisson::alerts {
namespace {

constexpr std::int64_t kDiscordRed = 0x992D22, kDiscordGreen = 0x2ECC71;
constexpr std::size_t kSlackTitleMax = 1024, kDiscordTitleMax = 256, kDiscordTextMax = 4096, kTelegramMax = 4096,
                      kPagerDutyMax = 1024;

// Cuts at a character's border; what was cut shows.
std::string cut(std::string text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t at = bytes_max - 3;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return text.substr(0, at) + "…";
}

struct Post {
  std::string url;
  Value body;
};

Result<Post> slack(const Settings& s) {
  Value attachment = Value::map();
  struct Part {
    const char *key, *otherwise;
  };
  for (const Part& part : {Part{"title", "{{ template \"slack.default.title\" . }}"},
                           Part{"title_link", "{{ template \"slack.default.titlelink\" . }}"}, Part{"pretext", ""},
                           Part{"text", "{{ template \"slack.default.text\" . }}"},
                           Part{"fallback", "{{ template \"slack.default.fallback\" . }}"},
                           Part{"color", "{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}"},
                           Part{"footer", ""}, Part{"image_url", ""}, Part{"thumb_url", ""}}) {
    const std::string text = TRY(s.text(part.key, part.otherwise));
    if (!text.empty())
      attachment.set(part.key, std::string_view(part.key) == "title" ? cut(text, kSlackTitleMax) : text);
  }
  attachment.set("mrkdwn_in", Value::list_of({"fallback", "pretext", "text"}));
  std::vector<Value> fields;
  for (const Value& field : s["fields"].items()) {
    const std::string title = TRY(s.expand_value(field["title"], "fields"));
    const std::string value = TRY(s.expand_value(field["value"], "fields"));
    fields.push_back(Value{{"title", title}, {"value", value}, {"short", field["short"].as_bool()}});
  }
  if (!fields.empty()) attachment.set("fields", Value(std::move(fields)));
  std::vector<Value> actions;
  for (const Value& action : s["actions"].items()) {
    const std::string text = TRY(s.expand_value(action["text"], "actions"));
    const std::string url = TRY(s.expand_value(action["url"], "actions"));
    actions.push_back(Value{{"type", action["type"].as_string("button")}, {"text", text}, {"url", url}});
  }
  if (!actions.empty()) attachment.set("actions", Value(std::move(actions)));
  Value body{{"attachments", Value(std::vector<Value>{attachment})}};
  for (const Part& part : {Part{"channel", ""}, Part{"username", "{{ template \"slack.default.username\" . }}"},
                           Part{"icon_emoji", ""}, Part{"icon_url", ""}}) {
    const std::string text = TRY(s.text(part.key, part.otherwise));
    if (!text.empty()) body.set(part.key, text);
  }
  return Post{TRY(s.url("api_url")), std::move(body)};
}

Result<Post> discord(const Settings& s) {
  const std::string title = TRY(s.text("title", "{{ template \"discord.default.title\" . }}"));
  const std::string message = TRY(s.text("message", "{{ template \"discord.default.message\" . }}"));
  const std::string content = TRY(s.text("content", "{{ template \"discord.default.content\" . }}"));
  const Value embed{{"title", cut(title, kDiscordTitleMax)},
                    {"description", cut(message, kDiscordTextMax)},
                    {"color", s.firing() ? kDiscordRed : kDiscordGreen}};
  Value body{{"content", content}, {"embeds", Value(std::vector<Value>{embed})}};
  for (const char* key : {"username", "avatar_url"}) {
    const std::string text = TRY(s.text(key));
    if (!text.empty()) body.set(key, text);
  }
  return Post{TRY(s.url("webhook_url")), std::move(body)};
}

Result<Post> teams_card(const Settings& s) {
  const std::string title = TRY(s.text("title", "{{ template \"msteams.default.title\" . }}"));
  const std::string summary = TRY(s.text("summary", "{{ template \"msteams.default.summary\" . }}"));
  const std::string text = TRY(s.text("text", "{{ template \"msteams.default.text\" . }}"));
  return Post{TRY(s.url("webhook_url")), Value{{"@context", "http://schema.org/extensions"},
                                               {"@type", "MessageCard"},
                                               {"title", title},
                                               {"summary", summary},
                                               {"text", text},
                                               {"themeColor", s.firing() ? "8C1A1A" : "2DC72D"}}};
}

Result<Post> teams_adaptive(const Settings& s) {
  const std::string title = TRY(s.text("title", "{{ template \"msteamsv2.default.title\" . }}"));
  const std::string text = TRY(s.text("text", "{{ template \"msteamsv2.default.text\" . }}"));
  const Value heading{{"type", "TextBlock"},
                      {"text", title},
                      {"weight", "Bolder"},
                      {"size", "Medium"},
                      {"wrap", true},
                      {"style", "heading"},
                      {"color", s.firing() ? "Attention" : "Good"}};
  const Value content{
      {"$schema", "http://adaptivecards.io/schemas/adaptive-card.json"},
      {"type", "AdaptiveCard"},
      {"version", "1.2"},
      {"body", Value(std::vector<Value>{heading, Value{{"type", "TextBlock"}, {"text", text}, {"wrap", true}}})},
      {"msteams", Value{{"width", "full"}}}};
  const Value attachment{{"contentType", "application/vnd.microsoft.card.adaptive"}, {"content", content}};
  return Post{TRY(s.url("webhook_url")),
              Value{{"type", "message"}, {"attachments", Value(std::vector<Value>{attachment})}}};
}

Result<Post> pagerduty(const Settings& s, const Notification& n) {
  const std::string key = TRY(s.url("routing_key"));
  const std::string summary = TRY(s.text("description", "{{ template \"pagerduty.default.description\" . }}"));
  const std::string source = TRY(s.text("client", "{{ template \"pagerduty.default.client\" . }}"));
  const std::string link = TRY(s.text("client_url", "{{ template \"pagerduty.default.clientURL\" . }}"));
  const std::string severity = TRY(s.text("severity", "error"));
  const auto firing = TRY(expand("{{ template \"pagerduty.default.instances\" .Alerts.Firing }}", n, {}));
  Value details{{"firing", firing},
                {"num_firing", std::to_string(std::count_if(n.alerts.begin(), n.alerts.end(),
                                                            [&](const Alert& a) { return !a.resolved(n.now); }))},
                {"num_resolved", std::to_string(std::count_if(n.alerts.begin(), n.alerts.end(),
                                                              [&](const Alert& a) { return a.resolved(n.now); }))}};
  for (const auto& entry : s["details"].entries()) details.set(entry.key, TRY(s.expand_value(entry.value, "details")));
  Value payload{{"summary", cut(summary, kPagerDutyMax)},
                {"source", source},
                {"severity", severity},
                {"custom_details", details}};
  for (const char* name : {"class", "component", "group"}) {
    const std::string text = TRY(s.text(name));
    if (!text.empty()) payload.set(name, text);
  }
  std::string url = TRY(s.text("url"));
  if (url.empty()) url = "https://events.pagerduty.com/v2/enqueue";
  return Post{url, Value{{"routing_key", key},
                         {"event_action", n.firing() ? "trigger" : "resolve"},
                         {"dedup_key", sha256_hex(n.group_key)},
                         {"client", source},
                         {"client_url", link},
                         {"payload", payload}}};
}

Result<Post> telegram(const Settings& s) {
  const std::string token = TRY(s.url("bot_token"));
  const std::string message = TRY(s.text("message", "{{ template \"telegram.default.message\" . }}"));
  std::string base = TRY(s.text("api_url"));
  if (base.empty()) base = "https://api.telegram.org";
  while (base.ends_with('/')) base.pop_back();
  const Value& chat = s["chat_id"];
  if (chat.is_null()) return Error{ErrorCode::bad_request, "telegram: chat_id is missing"};
  Value body{{"chat_id", chat},
             {"text", cut(message, kTelegramMax)},
             {"disable_web_page_preview", true},
             {"disable_notification", s["disable_notifications"].as_bool()}};
  const std::string mode(s["parse_mode"].as_string(""));
  if (!mode.empty()) body.set("parse_mode", mode);
  return Post{base + "/bot" + token + "/sendMessage", std::move(body)};
}

Value alert_value(const Alert& alert, std::int64_t now) {
  return Value{{"status", alert.resolved(now) ? "resolved" : "firing"},
               {"labels", value_of(alert.labels)},
               {"annotations", value_of(alert.annotations)},
               {"startsAt", time_text(alert.starts_at)},
               {"endsAt", alert.resolved(now) ? time_text(alert.ends_at) : "0001-01-01T00:00:00Z"},
               {"generatorURL", alert.generator_url},
               {"fingerprint", alert.fingerprint()}};
}

template <class Of>
Value common(const std::vector<Alert>& alerts, Of of) {
  Value out = alerts.empty() ? Value::map() : of(alerts[0]);
  for (const Alert& alert : alerts) {
    const Value own = of(alert);
    std::vector<std::string> gone;
    for (const auto& entry : out.entries())
      if (!(own[entry.key] == entry.value)) gone.emplace_back(entry.key);
    for (const std::string& name : gone) out.erase(name);
  }
  return out;
}

Result<Post> webhook(const Settings& s, const Notification& n) {
  std::vector<Value> alerts;
  const std::int64_t most = s["max_alerts"].as_int();
  for (const Alert& alert : n.alerts)
    if (most == 0 || static_cast<std::int64_t>(alerts.size()) < most) alerts.push_back(alert_value(alert, n.now));
  const auto truncated = static_cast<std::int64_t>(n.alerts.size() - alerts.size());
  return Post{TRY(s.url("url")),
              Value{{"receiver", n.receiver},
                    {"status", n.firing() ? "firing" : "resolved"},
                    {"alerts", Value(std::move(alerts))},
                    {"groupLabels", value_of(n.group_labels)},
                    {"commonLabels", common(n.alerts, [](const Alert& a) { return value_of(a.labels); })},
                    {"commonAnnotations", common(n.alerts, [](const Alert& a) { return value_of(a.annotations); })},
                    {"externalURL", n.external_url},
                    {"version", "4"},
                    {"groupKey", n.group_key},
                    {"truncatedAlerts", truncated}}};
}

Result<Post> post_of(const Integration& i, const Notification& n, const Settings& s) {
  if (i.kind == "slack") return slack(s);
  if (i.kind == "discord") return discord(s);
  if (i.kind == "webhook") return webhook(s, n);
  if (i.kind == "msteams") return teams_card(s);
  if (i.kind == "msteamsv2") return teams_adaptive(s);
  if (i.kind == "pagerduty") return pagerduty(s, n);
  if (i.kind == "telegram") return telegram(s);
  return Error{ErrorCode::bad_request, i.id + ": no such channel"};
}

void add_http_config(const Value& from, Outgoing& out) {
  if (const Value& basic = from["basic_auth"]; basic.is_map())
    out.request.headers.set("Authorization",
                            "Basic " + base64(basic["username"].str() + ":" + basic["password"].str()));
  if (const Value& a = from["authorization"]; a.is_map())
    out.request.headers.set("Authorization", std::string(a["type"].as_string("Bearer")) + " " + a["credentials"].str());
  if (const auto token = from["bearer_token"].as_string(); !token.empty())
    out.request.headers.set("Authorization", "Bearer " + std::string(token));
  out.client.verify = !from["tls_config"]["insecure_skip_verify"].as_bool();
  out.client.ca_pem = from["tls_config"]["ca"].str();
}

}  // namespace

std::string Alert::fingerprint() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(labels.hash()));
  return text;
}

bool Notification::firing() const {
  return std::any_of(alerts.begin(), alerts.end(), [this](const Alert& a) { return !a.resolved(now); });
}

std::string time_text(std::int64_t ms) {
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(ms % 1000));
  std::string text = format_time(Time(std::chrono::milliseconds(ms)));
  text.pop_back();
  return text + fraction;
}

Value value_of(const Labels& labels) {
  Value out = Value::map();
  for (const auto& label : labels.items()) out.set(label.name, label.value);
  return out;
}

Value value_of(const Pairs& pairs) {
  Value out = Value::map();
  for (const auto& [name, value] : pairs) out.set(name, value);
  return out;
}

Result<Outgoing> make_request(const Integration& integration, const Notification& notification,
                              const std::vector<std::string>& templates) {
  const Settings settings(integration, notification, templates);
  const Post post = TRY(post_of(integration, notification, settings));
  Outgoing out;
  add_http_config(integration.settings["http_config"], out);
  out.request.method = "POST";
  out.request.url = post.url;
  out.request.headers.set("Content-Type", "application/json");
  out.request.headers.set("User-Agent", "Alertmanager/0.29.0 (caisson)");
  out.request.body = json::write(post.body);
  out.request.time_max = std::chrono::seconds(15);
  out.request.response_bytes_max = 64u << 10;
  return out;
}

static Sent send_by_mail(const Integration& integration, const Notification& notification,
                         const std::vector<std::string>& templates) {
  const auto out = make_mail(integration, notification, templates);
  if (!out.ok()) return {false, out.error()};
  auto sent = http::send_mail(out->server, out->mail).in(integration.id);
  const bool retry =
      !sent.ok() && (sent.error().code == ErrorCode::unavailable || sent.error().code == ErrorCode::timeout);
  return {retry, std::move(sent)};
}

Sent send(const Integration& integration, const Notification& notification, const std::vector<std::string>& templates) {
  if (integration.kind == "email") return send_by_mail(integration, notification, templates);
  auto out = make_request(integration, notification, templates);
  if (!out.ok()) return {false, out.error()};
  const http::Client client(out->client);
  const auto response = client.send(out->request);
  if (!response.ok()) return {true, Error{ErrorCode::unavailable, integration.id + ": " + response.error().message}};
  if (response->status / 100 == 2) return {};
  const bool retry = response->status / 100 == 5 || response->status == 429;
  return {retry, Error{ErrorCode::unavailable, integration.id + ": the channel answered " +
                                                   std::to_string(response->status) + " " + cut(response->body, 200)}};
}

}  // namespace caisson::alerts
