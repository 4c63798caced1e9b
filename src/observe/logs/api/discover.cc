// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/discover.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/text.h"
#include "observe/logs/api/json_text.h"
#include "observe/logs/logql/pipeline.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

constexpr std::size_t kPatternsMax = 300, kWordsMax = 100, kValuesMax = 10'000;
constexpr std::string_view kAny = "<_>";

bool varies(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Words with digits, and values of key=value, are what varies at first sight.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (const std::string_view word : split(line, ' ')) {
    if (words.size() == kWordsMax) break;
    const std::size_t equals = word.find('=');
    if (equals != std::string_view::npos && equals > 0 && !varies(word.substr(0, equals)))
      words.push_back(varies(word) ? std::string(word.substr(0, equals + 1)) + std::string(kAny) : std::string(word));
    else
      words.emplace_back(varies(word) ? kAny : word);
  }
  return words;
}

struct Cluster {
  std::vector<std::string> words;
  std::map<std::int64_t, std::uint64_t> counts;
  std::uint64_t total = 0;
};

// Lines of one length belong together when more than half of their words are the same.
class Clusters {
 public:
  explicit Clusters(std::int64_t step) : step_(step) {}
  void add(const logql::FoundLine& line) {
    std::vector<std::string> words = words_of(line.line);
    auto& candidates = by_length_[words.size()];
    Cluster* best = nullptr;
    double best_share = 0.5;
    for (Cluster& one : candidates) {
      std::size_t same = 0;
      for (std::size_t i = 0; i < words.size(); ++i) same += words[i] == one.words[i] ? 1 : 0;
      const double share = words.empty() ? 1 : static_cast<double>(same) / static_cast<double>(words.size());
      if (share > best_share) best = &one, best_share = share;
    }
    if (!best) {
      if (count_ == kPatternsMax) return;
      ++count_;
      best = &candidates.emplace_back(Cluster{words, {}, 0});
    }
    for (std::size_t i = 0; i < words.size(); ++i)
      if (best->words[i] != words[i]) best->words[i] = kAny;
    ++best->counts[line.t / step_ * step_];
    ++best->total;
  }
  std::vector<const Cluster*> by_frequency() const {
    std::vector<const Cluster*> out;
    for (const auto& [length, list] : by_length_)
      for (const Cluster& one : list) out.push_back(&one);
    std::stable_sort(out.begin(), out.end(), [](const Cluster* a, const Cluster* b) { return a->total > b->total; });
    return out;
  }

 private:
  const std::int64_t step_;
  std::size_t count_ = 0;
  std::map<std::size_t, std::vector<Cluster>> by_length_;
};

std::string_view type_of(std::string_view value) {
  if (parse_int(value)) return "int";
  if (metrics::parse_float(value)) return "float";
  if (value == "true" || value == "false") return "boolean";
  if (!value.empty() && value[0] >= '0' && value[0] <= '9') {
    if (logql::parse_go_duration(value).ok()) return "duration";
    if (logql::parse_byte_size(value).ok()) return "bytes";
  }
  return "string";
}

struct Field {
  std::set<std::string> values, parsers;
  std::string type;
  void add(std::string_view value, std::string_view parser) {
    if (values.size() < kValuesMax) values.emplace(value);
    if (!parser.empty()) parsers.emplace(parser);
    const std::string_view mine = type_of(value);
    if (type.empty())
      type = mine;
    else if (type != mine)
      type = "string";
  }
};

}  // namespace

std::string patterns_json(const std::vector<logql::FoundLine>& lines, std::int64_t step) {
  constexpr std::int64_t kStepMin = 10LL * 1'000'000'000;
  Clusters clusters(std::max(step, kStepMin));
  for (const logql::FoundLine& line : lines) clusters.add(line);
  std::string out = "{\"status\":\"success\",\"data\":[";
  for (const Cluster* one : clusters.by_frequency()) {
    if (out.back() != '[') out += ',';
    out += "{\"pattern\":";
    json::append_string(out, join(one->words, " "));
    out += ",\"samples\":[";
    for (const auto& [t, count] : one->counts) {
      if (out.back() != '[') out += ',';
      out += "[" + std::to_string(t / 1'000'000'000) + "," + std::to_string(count) + "]";
    }
    out += "]}";
  }
  return out + "]}";
}

namespace {

std::map<std::string, Field> fields_of(const std::vector<logql::FoundLine>& lines) {
  std::map<std::string, Field> fields;
  const auto json_parser = logql::make_parser({logql::ParserKind::json, "", {}});
  const auto logfmt_parser = logql::make_parser({logql::ParserKind::logfmt, "", {}});
  logql::LineState state;
  for (const logql::FoundLine& line : lines) {
    for (const Labels* own : {&line.metadata, &line.parsed})
      for (const Label label : own->items()) fields[label.name].add(label.value, "");
    const bool is_json = trim(line.line).starts_with('{');
    const auto& parser = is_json ? json_parser : logfmt_parser;
    if (!parser.ok() || (!is_json && line.line.find('=') == std::string::npos)) continue;
    static const Labels none;
    state.reset(line.t, line.line, line.stream, none);
    (*parser)->apply(state);
    if (state.has_error()) continue;
    const Labels parsed = state.labels_of(logql::Origin::parsed);
    for (const Label label : parsed.items()) fields[label.name].add(label.value, is_json ? "json" : "logfmt");
  }
  return fields;
}

}  // namespace

std::string field_values_json(const std::vector<logql::FoundLine>& lines, const std::string& name, std::size_t limit) {
  const auto fields = fields_of(lines);
  std::vector<std::string> values;
  if (const auto found = fields.find(name); found != fields.end())
    values.assign(found->second.values.begin(), found->second.values.end());
  if (values.size() > limit) values.resize(limit);
  return "{\"values\":" + text_list(values) + ",\"limit\":" + std::to_string(limit) + "}";
}

std::string fields_json(const std::vector<logql::FoundLine>& lines, std::size_t limit) {
  const std::map<std::string, Field> fields = fields_of(lines);
  std::string out = "{\"fields\":[";
  std::size_t count = 0;
  for (const auto& [name, field] : fields) {
    if (count++ == limit) break;
    if (out.back() != '[') out += ',';
    out += "{\"label\":";
    json::append_string(out, name);
    out += ",\"type\":\"" + field.type + "\",\"cardinality\":" + std::to_string(field.values.size()) +
           ",\"parsers\":" + text_list({field.parsers.begin(), field.parsers.end()}) + "}";
  }
  return out + "],\"limit\":" + std::to_string(limit) + "}";
}

}  // namespace caisson::logs
