// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/json_text.h"

#include <unordered_map>

#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

void append_point(std::string& out, std::int64_t t, double v) {
  out += '[';
  append_seconds(out, t);
  out += ",\"" + metrics::format_fixed(v) + "\"]";
}

}  // namespace

void append_labels(std::string& out, const Labels& labels) {
  out += '{';
  bool first = true;
  for (const LabelView label : labels.items()) {
    if (!std::exchange(first, false)) out += ',';
    json::append_string(out, label.name);
    out += ':';
    json::append_string(out, label.value);
  }
  out += '}';
}

void append_seconds(std::string& out, std::int64_t t) {
  out += std::to_string(t / 1'000'000'000);
  const auto ms = static_cast<int>(t / 1'000'000 % 1000);
  if (ms == 0) return;
  char digits[8];
  std::snprintf(digits, sizeof digits, ".%03d", ms);
  out += std::string_view(digits).substr(0, ms % 100 == 0 ? 2 : ms % 10 == 0 ? 3 : 4);
}

std::string text_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    json::append_string(out, text);
  }
  return out + "]";
}

std::string streams_json(const std::vector<logql::FoundLine>& lines, const LineFormatOptions& options) {
  std::unordered_map<Labels, std::size_t, LabelsHash> index;
  std::vector<std::pair<Labels, std::string>> streams;  // in the order of their first lines
  for (const logql::FoundLine& line : lines) {
    const Labels labels = options.categorize ? line.stream : line.labels();
    const auto [at, fresh] = index.try_emplace(labels, streams.size());
    if (fresh) streams.emplace_back(labels, "");
    std::string& values = streams[at->second].second;
    if (!values.empty()) values += ',';
    values += "[\"" + std::to_string(line.t) + "\",";
    json::append_string(values, line.line);
    if (options.categorize) {
      values += ",{";
      for (const auto& [name, part] :
           {std::pair("structuredMetadata", &line.metadata), std::pair("parsed", &line.parsed)}) {
        if (part->empty()) continue;
        if (values.back() != '{') values += ',';
        (values += '"').append(name) += "\":";
        append_labels(values, *part);
      }
      values += '}';
    }
    values += ']';
  }
  std::string out = "[";
  for (const auto& [labels, values] : streams) {
    if (out.size() > 1) out += ',';
    out += "{\"stream\":";
    append_labels(out, labels);
    out += ",\"values\":[" + values + "]}";
  }
  return out + "]";
}

std::string matrix_json(const logql::Matrix& matrix, const logql::Window& window) {
  std::string out = "[";
  for (const logql::Series& series : matrix.series) {
    if (out.size() > 1) out += ',';
    out += "{\"metric\":";
    append_labels(out, series.labels);
    out += ",\"values\":[";
    bool first = true;
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!series.present[i]) continue;
      if (!std::exchange(first, false)) out += ',';
      append_point(out, window.time(i), series.values[i]);
    }
    out += "]}";
  }
  return out + "]";
}

std::string vector_json(const logql::Matrix& matrix, const logql::Window& window) {
  std::string out = "[";
  for (const logql::Series& series : matrix.series) {
    if (out.size() > 1) out += ',';
    out += "{\"metric\":";
    append_labels(out, series.labels);
    out += ",\"value\":";
    append_point(out, window.start, series.values[0]);
    out += '}';
  }
  return out + "]";
}

}  // namespace caisson::logs
