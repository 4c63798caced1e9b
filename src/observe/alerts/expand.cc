// SPDX-License-Identifier: Apache-2.0
// The data and the functions of notification templates. Source: Alertmanager's notification template reference.
#include <algorithm>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/time_object.h"
#include "observe/alerts/notify.h"
#include "observe/metrics/rules/template.h"

namespace caisson::alerts {
namespace {

using go_template::Call;
using go_template::Datum;
using go_template::Function;
using go_template::List;
using go_template::Map;
using go_template::Method;
using go_template::Type;

// What channels use where their settings say nothing. A template file may define any of these names again.
constexpr std::string_view kDefaults = R"({{ define "__subject" -}}
[{{ toUpper .Status }}{{ if eq .Status "firing" }}:{{ len .Alerts.Firing }}{{ end }}] {{ join " " .GroupLabels.SortedPairs.Values }}
{{- with .CommonLabels.Remove .GroupLabels.Names }}{{ if .Values }} ({{ join " " .Values }}){{ end }}{{ end }}
{{- end }}
{{ define "__alertmanagerURL" }}{{ .ExternalURL }}/#/alerts?receiver={{ urlQueryEscape .Receiver }}{{ end }}
{{ define "__alert" -}}
{{ with or .Annotations.summary .Annotations.description .Annotations.message }}{{ . }}{{ else }}{{ join " " .Labels.Values }}{{ end }}
{{- end }}
{{ define "__alerts" -}}
{{ range .Alerts.Firing }}- {{ template "__alert" . }}
{{ end }}{{ range .Alerts.Resolved }}- resolved: {{ template "__alert" . }}
{{ end }}
{{- end }}
{{ define "slack.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "slack.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "slack.default.text" }}{{ template "__alerts" . }}{{ end }}
{{ define "slack.default.fallback" }}{{ template "__subject" . }} | {{ template "__alertmanagerURL" . }}{{ end }}
{{ define "slack.default.username" }}Alertmanager{{ end }}
{{ define "discord.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "discord.default.message" }}{{ template "__alerts" . }}{{ end }}
{{ define "discord.default.content" }}{{ end }}
{{ define "msteams.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "msteams.default.summary" }}{{ template "__subject" . }}{{ end }}
{{ define "msteams.default.text" }}{{ template "__alerts" . }}{{ end }}
{{ define "msteamsv2.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "msteamsv2.default.text" }}{{ template "__alerts" . }}{{ end }}
{{ define "pagerduty.default.description" }}{{ template "__subject" . }}{{ end }}
{{ define "pagerduty.default.client" }}Alertmanager{{ end }}
{{ define "pagerduty.default.clientURL" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "pagerduty.default.instances" }}{{ range . }}{{ template "__alert" . }}
{{ end }}{{ end }}
{{ define "email.default.subject" }}{{ template "__subject" . }}{{ end }}
{{ define "email.default.html" }}<html><body style="font-family:sans-serif">
<p style="color:#fff;background:{{ if eq .Status "firing" }}#c0392b{{ else }}#27ae60{{ end }};padding:8px">
{{ len .Alerts }} {{ if eq (len .Alerts) 1 }}alert{{ else }}alerts{{ end }} for {{ range .GroupLabels.SortedPairs }}{{ .Name }}={{ .Value | html }} {{ end }}</p>
{{ range .Alerts }}<p><b>{{ .Status }}</b>: {{ template "__alert_html" . }}<br>{{ range .Labels.SortedPairs }}{{ .Name }} = {{ .Value | html }}<br>{{ end }}
{{ with .GeneratorURL }}<a href="{{ . | html }}">source</a>{{ end }}</p>
{{ end }}<p><a href="{{ template "__alertmanagerURL" . }}">Alertmanager</a></p></body></html>{{ end }}
{{ define "__alert_html" }}{{ with or .Annotations.summary .Annotations.description .Annotations.message }}{{ . | html }}{{ end }}{{ end }}
{{ define "telegram.default.message" }}{{ template "__subject" . }}
{{ template "__alerts" . }}{{ end }}
)";

// --- template.KV, template.Pairs, template.Alerts

extern const Type kKv, kPairs, kAlerts;

// In upstream's order: alertname first.
std::vector<std::pair<std::string, std::string>> sorted(const Datum& kv) {
  std::vector<std::pair<std::string, std::string>> out;
  if (const Map* map = kv.as_map())
    for (const auto& [name, value] : map->entries()) out.emplace_back(name, value.str());
  std::stable_partition(out.begin(), out.end(), [](const auto& p) { return p.first == "alertname"; });
  return out;
}

std::vector<std::string> part_of(const Call& call, bool names) {
  std::vector<std::string> out;
  if (const List* list = call.receiver->as_list())
    for (const Datum& pair : list->items()) out.push_back(pair.as_map()->find(names ? "Name" : "Value")->str());
  else
    for (const auto& [name, value] : sorted(*call.receiver)) out.push_back(names ? name : value);
  return out;
}

Result<Datum> names_of(Call& call) {
  return Datum::strings(part_of(call, true));
}
Result<Datum> values_of(Call& call) {
  return Datum::strings(part_of(call, false));
}

Result<Datum> sorted_pairs(Call& call) {
  std::vector<Datum> items;
  for (const auto& [name, value] : sorted(*call.receiver)) {
    Map::Entries pair;
    pair.emplace("Name", Datum(name));
    pair.emplace("Value", Datum(value));
    items.emplace_back(go_template::make<Map>(std::move(pair)));
  }
  return Datum(go_template::make<List>(std::move(items)), kPairs);
}

Result<Datum> remove_names(Call& call) {
  auto out = go_template::make<Map>();
  const List* names = call[0].as_list();
  for (const auto& [name, value] : sorted(*call.receiver)) {
    bool gone = false;
    for (std::size_t i = 0; names && i < names->size(); ++i) gone |= names->items()[i].as_string() == name;
    if (!gone) out->set(name, Datum(value));
  }
  return Datum(std::move(out), kKv);
}

Result<Datum> with_status(const Call& call, std::string_view status) {
  std::vector<Datum> items;
  if (const List* list = call.receiver->as_list())
    for (const Datum& alert : list->items())
      if (alert.as_map()->find("Status")->as_string() == status) items.push_back(alert);
  return Datum(go_template::make<List>(std::move(items)), kAlerts);
}
Result<Datum> firing(Call& call) {
  return with_status(call, "firing");
}
Result<Datum> resolved(Call& call) {
  return with_status(call, "resolved");
}

constexpr Method kKvMethods[] = {{"Names", "", names_of},
                                 {"Remove", "a", remove_names},
                                 {"SortedPairs", "", sorted_pairs},
                                 {"Values", "", values_of}};
constexpr Method kPairsMethods[] = {{"Names", "", names_of}, {"Values", "", values_of}};
constexpr Method kAlertsMethods[] = {{"Firing", "", firing}, {"Resolved", "", resolved}};
constinit const Type kKv{go_template::Kind::map,  "template.KV", &go_template::kString, kKvMethods, nullptr,
                         &go_template::kStringMap};
constinit const Type kPairs{go_template::Kind::slice, "template.Pairs", &go_template::kAny, kPairsMethods};
constinit const Type kAlerts{go_template::Kind::slice, "template.Alerts", &go_template::kAny, kAlertsMethods};

Datum kv(const Labels& labels) {
  auto out = go_template::make<Map>();
  for (const auto& label : labels.items()) out->set(std::string(label.name), Datum(std::string(label.value)));
  return Datum(std::move(out), kKv);
}

Datum kv(const Pairs& pairs) {
  auto out = go_template::make<Map>();
  for (const auto& [name, value] : pairs) out->set(name, Datum(value));
  return Datum(std::move(out), kKv);
}

Datum time_of_ms(std::int64_t ms) {
  if (ms == 0) return go_template::time_datum(calendar::GoTime::zero());
  return go_template::time_datum(
      calendar::GoTime::from(Time(std::chrono::milliseconds(ms)), calendar::TimeZone::utc()));
}

Datum alert_datum(const Alert& alert, std::int64_t now) {
  auto out = go_template::make<Map>();
  out->set("Status", Datum(alert.resolved(now) ? "resolved" : "firing"));
  out->set("Labels", kv(alert.labels));
  out->set("Annotations", kv(alert.annotations));
  out->set("StartsAt", time_of_ms(alert.starts_at));
  out->set("EndsAt", time_of_ms(alert.resolved(now) ? alert.ends_at : 0));
  out->set("GeneratorURL", Datum(alert.generator_url));
  out->set("Fingerprint", Datum(alert.fingerprint()));
  return Datum(std::move(out));
}

template <class Of>
Pairs common(const std::vector<Alert>& alerts, Of of) {
  Pairs out = alerts.empty() ? Pairs() : of(alerts[0]);
  for (const Alert& alert : alerts) {
    const Pairs own = of(alert);
    std::erase_if(out, [&](const auto& pair) { return std::find(own.begin(), own.end(), pair) == own.end(); });
  }
  return out;
}

Pairs pairs_of(const Labels& labels) {
  Pairs out;
  for (const auto& label : labels.items()) out.emplace_back(label.name, label.value);
  return out;
}

Datum data_of(const Notification& n) {
  std::vector<Datum> alerts;
  for (const Alert& alert : n.alerts) alerts.push_back(alert_datum(alert, n.now));
  auto out = go_template::make<Map>();
  out->set("Receiver", Datum(n.receiver));
  out->set("Status", Datum(n.firing() ? "firing" : "resolved"));
  out->set("Alerts", Datum(go_template::make<List>(std::move(alerts)), kAlerts));
  out->set("GroupLabels", kv(n.group_labels));
  out->set("CommonLabels", kv(common(n.alerts, [](const Alert& a) { return pairs_of(a.labels); })));
  out->set("CommonAnnotations", kv(common(n.alerts, [](const Alert& a) { return a.annotations; })));
  out->set("ExternalURL", Datum(n.external_url));
  return Datum(std::move(out));
}

// --- functions that rules' templates do not have

Result<Datum> call_join(Call& call) {
  std::vector<std::string> parts;
  if (const List* list = call[1].as_list())
    for (const Datum& item : list->items()) parts.push_back(item.str());
  return Datum(caisson::join(parts, call.text(0)));
}

Result<Datum> call_trim(Call& call) {
  return Datum(trim(call.text(0)));
}

Result<Datum> call_slice(Call& call) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < call.size(); ++i) parts.emplace_back(call.text(i));
  return Datum::strings(parts);
}

Result<Datum> call_unescape(Call& call) {
  return Datum(TRY(percent_decode(replace_all(std::string(call.text(0)), "+", "%20"))));
}

Result<Datum> call_to_json(Call& call) {
  return Datum(json::write(TRY(call[0].to_value())));
}

Result<Datum> call_date(Call& call) {
  const auto* time = go_template::time_of(call[1]);
  if (!time) return Error{ErrorCode::invalid, "date: not a time"};
  return Datum(calendar::format_go_time(*time, call.text(0)));
}

Result<Datum> call_tz(Call& call) {
  const auto* time = go_template::time_of(call[1]);
  const auto zone = calendar::TimeZone::load(call.text(0));
  if (!time || !zone) return Error{ErrorCode::invalid, "unknown time zone " + std::string(call.text(0))};
  return go_template::time_datum(time->in(zone));
}

constexpr Function kFunctions[] = {
    {"date", "sa", call_date},     {"join", "sa", call_join},
    {"safeUrl", "s", call_trim},   {"stringSlice", "s*", call_slice},
    {"toJson", "a", call_to_json}, {"trimSpace", "s", call_trim},
    {"tz", "sa", call_tz},         {"urlUnescape", "s", call_unescape},
};

}  // namespace

Result<std::string> expand(std::string_view text, const Notification& notification,
                           const std::vector<std::string>& templates) {
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  go_template::Set set("", {kFunctions, metrics::text_template_functions(), go_template::go_functions()},
                       {.text_bytes_max = 1u << 20});
  TRY(set.parse("default", kDefaults));
  for (std::size_t i = 0; i < templates.size(); ++i) TRY(set.parse("template " + std::to_string(i + 1), templates[i]));
  TRY(set.parse("text", text));
  go_template::Options options;
  options.missing_key = go_template::MissingKey::zero;
  options.limits.steps_max = 1'000'000;
  options.limits.output_bytes_max = 1u << 20;
  go_template::Execution execution(set, options);
  return execution.run("text", data_of(notification));
}

}  // namespace caisson::alerts
