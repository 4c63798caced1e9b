// SPDX-License-Identifier: Apache-2.0
// AlertmanagerConfig objects as part of the configuration. Source: Prometheus operator 0.85, pkg/alertmanager/amcfg.go:
// names are prefixed by "NS/NAME/", the route takes only alerts of its namespace, and goes on to the next.
#include <algorithm>

#include "core/document/yaml.h"
#include "observe/alerts/config.h"

namespace caisson::alerts {
namespace {

struct Field {
  const char *camel, *snake;
};
// What is written otherwise in the objects than in the file. Names that are one word are the same.
constexpr Field kFields[] = {{"sendResolved", "send_resolved"},
                             {"apiURL", "api_url"},
                             {"webhookURL", "webhook_url"},
                             {"titleLink", "title_link"},
                             {"iconEmoji", "icon_emoji"},
                             {"iconURL", "icon_url"},
                             {"imageURL", "image_url"},
                             {"thumbURL", "thumb_url"},
                             {"avatarURL", "avatar_url"},
                             {"routingKey", "routing_key"},
                             {"clientURL", "client_url"},
                             {"botToken", "bot_token"},
                             {"chatID", "chat_id"},
                             {"parseMode", "parse_mode"},
                             {"disableNotifications", "disable_notifications"},
                             {"maxAlerts", "max_alerts"},
                             {"urlSecret", "url"},
                             {"authUsername", "auth_username"},
                             {"authPassword", "auth_password"},
                             {"requireTLS", "require_tls"}};
constexpr Field kChannels[] = {{"slackConfigs", "slack_configs"},         {"discordConfigs", "discord_configs"},
                               {"webhookConfigs", "webhook_configs"},     {"msteamsConfigs", "msteams_configs"},
                               {"msteamsv2Configs", "msteamsv2_configs"}, {"pagerdutyConfigs", "pagerduty_configs"},
                               {"telegramConfigs", "telegram_configs"},   {"emailConfigs", "email_configs"}};

std::string snake(std::string_view camel, std::span<const Field> table) {
  for (const Field& field : table)
    if (camel == field.camel) return field.snake;
  return std::string(camel);
}

// A map with `name` and `key` where the file has a text stands for a value in a Secret.
Value text_of(const Value& from, const std::string& ns, const SecretReader& secret) {
  const bool reference = from.is_map() && from.contains("key") && from.contains("name");
  return reference ? Value(secret(ns, from)) : from;
}

Value texts_of(const Value& from, const std::string& ns, const SecretReader& secret) {
  Value out = Value::map();
  for (const auto& entry : from.entries()) out.set(entry.key, text_of(entry.value, ns, secret));
  return out;
}

Result<Value> tls_config_of(const Value& from, std::string_view place, const std::string& ns,
                            const SecretReader& secret) {
  Value tls{{"insecure_skip_verify", from["insecureSkipVerify"].as_bool()}};
  for (const auto& field : from.entries()) {
    const bool known = field.key == "insecureSkipVerify" || (field.key == "ca" && !field.value["secret"].is_null());
    if (!known) return Error{ErrorCode::invalid, std::string(place) + std::string(field.key) + " is not supported"};
  }
  if (from.contains("ca")) tls.set("ca", text_of(from["ca"]["secret"], ns, secret));
  return tls;
}

// Errors: invalid for what notify.cc can't do: a notice must not go another way than it was told to.
Result<Value> http_config_of(const Value& from, const std::string& ns, const SecretReader& secret) {
  Value out = Value::map();
  for (const auto& entry : from.entries()) {
    const std::string_view key = entry.key;
    const Value& value = entry.value;
    if (key == "basicAuth") {
      out.set("basic_auth", texts_of(value, ns, secret));
    } else if (key == "authorization") {
      out.set("authorization", texts_of(value, ns, secret));
    } else if (key == "bearerTokenSecret") {
      out.set("bearer_token", text_of(value, ns, secret));
    } else if (key == "tlsConfig") {
      out.set("tls_config", TRY(tls_config_of(value, "httpConfig.tlsConfig.", ns, secret)));
    } else {
      return Error{ErrorCode::invalid, "httpConfig." + std::string(key) + " is not supported"};
    }
  }
  return out;
}

// [{key: Subject, value: x}], as the object has the headers of a mail, to what the file has.
Value headers_of(const Value& from) {
  if (from.is_map()) return from;
  Value out = Value::map();
  for (const Value& item : from.items()) out.set(item["key"].str(), item["value"]);
  return out;
}

Result<Value> channel_of(const Value& from, const std::string& ns, const SecretReader& secret) {
  Value out = Value::map();
  for (const auto& entry : from.entries()) {
    if (entry.key == "httpConfig")
      out.set("http_config", TRY(http_config_of(entry.value, ns, secret)));
    else if (entry.key == "headers")
      out.set("headers", headers_of(entry.value));
    else if (entry.key == "tlsConfig")
      out.set("tls_config", TRY(tls_config_of(entry.value, "tlsConfig.", ns, secret)));
    else
      out.set(snake(entry.key, kFields), text_of(entry.value, ns, secret));
  }
  return out;
}

Value matchers_of(const Value& list) {
  std::vector<std::string> out;
  for (const Value& m : list.items()) {
    const std::string type(m["matchType"].as_string(m["regex"].as_bool() ? "=~" : "="));
    std::string value = m["value"].str(), escaped;
    for (const char c : value) {
      if (c == '"' || c == '\\') escaped += '\\';
      escaped += c;
    }
    out.push_back(m["name"].str() + type + "\"" + escaped + "\"");
  }
  return Value::list_of(out);
}

Value route_of(const Value& from, const std::string& prefix, const std::string& ns, bool top) {
  Value out = Value::map();
  if (!from["receiver"].as_string().empty()) out.set("receiver", prefix + from["receiver"].str());
  for (const auto& [camel, name] : {std::pair("groupBy", "group_by"), std::pair("groupWait", "group_wait"),
                                    std::pair("groupInterval", "group_interval"),
                                    std::pair("repeatInterval", "repeat_interval"), std::pair("continue", "continue")})
    if (from.contains(camel)) out.set(name, from[camel]);
  for (const auto& [camel, name] : {std::pair("muteTimeIntervals", "mute_time_intervals"),
                                    std::pair("activeTimeIntervals", "active_time_intervals")}) {
    std::vector<std::string> names;
    for (const Value& item : from[camel].items()) names.push_back(prefix + item.str());
    out.set(name, Value::list_of(names));
  }
  Value matchers = matchers_of(from["matchers"]);
  if (top) matchers.push_back("namespace=\"" + ns + "\"");
  out.set("matchers", matchers);
  if (top) out.set("continue", true);
  std::vector<Value> children;
  for (const Value& child : from["routes"].items()) children.push_back(route_of(child, prefix, ns, false));
  out.set("routes", Value(std::move(children)));
  return out;
}

}  // namespace

// Written as the file would have it and read as the file is: one set of rules for both.
Result<void> add_object(Config& config, const kube::Object& object, const SecretReader& secret) {
  const std::string prefix = object.key().str() + "/";
  const Value& spec = object.spec();
  std::vector<Value> receivers, inhibitions;
  for (const Value& from : spec["receivers"].items()) {
    Value receiver{{"name", prefix + from["name"].str()}};
    for (const auto& entry : from.entries()) {
      if (entry.key == "name") continue;
      std::vector<Value> channels;
      for (const Value& item : entry.value.items())
        channels.push_back(TRY(channel_of(item, object.ns(), secret).in("receiver " + from["name"].str())));
      receiver.set(snake(entry.key, kChannels), Value(std::move(channels)));
    }
    receivers.push_back(std::move(receiver));
  }
  std::vector<Value> intervals;
  for (const Value& from : spec["muteTimeIntervals"].items()) {
    Value interval = from;
    interval.set("name", prefix + from["name"].str());
    intervals.push_back(std::move(interval));
  }
  Value route = route_of(spec["route"], prefix, object.ns(), true);
  const Value root{{"receiver", route["receiver"]}, {"routes", Value(std::vector<Value>{route})}};
  const Value document{{"route", root},
                       {"receivers", Value(std::move(receivers))},
                       {"time_intervals", Value(std::move(intervals))},
                       {"global", config.global}};
  Config own = TRY(parse_config(yaml::write(document)));
  for (const Value& from : spec["inhibitRules"].items()) {
    InhibitRule rule;
    for (const auto& [key, into] : {std::pair("sourceMatch", &rule.source), std::pair("targetMatch", &rule.target)}) {
      for (const Value& text : matchers_of(from[key]).items()) {
        const auto parsed = TRY(parse_matchers(text.as_string()));
        into->insert(into->end(), parsed.begin(), parsed.end());
      }
      into->push_back(TRY(Matcher::make(metrics::MatchType::equal, "namespace", object.ns())));
    }
    for (const Value& name : from["equal"].items()) rule.equal.push_back(name.str());
    config.inhibit_rules.push_back(std::move(rule));
  }
  config.receivers.merge(own.receivers);
  config.time_intervals.merge(own.time_intervals);
  Route added = std::move(own.root.routes[0]);
  config.root.routes.insert(config.root.routes.begin(), std::move(added));
  config.text += "# AlertmanagerConfig " + object.key().str() + "\n" + own.text;
  return {};
}

}  // namespace caisson::alerts
