// SPDX-License-Identifier: Apache-2.0
#include "main/cli/observe_commands.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "main/cli/series_output.h"
#include "observe/alerts/notify.h"
#include "observe/metrics/api/query_api.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/rules/rule_tests.h"

namespace caisson::cli {
namespace {

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(system_clock().now().time_since_epoch()).count();
}

Result<Value> ask(const Session& session, const std::string& path, const std::string& method = "GET",
                  const std::string& body = "") {
  const http::Response response = TRY(session.send(method, path, "application/json", body));
  if (response.body.empty()) return Value();
  return json::parse(response.body);
}

std::string seconds(std::int64_t ms) {
  return metrics::format_fixed(static_cast<double>(ms) / 1000);
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::getuid());
  return entry ? entry->pw_name : std::to_string(::getuid());
}

// a=b c=d as the query of why, or the labels of an alert.
Result<std::vector<std::pair<std::string, std::string>>> labels_of(const std::vector<std::string>& words) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string& word : words) {
    const auto at = word.find('=');
    if (at == std::string::npos && out.empty())
      out.emplace_back("alertname", word);
    else if (at == std::string::npos || at == 0)
      return Error{ErrorCode::bad_request, "'" + word + "' is no label: write NAME=VALUE"};
    else
      out.emplace_back(word.substr(0, at), word.substr(at + 1));
  }
  if (out.empty()) return Error{ErrorCode::bad_request, "name the alert: NAME LABEL=VALUE …"};
  return out;
}

}  // namespace

Result<void> command_promql(const Global& global, const PromqlFlags& flags) {
  const Session session = TRY(connect(global));
  const std::int64_t now = now_ms();
  const std::string query = "query=" + percent_encode(flags.query);
  if (flags.start.empty()) {
    const std::int64_t at = TRY(time_of(flags.time, now).in("--time"));
    const Value answer = TRY(ask(session, "/prometheus/api/v1/query?" + query + "&time=" + seconds(at)));
    if (!global.output.empty())
      print_value(answer["data"], global.output);
    else
      print_instant(answer["data"]);
    return {};
  }
  const std::int64_t start = TRY(time_of(flags.start, now).in("--start")),
                     end = TRY(time_of(flags.end, now).in("--end"));
  if (end <= start) return Error{ErrorCode::bad_request, "--end is not after --start"};
  const std::size_t width = graph_points();
  std::int64_t step = std::max<std::int64_t>(1000, (end - start) / static_cast<std::int64_t>(width));
  if (!flags.step.empty()) step = TRY(metrics::parse_duration(flags.step).in("--step"));
  const Value answer = TRY(ask(session, "/prometheus/api/v1/query_range?" + query + "&start=" + seconds(start) +
                                            "&end=" + seconds(end) + "&step=" + seconds(step)));
  if (!global.output.empty())
    print_value(answer["data"], global.output);
  else
    print_graph(answer["data"], start, step,
                std::min<std::size_t>(width, static_cast<std::size_t>((end - start) / step) + 1) / 2 * 2 + 2);
  return {};
}

Result<int> command_metrics_test_rules(const std::vector<std::string>& files) {
  int code = 0;
  for (const std::string& file : files) {
    const auto report = metrics::run_rule_tests(file);
    if (!report.ok()) {
      std::fprintf(stderr, "%s %s: %s\n", paint("FAILED", kRed).c_str(), file.c_str(), report.error().message.c_str());
      code = 1;
      continue;
    }
    for (const std::string& failure : report->failures) std::fprintf(stderr, "%s: %s\n", file.c_str(), failure.c_str());
    if (report->failures.empty())
      std::printf("%s %s: %zu expectations\n", paint("SUCCESS", kGreen).c_str(), file.c_str(), report->tests);
    else
      std::fprintf(stderr, "%s %s: %zu of %zu expectations not met\n", paint("FAILED", kRed).c_str(), file.c_str(),
                   report->failures.size(), report->tests);
    code |= report->failures.empty() ? 0 : 1;
  }
  return code;
}

Result<void> command_alert_ls(const Global& global, const AlertFlags& flags) {
  const Session session = TRY(connect(global));
  std::string path = "/alertmanager/api/v2/alerts?active=true";
  for (const std::string& matcher : flags.matchers) path += "&filter=" + percent_encode(matcher);
  const Value alerts = TRY(ask(session, path));
  if (!global.output.empty()) {
    print_value(alerts, global.output);
    return {};
  }
  if (alerts.empty()) {
    std::printf("no alerts\n");
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (const Value& a : alerts.items()) {
    const auto since = parse_time(a["startsAt"].as_string());
    rows.push_back({a["labels"]["alertname"].str(), a["labels"]["severity"].str(), a["labels"]["namespace"].str(),
                    a["status"]["state"].str(), since ? format_age(system_clock().now() - *since) : "",
                    a["annotations"]["summary"].str()});
  }
  print_table({"ALERT", "SEVERITY", "NAMESPACE", "STATE", "SINCE", "SUMMARY"}, rows);
  return {};
}

Result<void> command_alert_silence(const Global& global, const AlertFlags& flags) {
  const Session session = TRY(connect(global));
  if (!flags.expire.empty()) {
    TRY(session.send("DELETE", "/alertmanager/api/v2/silence/" + percent_encode(flags.expire)));
    std::printf("silence %s has ended\n", flags.expire.c_str());
    return {};
  }
  if (flags.list) {
    const Value all = TRY(ask(session, "/alertmanager/api/v2/silences"));
    if (!global.output.empty()) {
      print_value(all, global.output);
      return {};
    }
    std::vector<std::vector<std::string>> rows;
    for (const Value& s : all.items()) {
      std::vector<std::string> matchers;
      for (const Value& m : s["matchers"].items())
        matchers.push_back(m["name"].str() +
                           (m["isEqual"].as_bool(true) ? (m["isRegex"].as_bool() ? "=~" : "=")
                                                       : (m["isRegex"].as_bool() ? "!~" : "!=")) +
                           metrics::quote(m["value"].as_string()));
      if (s["status"]["state"].as_string() != "expired")
        rows.push_back({s["id"].str(), s["status"]["state"].str(), join(matchers, " "), s["endsAt"].str(),
                        s["createdBy"].str(), s["comment"].str()});
    }
    print_table({"ID", "STATE", "MATCHERS", "UNTIL", "BY", "COMMENT"}, rows);
    return {};
  }
  std::vector<Value> matchers;
  for (const std::string& word : flags.matchers)
    for (const metrics::Matcher& m : TRY(alerts::parse_matchers(word)))
      matchers.push_back(
          Value{{"name", m.name},
                {"value", m.value},
                {"isRegex", m.type == metrics::MatchType::regex || m.type == metrics::MatchType::not_regex},
                {"isEqual", m.type == metrics::MatchType::equal || m.type == metrics::MatchType::regex}});
  if (matchers.empty())
    return Error{ErrorCode::bad_request,
                 "say what to silence: caisson alert silence alertname=KubePodNotReady namespace=shop"};
  const std::int64_t now = now_ms(), until = now + TRY(metrics::parse_duration(flags.duration).in("--duration"));
  const Value body{{"matchers", Value(std::move(matchers))},
                   {"startsAt", alerts::time_text(now)},
                   {"endsAt", alerts::time_text(until)},
                   {"createdBy", user_name()},
                   {"comment", flags.comment}};
  const Value answer = TRY(ask(session, "/alertmanager/api/v2/silences", "POST", json::write(body)));
  std::printf("silence %s until %s\n", answer["silenceID"].str().c_str(), alerts::time_text(until).c_str());
  return {};
}

Result<void> command_alert_test(const Global& global, const AlertFlags& flags) {
  const Session session = TRY(connect(global));
  Value labels = Value::map();
  const auto words = flags.matchers.empty() ? std::vector<std::string>{"TestAlert"} : flags.matchers;
  for (const auto& [name, value] : TRY(labels_of(words))) labels.set(name, value);
  const std::int64_t now = now_ms(), until = now + TRY(metrics::parse_duration(flags.duration).in("--duration"));
  const Value alert{{"labels", labels},
                    {"annotations", Value{{"summary", "A test: somebody ran caisson alert test."}}},
                    {"startsAt", alerts::time_text(now)},
                    {"endsAt", alerts::time_text(until)}};
  TRY(ask(session, "/alertmanager/api/v2/alerts", "POST", json::write(Value(std::vector<Value>{alert}))));
  std::printf("sent; it ends by itself at %s\n", alerts::time_text(until).c_str());
  return command_alert_why(global, {.matchers = words});
}

Result<void> command_alert_why(const Global& global, const AlertFlags& flags) {
  const Session session = TRY(connect(global));
  const auto given = TRY(labels_of(flags.matchers));
  // The alert that these labels name, when there is exactly one.
  std::string filter = "/alertmanager/api/v2/alerts?";
  for (const auto& [name, value] : given)
    filter += "filter=" + percent_encode(name + "=" + metrics::quote(value)) + "&";
  const Value found = TRY(ask(session, filter));
  if (found.size() > 1)
    return Error{ErrorCode::bad_request,
                 std::to_string(found.size()) + " alerts have these labels: name more of them (caisson alert ls)"};
  std::string query;
  if (found.size() == 1)
    for (const auto& entry : found[0]["labels"].entries())
      query += percent_encode(entry.key) + "=" + percent_encode(entry.value.as_string()) + "&";
  else
    for (const auto& [name, value] : given) query += percent_encode(name) + "=" + percent_encode(value) + "&";
  const Value why = TRY(ask(session, "/alertmanager/api/v2/why?" + query));
  if (!global.output.empty()) {
    print_value(why, global.output);
    return {};
  }
  std::printf("%s %s\n", paint(series_text(why["labels"]), kBold).c_str(),
              why["firing"].as_bool() ? paint("fires", kRed).c_str() : "does not fire now");
  for (const Value& route : why["routes"].items()) {
    std::printf("  route %s → receiver %s, grouped as %s\n", route["route"].str().c_str(),
                route["receiver"].str().c_str(), series_text(route["groupLabels"]).c_str());
    std::printf("    first after %s, news every %s, again after %s%s\n", route["groupWait"].str().c_str(),
                route["groupInterval"].str().c_str(), route["repeatInterval"].str().c_str(),
                route["mutedByTime"].as_bool() ? ", muted now by a time interval" : "");
    if (route.contains("nextLook")) std::printf("    next look at %s\n", route["nextLook"].str().c_str());
    if (route["channels"].empty()) std::printf("    the receiver has no channel: nobody is told\n");
    for (const Value& channel : route["channels"].items())
      std::printf("    %s: %s\n", channel["channel"].str().c_str(),
                  channel.contains("lastSent") ? ("told at " + channel["lastSent"].str()).c_str() : "not told yet");
  }
  for (const Value& silence : why["silences"].items())
    std::printf("  silenced by %s until %s: %s\n", silence["id"].str().c_str(), silence["until"].str().c_str(),
                silence["comment"].str().c_str());
  for (const Value& source : why["inhibitedBy"].items())
    std::printf("  inhibited by %s\n", series_text(source).c_str());
  return {};
}

}  // namespace caisson::cli
