// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/yaml.h"
#include "observe/metrics/exposition/text.h"
#include "observe/metrics/rules/manager.h"
#include "observe/metrics/rules/recorded.h"
#include "observe/metrics/rules/rule_tests.h"
#include "observe/metrics/rules/template.h"
#include "observe/metrics/storage/memory.h"

namespace caisson::metrics {
namespace {

constexpr std::int64_t kMinute = 60'000;

std::string testdata(const std::string& name) {
  return test_room_dir() + "/rules/testdata/" + name;
}

RuleGroup group_of(const std::string& rules) {
  const Value document = yaml::read("groups:\n- name: g\n  rules:\n" + rules).value();
  return parse_rule_groups(document, "f", kMinute).value()[0];
}

struct Bench {
  MemoryStorage storage;
  RuleContext context;
  Bench() {
    context.storage = &storage;
    context.append = [this](std::span<const NewSample> samples) -> Result<void> {
      for (const NewSample& s : samples) storage.append(s.labels, s.t, s.v);
      return {};
    };
  }
  void put(const std::string& name, std::int64_t t, double v) {
    storage.append(Labels::from({{"__name__", name}}), t, v);
  }
};

std::string refusal(const std::string& rules) {
  const auto document = yaml::read("groups:\n- name: g\n  rules:\n" + rules);
  const auto parsed = parse_rule_groups(document.ok() ? *document : Value(), "f", kMinute);
  return parsed.ok() ? "" : parsed.error().message;
}

std::string expanded(const std::string& text, double value = 0) {
  const auto out = expand_alert_template(text, {Labels::from({{"job", "web"}}), {}, "", value, 0, nullptr});
  return out.ok() ? *out : "error: " + out.error().message;
}

}  // namespace

TEST_CASE("promtool's unit tests of rules run") {
  const auto report = run_rule_tests(testdata("tests.yaml")).value();
  CHECK(report.tests == 6);
  CHECK(report.failures == std::vector<std::string>{});
}

TEST_CASE("an expectation that is not met is told with what was got") {
  const auto report = run_rule_tests(testdata("tests_not_met.yaml")).value();
  CHECK(report.failures.size() == 3);
  CHECK_FALSE(run_rule_tests(testdata("absent.yaml")).ok());
}

TEST_CASE("a misspelt field of a test or of its rules is refused by name, as promtool does") {
  const TempDir dir = TempDir::make().value();
  const auto said = [&](const std::string& tests, const std::string& rules) {
    REQUIRE(write_file(dir.path() + "/tests.yaml", "rule_files: [rules.yaml]\n" + tests).ok());
    REQUIRE(write_file(dir.path() + "/rules.yaml", rules).ok());
    const auto report = run_rule_tests(dir.path() + "/tests.yaml");
    return report.ok() ? std::string() : report.error().message;
  };
  const std::string rules = "groups: [{name: g, rules: [{record: a, expr: '1'}]}]\n";
  CHECK(said("tests: [{promql_expr_test: [{expr: '1', eval_time: 0, exp_samples: [{value: 1}]}]}]\n", rules).empty());
  CHECK(said("tests: [{alert_rule_tests: []}]\n", rules).ends_with("field alert_rule_tests is not known in a test"));
  CHECK(said("tests: [{promql_expr_test: [{exp_sample: []}]}]\n", rules)
            .ends_with("field exp_sample is not known in promql_expr_test"));
  CHECK(said("tests: []\n", "groups: [{name: g, owner: x, rules: []}]\n")
            .ends_with("field owner is not known in a group of rules"));
  CHECK(said("tests: []\n", "groups: [{name: g, rules: [{record: a, expr: '1', labls: {}}]}]\n")
            .ends_with("field labls is not known in a rule"));
}

TEST_CASE("tests of rules begin when they say, run groups in the order they say, and compare histograms") {
  const TempDir dir = TempDir::make().value();
  REQUIRE(write_file(dir.path() + "/rules.yaml",
                     "groups:\n- {name: late, rules: [{record: b, expr: a + 1}]}\n"
                     "- {name: early, rules: [{record: a, expr: '1'}]}\n")
              .ok());
  const auto failures = [&](const std::string& start, const std::string& order, const std::string& sum) {
    const std::string text =
        "rule_files: [rules.yaml]\n" + order + "tests:\n- interval: 1m\n  start_timestamp: " + start +
        "\n  input_series: [{series: h, values: '{{schema:0 sum:3 count:4 buckets:[1 2 1]}}'}]\n"
        "  promql_expr_test:\n"
        "  - {expr: time(), eval_time: 1m, exp_samples: [{value: 1704067260}]}\n"
        "  - {expr: b, eval_time: 0m, exp_samples: [{labels: b, value: 2}]}\n"
        "  - expr: h\n    eval_time: 0m\n    exp_samples: [{labels: h, histogram: '{{schema:0 sum:" +
        sum + " count:4 buckets:[1 2 1]}}'}]\n";
    REQUIRE(write_file(dir.path() + "/tests.yaml", text).ok());
    return run_rule_tests(dir.path() + "/tests.yaml").value().failures.size();
  };
  const std::string order = "group_eval_order: [early, late]\n";
  CHECK(failures("2024-01-01T00:00:00Z", order, "3") == 0);
  CHECK(failures("1704067200", order, "3") == 0);
  CHECK(failures("1704067200", "", "3") == 1);
  CHECK(failures("1704067200", order, "5") == 1);
  CHECK(failures("0", order, "3") == 1);
}

TEST_CASE("an alert waits for its time, fires, keeps firing and ends") {
  Bench bench;
  GroupState state(group_of("  - {alert: A, expr: x > 0, for: 2m, keep_firing_for: 2m}\n"));
  const double values[] = {1, 1, 1, 0, 0, 0, 0};
  std::vector<std::string> states;
  for (int i = 0; i < 7; ++i) {
    bench.put("x", i * kMinute, values[i]);
    state.evaluate(bench.context, i * kMinute);
    states.emplace_back(state_name(state.alerts(0).at(0).state));
  }
  CHECK(states == std::vector<std::string>{"pending", "pending", "firing", "firing", "firing", "inactive", "inactive"});
}

TEST_CASE("a pending alert whose condition ends is forgotten, and never told") {
  Bench bench;
  GroupState state(group_of("  - {alert: A, expr: x > 0, for: 2m}\n"));
  bench.put("x", 0, 1);
  state.evaluate(bench.context, 0);
  bench.put("x", kMinute, 0);
  state.evaluate(bench.context, kMinute);
  CHECK(state.alerts(0).empty());
  CHECK(state.take_to_send(kMinute, kMinute).empty());
}

TEST_CASE("what ended is told once, what fires again and again") {
  Bench bench;
  GroupState state(group_of("  - {alert: A, expr: x > 0}\n"));
  bench.put("x", 0, 1);
  state.evaluate(bench.context, 0);
  CHECK(state.take_to_send(0, kMinute).size() == 1);
  CHECK(state.take_to_send(1000, kMinute).empty());
  CHECK(state.take_to_send(kMinute, kMinute).size() == 1);
  bench.put("x", 2 * kMinute, 0);
  state.evaluate(bench.context, 2 * kMinute);
  const auto ended = state.take_to_send(2 * kMinute, 10 * kMinute);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].resolved_at == 2 * kMinute);
  CHECK(state.take_to_send(2 * kMinute + 1, 10 * kMinute).empty());
}

TEST_CASE("for goes on after a restart") {
  const TempDir dir = TempDir::make().value();
  FakeClock clock;
  auto db = Tsdb::open(dir.path() + "/db", {}).value();
  GroupState before(group_of("  - {alert: A, expr: vector(1), for: 2m}\n"));
  Bench bench;
  before.evaluate(bench.context, 0);
  GroupState after(group_of("  - {alert: A, expr: vector(1), for: 2m}\n"));
  for (const Alert& alert : before.alerts(0)) after.restore("A", alert);
  after.evaluate(bench.context, 2 * kMinute);
  CHECK(after.alerts(0).at(0).state == Alert::State::firing);
}

TEST_CASE("rules that can't work are refused, by name") {
  CHECK(refusal("  - {expr: up}\n").find("one of 'record' and 'alert'") != std::string::npos);
  CHECK(refusal("  - {alert: A, expr: 'up ='}\n").find("could not parse expression") != std::string::npos);
  CHECK(refusal("  - {alert: A, expr: up, annotations: {s: '{{ $nope }}'}}\n").find("undefined variable") !=
        std::string::npos);
  CHECK(refusal("  - {record: a, expr: up, for: 1m}\n").find("belong to alerting rules") != std::string::npos);
  CHECK(refusal("  - {alert: A, expr: up, for: soon}\n").find("for: ") != std::string::npos);
  CHECK(refusal("  - {alert: A, expr: up}\n") == "");
}

TEST_CASE("templates have upstream's functions") {
  CHECK(expanded("{{ $labels.job }}/{{ .Labels.nothing }}.") == "web/.");
  CHECK(expanded("{{ $value | humanize }}", 1234567) == "1.235M");
  CHECK(expanded("{{ humanize1024 1048576.0 }}") == "1Mi");
  CHECK(expanded("{{ humanizeDuration 93784 }}") == "1d 2h 3m 4s");
  CHECK(expanded("{{ humanizePercentage 0.1234 }}") == "12.34%");
  CHECK(expanded("{{ reReplaceAll \"(o+)\" \"<$1>\" \"foo boo\" }}") == "f<oo> b<oo>");
  CHECK(expanded("{{ if match \"^w\" $labels.job }}yes{{ end }}") == "yes");
  CHECK(expanded("{{ stripPort \"host.name:80\" }} {{ stripDomain \"host.name:80\" }}") == "host.name host:80");
  CHECK(expanded("{{ query \"up\" }}").find("there is no storage here") != std::string::npos);
}

TEST_CASE("recorded series have the names, labels and values that public dashboards expect") {
  Bench bench;
  const std::string state = R"(
kube_pod_owner{job="kube-state-metrics",namespace="a",pod="web-1",owner_kind="ReplicaSet",owner_name="web-77"} 1
kube_replicaset_owner{job="kube-state-metrics",namespace="a",replicaset="web-77",owner_kind="Deployment",owner_name="web"} 1
kube_pod_owner{job="kube-state-metrics",namespace="a",pod="own-1",owner_kind="ReplicaSet",owner_name="own"} 1
kube_replicaset_owner{job="kube-state-metrics",namespace="a",replicaset="own"} 1
kube_pod_owner{job="kube-state-metrics",namespace="a",pod="db-0",owner_kind="StatefulSet",owner_name="db"} 1
kube_pod_owner{job="kube-state-metrics",namespace="a",pod="once-x",owner_kind="Job",owner_name="once"} 1
kube_job_owner{job="kube-state-metrics",namespace="a",job_name="once"} 1
kube_pod_owner{job="kube-state-metrics",namespace="a",pod="tick-1-x",owner_kind="Job",owner_name="tick-1"} 1
kube_job_owner{job="kube-state-metrics",namespace="a",job_name="tick-1",owner_kind="CronJob",owner_name="tick"} 1
kube_pod_owner{job="kube-state-metrics",namespace="a",pod="alone"} 1
kube_pod_status_phase{job="kube-state-metrics",namespace="a",pod="web-1",phase="Running"} 1
kube_pod_status_phase{job="kube-state-metrics",namespace="a",pod="db-0",phase="Running"} 0
kube_pod_container_resource_requests{job="kube-state-metrics",namespace="a",pod="web-1",container="m",resource="cpu"} 0.5
kube_pod_container_resource_requests{job="kube-state-metrics",namespace="a",pod="db-0",container="m",resource="cpu"} 4
node_cpu_seconds_total{job="node-exporter",node="n",instance="n",cpu="0",mode="idle"} 5
node_cpu_seconds_total{job="node-exporter",node="n",instance="n",cpu="1",mode="idle"} 5
node_load1{job="node-exporter",node="n",instance="n"} 3
)";
  for (const ExposedSample& s : parse_text(state).value().samples) bench.storage.append(s.labels, kMinute, s.v);
  for (const RuleGroup& group : recording_rules().value()) {
    GroupState evaluated(group);
    evaluated.evaluate(bench.context, kMinute);
    for (std::size_t i = 0; i < group.rules.size(); ++i) {
      CAPTURE(group.rules[i].expr);
      CHECK(evaluated.health(i).error == "");
    }
  }
  const auto value_of = [&](const std::string& query) {
    const auto result = promql::query_instant(bench.storage, {}, query, kMinute);
    if (!result.ok() || result->matrix.size() != 1) return -1.0;
    return result->matrix[0].floats.at(0).v;
  };
  const std::string owner = "namespace_workload_pod:kube_pod_owner:relabel";
  for (const char* expected : {R"({pod="web-1",workload="web",workload_type="deployment"})",
                               R"({pod="own-1",workload="own",workload_type="replicaset"})",
                               R"({pod="db-0",workload="db",workload_type="statefulset"})",
                               R"({pod="once-x",workload="once",workload_type="job"})",
                               R"({pod="tick-1-x",workload="tick",workload_type="CronJob"})",
                               R"({pod="alone",workload="alone",workload_type="barepod"})"}) {
    CAPTURE(expected);
    CHECK(value_of(owner + expected) == 1);
  }
  CHECK(value_of("count(" + owner + ")") == 6);
  CHECK(value_of("namespace_cpu:kube_pod_container_resource_requests:sum{namespace=\"a\"}") == 0.5);
  CHECK(value_of("count(cluster:namespace:pod_cpu:active:kube_pod_container_resource_requests)") == 1);
  CHECK(value_of("node:node_num_cpu:sum{node=\"n\"}") == 2);
  CHECK(value_of("instance:node_load1_per_cpu:ratio{instance=\"n\"}") == 1.5);
}

}  // namespace caisson::metrics
