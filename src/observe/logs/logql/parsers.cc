// SPDX-License-Identifier: Apache-2.0
// Stages that make labels of a line: json, logfmt, regexp, pattern, unpack. A name that the stream or its structured
// metadata have already gets _extracted behind it; of a name that is met twice in a line the first counts.
#include <algorithm>
#include <set>

#include "core/base/text.h"
#include "observe/logs/logql/fold.h"
#include "observe/logs/logql/json_scan.h"
#include "observe/logs/logql/pattern.h"
#include "observe/logs/logql/pipeline.h"
#include "observe/logs/logql/regex.h"

namespace caisson::logs::logql {
namespace {

constexpr std::string_view kJsonFailed = "JSONParserErr", kLogfmtFailed = "LogfmtParserErr";
constexpr std::size_t kLabelsMax = 1000;  // of one line

// Letters, digits, _ and : stay; a digit at the front gets _ before it.
std::string label_name(std::string_view key, bool first = true) {
  std::string out;
  if (first && !key.empty() && key[0] >= '0' && key[0] <= '9') out += '_';
  for (const char c : key) out += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == ':' ? c : '_';
  return out;
}

// Labels of one line: each name once.
class Extracted {
 public:
  explicit Extracted(LineState& line) : line_(line) {}
  void set(std::string name, std::string_view value) {
    if (name.empty() || names_.size() >= kLabelsMax) return;
    if (line_.is_taken(name)) name += "_extracted";
    if (!names_.insert(name).second) return;
    std::string clean;
    if (value.find('\xEF') != std::string_view::npos)  // U+FFFD, what a broken text was replaced by, is no label's
      for (std::size_t i = 0; i < value.size(); ++i)
        value.substr(i).starts_with("\xEF\xBF\xBD") ? (void)(i += 2, clean += ' ') : (void)(clean += value[i]);
    line_.set(name, clean.empty() ? value : std::string_view(clean));
  }

 private:
  LineState& line_;
  std::set<std::string> names_;
};

class JsonAllStep : public Step {
 public:
  bool apply(LineState& line) override {
    if (line.line().empty()) return true;
    const std::string text(line.line());
    Extracted out(line);
    const auto read =
        JsonScan(text).leaves([&](const std::vector<std::string>& path, JsonKind kind, std::string_view value) {
          if (kind == JsonKind::list || kind == JsonKind::null) return;
          std::string name;
          for (const std::string& key : path) (name += name.empty() ? "" : "_") += label_name(key, name.empty());
          out.set(std::move(name), value);
        });
    if (!read.ok()) line.fail(kJsonFailed, read.error().message);
    return true;
  }
};

class JsonPathsStep : public Step {
 public:
  struct One {
    std::string label;
    std::vector<JsonStep> path;
  };
  explicit JsonPathsStep(std::vector<One> all) : all_(std::move(all)) {}
  bool apply(LineState& line) override {
    const std::string text(line.line());
    if (text.empty()) return true;
    if (std::string_view("\"{[").find(text[0]) == std::string_view::npos) {  // upstream looks no further
      line.fail(kJsonFailed, "");
      return true;
    }
    for (const One& one : all_) {
      std::string value = json_at(text, one.path);
      if (!line.is_taken(one.label))
        line.set(one.label, value);
      else if (!value.empty())
        line.set(one.label + "_extracted", value);
    }
    return true;
  }

 private:
  const std::vector<One> all_;
};

// key=value key="quoted value" alone. Gives each; false at what is none, when it is asked to be strict.
bool read_logfmt(std::string_view text, const std::function<void(std::string_view key, std::string_view value)>& call,
                 std::string& problem) {
  bool whole = true;
  const auto bad = [&](std::size_t at, std::string_view what) {
    if (whole) problem = "logfmt syntax error at pos " + std::to_string(at + 1) + " : " + std::string(what);
    whole = false;
  };
  for (std::size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) <= ' ') {
      ++at;
      continue;
    }
    const std::size_t begin = at;
    while (at < text.size() && static_cast<unsigned char>(text[at]) > ' ' && text[at] != '=' && text[at] != '"') ++at;
    const std::string_view key = text.substr(begin, at - begin);
    if (at < text.size() && text[at] == '"') bad(at, "unexpected '\"'");
    if (at >= text.size() || text[at] != '=' || key.empty()) {
      if (key.empty() && at < text.size() && text[at] == '=')
        bad(at, "unexpected '='");
      else if (!key.empty() && (at >= text.size() || text[at] != '"'))
        call(key, {});
      while (at < text.size() && static_cast<unsigned char>(text[at]) > ' ') ++at;
      continue;
    }
    ++at;
    if (at < text.size() && text[at] == '"') {
      std::string value;
      ++at;
      bool closed = false;
      for (; at < text.size() && !closed; ++at) {
        if (text[at] == '"') {
          closed = true;
        } else if (text[at] == '\\' && at + 1 < text.size()) {
          ++at;
          constexpr std::string_view kNames = "nrtbf", kValues = "\n\r\t\b\f";
          const std::size_t named = kNames.find(text[at]);
          value += named == std::string_view::npos ? text[at] : kValues[named];
        } else {
          value += text[at];
        }
      }
      if (!closed) {
        bad(at, "unterminated quoted value");
        return false;
      }
      call(key, value);
      continue;
    }
    const std::size_t value_begin = at;
    bool clean = true;
    while (at < text.size() && static_cast<unsigned char>(text[at]) > ' ') {
      if (text[at] == '=' || text[at] == '"') {
        clean = false;
        bad(at, std::string("unexpected '") + text[at] + "'");
      }
      ++at;
    }
    if (clean) call(key, text.substr(value_begin, at - value_begin));
  }
  return whole;
}

class LogfmtStep : public Step {
 public:
  explicit LogfmtStep(Parser parser) : parser_(std::move(parser)) {}
  bool apply(LineState& line) override {
    const std::string text(line.line());
    Extracted out(line);
    std::string problem;
    const bool whole = read_logfmt(
        text,
        [&](std::string_view key, std::string_view value) {
          if (value.empty() && !parser_.keep_empty) return;
          if (parser_.extractions.empty()) return out.set(label_name(key), value);
          for (const Extraction& one : parser_.extractions)
            if (one.path == key) out.set(one.label, value);
        },
        problem);
    if (!whole && parser_.strict) line.fail(kLogfmtFailed, problem);
    for (const Extraction& one : parser_.extractions)  // what was asked for is there, perhaps empty
      if (!line.has(one.label)) line.set(one.label, "");
    return true;
  }

 private:
  const Parser parser_;
};

class RegexpStep : public Step {
 public:
  explicit RegexpStep(LineRegex regex) : regex_(std::move(regex)) {}
  bool apply(LineState& line) override {
    const std::string text(line.line());
    if (!regex_.groups(text, groups_)) return true;
    Extracted out(line);
    for (std::size_t i = 1; i < groups_.size(); ++i)
      if (!regex_.names()[i].empty()) out.set(label_name(regex_.names()[i]), groups_[i]);
    return true;
  }

 private:
  const LineRegex regex_;
  std::vector<std::string_view> groups_;
};

class PatternStep : public Step {
 public:
  explicit PatternStep(Pattern pattern) : pattern_(std::move(pattern)) {}
  bool apply(LineState& line) override {
    const std::string text(line.line());
    if (text.empty()) return true;
    Extracted out(line);
    for (const auto& [name, value] : pattern_.captures(text)) out.set(std::string(name), value);
    return true;
  }

 private:
  const Pattern pattern_;
};

// What promtail's pack stage made: labels as members, the line as _entry.
class UnpackStep : public Step {
 public:
  bool apply(LineState& line) override {
    const std::string text(line.line());
    if (text.empty()) return true;
    std::vector<std::pair<std::string, std::string>> labels;
    std::optional<std::string> entry;
    if (text[0] != '{') {
      line.fail(kJsonFailed, "expecting json object(6), but it is not");
      return true;
    }
    const auto read =
        JsonScan(text).members([&](const std::string& key, JsonKind kind, std::string_view, std::string_view value) {
          if (kind != JsonKind::string) return;
          if (key == "_entry")
            entry = value;
          else
            labels.emplace_back(label_name(key), value);
        });
    if (!read.ok()) {
      line.fail(kJsonFailed, read.error().message);
      return true;
    }
    if (!entry) return true;  // not packed
    Extracted out(line);
    for (auto& [name, value] : labels) out.set(std::move(name), value);
    line.set_line(std::move(*entry));
    return true;
  }
};

// One key is all that upstream's grammar has.
Result<void> check_logfmt_key(const std::string& key) {
  const Error cannot{ErrorCode::bad_request, "cannot parse expression [" + key + "]: "};
  const std::string_view all = trim(key);
  for (const char c : all) {
    if (c == ' ') return Error{cannot.code, cannot.message + "syntax error: unexpected KEY"};
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_')
      return Error{cannot.code, cannot.message + "unexpected char " + std::string(1, c)};
  }
  return {};
}

}  // namespace

Result<void> check_parser(const Parser& parser) {
  TRY(make_parser(parser));
  return {};
}

Result<StepPtr> make_parser(const Parser& parser) {
  switch (parser.kind) {
    case ParserKind::json: {
      if (parser.extractions.empty()) return StepPtr(std::make_unique<JsonAllStep>());
      std::vector<JsonPathsStep::One> all;
      for (const Extraction& one : parser.extractions) {
        auto path = TRY(parse_json_path(one.path));
        all.push_back({one.label, std::move(path)});
      }
      return StepPtr(std::make_unique<JsonPathsStep>(std::move(all)));
    }
    case ParserKind::logfmt:
      for (const Extraction& one : parser.extractions) TRY(check_logfmt_key(one.path));
      return StepPtr(std::make_unique<LogfmtStep>(parser));
    case ParserKind::unpack:
      return StepPtr(std::make_unique<UnpackStep>());
    case ParserKind::pattern:
      return StepPtr(std::make_unique<PatternStep>(TRY(Pattern::parse(parser.text, Pattern::Use::parser))));
    case ParserKind::regexp: {
      auto regex = TRY(LineRegex::compile(parser.text));
      std::set<std::string> names;
      for (const std::string& name : regex.names()) {
        if (name.empty()) continue;
        if (!metrics::is_plain_label_name(name))
          return Error{ErrorCode::bad_request, "invalid extracted label name '" + name + "'"};
        if (!names.insert(name).second)
          return Error{ErrorCode::bad_request, "duplicate extracted label name '" + name + "'"};
      }
      if (names.empty()) return Error{ErrorCode::bad_request, "at least one named capture must be supplied"};
      return StepPtr(std::make_unique<RegexpStep>(std::move(regex)));
    }
  }
  return Error{ErrorCode::internal, "unknown parser"};
}

}  // namespace caisson::logs::logql
