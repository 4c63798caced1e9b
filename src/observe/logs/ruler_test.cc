// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/ruler.h"

#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/document/yaml.h"

namespace caisson::logs {
namespace {

constexpr const char* kRules = R"yaml(
groups:
- name: shop
  interval: 1m
  rules:
  - alert: TooManyErrors
    expr: sum by (app) (count_over_time({namespace="shop"} |= "error" [5m])) > 2
    for: 1m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.app }}: {{ $value }}, of {{ with query "sum(count_over_time({namespace=\"shop\"}[5m]))" }}{{ . | first | value }}{{ end }} lines'}
  - record: app:lines:rate5m
    expr: sum by (app) (rate({namespace="shop"}[5m]))
)yaml";

struct Fixture {
  TempDir dir = TempDir::make().value();
  FakeClock clock;
  std::unique_ptr<Store> store = Store::open(dir.path(), {}, clock).value();
  metrics::RuleLanguage language = rule_language(*store, clock);
  std::vector<metrics::NewSample> stored;
  metrics::RuleContext context;

  Fixture() {
    context.languages["logql"] = language.query;
    context.append = [this](std::span<const metrics::NewSample> samples) -> Result<void> {
      stored.assign(samples.begin(), samples.end());
      return {};
    };
  }
  std::int64_t now_ms() const { return clock.now().time_since_epoch().count() / 1'000'000; }
  void push(const std::string& app, const std::string& line) {
    const Labels labels = Labels::from({{"namespace", "shop"}, {"app", app}});
    const NewStream stream{labels, {{clock.now().time_since_epoch().count(), line, {}}}};
    REQUIRE(store->push({&stream, 1})->added == 1);
    clock.advance(std::chrono::milliseconds(10));
  }
  metrics::RuleGroup group() const {
    auto groups = metrics::parse_rule_groups(yaml::read(kRules).value(), "shop", 60'000, language.check).value();
    groups[0].language = "logql";
    return groups[0];
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a rule over logs records, waits, fires, and its templates ask LogQL") {
  for (int i = 0; i < 3; ++i) push("web", "an error");
  push("db", "all is well");
  metrics::GroupState state(group());
  state.evaluate(context, now_ms());
  CHECK(state.health(0).error == "");
  REQUIRE(state.alerts(0).size() == 1);
  CHECK(state.alerts(0)[0].state == metrics::Alert::State::pending);
  CHECK(state.alerts(0)[0].annotations[0].second == "web: 3, of 4 lines");
  REQUIRE(stored.size() == 2);  // of the recording rule, the last one
  CHECK(stored[0].labels.str() == R"({__name__="app:lines:rate5m", app="db"})");
  CHECK(stored[0].v == doctest::Approx(1.0 / 300));
  CHECK(stored[1].v == doctest::Approx(3.0 / 300));
  state.evaluate(context, now_ms() + 60'000);
  CHECK(state.alerts(0)[0].state == metrics::Alert::State::firing);
  CHECK(state.alerts(0)[0].labels.get("severity") == "page");
}

TEST_CASE_FIXTURE(Fixture, "rules over logs that can't work are refused, by name") {
  const auto refusal = [&](const std::string& expr) {
    const auto document = yaml::read("groups: [{name: g, rules: [{alert: A, expr: '" + expr + "'}]}]").value();
    const auto parsed = metrics::parse_rule_groups(document, "f", 60'000, language.check);
    return parsed.ok() ? "" : parsed.error().message;
  };
  CHECK(refusal("count_over_time({a=\"b\"}[5m]) > 1") == "");
  CHECK(refusal("{a=\"b\"}").find("a rule wants a metric query") != std::string::npos);
  CHECK(refusal("up == 0").find("parse error at line 1, col 1") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "Loki's API lists rules by file and group, and changes none") {
  const std::vector<metrics::GroupView> groups{{group(), 0, 0, {}}};
  const auto body = [&](const std::string& path) { return answer_rules(groups, "GET", path).body; };
  const Value all = yaml::read(body("")).value();
  CHECK(all["shop"][0]["name"].as_string() == "shop");
  CHECK(all["shop"][0]["rules"][0]["alert"].as_string() == "TooManyErrors");
  CHECK(all["shop"][0]["rules"][0]["for"].as_string() == "1m");
  CHECK(all["shop"][0]["rules"][1]["record"].as_string() == "app:lines:rate5m");
  CHECK(yaml::read(body("/shop")).value() == all);
  CHECK(yaml::read(body("/shop/shop")).value()["interval"].as_string() == "1m");
  CHECK(answer_rules(groups, "GET", "/shop/other").status == 404);
  CHECK(answer_rules(groups, "GET", "/other").body == "no rule groups found\n");
  CHECK(answer_rules({}, "GET", "").status == 404);
  CHECK(answer_rules(groups, "POST", "/shop").status == 405);
}

}  // namespace caisson::logs
