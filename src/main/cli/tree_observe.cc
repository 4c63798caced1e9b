// SPDX-License-Identifier: Apache-2.0
// promql, metrics, alert
#include <CLI/CLI.hpp>

#include "main/cli/tree.h"

namespace caisson::cli {
void add_observe_commands(Tree& t) {
  auto* promql = add(t, t.app, "promql", "ask for metrics, by PromQL",
                     "caisson promql 'rate(node_cpu_seconds_total[5m])' --start 1h",
                     [&t] { return done(command_promql(t.global, t.promql)); });
  promql->add_option("query", t.promql.query)->required();
  promql->add_option("--time", t.promql.time, "when: a time, or how long ago (5m); default: now");
  promql->add_option("--start", t.promql.start, "draw a graph from then on: a time, or how long ago (1h)");
  promql->add_option("--end", t.promql.end, "until then; default: now");
  promql->add_option("--step", t.promql.step, "between two points; default: as the terminal is wide");
  take_connection(t, promql);
  auto* metrics = add(t, t.app, "metrics", "check rules", "caisson metrics test rules tests.yaml", nullptr);
  metrics->require_subcommand(1);
  auto* test = add(t, *metrics, "test", "run unit tests", "caisson metrics test rules tests.yaml", nullptr);
  test->require_subcommand(1);
  auto* rules = add(t, *test, "rules", "of recording and alerting rules, in promtool's format",
                    "caisson metrics test rules tests.yaml", [&t] { return command_metrics_test_rules(t.files); });
  rules->add_option("file", t.files)->required();
  auto* alert = add(t, t.app, "alert", "see, silence and test alerts", "caisson alert ls", nullptr);
  alert->require_subcommand(1);
  auto* ls = add(t, *alert, "ls", "list alerts", "caisson alert ls namespace=shop",
                 [&t] { return done(command_alert_ls(t.global, t.alert)); });
  auto* silence = add(t, *alert, "silence", "keep alerts from being told, for a while",
                      "caisson alert silence alertname=TargetDown job=web --duration 1h",
                      [&t] { return done(command_alert_silence(t.global, t.alert)); });
  silence->add_option("--duration", t.alert.duration, "how long")->capture_default_str();
  silence->add_option("--comment", t.alert.comment, "why");
  silence->add_option("--expire", t.alert.expire, "end the silence with this id");
  silence->add_flag("--list", t.alert.list, "list silences");
  auto* send =
      add(t, *alert, "test", "send an alert, to see whom it reaches", "caisson alert test TestAlert severity=critical",
          [&t] { return done(command_alert_test(t.global, t.alert)); });
  send->add_option("--duration", t.alert.duration, "until it ends by itself")->capture_default_str();
  auto* why = add(t, *alert, "why", "say which routes, timers, silences and inhibitions decide about an alert",
                  "caisson alert why TargetDown job=web", [&t] { return done(command_alert_why(t.global, t.alert)); });
  for (CLI::App* command : {ls, silence, send, why}) {
    command->add_option("matchers", t.alert.matchers,
                        "NAME=VALUE of labels; a first word without = is the alert's name");
    take_connection(t, command);
  }
}

}  // namespace caisson::cli
