// SPDX-License-Identifier: Apache-2.0
// Alertmanager's configuration (0.29): route tree, receivers, inhibition, time intervals. Parsed from alertmanager.yml;
// AlertmanagerConfig objects (monitoring.coreos.com/v1alpha1) are added below the root route, as the operator does.
// Pure functions; any thread.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/document/value.h"
#include "observe/alerts/time_interval.h"
#include "observe/metrics/model/labels.h"

namespace caisson::alerts {

using metrics::Labels;
using metrics::Matcher;

struct Route {
  std::string receiver;
  std::vector<std::string> group_by;
  bool group_by_all = false;  // '...'
  std::int64_t group_wait_ms = 30'000, group_interval_ms = 300'000, repeat_interval_ms = 4LL * 3'600'000;
  std::vector<Matcher> matchers;
  std::vector<std::string> mute_time_intervals, active_time_intervals;
  bool continues = false;
  std::vector<Route> routes;
  std::string id;  // "{}/{severity=\"page\"}": the way from the root; part of a group's key
};

// One channel of a receiver. Its settings stay a Value: each kind reads its own (notify.h).
struct Integration {
  std::string kind;  // "slack", "webhook" …
  Value settings;    // with the global ones filled in
  bool send_resolved = false;
  std::string id;  // "team/slack[0]"
};

struct Receiver {
  std::string name;
  std::vector<Integration> integrations;
};

struct InhibitRule {
  std::vector<Matcher> source, target;
  std::vector<std::string> equal;
};

struct Config {
  Value global = Value::map();  // as the file has it
  Route root;
  std::map<std::string, Receiver> receivers;
  std::vector<InhibitRule> inhibit_rules;
  std::map<std::string, std::vector<TimeInterval>> time_intervals;
  std::vector<std::string> templates;  // texts
  std::int64_t resolve_timeout_ms = 300'000;
  std::string text;
};

// `templates` are the texts that the configuration's template files stand for. Errors: bad_request, which names the
// field, a receiver that is missing or a route without one.
Result<Config> parse_config(const std::string& yaml, std::vector<std::string> templates = {});
Config empty_config();  // one receiver without a channel

// A value in a Secret of the object's namespace.
using SecretReader = std::function<std::string(const std::string& ns, const Value& selector)>;
// Adds an AlertmanagerConfig: its route, matched also by its namespace, its receivers under "NS/NAME/RECEIVER".
Result<void> add_object(Config& config, const kube::Object& object, const SecretReader& secret);

// "a=\"x\"", "{a=~\"x\", b!=\"y\"}", "a=x": as amtool and the configuration write matchers. Errors: bad_request.
Result<std::vector<Matcher>> parse_matchers(std::string_view text);

// The routes that take an alert, in order; at least the root.
std::vector<const Route*> matching_routes(const Route& root, const Labels& labels);
bool matches(const std::vector<Matcher>& matchers, const Labels& labels);

}  // namespace caisson::alerts
