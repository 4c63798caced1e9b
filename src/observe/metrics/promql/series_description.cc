// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/series_description.h"

#include "core/base/text.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"

namespace caisson::metrics::promql {
namespace {

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void skip_spaces() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  bool at_end() const { return at_ >= text_.size(); }
  bool accept(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  std::string_view rest() const { return text_.substr(at_); }
  std::string_view until(std::string_view stops) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && stops.find(text_[at_]) == std::string_view::npos) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Result<double> number() {
    const std::size_t begin = at_;
    if (!at_end() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool exponent = at_ > begin && (c == '+' || c == '-') && (text_[at_ - 1] | 0x20) == 'e';
      if (c == 'x' || (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && !exponent)) break;
      ++at_;
    }
    const std::string_view word = text_.substr(begin, at_ - begin);
    const bool negative = word.starts_with('-');
    const std::string_view digits = word.starts_with('-') || word.starts_with('+') ? word.substr(1) : word;
    auto value = parse_number(digits);
    if (!value) {
      const auto ms = parse_duration(digits);
      if (!ms.ok()) return bad("not a value: " + quote(word));
      value = static_cast<double>(*ms) / 1000;
    }
    return negative ? -*value : *value;
  }

  Result<std::size_t> repetitions() {
    const auto count = parse_int(until(" \t\r\n"));
    if (!count || *count < 0 || static_cast<std::size_t>(*count) > kSequenceMax)
      return bad("invalid repetition in series values");
    return static_cast<std::size_t>(*count);
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

// Behind {{.
class HistogramReader {
 public:
  explicit HistogramReader(Reader& in) : in_(in) {}

  Result<SequenceValue> read() {
    SequenceValue value;
    std::int64_t offset = 0, negative_offset = 0;
    std::vector<double> buckets, negative_buckets;
    std::vector<std::string> seen;
    while (true) {
      in_.skip_spaces();
      if (in_.accept("}}")) break;
      const std::string key(in_.until(":} \t"));
      if (!in_.accept(":")) return bad("missing `:` for histogram descriptor");
      for (const std::string& other : seen)
        if (other == key) return bad("duplicate key \"" + key + "\" in histogram");
      seen.push_back(key);
      if (key == "counter_reset_hint") {
        TRY(hint(value));
      } else if (key == "buckets" || key == "n_buckets" || key == "custom_values") {
        (key == "buckets" ? buckets : key == "n_buckets" ? negative_buckets : h_.custom_bounds) = TRY(list());
      } else {
        TRY(scalar(key, offset, negative_offset));
      }
    }
    for (const double count : buckets) h_.positive.push_back({static_cast<std::int32_t>(offset++), count});
    for (const double count : negative_buckets)
      h_.negative.push_back({static_cast<std::int32_t>(negative_offset++), count});
    value.h = std::make_shared<const FloatHistogram>(std::move(h_));
    return value;
  }

 private:
  Result<void> hint(SequenceValue& value) {
    const std::string_view word = in_.until(" \t}");
    value.has_hint = true;
    if (word == "reset")
      h_.hint = ResetHint::reset;
    else if (word == "not_reset")
      h_.hint = ResetHint::not_reset;
    else if (word == "gauge")
      h_.hint = ResetHint::gauge;
    else if (word != "unknown")
      return bad("bad histogram descriptor found: " + quote(word));
    return {};
  }

  Result<void> scalar(const std::string& key, std::int64_t& offset, std::int64_t& negative_offset) {
    const double number = TRY(in_.number());
    if (key == "schema")
      h_.schema = static_cast<std::int32_t>(number);
    else if (key == "sum")
      h_.sum = number;
    else if (key == "count")
      h_.count = number;
    else if (key == "z_bucket")
      h_.zero_count = number;
    else if (key == "z_bucket_w")
      h_.zero_threshold = number;
    else if (key == "offset")
      offset = static_cast<std::int64_t>(number);
    else if (key == "n_offset")
      negative_offset = static_cast<std::int64_t>(number);
    else
      return bad("bad histogram descriptor found: " + quote(key));
    return {};
  }

  Result<std::vector<double>> list() {
    if (!in_.accept("[")) return bad("histogram description incomplete");
    std::vector<double> numbers;
    while (true) {
      in_.skip_spaces();
      if (in_.accept("]")) return numbers;
      if (in_.at_end()) return bad("histogram description incomplete");
      numbers.push_back(TRY(in_.number()));
    }
  }

  Reader& in_;
  FloatHistogram h_;
};

Result<void> histogram_item(Reader& in, std::vector<SequenceValue>& out) {
  SequenceValue value = TRY(HistogramReader(in).read());
  if (in.accept("x")) {
    out.insert(out.end(), TRY(in.repetitions()) + 1, value);
    return {};
  }
  const bool plus = in.accept("+{{");
  if (!plus && !in.accept("-{{")) {
    out.push_back(std::move(value));
    return {};
  }
  const SequenceValue step = TRY(HistogramReader(in).read());
  if (!in.accept("x")) return bad("a histogram increment needs a number of repetitions");
  const std::size_t times = TRY(in.repetitions());
  value.has_hint = step.has_hint;
  out.push_back(value);
  for (std::size_t i = 0; i < times; ++i) {
    FloatHistogram next = *value.h;
    if (next.schema > step.h->schema)
      return bad("error combining histograms: cannot merge from schema " + std::to_string(step.h->schema) + " to " +
                 std::to_string(next.schema));
    if (plus)
      TRY(add(next, *step.h));
    else
      TRY(subtract(next, *step.h));
    value.h = std::make_shared<const FloatHistogram>(std::move(next));
    out.push_back(value);
  }
  return {};
}

Result<void> item(Reader& in, std::vector<SequenceValue>& out) {
  if (in.accept("{{")) return histogram_item(in, out);
  if (in.accept("_")) {
    SequenceValue none;
    none.omitted = true;
    out.insert(out.end(), in.accept("x") ? TRY(in.repetitions()) : 1, none);
    return {};
  }
  SequenceValue value;
  if (in.accept("stale"))
    value.v = stale_nan();
  else
    value.v = TRY(in.number());
  double step = 0;
  if (in.rest().starts_with('+') || in.rest().starts_with('-')) {
    step = TRY(in.number());
    if (!in.rest().starts_with('x')) return bad("an increment needs a number of repetitions");
  }
  if (!in.accept("x")) {
    out.push_back(value);
    return {};
  }
  const std::size_t times = TRY(in.repetitions());
  for (std::size_t i = 0; i <= times; ++i) {
    out.push_back(value);
    if (step != 0) value.v += step;
  }
  return {};
}

// The end of the braces that open at `at`; strings within may hold braces.
std::size_t closing_brace(std::string_view text, std::size_t at) {
  char quote_char = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote_char != 0) {
      if (c == '\\' && quote_char != '`')
        ++at;
      else if (c == quote_char)
        quote_char = 0;
    } else if (c == '"' || c == '\'' || c == '`') {
      quote_char = c;
    } else if (c == '}') {
      return at;
    }
  }
  return std::string_view::npos;
}

}  // namespace

Result<Labels> parse_metric(std::string_view text, std::string_view* rest) {
  const std::string_view all = caisson::trim(text);
  const std::size_t name_end = std::min(all.find_first_of("{ \t"), all.size());
  std::size_t end = name_end;
  LabelsBuilder labels;
  if (name_end > 0) labels.set(kMetricName, all.substr(0, name_end));
  if (end < all.size() && all[end] == '{') {
    const std::size_t close = closing_brace(all, end);
    if (close == std::string_view::npos) return bad("unexpected end of input inside braces");
    // The braces are a selector's, but for the operators.
    const std::string_view braces = all.substr(end, close - end + 1);
    const std::string probe = std::string(braces) == "{}" ? "" : "x" + std::string(braces);
    if (!probe.empty()) {
      const bool named_inside = name_end == 0;
      const auto matchers = parse_selector(named_inside ? std::string(braces) + " " : probe);
      if (!matchers.ok() && !named_inside) return matchers.error();
      const auto list = matchers.ok() ? std::move(matchers) : parse_selector(probe);
      if (!list.ok()) return list.error();
      for (const Matcher& m : *list) {
        if (m.type != MatchType::equal)
          return bad("unexpected " + quote(match_operator(m.type)) + " in label set, expected \"=\"");
        if (!(m.name == kMetricName && m.value == "x" && !named_inside)) labels.set(m.name, m.value);
      }
      if (named_inside && !matchers.ok()) labels.remove(kMetricName);
    }
    end = close + 1;
  }
  const std::string_view tail = caisson::trim(all.substr(end));
  if (rest)
    *rest = tail;
  else if (!tail.empty())
    return bad("unexpected " + quote(tail) + " behind the metric");
  return labels.labels();
}

Result<std::vector<SequenceValue>> parse_sequence(std::string_view text) {
  std::vector<SequenceValue> values;
  Reader in(text);
  while (true) {
    in.skip_spaces();
    if (in.at_end()) return values;
    TRY(item(in, values));
    if (values.size() > kSequenceMax) return bad("more than " + std::to_string(kSequenceMax) + " values");
    if (!in.at_end() && std::string_view(" \t\r\n").find(in.rest()[0]) == std::string_view::npos)
      return bad("unexpected " + quote(in.rest().substr(0, 10)) + " in series values");
  }
}

Result<SeriesDescription> parse_series(std::string_view text) {
  std::string_view rest;
  SeriesDescription series;
  series.labels = TRY(parse_metric(text, &rest));
  series.values = TRY(parse_sequence(rest));
  return series;
}

}  // namespace caisson::metrics::promql
