// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/notifications.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/gitops/when.h"

namespace caisson::gitops {
namespace {

Value doc(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return std::move(value).value();
}

const Value& web() {
  static const Value kApp = doc(R"(
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: web
  namespace: argocd
  annotations: {notifications.argoproj.io/subscribe.on-deployed.slack: "deploys;ops"}
status: {operationState: {phase: Succeeded, retryCount: 2}, sync: {revision: abc, status: Synced}, health: {status: Healthy}}
)");
  return kApp;
}

constexpr std::string_view kConfig = R"~(
context: |
  argocdUrl: https://caisson.example
service.slack: |
  token: $slack-token
service.webhook.deploys: |
  url: https://hooks.example/
  headers: [{name: X-Token, value: "$hook"}]
template.deployed: |
  message: "{{.app.metadata.name}} is at {{.app.status.sync.revision}} ({{.context.argocdUrl}})"
  webhook:
    deploys: {method: POST, path: /done, body: '{"app": "{{.app.metadata.name}}"}'}
trigger.on-deployed: |
  - when: app.status.operationState.phase in ['Succeeded'] and app.status.health.status == 'Healthy'
    oncePer: app.status.sync.revision
    send: [deployed]
trigger.on-degraded: |
  - when: app.status.health.status == 'Degraded'
    send: [deployed]
)~";

NotificationPlan plan(const Value& app, const std::string& extra = "") {
  const NotificationConfig config =
      parse_notifications(doc(std::string(kConfig) + extra), {{"slack-token", "xoxb"}, {"hook", "secret"}});
  CHECK(config.errors.empty());
  return plan_notifications(kube::Object(app), nullptr, config);
}

bool when(const std::string& text) {
  const auto value = evaluate_when(text, Value{{"app", web()}});
  REQUIRE_MESSAGE(value.ok(), text << ": " << (value.ok() ? "" : value.error().message));
  return value->as_bool();
}

TEST_CASE("conditions of Argo CD's catalogue are understood") {
  CHECK(when("app.status.operationState != nil and app.status.operationState.phase in ['Succeeded', 'Failed']"));
  CHECK(when("app.status?.operationState.phase not in ['Error']"));
  CHECK(when("!(app.status.health.status == 'Degraded') && app.status.operationState.retryCount >= 2"));
  CHECK(when("app.metadata.name startsWith 'we' or app.none.at.all"));
  CHECK_FALSE(when("app.status.nothing.phase == 'Running'"));
  CHECK(when("app.metadata.annotations['notifications.argoproj.io/subscribe.on-deployed.slack'] contains 'ops'"));
}

TEST_CASE("times and texts of conditions: upstream's functions, which do not run where the left side decides") {
  // on-deployed of the catalogue of 3.2: not told again when the health changes long after the sync.
  const std::string deployed =
      "app.status.operationState != nil and app.status.operationState.phase in ['Succeeded'] and "
      "app.status.health.status == 'Healthy' and (!time.Parse(app.status.health.lastTransitionTime).Add(1 * "
      "time.Minute).Before(time.Parse(app.status.operationState.finishedAt)) or "
      "time.Parse(app.status.health.lastTransitionTime).Before(time.Parse(app.status.operationState.startedAt)))";
  const auto holds = [&](const char* health, const char* started, const char* finished) {
    Value app = web();
    app.edit({"status", "health"}).set("lastTransitionTime", health);
    app.edit({"status", "operationState"}).set("startedAt", started);
    app.edit({"status", "operationState"}).set("finishedAt", finished);
    const auto value = evaluate_when(deployed, Value{{"app", app}});
    REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
    return value->as_bool();
  };
  CHECK(holds("2026-01-01T00:00:30Z", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"));
  CHECK_FALSE(holds("2026-01-01T00:00:30Z", "2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"));
  CHECK(holds("2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"));
  CHECK_FALSE(when("app.status.nothing != nil and time.Parse(app.status.nothing).Before(time.Now())"));
  CHECK(when(
      "time.Parse('2026-01-01T00:00:00Z').Add(2 * time.Hour).Sub(time.Parse('2026-01-01T00:30:00Z')).Minutes() == 90"));
  CHECK(when("time.Parse('2026-01-01T00:00:00Z').Format('2006/01/02 15:04') == '2026/01/01 00:00'"));
  CHECK(when("strings.ReplaceAll(strings.ToUpper(app.metadata.name), 'W', 'v') == 'vEB'"));
  CHECK(when("1 + 2 * 3 == 7 and 'a' + 'b' == 'ab' and 7 / 2 > 3 and 1 - 2 < 0"));
  const Time now(std::chrono::seconds(1'700'000'000));
  CHECK(evaluate_when("time.Now().Unix()", Value::map(), now)->as_int() == 1'700'000'000);
}

TEST_CASE("the annotation subscriptions lists triggers, services and recipients at once") {
  const auto subscribed = [](const std::string& text) {
    Value app = web();
    app.edit("metadata").set("annotations", Value{{"notifications.argoproj.io/subscriptions", text}});
    const NotificationPlan made = plan(app);
    std::string out;
    for (const Notification& one : made.send) out += one.key + "\n";
    return out + (made.errors.empty() ? "" : made.errors[0]);
  };
  CHECK(subscribed("- trigger: [on-deployed]\n  destinations:\n  - {service: slack, recipients: [a, b]}\n") ==
        "abc:on-deployed:[0]:slack:a\nabc:on-deployed:[0]:slack:b\n");
  CHECK(subscribed("- trigger: [none]\n  destinations: [{service: slack, recipients: [a]}]\n") ==
        "trigger none is not defined");
  CHECK(subscribed("trigger: x") == "notifications.argoproj.io/subscriptions must be a list");
}

TEST_CASE("a condition that can't be read is refused with its place") {
  for (const char* text : {"app.status.", "time.Never()", "time.Parse('soon')", "time.Now().Begin()",
                           "app.metadata.name()", "strings.ReplaceAll('a', '', 'b')", "time.Fortnight", "1 + 'a'",
                           "1 / 0", "app ==", "'open", "[1, 2", "app.a b"}) {
    const auto value = evaluate_when(text, Value{{"app", web()}});
    REQUIRE_MESSAGE(!value.ok(), text);
    CHECK(value.error().message.starts_with("at "));
  }
}

TEST_CASE("each recipient of a subscription gets the filled template, with the service's secret") {
  const NotificationPlan made = plan(web());
  REQUIRE(made.send.size() == 2);
  CHECK(made.errors.empty());
  CHECK(made.send[0].url == "https://slack.com/api/chat.postMessage");
  CHECK(made.send[0].headers[0].second == "Bearer xoxb");
  const Value body = json::parse(made.send[0].body).value();
  CHECK(body["channel"].as_string() == "deploys");
  CHECK(body["text"].as_string() == "web is at abc (https://caisson.example)");
  CHECK(made.send[0].key == "abc:on-deployed:[0]:slack:deploys");
}

TEST_CASE("what was told once is not told again, and is told anew for another revision") {
  Value app = web();
  app.edit({"metadata", "annotations"})
      .set(kNotifiedAnnotation, R"({"abc:on-deployed:[0]:slack:deploys": 1, "abc:on-deployed:[0]:slack:ops": 1})");
  CHECK(plan(app).send.empty());
  app.edit({"status", "sync"}).set("revision", "def");
  CHECK(plan(app).send.size() == 2);
}

TEST_CASE("a trigger without oncePer is forgotten when its condition no longer holds") {
  Value app = web();
  Value& annotations = app.edit({"metadata", "annotations"});
  annotations = Value{{"notifications.argoproj.io/subscribe.on-degraded.slack", "ops"},
                      {kNotifiedAnnotation, R"({"on-degraded:[0]:slack:ops": 1})"}};
  const NotificationPlan made = plan(app);
  CHECK(made.send.empty());
  CHECK(made.forget == std::vector<std::string>{"on-degraded:[0]:slack:ops"});
}

TEST_CASE("a webhook has its own method, path, body and headers; subscriptions may be for all") {
  Value app = web();
  app.edit({"metadata"}).erase("annotations");
  const NotificationPlan made =
      plan(app, "subscriptions: |\n  - {recipients: ['webhook.deploys:'], triggers: [on-deployed]}\n");
  REQUIRE(made.send.size() == 1);
  CHECK(made.send[0].method == "POST");
  CHECK(made.send[0].url == "https://hooks.example/done");
  CHECK(made.send[0].body == R"({"app": "web"})");
  CHECK(made.send[0].headers[0] == std::pair<std::string, std::string>("X-Token", "secret"));
}

TEST_CASE("Discord and Teams: an incoming webhook for each recipient, with embeds, facts and actions of the template") {
  Value app = web();
  app.edit({"metadata"})
      .set("annotations", Value{{"notifications.argoproj.io/subscribe.on-chat.discord", "ops"},
                                {"notifications.argoproj.io/subscribe.on-chat.teams", "board;nobody"}});
  const NotificationPlan made = plan(app, R"~(
service.discord: |
  username: caisson
  recipientUrls: {ops: "https://discord.example/hook"}
service.teams: |
  recipientUrls: {board: "https://teams.example/hook"}
template.chat: |
  message: "{{.app.metadata.name}} is there"
  discord:
    embeds: '[{"title": "{{.app.metadata.name}}"}]'
  teams:
    title: deployed
    facts: '[{"name": "revision", "value": "{{.app.status.sync.revision}}"}]'
    potentialAction: '[{"@type": "OpenUri", "name": "open"}]'
trigger.on-chat: |
  - {when: app.status.health.status == 'Healthy', send: [chat]}
)~");
  REQUIRE(made.send.size() == 2);
  const Value discord = json::parse(made.send[0].body).value(), teams = json::parse(made.send[1].body).value();
  CHECK(made.send[0].url == "https://discord.example/hook");
  CHECK(discord == Value{{"content", "web is there"},
                         {"embeds", Value(std::vector<Value>{Value{{"title", "web"}}})},
                         {"username", "caisson"}});
  CHECK(made.send[1].url == "https://teams.example/hook");
  CHECK(teams["@type"].as_string() == "MessageCard");
  CHECK(teams["text"].as_string() == "web is there");
  CHECK(teams["title"].as_string() == "deployed");
  CHECK(teams["sections"][0]["facts"][0]["value"].as_string() == "abc");
  CHECK(teams["potentialAction"][0]["name"].as_string() == "open");
  REQUIRE(made.errors.size() == 1);
  CHECK(made.errors[0] == "service teams is not supported, or does not know the recipient");
}

TEST_CASE("e-mail: subject and body of the template, the service's server, and a password over TLS alone") {
  Value app = web();
  app.edit({"metadata"})
      .set("annotations",
           Value{{"notifications.argoproj.io/subscribe.on-mailed.email.team", "ada@example.org, bob@example.org"},
                 {"notifications.argoproj.io/subscribe.on-mailed.email", "eve@example.org"}});
  const std::string services = R"~(service.email.team: |
  {host: smtp.example.org, port: 465, from: "Caisson <c@example.org>", username: u, password: $slack-token, html: true}
service.email: |
  {host: localhost, port: 25, from: c@example.org}
template.mailed: |
  message: plain text
  email: {subject: "{{.app.metadata.name}} is deployed", body: "<b>{{.app.metadata.name}}</b>"}
trigger.on-mailed: |
  - {when: "true", send: [mailed]}
)~";
  const NotificationPlan made = plan(app, services);
  REQUIRE(made.errors.empty());
  REQUIRE(made.send.size() == 2);
  const MailNotice& team = *made.send[0].mail;
  CHECK(team.mail.to == std::vector<std::string>{"ada@example.org", "bob@example.org"});
  CHECK(team.mail.headers[0] == std::pair<std::string, std::string>("Subject", "web is deployed"));
  CHECK(team.mail.html == "<b>web</b>");
  CHECK(team.mail.text.empty());
  CHECK(team.server.implicit_tls);
  CHECK(team.server.require_tls);
  CHECK(team.server.password == "xoxb");
  const MailNotice& relay = *made.send[1].mail;
  CHECK(relay.mail.text == "<b>web</b>");
  CHECK_FALSE(relay.server.require_tls);
  CHECK(relay.server.port == 25);
}

TEST_CASE("e-mail without a server or a sender is an error") {
  Value app = web();
  app.edit({"metadata"})
      .set("annotations", Value{{"notifications.argoproj.io/subscribe.on-deployed.email", "a@b.org"}});
  const NotificationPlan made = plan(app, "service.email: |\n  {host: localhost}\n");
  CHECK(made.send.empty());
  REQUIRE(made.errors.size() == 1);
  CHECK(made.errors[0].find("email") != std::string::npos);
}

TEST_CASE("unknown triggers and services are errors by name") {
  Value app = web();
  app.edit({"metadata", "annotations"}) = Value{{"notifications.argoproj.io/subscribe.on-nothing.slack", "a"},
                                                {"notifications.argoproj.io/subscribe.on-deployed.email", "b"}};
  const NotificationPlan made = plan(app);
  CHECK(made.send.empty());
  REQUIRE(made.errors.size() == 2);
  CHECK(made.errors[0].find("on-nothing") != std::string::npos);
  CHECK(made.errors[1].find("email") != std::string::npos);
}

}  // namespace
}  // namespace caisson::gitops
