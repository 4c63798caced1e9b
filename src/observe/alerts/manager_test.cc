// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/manager.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/document/json.h"
#include "observe/alerts/api.h"
#include "observe/alerts/server.h"

namespace caisson::alerts {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000, kSecond = 1000, kMinute = 60 * kSecond;  // a Tuesday, 22:13:20 UTC

const std::string kConfig = R"(
global: {slack_api_url: 'http://slack.example/hook'}
route:
  receiver: all
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1h
  routes:
  - {matchers: ['severity="page"'], receiver: pager, continue: true}
  - {matchers: ['team=~"a|b"'], receiver: team, mute_time_intervals: [nights]}
receivers:
- name: all
  slack_configs: [{channel: '#ops', send_resolved: true}]
- name: pager
  webhook_configs: [{url: 'http://pager.example/'}]
- {name: team}
time_intervals:
- {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}
inhibit_rules:
- {source_matchers: ['alertname="NodeDown"'], target_matchers: ['alertname!="NodeDown"'], equal: [node]}
)";

Alert alert(const std::string& name, std::vector<metrics::Label> labels = {}, std::int64_t ends_at = 0) {
  labels.push_back({"alertname", name});
  return {Labels::from(std::move(labels)), {{"summary", name + " is wrong"}}, kStart, ends_at, 0, "http://x/graph"};
}

// Takes what is due and says that it was sent.
std::vector<Due> deliver(Manager& manager, std::int64_t now, bool sent = true, bool retry = false) {
  const auto due = manager.take_due(now);
  for (const Due& one : due) manager.done(one, sent, retry, now);
  return due;
}

std::vector<std::string> receivers(const Manager& manager, const Labels& labels) {
  std::vector<std::string> out;
  for (const Value& route : manager.explain(labels, kStart)["routes"].items()) out.push_back(route["receiver"].str());
  return out;
}

std::string refusal(const std::string& yaml) {
  const auto parsed = parse_config(yaml);
  return parsed.ok() ? "" : parsed.error().message;
}

}  // namespace

TEST_CASE("alerts of a group are told together after the wait, again only when there is news or after long") {
  Manager manager(parse_config(kConfig).value());
  manager.receive(
      {alert("A", {{"pod", "1"}}, kStart + 90 * kMinute), alert("A", {{"pod", "2"}}, kStart + 90 * kMinute)}, kStart);
  CHECK(deliver(manager, kStart + 9 * kSecond).empty());
  const auto first = deliver(manager, kStart + 10 * kSecond);
  REQUIRE(first.size() == 1);
  CHECK(first[0].notification.alerts.size() == 2);
  CHECK(deliver(manager, kStart + 2 * kMinute).empty());
  manager.receive({alert("A", {{"pod", "3"}}, kStart + 90 * kMinute)}, kStart + 2 * kMinute);
  CHECK(deliver(manager, kStart + 4 * kMinute).at(0).notification.alerts.size() == 3);
  CHECK(deliver(manager, kStart + 30 * kMinute).empty());
  CHECK(deliver(manager, kStart + 70 * kMinute).size() == 1);
}

TEST_CASE("a dead man's switch is told at every interval as long as its alert comes, and then that it is over") {
  Manager manager(parse_config(R"(
route:
  receiver: chat
  routes: [{matchers: ['alertname="Watchdog"'], receiver: heartbeat, group_wait: 0s, group_interval: 1m, repeat_interval: 1m}]
receivers:
- {name: chat}
- {name: heartbeat, webhook_configs: [{url: 'http://heartbeat.example/'}]}
)")
                      .value());
  for (int minute = 0; minute < 60; ++minute) {
    const std::int64_t now = kStart + minute * kMinute;
    manager.receive({alert("Watchdog", {{"severity", "none"}}, now + 4 * kMinute)}, now);
    const auto told = deliver(manager, now);
    REQUIRE(told.size() == 1);
    CHECK(told[0].notification.firing());
  }
  int fired = 0, ended = 0;
  for (int minute = 60; minute < 120; ++minute)
    for (const Due& due : deliver(manager, kStart + minute * kMinute)) ++(due.notification.firing() ? fired : ended);
  CHECK(fired <= 3);
  CHECK(ended == 1);
}

TEST_CASE("the end is told once, and only to who heard of the beginning") {
  Manager manager(parse_config(kConfig).value());
  manager.receive({alert("A")}, kStart);
  CHECK(deliver(manager, kStart + 10 * kSecond).size() == 1);
  manager.receive({alert("A", {}, kStart + kMinute), alert("B", {}, kStart + kMinute)}, kStart + kMinute);
  const auto ended = deliver(manager, kStart + 3 * kMinute);
  REQUIRE(ended.size() == 1);
  CHECK_FALSE(ended[0].notification.firing());
  for (int minute = 4; minute < 200; ++minute) CHECK(deliver(manager, kStart + minute * kMinute).empty());
}

TEST_CASE("what was told is known after a restart") {
  Manager before(parse_config(kConfig).value());
  before.receive({alert("A")}, kStart);
  CHECK(deliver(before, kStart + 10 * kSecond).size() == 1);
  Manager after(parse_config(kConfig).value());
  after.restore(json::parse(json::write(before.state())).value(), kStart + kMinute);
  after.receive({alert("A")}, kStart + kMinute);
  CHECK(deliver(after, kStart + 2 * kMinute).empty());
  after.receive({alert("A", {}, kStart + 2 * kMinute)}, kStart + 2 * kMinute);
  CHECK(deliver(after, kStart + 4 * kMinute).size() == 1);
}

TEST_CASE("a notice that failed is tried again soon, and an unacceptable one is not") {
  Manager manager(parse_config(kConfig).value());
  manager.receive({alert("A", {}, kStart + kMinute * 60)}, kStart);
  CHECK(deliver(manager, kStart + 10 * kSecond, false, true).size() == 1);
  CHECK(deliver(manager, kStart + 11 * kSecond, false, true).size() == 1);
  CHECK(deliver(manager, kStart + 12 * kSecond, false, true).empty());
  CHECK(deliver(manager, kStart + 13 * kSecond, false, false).size() == 1);
  CHECK(deliver(manager, kStart + 20 * kSecond).empty());
}

TEST_CASE("routes go from the first that matches, on where they continue") {
  const Manager manager(parse_config(kConfig).value());
  CHECK(receivers(manager, Labels::from({{"alertname", "A"}})) == std::vector<std::string>{"all"});
  CHECK(receivers(manager, Labels::from({{"severity", "page"}, {"team", "b"}})) ==
        std::vector<std::string>{"pager", "team"});
}

TEST_CASE("silences, inhibition and muted times keep an alert from being told") {
  Manager manager(parse_config(kConfig).value());
  manager.receive({alert("A"), alert("NodeDown", {{"node", "n"}}), alert("Slow", {{"node", "n"}}),
                   alert("Slow", {{"node", "m"}}), alert("T", {{"team", "a"}})},
                  kStart);
  const std::string id =
      manager
          .set_silence({"", "me", "", parse_matchers("alertname=~\"A|X\"").value(), kStart, kStart + kMinute * 5},
                       kStart)
          .value();
  std::vector<std::string> told;
  for (const Due& due : deliver(manager, kStart + 10 * kSecond))
    for (const Alert& one : due.notification.alerts) told.push_back(one.labels.str());
  CHECK(told == std::vector<std::string>{R"({alertname="NodeDown", node="n"})", R"({alertname="Slow", node="m"})"});
  const Value why = manager.explain(Labels::from({{"alertname", "T"}, {"team", "a"}}), kStart);
  CHECK(why["routes"][0]["mutedByTime"].as_bool());
  REQUIRE(manager.expire_silence(id, kStart + kMinute).ok());
  CHECK(deliver(manager, kStart + 2 * kMinute).at(0).notification.alerts.at(0).labels.get("alertname") == "A");
  CHECK_FALSE(manager.expire_silence("nobody", kStart).ok());
}

TEST_CASE("silences that would hide everything or nothing are refused") {
  Manager manager(empty_config());
  const auto refused = [&](const std::string& matchers, std::int64_t ends) {
    return manager.set_silence({"", "", "", parse_matchers(matchers).value(), kStart, ends}, kStart).ok();
  };
  CHECK_FALSE(refused("", kStart + kMinute));
  CHECK_FALSE(refused("a=~\".*\"", kStart + kMinute));
  CHECK_FALSE(refused("a=b", kStart - 1));
  CHECK(refused("a=b", kStart + kMinute));
}

TEST_CASE("channels get what their makers document") {
  const Config config = parse_config(kConfig).value();
  Notification n{"all", "{}:{}", "http://am", Labels::from({{"alertname", "A"}}), {alert("A", {{"pod", "1"}})}, kStart};
  const auto slack = make_request(config.receivers.at("all").integrations[0], n, {});
  REQUIRE(slack.ok());
  CHECK(slack->request.url == "http://slack.example/hook");
  const Value body = json::parse(slack->request.body).value();
  CHECK(body["channel"].as_string() == "#ops");
  CHECK(body["attachments"][0]["title"].as_string() == "[FIRING:1] A (1)");
  CHECK(body["attachments"][0]["text"].as_string() == "- A is wrong\n");
  CHECK(body["attachments"][0]["color"].as_string() == "danger");
  const auto make = [&](const std::string& kind, const Value& settings) {
    const auto made = make_request({kind, settings, true, kind}, n, {});
    return made.ok() ? json::parse(made->request.body).value() : Value(made.error().message);
  };
  CHECK(make("webhook", Value{{"url", "http://x"}})["alerts"][0]["status"].as_string() == "firing");
  CHECK(make("webhook", Value::map()).as_string() == "webhook: url is missing");
  n.alerts[0].ends_at = kStart - 1;
  CHECK(make("discord", Value{{"webhook_url", "http://x"}})["embeds"][0]["color"].as_int() == 0x2ECC71);
  CHECK(make("pagerduty", Value{{"routing_key", "k"}})["event_action"].as_string() == "resolve");
  CHECK(make("msteamsv2", Value{{"webhook_url", "http://x"}})["attachments"][0]["content"]["type"].as_string() ==
        "AdaptiveCard");
  CHECK(make("telegram", Value{{"bot_token", "t"}, {"chat_id", 5}})["chat_id"].as_int() == 5);
  CHECK(make("slack", Value{{"api_url", "http://x"}, {"title", "{{ .Nope.x }}"}}).is_string());
}

TEST_CASE("a mail takes the server of the global section, and what can't be sent is refused by field") {
  Notification n{"all", "{}:{}", "http://am", Labels::from({{"alertname", "A"}}), {alert("A", {{"pod", "1"}})}, kStart};
  const Config config = parse_config(R"(
global: {smtp_smarthost: 'mail.example:587', smtp_from: 'Caisson <ops@example.org>', smtp_auth_username: u, smtp_auth_password: p}
route: {receiver: all}
receivers:
- name: all
  email_configs: [{to: 'a@example.org, b@example.org', headers: {X-Team: '{{ .GroupLabels.alertname }}'}}]
)")
                            .value();
  const auto made = make_mail(config.receivers.at("all").integrations[0], n, {});
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
  CHECK(made->server.host == "mail.example");
  CHECK(made->server.password == "p");
  CHECK(made->server.require_tls);
  CHECK(made->mail.to == std::vector<std::string>{"a@example.org", "b@example.org"});
  CHECK(made->mail.headers[0].second == "A");
  CHECK(made->mail.headers[1].second == "[FIRING:1] A (1)");
  CHECK(made->mail.html.find("A is wrong") != std::string::npos);

  const auto refused = [&](const Value& settings) {
    return make_mail({"email", settings, true, "email"}, n, {}).error().message;
  };
  CHECK(refused(Value{{"smarthost", "mail.example"}}) == "email: smarthost must be host:port, is \"mail.example\"");
  CHECK(refused(Value{{"smarthost", "m:25"}, {"from", "x"}}) == "email: from: not a mail address: x");
  CHECK(refused(Value{{"smarthost", "m:25"}, {"from", "a@b"}}) == "email: to is missing");
}

TEST_CASE("an AlertmanagerConfig sends mail through the global server, with its headers") {
  Config config =
      parse_config("global: {smtp_smarthost: 'm:25', smtp_from: a@b}\nroute: {receiver: x}\nreceivers: [{name: x}]")
          .value();
  const kube::Object object(
      json::parse(
          R"({"metadata":{"namespace":"shop","name":"c"},"spec":{"route":{"receiver":"r"},"receivers":[{"name":"r",
    "emailConfigs":[{"to":"t@example.org","requireTLS":false,"headers":[{"key":"Subject","value":"hello"}],
      "authUsername":"u","authPassword":{"name":"s","key":"k"}}]}]}})")
          .value());
  const auto added = add_object(config, object, [](const std::string&, const Value&) { return std::string("secret"); });
  REQUIRE_MESSAGE(added.ok(), (added.ok() ? "" : added.error().message));
  const Value& settings = config.receivers.at("shop/c/r").integrations[0].settings;
  CHECK(settings["smarthost"].as_string() == "m:25");
  CHECK(settings["auth_password"].as_string() == "secret");
  CHECK(settings["require_tls"].as_bool(true) == false);
  CHECK(settings["headers"]["Subject"].as_string() == "hello");
}

TEST_CASE("templates see alerts as upstream's do") {
  const Notification n{"r",
                       "k",
                       "http://am",
                       Labels::from({{"alertname", "A"}}),
                       {alert("A", {{"pod", "1"}}), alert("A", {{"pod", "2"}}, kStart - 1)},
                       kStart};
  const auto text = [&](const std::string& t) {
    const auto out = expand(t, n, {"{{ define \"own\" }}own {{ .Receiver }}{{ end }}"});
    return out.ok() ? *out : "error: " + out.error().message;
  };
  CHECK(text("{{ len .Alerts.Firing }} {{ len .Alerts.Resolved }} {{ .Status }}") == "1 1 firing");
  CHECK(text("{{ range .Alerts }}{{ .Labels.pod }}{{ end }}") == "12");
  CHECK(text("{{ .CommonLabels.SortedPairs.Values | join \",\" }} {{ .CommonAnnotations.summary }}") == "A A is wrong");
  CHECK(text("{{ template \"own\" . }}") == "own r");
  CHECK(text("{{ (index .Alerts 0).StartsAt.Format \"2006-01-02\" }}") == "2023-11-14");
}

TEST_CASE("configurations that can't work are refused, by field") {
  CHECK(refusal("route: {receiver: x}\nreceivers: []") == "undefined receiver \"x\" used in route");
  CHECK(refusal("receivers: []") == "no routes provided");
  CHECK(refusal("route: {}\nreceivers: [{name: a}]") == "route: root route must specify a default receiver");
  CHECK(refusal("route: {receiver: a, matchers: ['x=y']}\nreceivers: [{name: a}]") ==
        "route: root route must not have any matchers");
  CHECK(refusal("route: {receiver: a}\nreceivers: [{name: a, sns_configs: [{}]}]") ==
        "receiver a: sns_configs is not a channel that is served here");
  CHECK(refusal("route: {receiver: a, routes: [{mute_time_intervals: [x]}]}\nreceivers: [{name: a}]") ==
        "undefined time interval \"x\" used in route");
  CHECK(refusal("route: {receiver: a, group_wait: soon}\nreceivers: [{name: a}]").find("group_wait") !=
        std::string::npos);
}

TEST_CASE("an AlertmanagerConfig takes the alerts of its namespace") {
  Config config = parse_config(kConfig).value();
  kube::Object object(
      json::parse(
          R"({"apiVersion":"monitoring.coreos.com/v1alpha1","kind":"AlertmanagerConfig","metadata":{"name":"chat","namespace":"shop"},
    "spec":{"route":{"receiver":"r","groupBy":["pod"],"matchers":[{"name":"severity","value":"page"}]},
            "receivers":[{"name":"r","discordConfigs":[{"apiURL":{"name":"s","key":"url"},"sendResolved":false}]}]}})")
          .value());
  REQUIRE(add_object(config, object, [](const std::string& ns, const Value& selector) {
            return ns + "/" + selector["name"].str();
          }).ok());
  const Manager manager(config);
  CHECK(receivers(manager, Labels::from({{"namespace", "shop"}, {"severity", "page"}})) ==
        std::vector<std::string>{"shop/chat/r", "pager"});
  CHECK(receivers(manager, Labels::from({{"namespace", "other"}, {"severity", "page"}})) ==
        std::vector<std::string>{"pager"});
  CHECK(config.receivers.at("shop/chat/r").integrations.at(0).settings["api_url"].as_string() == "shop/s");
}

TEST_CASE("an AlertmanagerConfig's httpConfig is kept, and what of it can't be done refuses the object") {
  const auto add = [](const std::string& http, Config& config) {
    const std::string receiver =
        R"({"name":"r","webhookConfigs":[{"url":"http://a.example","httpConfig":)" + http + "}]}";
    const kube::Object object(
        json::parse(R"({"metadata":{"name":"chat","namespace":"shop"},"spec":{"route":{"receiver":"r"},"receivers":[)" +
                    receiver + "]}}")
            .value());
    return add_object(config, object,
                      [](const std::string& ns, const Value& selector) { return ns + "/" + selector["key"].str(); });
  };
  Config config = parse_config(kConfig).value();
  REQUIRE(
      add(R"({"authorization":{"type":"Token","credentials":{"name":"s","key":"token"}},"tlsConfig":{"ca":{"secret":{"name":"s","key":"ca"}}}})",
          config)
          .ok());
  const Value& http = config.receivers.at("shop/chat/r").integrations.at(0).settings["http_config"];
  CHECK(json::write(http["authorization"]) == R"({"type":"Token","credentials":"shop/token"})");
  CHECK(http["tls_config"]["ca"].as_string() == "shop/ca");
  for (const char* refused :
       {R"({"proxyURL":"http://p.example"})", R"({"oauth2":{}})", R"({"tlsConfig":{"cert":{}}})"}) {
    Config other = parse_config(kConfig).value();
    const auto added = add(refused, other);
    REQUIRE_FALSE(added.ok());
    CHECK(added.error().message.find("receiver r: httpConfig.") != std::string::npos);
  }
}

TEST_CASE("API v2 takes alerts and silences and gives them back") {
  Manager manager(parse_config(kConfig).value());
  const auto ask = [&](const char* method, const char* path, const std::string& body = "", http::Query query = {}) {
    return answer_api(manager, method, path, query, body, kStart, kStart);
  };
  CHECK(ask("POST", "/api/v2/alerts", R"([{"labels":{"alertname":"A"},"annotations":{"summary":"s"}}])").status == 200);
  CHECK(ask("POST", "/api/v2/alerts", R"([{"labels":{}}])").status == 400);
  const Value made =
      json::parse(
          ask("POST", "/api/v2/silences",
              R"({"matchers":[{"name":"alertname","value":"A","isRegex":false}],"startsAt":"2023-11-14T22:00:00Z","endsAt":"2023-11-14T23:00:00Z","createdBy":"me","comment":"c"})")
              .body)
          .value();
  const Value alerts = json::parse(ask("GET", "/api/v2/alerts").body).value();
  CHECK(alerts[0]["status"]["state"].as_string() == "suppressed");
  CHECK(alerts[0]["status"]["silencedBy"][0] == made["silenceID"]);
  CHECK(json::parse(ask("GET", "/api/v2/alerts", "", {{"silenced", "false"}}).body).value().empty());
  CHECK(ask("DELETE", ("/api/v2/silence/" + made["silenceID"].str()).c_str()).status == 200);
  CHECK(ask("GET", "/api/v2/silence/none").status == 404);
  CHECK(ask("GET", "/api/v2/nothing").status == 404);
}

TEST_CASE("time intervals know weekdays, the end of the month and zones") {
  const auto in = [](const std::string& text, const char* time) {
    return contains(parse_time_interval(json::parse(text).value()).value(), parse_time(time).value());
  };
  CHECK(in(R"({"weekdays":["monday:friday"],"times":[{"start_time":"09:00","end_time":"17:00"}]})",
           "2026-11-20T16:59:00Z"));
  CHECK_FALSE(in(R"({"weekdays":["monday:friday"],"times":[{"start_time":"09:00","end_time":"17:00"}]})",
                 "2026-11-20T17:00:00Z"));
  CHECK_FALSE(in(R"({"weekdays":["monday:friday"]})", "2026-11-21T12:00:00Z"));
  CHECK(in(R"({"days_of_month":["-1"]})", "2028-02-29T12:00:00Z"));
  CHECK(in(R"({"months":["november"],"years":["2026"]})", "2026-11-21T12:00:00Z"));
  CHECK_FALSE(
      parse_time_interval(json::parse(R"({"times":[{"start_time":"17:00","end_time":"09:00"}]})").value()).ok());
}

TEST_CASE("the default rules can be read") {
  const auto groups = default_rules().value();
  CHECK(groups.size() == 6);
  const auto& rules = groups.back().rules;
  CHECK(std::any_of(rules.begin(), rules.end(), [](const auto& rule) { return rule.alert == "Watchdog"; }));
}

}  // namespace caisson::alerts
