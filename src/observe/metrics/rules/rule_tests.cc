// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/rules/rule_tests.h"

#include <glob.h>

#include <algorithm>
#include <cmath>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/series_description.h"
#include "observe/metrics/rules/group.h"
#include "observe/metrics/storage/memory.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kStepsMax = 1'000'000;

std::string text_of(const Pairs& pairs) {
  std::string out = "{";
  for (const auto& [name, value] : pairs) out += (out.size() > 1 ? ", " : "") + name + "=" + quote(value);
  return out + "}";
}

Pairs pairs_of(const Value& map) {
  Pairs out;
  for (const auto& entry : map.entries()) out.emplace_back(entry.key, entry.value.scalar_text());
  std::sort(out.begin(), out.end());
  return out;
}

Pairs pairs_of(const Labels& labels) {
  Pairs out;
  for (const LabelView label : labels.items()) out.emplace_back(label.name, label.value);
  return out;
}

Labels labels_of(const Pairs& pairs) {
  std::vector<Label> list;
  for (const auto& [name, value] : pairs) list.push_back({name, value});
  return Labels::from(std::move(list));
}

Result<std::int64_t> duration_of(const Value& text, std::int64_t otherwise) {
  if (text.is_null()) return otherwise;
  if (text.is_number() && text.as_int() == 0) return std::int64_t{0};
  return parse_duration(text.as_string());
}

// As promtool, which reads its files strictly: a field that is misspelt would test nothing.
Result<void> only(const Value& map, std::initializer_list<std::string_view> known, const std::string& what) {
  for (const auto& entry : map.entries())
    if (std::find(known.begin(), known.end(), entry.key) == known.end())
      return Error{ErrorCode::bad_request, "field " + std::string(entry.key) + " is not known in " + what};
  return {};
}

Result<void> check_rule_fields(const Value& document) {
  TRY(only(document, {"groups"}, "a rule file"));
  for (const Value& group : document["groups"].items()) {
    TRY(only(group, {"name", "interval", "query_offset", "limit", "rules", "labels"}, "a group of rules"));
    for (const Value& rule : group["rules"].items())
      TRY(only(rule, {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}, "a rule"));
  }
  return {};
}

Result<void> check_test_fields(const Value& document) {
  TRY(only(document, {"rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"},
           "a file of tests"));
  for (const Value& test : document["tests"].items()) {
    TRY(only(test,
             {"interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url",
              "name", "start_timestamp"},
             "a test"));
    for (const Value& series : test["input_series"].items()) TRY(only(series, {"series", "values"}, "input_series"));
    for (const Value& one : test["alert_rule_test"].items()) {
      TRY(only(one, {"eval_time", "alertname", "exp_alerts"}, "alert_rule_test"));
      for (const Value& alert : one["exp_alerts"].items())
        TRY(only(alert, {"exp_labels", "exp_annotations"}, "exp_alerts"));
    }
    for (const Value& one : test["promql_expr_test"].items()) {
      TRY(only(one, {"expr", "eval_time", "exp_samples"}, "promql_expr_test"));
      for (const Value& sample : one["exp_samples"].items())
        TRY(only(sample, {"labels", "value", "histogram"}, "exp_samples"));
    }
  }
  return {};
}

// Groups of `order` come first, as it has them; the others stay as they are.
void put_in_order(std::vector<RuleGroup>& groups, const Value& order) {
  const auto place = [&](const RuleGroup& group) {
    std::size_t at = 0;
    for (const Value& name : order.items()) {
      if (name.as_string() == group.name) break;
      ++at;
    }
    return at;
  };
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const RuleGroup& a, const RuleGroup& b) { return place(a) < place(b); });
}

// RFC 3339 or seconds since 1970.
Result<std::int64_t> start_of(const Value& text) {
  if (text.is_null()) return std::int64_t{0};
  const std::string written = text.scalar_text();
  if (const auto seconds = parse_float(written)) return static_cast<std::int64_t>(*seconds * 1000);
  const auto time = parse_time(written);
  if (!time) return Error{ErrorCode::bad_request, "start_timestamp: cannot parse " + quote(written)};
  return std::chrono::duration_cast<std::chrono::milliseconds>(time->time_since_epoch()).count();
}

Result<std::vector<RuleGroup>> read_rules(const Value& patterns, const std::string& directory, std::int64_t interval) {
  std::vector<RuleGroup> groups;
  for (const Value& pattern : patterns.items()) {
    glob_t found{};
    const std::string path =
        pattern.as_string().starts_with("/") ? pattern.str() : path_join(directory, pattern.as_string());
    const int code = ::glob(path.c_str(), 0, nullptr, &found);
    std::vector<std::string> files;
    for (std::size_t i = 0; code == 0 && i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (files.empty()) return Error{ErrorCode::not_found, "no rule file " + path};
    for (const std::string& file : files) {
      const Value document = TRY(yaml::read(TRY(read_file(file)), {.name = file}));
      TRY(check_rule_fields(document).in(file));
      for (RuleGroup& group : TRY(parse_rule_groups(document, file, interval).in(file)))
        groups.push_back(std::move(group));
    }
  }
  return groups;
}

class RuleTest {
 public:
  RuleTest(const Value& test, std::vector<RuleGroup> groups, std::int64_t evaluation, bool fuzzy,
           RuleTestReport& report)
      : test_(test), groups_(std::move(groups)), evaluation_(evaluation), fuzzy_(fuzzy), report_(report) {}

  Result<void> run() {
    const std::int64_t interval = TRY(duration_of(test_["interval"], evaluation_));
    if (interval <= 0 || evaluation_ <= 0)
      return Error{ErrorCode::bad_request, "interval and evaluation_interval must be above zero"};
    start_ = TRY(start_of(test_["start_timestamp"]));
    for (const Value& series : test_["input_series"].items()) TRY(load(series, interval));
    TRY(walk());
    for (const Value& expected : test_["promql_expr_test"].items()) TRY(check_query(expected));
    return {};
  }

 private:
  Result<void> load(const Value& from, std::int64_t interval) {
    const auto series =
        TRY(promql::parse_series(from["series"].str() + " " + from["values"].scalar_text()).in(from["series"].str()));
    std::int64_t t = start_;
    for (const promql::SequenceValue& value : series.values) {
      if (!value.omitted) {
        if (value.h)
          storage_.append(series.labels, t, *value.h);
        else
          storage_.append(series.labels, t, value.v);
      }
      t += interval;
    }
    return {};
  }

  // Evaluates every group from the start to the last time that is asked for, and looks at alerts on the way.
  Result<void> walk() {
    std::int64_t last = 0;
    for (const char* kind : {"alert_rule_test", "promql_expr_test"})
      for (const Value& item : test_[kind].items()) last = std::max(last, TRY(duration_of(item["eval_time"], 0)));
    if (static_cast<std::uint64_t>(last / evaluation_) > kStepsMax)
      return Error{ErrorCode::too_large, "more than " + std::to_string(kStepsMax) + " evaluations"};
    std::vector<GroupState> states;
    for (RuleGroup& group : groups_) states.emplace_back(std::move(group));
    RuleContext context;
    context.storage = &storage_;
    context.external_labels = labels_of(pairs_of(test_["external_labels"]));
    context.external_url = test_["external_url"].str();
    context.append = [this](std::span<const NewSample> samples) -> Result<void> {
      for (const NewSample& s : samples) {
        if (s.h)
          storage_.append(s.labels, s.t, *s.h);
        else
          storage_.append(s.labels, s.t, s.v);
      }
      return {};
    };
    for (std::int64_t t = 0; t <= last; t += evaluation_) {
      for (GroupState& state : states)
        if (t % state.group().interval_ms == 0 || state.group().interval_ms < evaluation_)
          state.evaluate(context, start_ + t);
      for (const GroupState& state : states)
        for (std::size_t i = 0; i < state.group().rules.size(); ++i)
          if (state.health(i).health == "err")
            return Error{ErrorCode::bad_request, "rule " + state.group().rules[i].alert +
                                                     state.group().rules[i].record + ": " + state.health(i).error};
      for (const Value& expected : test_["alert_rule_test"].items()) {
        const std::int64_t at = TRY(duration_of(expected["eval_time"], 0));
        if (at >= t && at < t + evaluation_) check_alerts(expected, states);
      }
    }
    return {};
  }

  void fail(const std::string& what) {
    report_.failures.push_back((test_["name"].as_string().empty() ? "" : test_["name"].str() + ": ") + what);
  }

  void check_alerts(const Value& expected, const std::vector<GroupState>& states) {
    ++report_.tests;
    const std::string name = expected["alertname"].str();
    std::vector<std::string> got, wanted;
    bool known = false;
    for (const GroupState& state : states)
      for (std::size_t i = 0; i < state.group().rules.size(); ++i) {
        if (state.group().rules[i].alert != name) continue;
        known = true;
        for (const Alert& alert : state.alerts(i))
          if (alert.state == Alert::State::firing)
            got.push_back("labels " + text_of(pairs_of(alert.labels)) + " annotations " + text_of(alert.annotations));
      }
    if (!known && !expected["exp_alerts"].empty()) return fail("no rule gives the alert " + name);
    for (const Value& one : expected["exp_alerts"].items()) {
      Value labels = one["exp_labels"].is_null() ? Value::map() : one["exp_labels"];
      labels.set("alertname", name);
      wanted.push_back("labels " + text_of(pairs_of(labels)) + " annotations " +
                       text_of(pairs_of(one["exp_annotations"])));
    }
    std::sort(got.begin(), got.end());
    std::sort(wanted.begin(), wanted.end());
    if (got != wanted)
      fail("alertname: " + name + ", time: " + expected["eval_time"].scalar_text() + ",\n  exp: [" +
           join(wanted, ",\n        ") + "]\n  got: [" + join(got, ",\n        ") + "]");
  }

  static std::string histogram_text(const Labels& labels, const FloatHistogram& h) {
    FloatHistogram shown = h;
    compact(shown);
    return labels.str() + " " + histogram_string(shown);
  }
  static Result<std::string> wanted_histogram(const Labels& labels, const std::string& text) {
    const auto values = TRY(promql::parse_sequence(text).in("histogram " + quote(text)));
    if (values.size() != 1 || !values[0].h)
      return Error{ErrorCode::bad_request, "histogram " + quote(text) + " is not one histogram"};
    return histogram_text(labels, *values[0].h);
  }

  bool same_value(double a, double b) const {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    return a == b || (fuzzy_ && std::fabs(a - b) <= 1e-9 * std::max(std::fabs(a), std::fabs(b)));
  }

  Result<void> check_query(const Value& expected) {
    ++report_.tests;
    const std::int64_t t = TRY(duration_of(expected["eval_time"], 0));
    const std::string expr = expected["expr"].str();
    const auto result = promql::query_instant(storage_, {}, expr, start_ + t);
    if (!result.ok()) {
      fail("expr: " + quote(expr) + ": " + result.error().message);
      return {};
    }
    std::vector<std::pair<Labels, double>> got, wanted;
    for (const promql::Series& series : result->matrix)
      if (!series.floats.empty()) got.emplace_back(series.labels, series.floats[0].v);
    std::vector<std::string> histograms_got, histograms_wanted;
    for (const promql::Series& series : result->matrix)
      if (!series.histograms.empty()) histograms_got.push_back(histogram_text(series.labels, *series.histograms[0].h));
    for (const Value& sample : expected["exp_samples"].items()) {
      const std::string labels = sample["labels"].str();
      Labels parsed;
      if (!labels.empty()) parsed = TRY(promql::parse_series(labels + " 0").in(labels)).labels;
      if (sample.contains("histogram"))
        histograms_wanted.push_back(TRY(wanted_histogram(parsed, sample["histogram"].str())));
      else
        wanted.emplace_back(parsed, sample["value"].is_string() ? parse_float(sample["value"].as_string()).value_or(NAN)
                                                                : sample["value"].as_double());
    }
    for (auto* list : {&got, &wanted})
      std::sort(list->begin(), list->end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::sort(histograms_got.begin(), histograms_got.end());
    std::sort(histograms_wanted.begin(), histograms_wanted.end());
    const bool same =
        histograms_got == histograms_wanted &&
        std::equal(got.begin(), got.end(), wanted.begin(), wanted.end(), [this](const auto& a, const auto& b) {
          return a.first == b.first && same_value(a.second, b.second);
        });
    if (same) return {};
    const auto text = [](const auto& list, const std::vector<std::string>& histograms) {
      std::string out;
      for (const auto& [labels, v] : list) out += "\n    " + labels.str() + " " + format_general(v);
      for (const std::string& one : histograms) out += "\n    " + one;
      return out.empty() ? std::string(" nil") : out;
    };
    fail("expr: " + quote(expr) + ", time: " + expected["eval_time"].scalar_text() +
         ",\n  exp:" + text(wanted, histograms_wanted) + "\n  got:" + text(got, histograms_got));
    return {};
  }

  const Value& test_;
  std::int64_t start_ = 0;  // when the first sample is
  std::vector<RuleGroup> groups_;
  const std::int64_t evaluation_;
  const bool fuzzy_;
  RuleTestReport& report_;
  MemoryStorage storage_;
};

}  // namespace

Result<RuleTestReport> run_rule_tests(const std::string& path) {
  const Value document = TRY(yaml::read(TRY(read_file(path)), {.name = path}));
  TRY(check_test_fields(document).in(path));
  const std::int64_t evaluation = TRY(duration_of(document["evaluation_interval"], 60'000).in(path));
  RuleTestReport report;
  auto groups = TRY(read_rules(document["rule_files"], path_dir(path), evaluation).in(path));
  put_in_order(groups, document["group_eval_order"]);
  for (const Value& test : document["tests"].items())
    TRY(RuleTest(test, groups, evaluation, document["fuzzy_compare"].as_bool(), report).run().in(path));
  return report;
}

}  // namespace caisson::metrics
