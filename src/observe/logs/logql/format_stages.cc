// SPDX-License-Identifier: Apache-2.0
// line_format and label_format: Go templates over the labels of a line.
#include <algorithm>
#include <cctype>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/utf8.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/time_object.h"
#include "observe/logs/logql/fold.h"
#include "observe/logs/logql/pipeline.h"
#include "observe/logs/logql/regex.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

using calendar::GoTime;
using calendar::TimeZone;
using go_template::Call;
using go_template::Datum;
using go_template::Function;
using go_template::Map;

constexpr std::string_view kFailed = "TemplateFormatErr";

struct LineHost : go_template::Host {
  const LineState* line = nullptr;
};
const LineState& line_of(Call& call) {
  return *static_cast<const LineHost*>(call.host())->line;
}

Result<Datum> call_line(Call& call) {
  return Datum(line_of(call).line());
}

Datum datum_of(std::int64_t nanos) {
  return go_template::time_datum(GoTime::from(Time(std::chrono::nanoseconds(nanos)), TimeZone::utc()));
}
Result<Datum> call_timestamp(Call& call) {
  return datum_of(line_of(call).time());
}
Result<Datum> call_unix_epoch_millis(Call& call) {
  const GoTime& time = *go_template::time_of(call[0]);
  return Datum(std::to_string(time.seconds * 1'000 + time.nanos / 1'000'000));
}
Result<Datum> call_unix_epoch_nanos(Call& call) {
  const GoTime& time = *go_template::time_of(call[0]);
  return Datum(std::to_string(time.seconds * 1'000'000'000 + time.nanos));
}
// Days, seconds, milliseconds, microseconds or nanoseconds since 1970: how many digits there are says which.
Result<Datum> call_unix_to_time(Call& call) {
  const std::string_view text = call.text(0);
  const std::string failed = "unable to parse time '" + std::string(text) + "': ";
  const auto count = parse_int(text);
  if (!count)
    return Error{ErrorCode::bad_request,
                 failed + "strconv.ParseInt: parsing " + metrics::quote(text) + ": invalid syntax"};
  switch (text.size()) {
    case 5:
      return datum_of(*count * 86'400 * 1'000'000'000);
    case 10:
      return datum_of(*count * 1'000'000'000);
    case 13:
      return datum_of(*count * 1'000'000);
    case 16:
      return datum_of(*count * 1'000);
    case 19:
      return datum_of(*count);
    default:
      return Error{ErrorCode::bad_request, failed + "%!w(<nil>)"};  // as upstream prints it
  }
}
// An unknown zone is UTC, and a text that is no time is the first day of the year 1.
Result<Datum> call_to_date_in_zone(Call& call) {
  const TimeZone::Ptr zone = TimeZone::load(call.text(1));
  auto time = calendar::parse_go_time(call.text(0), call.text(2), zone ? zone : TimeZone::utc());
  return go_template::time_datum(time.ok() ? std::move(time).value() : GoTime::zero());
}

std::string transformed(std::string_view text, int (*change)(int)) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(change(static_cast<unsigned char>(c)));
  return out;
}
Result<Datum> call_to_lower(Call& call) {
  return Datum(transformed(call.text(0), std::tolower));
}
Result<Datum> call_to_upper(Call& call) {
  return Datum(transformed(call.text(0), std::toupper));
}
Result<Datum> call_replace(Call& call) {  // Replace text old new n
  const std::string_view text = call.text(0), from = call.text(1), to = call.text(2);
  std::int64_t left = call[3].as_int();
  std::string out;
  std::size_t at = 0;
  // An empty text is found before each character, and at the end.
  for (; left != 0; --left) {
    std::size_t found = text.find(from, at);
    if (from.empty() && left != call[3].as_int()) {
      if (at == text.size()) break;
      found = std::min(text.size(), at + std::max<std::size_t>(1, utf8::sequence_length(text, at)));
    }
    if (found == std::string::npos) break;
    out.append(text, at, found - at).append(to);
    at = found + from.size();
  }
  return Datum(out + std::string(text.substr(at)));
}

std::string_view trimmed(std::string_view text, std::string_view cut, bool left, bool right) {
  while (left && !text.empty() && cut.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (right && !text.empty() && cut.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}
Result<Datum> call_trim(Call& call) {
  return Datum(trimmed(call.text(0), call.text(1), true, true));
}
Result<Datum> call_trim_left(Call& call) {
  return Datum(trimmed(call.text(0), call.text(1), true, false));
}
Result<Datum> call_trim_right(Call& call) {
  return Datum(trimmed(call.text(0), call.text(1), false, true));
}
Result<Datum> call_trim_space(Call& call) {
  return Datum(trim(call.text(0)));
}
Result<Datum> call_trim_prefix(Call& call) {
  std::string_view text = call.text(0);
  if (text.starts_with(call.text(1))) text.remove_prefix(call.text(1).size());
  return Datum(text);
}
Result<Datum> call_trim_suffix(Call& call) {
  std::string_view text = call.text(0);
  if (text.ends_with(call.text(1))) text.remove_suffix(call.text(1).size());
  return Datum(text);
}

Result<Datum> call_align(Call& call) {
  const auto width = static_cast<std::size_t>(std::clamp<std::int64_t>(call[0].as_int(), 0, 4096));
  std::vector<std::string> characters;
  for (const char c : call.text(1)) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80 || characters.empty()) characters.emplace_back();
    characters.back() += c;
  }
  const bool left = call.name == "alignLeft";
  if (characters.size() > width) {
    const auto extra = static_cast<std::ptrdiff_t>(characters.size() - width);
    left ? characters.resize(width) : (void)characters.erase(characters.begin(), characters.begin() + extra);
    return Datum(join(characters, ""));
  }
  const std::string blanks(width - characters.size(), ' ');
  return Datum(left ? join(characters, "") + blanks : blanks + join(characters, ""));
}

Result<Datum> call_count(Call& call) {
  const LineRegex regex = TRY(LineRegex::compile(call.text(0)));
  std::string_view rest = call.text(1);
  std::vector<std::string_view> groups;
  int count = 0;
  while (regex.groups(rest, groups)) {
    ++count;
    const auto end =
        static_cast<std::size_t>(groups[0].data() - rest.data()) + std::max<std::size_t>(1, groups[0].size());
    if (end > rest.size()) break;  // nothing more, not even an empty match at the end
    rest.remove_prefix(end);
    if (rest.empty() && !groups[0].empty()) break;
  }
  return Datum(count);
}

// What Sprig's do; the error is not wrapped by Sprig's MustCompile here.
Result<Datum> call_regex_replace(Call& call) {
  TRY(LineRegex::compile(call.text(0)));
  const Function* replace = go_template::find_function(go_template::sprig_functions(), call.name);
  if (!replace) return Error{ErrorCode::internal, "no function " + std::string(call.name)};
  return replace->call(call);
}

Result<Datum> call_bytes(Call& call) {
  return Datum(static_cast<double>(TRY(parse_byte_size(call.text(0)))));
}
Result<Datum> call_duration(Call& call) {
  return Datum(static_cast<double>(TRY(parse_go_duration(call.text(0)))) / 1e9);
}
Result<Datum> call_urlencode(Call& call) {
  return Datum(replace_all(percent_encode(call.text(0)), "%20", "+"));
}
Result<Datum> call_urldecode(Call& call) {
  const std::string_view text = call.text(0);
  const auto is_hex = [&](std::size_t at) {
    return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
  };
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1))
    if (!is_hex(at + 1) || !is_hex(at + 2))
      return Error{ErrorCode::bad_request, "invalid URL escape " + metrics::quote(text.substr(at, 3))};
  return Datum(TRY(percent_decode(replace_all(std::string(text), "+", "%20"))));
}

constexpr Function kOwn[] = {
    {"Replace", "sssi", call_replace},
    {"ToLower", "s", call_to_lower},
    {"ToUpper", "s", call_to_upper},
    {"Trim", "ss", call_trim},
    {"TrimLeft", "ss", call_trim_left},
    {"TrimPrefix", "ss", call_trim_prefix},
    {"TrimRight", "ss", call_trim_right},
    {"TrimSpace", "s", call_trim_space},
    {"TrimSuffix", "ss", call_trim_suffix},
    {"__line__", "", call_line},
    {"__timestamp__", "", call_timestamp},
    {"alignLeft", "is", call_align},
    {"alignRight", "is", call_align},
    {"bytes", "s", call_bytes},
    {"count", "ss", call_count},
    {"duration", "s", call_duration},
    {"duration_seconds", "s", call_duration},
    {"regexReplaceAll", "sss", call_regex_replace},
    {"regexReplaceAllLiteral", "sss", call_regex_replace},
    {"toDateInZone", "sss", call_to_date_in_zone},
    {"unixEpochMillis", "t", call_unix_epoch_millis},
    {"unixEpochNanos", "t", call_unix_epoch_nanos},
    {"unixToTime", "s", call_unix_to_time},
    {"urldecode", "s", call_urldecode},
    {"urlencode", "s", call_urlencode},
};

// Those of Sprig that Loki lets in: none that costs much, or gives another answer every time.
constexpr std::string_view kFromSprig[] = {
    "add",     "addf",       "b64dec",     "b64enc",   "ceil",      "contains",  "date",   "default", "div",
    "divf",    "float64",    "floor",      "fromJson", "hasPrefix", "hasSuffix", "indent", "int",     "lower",
    "max",     "maxf",       "min",        "minf",     "mod",       "mul",       "mulf",   "nindent", "now",
    "repeat",  "replace",    "round",      "sub",      "subf",      "substr",    "title",  "toDate",  "trim",
    "trimAll", "trimPrefix", "trimSuffix", "trunc",    "unixEpoch", "upper"};

go_template::FunctionTable borrowed() {
  static const std::vector<Function> table = [] {
    std::vector<Function> found;
    for (const std::string_view name : kFromSprig)
      if (const Function* one = go_template::find_function(go_template::sprig_functions(), name)) found.push_back(*one);
    return found;
  }();
  return table;
}

// One template, parsed once and run for line after line.
class LineTemplate {
 public:
  static Result<std::unique_ptr<LineTemplate>> parse(std::string_view name, std::string_view text) {
    auto out = std::unique_ptr<LineTemplate>(new LineTemplate(name));
    TRY(out->set_.parse(name, text));
    return out;
  }
  Result<std::string> run(const LineState& line) {
    Map::Entries entries;
    line.each([&](std::string_view name, std::string_view value, Origin) {
      entries.emplace(std::string(name), Datum(std::string(value)));
    });
    if (line.has_error()) entries.insert_or_assign(std::string(kError), Datum(line.error()));
    host_.line = &line;
    go_template::Options options;
    options.missing_key = go_template::MissingKey::zero;
    options.limits.steps_max = 20'000;
    options.limits.output_bytes_max = 1u << 20;
    go_template::Execution execution(set_, options, &host_);
    return execution.run(name_, Datum(go_template::make<Map>(std::move(entries)), go_template::kStringMap));
  }

 private:
  explicit LineTemplate(std::string_view name)
      : name_(name), set_(name_, {kOwn, borrowed(), go_template::go_functions()}, {.text_bytes_max = 64u << 10}) {}
  const std::string name_;
  go_template::Set set_;
  LineHost host_;
};

class LineFormatStep : public Step {
 public:
  explicit LineFormatStep(std::unique_ptr<LineTemplate> text) : text_(std::move(text)) {}
  bool apply(LineState& line) override {
    auto out = text_->run(line);
    if (out.ok())
      line.set_line(std::move(out).value());
    else
      line.fail(kFailed, out.error().message);
    return true;
  }

 private:
  const std::unique_ptr<LineTemplate> text_;
};

class LabelFormatStep : public Step {
 public:
  struct One {
    std::string label, source;  // source: renamed from
    std::unique_ptr<LineTemplate> value;
  };
  explicit LabelFormatStep(std::vector<One> all) : all_(std::move(all)) {}
  bool apply(LineState& line) override {
    for (const One& one : all_) {
      if (!one.value) {
        if (!line.has(one.source)) continue;
        const std::string value(line.get(one.source));
        line.remove(one.source);
        line.set(one.label, value);
        continue;
      }
      const auto value = one.value->run(line);
      if (value.ok())
        line.set(one.label, *value);
      else
        line.fail(kFailed, value.error().message);
    }
    return true;
  }

 private:
  const std::vector<One> all_;
};

}  // namespace

Result<void> check_template(std::string_view name, std::string_view text) {
  TRY(LineTemplate::parse(name, text));
  return {};
}

Result<StepPtr> make_line_format(const LineFormat& format) {
  return StepPtr(std::make_unique<LineFormatStep>(TRY(LineTemplate::parse("line", format.text))));
}

Result<StepPtr> make_label_format(const LabelFormat& format) {
  std::vector<LabelFormatStep::One> all;
  for (const LabelFormat::One& one : format.all) {
    std::unique_ptr<LineTemplate> value;
    if (!one.rename) value = TRY(LineTemplate::parse("label", one.value));
    all.push_back({one.label, one.rename ? one.value : "", std::move(value)});
  }
  return StepPtr(std::make_unique<LabelFormatStep>(std::move(all)));
}

}  // namespace caisson::logs::logql
