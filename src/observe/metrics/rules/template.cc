// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/rules/template.h"

#include <algorithm>
#include <cmath>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/go_template/execution.h"
#include "core/http/message.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

using go_template::Call;
using go_template::Datum;
using go_template::Function;
using go_template::List;
using go_template::Map;

// What Prometheus puts before every such text.
constexpr std::string_view kPrelude =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";

struct AlertHost : go_template::Host {
  explicit AlertHost(const AlertTemplateData& of) : data(of) {}
  const AlertTemplateData& data;
};

const AlertTemplateData& data_of(Call& call) {
  return static_cast<const AlertHost*>(call.host())->data;
}

Datum string_map(const Labels& labels) {
  Map::Entries entries;
  for (const LabelView label : labels.items()) entries.emplace(label.name, Datum(label.value));
  return Datum(go_template::make<Map>(std::move(entries)), go_template::kStringMap);
}

Result<double> number(const Datum& datum) {
  if (datum.is_string()) {
    const auto v = parse_float(datum.as_string());
    if (!v)
      return Error{ErrorCode::invalid, "strconv.ParseFloat: parsing " + quote(datum.as_string()) + ": invalid syntax"};
    return *v;
  }
  if (datum.is_signed()) return static_cast<double>(datum.as_int());
  if (datum.is_unsigned()) return static_cast<double>(datum.as_uint());
  if (datum.is_float()) return datum.as_double();
  return Error{ErrorCode::invalid, "can't convert " + std::string(datum.type_name()) + " to float"};
}

template <std::string (*Format)(double)>
Result<Datum> call_number(Call& call) {
  return Datum(Format(TRY(number(call[0]))));
}

Result<Datum> call_query(Call& call) {
  const AlertTemplateData& data = data_of(call);
  if (!data.query) return Error{ErrorCode::invalid, "query: there is no storage here"};
  const auto result = TRY(data.query(std::string(call.text(0)), data.now_ms));
  std::vector<Datum> samples;
  for (const promql::Series& series : result.matrix) {
    if (series.floats.empty()) continue;
    Map::Entries sample;
    sample.emplace("Labels", string_map(series.labels));
    sample.emplace("Value", Datum(series.floats[0].v));
    samples.emplace_back(go_template::make<Map>(std::move(sample)));
  }
  return Datum(go_template::make<List>(std::move(samples)));
}

Result<Datum> call_first(Call& call) {
  const List* list = call[0].as_list();
  if (!list || list->size() == 0) return Error{ErrorCode::invalid, "first() called on vector with no elements"};
  return list->items()[0];
}

Result<Datum> member(const Datum& sample, std::string_view name) {
  const Map* map = sample.as_map();
  const auto found = map ? map->find(name) : std::nullopt;
  if (!found) return Error{ErrorCode::invalid, "not a sample"};
  return *found;
}

Result<Datum> call_label(Call& call) {
  const Datum labels = TRY(member(call[1], "Labels"));
  const auto found = labels.as_map()->find(call.text(0));
  return found ? *found : Datum("");
}

Result<Datum> call_value(Call& call) {
  return member(call[0], "Value");
}

Result<Datum> call_sort_by_label(Call& call) {
  const List* list = call[1].as_list();
  if (!list) return Error{ErrorCode::invalid, "sortByLabel: not a vector"};
  std::vector<Datum> items = list->items();
  const std::string name(call.text(0));
  const auto key = [&](const Datum& sample) {
    const auto labels = member(sample, "Labels");
    const auto found = labels.ok() && labels->as_map() ? labels->as_map()->find(name) : std::nullopt;
    return found ? found->str() : std::string();
  };
  std::stable_sort(items.begin(), items.end(), [&](const Datum& a, const Datum& b) { return key(a) < key(b); });
  return Datum(go_template::make<List>(std::move(items)));
}

Result<Datum> call_re_replace(Call& call) {
  const auto regex = TRY(Regex::compile("(?s:(.*?))(?:" + std::string(call.text(0)) + ")(?s:(.*))"));
  // Each match from the left; Regex is anchored, so what is before and after a match is matched with it.
  std::string out, rest(call.text(2));
  for (int rounds = 0; rounds < 10'000; ++rounds) {
    std::string before;
    if (!regex.expand(rest, "$1", before)) break;
    std::string tail, middle;
    const auto own = TRY(Regex::compile("(?:" + std::string(call.text(0)) + ")"));
    const std::size_t from = before.size();
    std::size_t length = rest.size() - from;
    while (length > 0 && !own.matches(std::string_view(rest).substr(from, length))) --length;
    own.expand(std::string_view(rest).substr(from, length), call.text(1), middle);
    out += before + middle;
    if (length == 0) {  // an empty match moves on by one byte
      if (from >= rest.size()) {
        rest.clear();
        break;
      }
      out += rest[from];
      length = 1;
    }
    rest.erase(0, from + length);
    if (rest.empty()) break;
  }
  return Datum(out + rest);
}

Result<Datum> call_match(Call& call) {
  const auto regex = TRY(Regex::compile("(?s:.*)(?:" + std::string(call.text(0)) + ")(?s:.*)"));
  return Datum(regex.matches(call.text(1)));
}

Result<Datum> call_title(Call& call) {
  std::string text(call.text(0));
  bool start = true;
  for (char& c : text) {
    if (start) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    start = !std::isalnum(static_cast<unsigned char>(c));
  }
  return Datum(text);
}

Result<Datum> call_upper(Call& call) {
  std::string text(call.text(0));
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return Datum(text);
}

Result<Datum> call_lower(Call& call) {
  return Datum(to_lower(call.text(0)));
}

Result<Datum> call_safe_html(Call& call) {
  return Datum(call.text(0));
}

Result<Datum> call_strip_port(Call& call) {
  const std::string_view text = call.text(0);
  const auto colon = text.rfind(':');
  return Datum(colon == std::string_view::npos || text.find(':') != colon ? text : text.substr(0, colon));
}

Result<Datum> call_strip_domain(Call& call) {
  const std::string_view text = call.text(0);
  const auto colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon), port = colon == std::string_view::npos ? "" : text.substr(colon);
  return Datum(std::string(host.substr(0, host.find('.'))) + std::string(port));
}

std::string timestamp(double seconds) {
  if (!std::isfinite(seconds)) return format_general(seconds, 4);
  char text[64];
  const auto whole = static_cast<std::time_t>(std::floor(seconds));
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  std::string out = text;
  const auto ms = static_cast<int>(std::floor((seconds - std::floor(seconds)) * 1000));
  if (ms > 0) {
    std::snprintf(text, sizeof text, ".%03d", ms);
    out += text;
    while (out.back() == '0') out.pop_back();
  }
  return out + " +0000 UTC";
}

Result<Datum> call_parse_duration(Call& call) {
  const auto ms = TRY(parse_duration(call.text(0)));
  return Datum(static_cast<double>(ms) / 1000);
}

Result<Datum> call_now(Call& call) {
  return Datum(static_cast<double>(data_of(call).now_ms) / 1000);
}

Result<Datum> call_external_url(Call& call) {
  return Datum(data_of(call).external_url);
}

Result<Datum> call_path_prefix(Call& call) {
  const auto url = http::Url::parse(data_of(call).external_url);
  return Datum(url.ok() ? url->path : "");
}

Result<Datum> call_escape(Call& call) {
  return Datum(replace_all(percent_encode(call.text(0)), "%20", "+"));
}

Result<Datum> call_link(Call& call) {
  const bool graph = call.name == "graphLink";
  return Datum("/graph?g0.expr=" + replace_all(percent_encode(call.text(0)), "%20", "+") +
               (graph ? "&g0.tab=0" : "&g0.tab=1"));
}

constexpr Function kFunctions[] = {
    {"externalURL", "", call_external_url},
    {"first", "a", call_first},
    {"graphLink", "s", call_link},
    {"humanize", "a", call_number<humanize>},
    {"humanize1024", "a", call_number<humanize1024>},
    {"humanizePercentage", "a", call_number<humanize_percentage>},
    {"humanizeTimestamp", "a", call_number<timestamp>},
    {"label", "sa", call_label},
    {"now", "", call_now},
    {"parseDuration", "s", call_parse_duration},
    {"pathPrefix", "", call_path_prefix},
    {"query", "s", call_query},
    {"sortByLabel", "sa", call_sort_by_label},
    {"strvalue", "a", call_value},
    {"tableLink", "s", call_link},
    {"value", "a", call_value},
};

// Those that need nothing but their arguments.
constexpr Function kTextFunctions[] = {
    {"humanizeDuration", "a", call_number<humanize_duration>},
    {"match", "ss", call_match},
    {"reReplaceAll", "sss", call_re_replace},
    {"safeHtml", "s", call_safe_html},
    {"stripDomain", "s", call_strip_domain},
    {"stripPort", "s", call_strip_port},
    {"title", "s", call_title},
    {"toLower", "s", call_lower},
    {"toUpper", "s", call_upper},
    {"urlQueryEscape", "s", call_escape},
};

go_template::Set make_set() {
  return go_template::Set("", {kFunctions, kTextFunctions, go_template::go_functions()},
                          {.text_bytes_max = 256u << 10});
}

std::string with_prefix(double v, double base, const char* const* prefixes, int count) {
  std::string prefix;
  for (int i = 0; i < count && std::fabs(v) >= base; ++i) {
    prefix = prefixes[i];
    v /= base;
  }
  return format_general(v, 4) + prefix;
}

}  // namespace

go_template::FunctionTable text_template_functions() {
  return kTextFunctions;
}

std::string humanize(double v) {
  constexpr const char* kLarge[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
  constexpr const char* kSmall[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
  if (v == 0 || !std::isfinite(v)) return format_general(v, 4);
  if (std::fabs(v) >= 1) return with_prefix(v, 1000, kLarge, 8);
  std::string prefix;
  for (int i = 0; i < 8 && std::fabs(v) < 1; ++i) {
    prefix = kSmall[i];
    v *= 1000;
  }
  return format_general(v, 4) + prefix;
}

std::string humanize1024(double v) {
  constexpr const char* kPrefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
  if (std::fabs(v) <= 1 || !std::isfinite(v)) return format_general(v, 4);
  return with_prefix(v, 1024, kPrefixes, 8);
}

std::string humanize_duration(double v) {
  if (!std::isfinite(v)) return format_general(v, 4);
  if (v == 0) return "0s";
  if (std::fabs(v) < 1) {
    std::string prefix;
    constexpr const char* kSmall[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    for (int i = 0; i < 8 && std::fabs(v) < 1; ++i) {
      prefix = kSmall[i];
      v *= 1000;
    }
    return format_general(v, 4) + prefix + "s";
  }
  const std::string sign = v < 0 ? "-" : "";
  const double positive = std::fabs(v);
  const auto whole = static_cast<std::int64_t>(positive);
  const std::int64_t seconds = whole % 60, minutes = whole / 60 % 60, hours = whole / 3600 % 24, days = whole / 86400;
  const auto part = [](std::int64_t n, const char* unit) { return std::to_string(n) + unit; };
  if (days != 0) return sign + part(days, "d ") + part(hours, "h ") + part(minutes, "m ") + part(seconds, "s");
  if (hours != 0) return sign + part(hours, "h ") + part(minutes, "m ") + part(seconds, "s");
  if (minutes != 0) return sign + part(minutes, "m ") + part(seconds, "s");
  return sign + format_general(positive, 4) + "s";
}

std::string humanize_percentage(double v) {
  return format_general(v * 100, 4) + "%";
}

Result<void> check_alert_template(std::string_view text) {
  if (text.find("{{") == std::string_view::npos) return {};
  go_template::Set set = make_set();
  return set.parse("text", std::string(kPrelude) + std::string(text));
}

Result<std::string> expand_alert_template(std::string_view text, const AlertTemplateData& data) {
  if (text.find("{{") == std::string_view::npos) return std::string(text);
  go_template::Set set = make_set();
  TRY(set.parse("text", std::string(kPrelude) + std::string(text)));
  AlertHost host(data);
  go_template::Options options;
  options.missing_key = go_template::MissingKey::zero;
  options.limits.steps_max = 200'000;
  options.limits.output_bytes_max = 1u << 20;
  Map::Entries root;
  root.emplace("Labels", string_map(data.labels));
  root.emplace("ExternalLabels", string_map(data.external_labels));
  root.emplace("ExternalURL", Datum(data.external_url));
  root.emplace("Value", Datum(data.value));
  go_template::Execution execution(set, options, &host);
  return execution.run("text", Datum(go_template::make<Map>(std::move(root))));
}

}  // namespace caisson::metrics
