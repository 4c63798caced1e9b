// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/exposition/text.h"

#include <algorithm>
#include <cmath>

#include "core/base/text.h"
#include "observe/metrics/exposition/protobuf.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kMetadataMax = 100'000;

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

bool is_name_char(char c, bool first) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
  return letter || (!first && c >= '0' && c <= '9');
}

// One line, read from the left.
class LineReader {
 public:
  LineReader(std::string_view line, const ExpositionLimits& limits) : rest_(line), limits_(limits) {}

  void skip_blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\t')) rest_.remove_prefix(1);
  }
  bool at_end() const { return rest_.empty(); }
  bool next_is(char c) const { return !rest_.empty() && rest_[0] == c; }
  bool accept(char c) {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string_view rest() const { return rest_; }

  std::string_view name() {
    std::size_t end = 0;
    while (end < rest_.size() && is_name_char(rest_[end], end == 0)) ++end;
    return take(end);
  }

  std::string_view word() { return take(std::min(rest_.find_first_of(" \t"), rest_.size())); }

  // {a="b", "c"="d", "metric"}: behind the opening brace. A quoted name alone names the metric.
  Result<void> labels(std::vector<Label>& into) {
    std::vector<std::string> names;
    while (true) {
      skip_blanks();
      if (accept('}')) return {};
      const bool quoted = next_is('"');
      std::string name;  // in two steps: clang forgets what one arm of a conditional made when TRY leaves the other
      if (quoted)
        name = TRY(string());
      else
        name = this->name();
      if (name.empty()) return bad("expected a label name");
      skip_blanks();
      if (quoted && !next_is('=')) {
        into.push_back({std::string(kMetricName), std::move(name)});
      } else {
        if (!accept('=')) return bad("expected '=' behind the label " + quote(name));
        skip_blanks();
        if (std::find(names.begin(), names.end(), name) != names.end())
          return bad("label " + quote(name) + " stands twice");
        names.push_back(name);
        std::string value = TRY(string());
        into.push_back({std::move(name), std::move(value)});
      }
      if (into.size() > limits_.labels_max)
        return Error{ErrorCode::too_large, "sample has more than " + std::to_string(limits_.labels_max) + " labels"};
      skip_blanks();
      if (!accept(',') && !next_is('}')) return bad("expected ',' or '}' behind a label");
    }
  }

  Result<double> number(std::string_view what) {
    const std::string_view text = word();
    const auto value = parse_float(text);
    if (!value) return bad("not a " + std::string(what) + ": " + quote(text));
    return *value;
  }

 private:
  std::string_view take(std::size_t length) {
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  // "…" with \\, \" and \n.
  Result<std::string> string() {
    if (!accept('"')) return bad("expected '\"'");
    std::string value;
    while (!accept('"')) {
      if (rest_.empty()) return bad("unterminated label value");
      char c = take(1)[0];
      if (c == '\\' && !rest_.empty()) {
        const char escaped = take(1)[0];
        if (escaped == 'n')
          c = '\n';
        else if (escaped == '\\' || escaped == '"')
          c = escaped;
        else
          (value += '\\'), c = escaped;
      }
      value += c;
      if (value.size() > limits_.label_bytes_max)
        return Error{ErrorCode::too_large,
                     "label is longer than " + std::to_string(limits_.label_bytes_max) + " bytes"};
    }
    if (!is_valid_utf8(value)) return bad("label value is not UTF-8");
    return value;
  }

  std::string_view rest_;
  const ExpositionLimits& limits_;
};

std::string unescaped_help(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 'n' || text[i + 1] == '\\' || text[i + 1] == '"'))
      out += text[++i] == 'n' ? '\n' : text[i];
    else
      out += text[i];
  }
  return out;
}

class ExpositionParser {
 public:
  ExpositionParser(std::string_view text, bool open_metrics, const ExpositionLimits& limits)
      : text_(text), open_metrics_(open_metrics), limits_(limits) {}

  Result<Exposition> run() {
    std::size_t number = 0;
    while (!text_.empty()) {
      ++number;
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      std::string_view line = text_.substr(0, end);
      if (open_metrics_ && end == text_.size())
        return bad("line " + std::to_string(number) + ": the last line does not end");
      text_.remove_prefix(std::min(end + 1, text_.size()));
      if (!open_metrics_ && line.ends_with('\r')) line.remove_suffix(1);
      if (eof_) return bad("line " + std::to_string(number) + ": text behind # EOF");
      auto parsed = read_line(line);
      if (!parsed.ok()) return std::move(parsed).error().in("line " + std::to_string(number));
    }
    if (open_metrics_ && !eof_) return bad("data does not end with # EOF");
    return std::move(out_);
  }

 private:
  Result<void> read_line(std::string_view line) {
    LineReader in(line, limits_);
    if (!open_metrics_) in.skip_blanks();
    if (in.at_end()) return open_metrics_ ? Result<void>(bad("empty line")) : Result<void>();
    if (in.accept('#')) return comment(in, line);
    return sample(in);
  }

  MetricMetadata& metadata_of(std::string_view name) {
    if (out_.metadata.empty() || out_.metadata.back().name != name)
      out_.metadata.push_back({std::string(name), "", "", ""});
    return out_.metadata.back();
  }

  Result<void> comment(LineReader& in, std::string_view line) {
    if (open_metrics_ && line == "# EOF") {
      eof_ = true;
      return {};
    }
    in.skip_blanks();
    const std::string_view kind = in.word();
    if (kind != "HELP" && kind != "TYPE" && kind != "UNIT")
      return open_metrics_ ? Result<void>(bad("a comment is not allowed")) : Result<void>();
    in.skip_blanks();
    std::string name(in.next_is('"') ? "" : in.name());
    if (name.empty()) {
      const auto quoted = unquote(in.word());
      if (!quoted.ok()) return bad(std::string(kind) + " without a metric name");
      name = *quoted;
    }
    if (out_.metadata.size() >= kMetadataMax) return Error{ErrorCode::too_large, "too much metadata"};
    in.skip_blanks();
    MetricMetadata& metadata = metadata_of(name);
    if (kind == "HELP")
      metadata.help = unescaped_help(in.rest());
    else if (kind == "UNIT")
      metadata.unit = in.rest();
    else
      return type(metadata, in.rest());
    return {};
  }

  Result<void> type(MetricMetadata& metadata, std::string_view type) const {
    static constexpr std::string_view kTypes[] = {"counter", "gauge",    "histogram",      "summary", "untyped",
                                                  "unknown", "stateset", "gaugehistogram", "info"};
    if (std::find(std::begin(kTypes), std::end(kTypes), caisson::trim(type)) == std::end(kTypes))
      return bad("unknown metric type " + quote(type));
    metadata.type = caisson::trim(type);
    return {};
  }

  Result<void> sample(LineReader& in) {
    ExposedSample sample;
    std::vector<Label> labels;
    const std::string_view name = in.name();
    if (!name.empty())
      labels.push_back({std::string(kMetricName), std::string(name)});
    else if (!in.next_is('{'))
      return bad("expected a metric name");
    in.skip_blanks();
    if (in.accept('{')) TRY(in.labels(labels));
    if (std::none_of(labels.begin(), labels.end(), [](const Label& l) { return l.name == kMetricName; }))
      return bad("sample without a metric name");
    normalize(labels);
    sample.labels = Labels::from(std::move(labels));
    in.skip_blanks();
    sample.v = TRY(in.number("value"));
    in.skip_blanks();
    if (!in.at_end() && !in.next_is('#')) sample.t = TRY(time(in));
    in.skip_blanks();
    if (open_metrics_ && in.accept('#')) sample.exemplar = TRY(exemplar(in));
    in.skip_blanks();
    if (!in.at_end()) return bad("unexpected " + quote(in.rest().substr(0, 20)) + " behind the sample");
    if (out_.samples.size() >= limits_.samples_max)
      return Error{ErrorCode::too_large, "more than " + std::to_string(limits_.samples_max) + " samples"};
    out_.samples.push_back(std::move(sample));
    return {};
  }

  // One spelling of each bound, so that a client that changes its format does not begin new series.
  void normalize(std::vector<Label>& labels) const {
    if (out_.metadata.empty()) return;
    const std::string_view type = out_.metadata.back().type;
    const std::string_view name = type == "histogram" ? "le" : type == "summary" ? "quantile" : "";
    for (Label& label : labels)
      if (!name.empty() && label.name == name) label.value = normalized_bound(label.value);
  }

  // Milliseconds; OpenMetrics writes seconds.
  Result<std::int64_t> time(LineReader& in) const {
    if (!open_metrics_) {
      const std::string_view text = in.word();
      const auto ms = parse_int(text);
      if (!ms) return bad("not a timestamp: " + quote(text));
      return *ms;
    }
    const double seconds = TRY(in.number("timestamp"));
    if (!std::isfinite(seconds) || std::fabs(seconds) > 9e15) return bad("timestamp out of range");
    return static_cast<std::int64_t>(std::llround(seconds * 1000));
  }

  Result<ExposedExemplar> exemplar(LineReader& in) const {
    ExposedExemplar exemplar;
    in.skip_blanks();
    if (!in.accept('{')) return bad("expected the labels of an exemplar");
    std::vector<Label> labels;
    TRY(in.labels(labels));
    exemplar.labels = Labels::from(std::move(labels));
    in.skip_blanks();
    exemplar.v = TRY(in.number("value of an exemplar"));
    in.skip_blanks();
    if (!in.at_end()) exemplar.t = TRY(time(in));
    return exemplar;
  }

  std::string_view text_;
  const bool open_metrics_;
  const ExpositionLimits& limits_;
  Exposition out_;
  bool eof_ = false;
};

}  // namespace

Result<Exposition> parse_text(std::string_view text, const ExpositionLimits& limits) {
  return ExpositionParser(text, false, limits).run();
}

Result<Exposition> parse_open_metrics(std::string_view text, const ExpositionLimits& limits) {
  return ExpositionParser(text, true, limits).run();
}

std::string normalized_bound(std::string_view value) {
  const auto bound = parse_float(value);
  return bound ? format_open_metrics(*bound) : std::string(value);
}

Result<Exposition> parse_exposition(std::string_view content_type, std::string_view text,
                                    const ExpositionLimits& limits, bool classic_too) {
  const std::string type = to_lower(caisson::trim(content_type.substr(0, content_type.find(';'))));
  if (type == "application/openmetrics-text") return parse_open_metrics(text, limits);
  if (type == "application/vnd.google.protobuf") return parse_protobuf(text, limits, classic_too);
  return parse_text(text, limits);
}

}  // namespace caisson::metrics
