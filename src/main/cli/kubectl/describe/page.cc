// SPDX-License-Identifier: Apache-2.0
#include "main/cli/kubectl/describe/page.h"

#include <algorithm>
#include <ctime>

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::cli::kubectl {
namespace {

constexpr std::size_t kAnnotationCharsMax = 140;
constexpr std::size_t kPadding = 2;

std::string spaces(std::size_t count) {
  return std::string(count, ' ');
}

std::string requirement_text(const Value& expression) {
  const std::string key = expression["key"].str(), op = expression["operator"].str();
  std::vector<std::string> values;
  for (const Value& value : expression["values"].items()) values.push_back(value.str());
  std::sort(values.begin(), values.end());
  if (op == "Exists") return key;
  if (op == "DoesNotExist") return "!" + key;
  return key + (op == "NotIn" ? " notin (" : " in (") + join(values, ",") + ")";
}

std::string shortened(std::string_view text, std::size_t max) {
  return text.size() <= max ? std::string(text) : std::string(text.substr(0, max)) + "...";
}

// When an event was seen, as kubectl tells it: "5m", "5m (x3 over 10m)".
std::string event_age(const Value& event, Time now) {
  const Value& micro = event["eventTime"];
  const std::string first = since(micro.is_null() ? event["firstTimestamp"] : micro, now);
  if (!event["series"].is_null())
    return since(event["series"]["lastObservedTime"], now) + " (x" + event["series"]["count"].scalar_text() + " over " +
           first + ")";
  if (event["count"].as_int() > 1)
    return since(event["lastTimestamp"], now) + " (x" + event["count"].scalar_text() + " over " + first + ")";
  return first;
}

}  // namespace

void Page::put(int level, std::string_view text) {
  text_.append(static_cast<std::size_t>(level) * 2, ' ');
  text_ += text;
}

void Page::field(int level, std::string_view name, std::string_view value) {
  put(level, std::string(name) + ":\t" + std::string(value) + "\n");
}

void Page::flush() {
  flushes_.push_back(text_.size());
}

std::string Page::text() const {
  std::string out;
  std::size_t from = 0;
  for (const std::size_t end : flushes_) {
    out += align_cells(std::string_view(text_).substr(from, end - from));
    from = end;
  }
  return out + align_cells(std::string_view(text_).substr(from));
}

std::string align_cells(std::string_view text) {
  std::vector<std::vector<std::string_view>> lines;
  for (const std::string_view line : split(text, '\n')) lines.push_back(split(line, '\t'));
  std::vector<std::vector<std::size_t>> widths(lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) widths[i].resize(lines[i].size());
  for (std::size_t from = 0; from < lines.size(); ++from) {
    for (std::size_t column = 0; column + 1 < lines[from].size(); ++column) {
      if (widths[from][column] != 0) continue;  // set with the lines above
      std::size_t end = from, width = 0;
      for (; end < lines.size() && column + 1 < lines[end].size(); ++end)
        width = std::max(width, display_width(lines[end][column]));
      for (std::size_t i = from; i < end; ++i) widths[i][column] = width + kPadding;
    }
  }
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (std::size_t column = 0; column < lines[i].size(); ++column) {
      out += lines[i][column];
      if (column + 1 < lines[i].size()) out += spaces(widths[i][column] - display_width(lines[i][column]));
    }
    if (i + 1 < lines.size()) out += '\n';
  }
  return out;
}

std::vector<Value> items_at(const Related& related, const std::string& path) {
  const auto list = related.get(path);
  if (!list.ok()) return {};
  return {(*list)["items"].items().begin(), (*list)["items"].items().end()};
}

std::vector<std::string> sorted_keys(const Value& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map.entries()) keys.emplace_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

void put_labels(Page& page, std::string_view title, const Value& labels) {
  page.put(0, std::string(title) + ":");
  if (labels.empty()) return page.put(0, "\t<none>\n");
  for (const std::string& key : sorted_keys(labels)) page.put(0, "\t" + key + "=" + labels[key].str() + "\n");
}

void put_annotations(Page& page, std::string_view title, const Value& annotations) {
  page.put(0, std::string(title) + ":");
  bool any = false;
  for (const std::string& key : sorted_keys(annotations)) {
    if (key == "kubectl.kubernetes.io/last-applied-configuration") continue;
    any = true;
    std::string value = annotations[key].str();
    if (value.ends_with('\n')) value.pop_back();
    if (key.size() + value.size() + 2 <= kAnnotationCharsMax && value.find('\n') == std::string::npos) {
      page.put(0, "\t" + key + ": " + value + "\n");
      continue;
    }
    page.put(0, "\t" + key + ":\n");
    for (const std::string_view line : split(value, '\n'))
      page.put(0, "\t  " + shortened(line, kAnnotationCharsMax - 2) + "\n");
  }
  if (!any) page.put(0, "\t<none>\n");
}

void put_tolerations(Page& page, std::string_view title, const Value& tolerations) {
  page.put(0, std::string(title) + ":");
  if (tolerations.empty()) return page.put(0, "\t<none>\n");
  std::vector<Value> sorted(tolerations.items().begin(), tolerations.items().end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Value& a, const Value& b) { return a["key"].as_string() < b["key"].as_string(); });
  for (const Value& toleration : sorted) {
    const std::string key = toleration["key"].str(), value = toleration["value"].str(),
                      effect = toleration["effect"].str();
    std::string text = key + (value.empty() ? "" : "=" + value) + (effect.empty() ? "" : ":" + effect);
    if (toleration["operator"].as_string() == "Exists" && value.empty())
      text += text.empty() ? "op=Exists" : " op=Exists";
    if (!toleration["tolerationSeconds"].is_null())
      text += " for " + toleration["tolerationSeconds"].scalar_text() + "s";
    page.put(0, "\t" + text + "\n");
  }
}

void put_name(Page& page, const Value& object, bool with_namespace) {
  page.field(0, "Name", object["metadata"]["name"].str());
  if (with_namespace) page.field(0, "Namespace", object["metadata"]["namespace"].str());
}

void put_metadata(Page& page, const Value& object) {
  put_labels(page, "Labels", object["metadata"]["labels"]);
  put_annotations(page, "Annotations", object["metadata"]["annotations"]);
}

void put_controller(Page& page, const Value& object) {
  for (const Value& owner : object["metadata"]["ownerReferences"].items()) {
    if (owner["controller"].as_bool())
      return page.field(0, "Controlled By", owner["kind"].str() + "/" + owner["name"].str());
  }
}

void put_pod_counts(Page& page, const std::vector<Value>& pods) {
  int running = 0, waiting = 0, succeeded = 0, failed = 0;
  for (const Value& pod : pods) {
    const std::string_view phase = pod["status"]["phase"].as_string();
    if (phase == "Running")
      ++running;
    else if (phase == "Pending")
      ++waiting;
    else if (phase == "Succeeded")
      ++succeeded;
    else if (phase == "Failed")
      ++failed;
  }
  const auto n = [](int count) { return std::to_string(count); };
  page.field(
      0, "Pods Status",
      n(running) + " Running / " + n(waiting) + " Waiting / " + n(succeeded) + " Succeeded / " + n(failed) + " Failed");
}

void put_conditions(Page& page, const Value& conditions) {
  if (conditions.empty()) return;
  page.put(0, "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------\n");
  for (const Value& c : conditions.items())
    page.put(1, c["type"].str() + " \t" + c["status"].str() + "\t" + c["reason"].str() + "\n");
}

void put_table_rule(Page& page, int level, const std::vector<std::string_view>& headers) {
  std::vector<std::string> names, dashes;
  for (const std::string_view header : headers) {
    names.emplace_back(header);
    dashes.emplace_back(header.size(), '-');
  }
  page.put(level, join(names, "\t") + "\n");
  page.put(level, join(dashes, "\t") + "\n");
}

void put_events(Page& page, const Value& object, const Related& related) {
  const Value& metadata = object["metadata"];
  std::string selector = "involvedObject.name=" + metadata["name"].str();
  if (!metadata["namespace"].as_string().empty())
    selector += ",involvedObject.namespace=" + metadata["namespace"].str();
  selector += ",involvedObject.kind=" + object["kind"].str();
  // A Node's events are written with its name as uid.
  if (object["kind"].as_string() != "Node" && !metadata["uid"].as_string().empty())
    selector += ",involvedObject.uid=" + metadata["uid"].str();
  const std::string ns = metadata["namespace"].str();
  std::vector<Value> events = items_at(related, "/api/v1/" + (ns.empty() ? "" : "namespaces/" + ns + "/") +
                                                    "events?fieldSelector=" + percent_encode(selector));
  if (events.empty()) return page.put(0, "Events:\t<none>\n");
  const auto last = [](const Value& event) {
    for (const Value* time : {&event["series"]["lastObservedTime"], &event["lastTimestamp"], &event["eventTime"]}) {
      if (!time->is_null()) return parse_time(time->as_string()).value_or(Time());
    }
    return Time();
  };
  std::stable_sort(events.begin(), events.end(), [&](const Value& a, const Value& b) { return last(a) < last(b); });
  page.flush();
  page.put(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n");
  for (const Value& event : events) {
    const Value& component =
        event["source"]["component"].as_string().empty() ? event["reportingComponent"] : event["source"]["component"];
    page.put(1, event["type"].str() + "\t" + event["reason"].str() + "\t" + event_age(event, related.now) + "\t" +
                    component.str() + "\t" + std::string(trim(event["message"].as_string())) + "\n");
  }
}

std::string or_none(std::string_view text) {
  return text.empty() ? "<none>" : std::string(text);
}

std::string selector_text(const Value& selector) {
  std::vector<std::pair<std::string, std::string>> parts;
  for (const auto& [key, value] : selector["matchLabels"].entries())
    parts.emplace_back(key, std::string(key) + "=" + value.str());
  for (const Value& expression : selector["matchExpressions"].items())
    parts.emplace_back(expression["key"].str(), requirement_text(expression));
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> texts;
  for (auto& part : parts) texts.push_back(std::move(part.second));
  return or_none(join(texts, ","));
}

std::string labels_text(const Value& labels) {
  std::vector<std::string> out;
  for (const std::string& key : sorted_keys(labels)) out.push_back(key + "=" + labels[key].str());
  return or_none(join(out, ","));
}

std::string list_text(const Value& list, std::string_view separator) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.scalar_text());
  return join(out, separator);
}

std::string go_list(const Value& list) {
  return "[" + list_text(list, " ") + "]";
}

std::string long_time(const Value& time) {
  const auto parsed = parse_time(time.as_string());
  if (!parsed) return "<unknown>";
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(*parsed));
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S %z", &local)};
}

std::string since(const Value& time, Time now) {
  const auto parsed = parse_time(time.as_string());
  return parsed ? format_age(now - *parsed) : "<unknown>";
}

std::string scalar_or(const Value& value, std::string_view otherwise) {
  return value.is_null() ? std::string(otherwise) : value.scalar_text();
}

std::string bool_text(bool value) {
  return value ? "True" : "False";
}

std::vector<Value> owned_pods(const Value& owner, const Related& related) {
  std::vector<Value> out;
  for (Value& pod : items_at(related, "/api/v1/namespaces/" + owner["metadata"]["namespace"].str() + "/pods")) {
    for (const Value& reference : pod["metadata"]["ownerReferences"].items()) {
      if (!reference["controller"].as_bool() || reference["uid"].as_string() != owner["metadata"]["uid"].as_string())
        continue;
      out.push_back(std::move(pod));
      break;
    }
  }
  return out;
}

}  // namespace caisson::cli::kubectl
