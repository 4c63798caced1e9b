// SPDX-License-Identifier: Apache-2.0
#include "conformance/promql_script.h"

#include <algorithm>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::conformance {
namespace {

using namespace metrics;

class ScriptParser {
 public:
  explicit ScriptParser(std::string_view text) {
    for (const std::string_view line : split(text, '\n')) {
      const std::string_view plain = caisson::trim(line);
      lines_.emplace_back(plain.starts_with('#') ? std::string_view("#") : plain);
    }
  }

  Result<std::vector<ScriptStep>> run() {
    while (at_ < lines_.size()) {
      const std::string& line = lines_[at_];
      auto step = line.empty() || line == "#" ? Result<void>() : command(line);
      if (!step.ok()) return std::move(step).error().in("line " + std::to_string(at_ + 1));
      ++at_;
    }
    return std::move(steps_);
  }

 private:
  static std::string_view word(std::string_view& rest) {
    rest = caisson::trim(rest);
    const std::size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    const std::string_view taken = rest.substr(0, end);
    rest = caisson::trim(rest.substr(end));
    return taken;
  }

  Result<void> command(std::string_view rest) {
    ScriptStep step;
    step.line = at_ + 1;
    const std::string_view name = word(rest);
    if (name == "clear") {
      steps_.push_back(step);
      return {};
    }
    if (name.starts_with("load")) {
      step.kind = ScriptStep::Kind::load;
      step.with_custom_buckets = name.ends_with("_with_nhcb");
      step.interval_ms = TRY(parse_duration(rest));
      TRY(body(step));
    } else if (name.starts_with("eval")) {
      step.kind = ScriptStep::Kind::eval;
      if (name.starts_with("eval_")) step.expectations.push_back({std::string(name.substr(5)), "", false, true});
      TRY(evaluation(step, rest));
      TRY(body(step));
    } else {
      return Error{ErrorCode::bad_request, "unknown command " + std::string(name)};
    }
    steps_.push_back(std::move(step));
    return {};
  }

  static Result<std::int64_t> time(std::string_view text) {
    if (text.starts_with('-')) return -TRY(parse_duration(text.substr(1)));
    return parse_duration(text);
  }

  static Result<void> evaluation(ScriptStep& step, std::string_view rest) {
    const std::string_view kind = word(rest);
    step.is_range = kind == "range";
    word(rest);  // at, from
    step.start_ms = step.end_ms = TRY(time(word(rest)));
    if (step.is_range) {
      word(rest);  // to
      step.end_ms = TRY(time(word(rest)));
      word(rest);  // step
      step.step_ms = TRY(parse_duration(word(rest)));
    }
    step.expr = rest;
    return {};
  }

  Result<void> body(ScriptStep& step) {
    while (at_ + 1 < lines_.size() && !lines_[at_ + 1].empty()) {
      const std::string& line = lines_[++at_];
      if (line == "#") continue;
      auto parsed = line_of(step, line);
      if (!parsed.ok()) return parsed;
    }
    return {};
  }

  static Result<void> line_of(ScriptStep& step, const std::string& line) {
    if (step.kind == ScriptStep::Kind::eval && (line.starts_with("expect ") || line.starts_with("expected_")))
      return expectation(step, line);
    if (step.kind == ScriptStep::Kind::eval) {
      const auto number = parse_number(line[0] == '-' || line[0] == '+' ? line.substr(1) : line);
      if (number) {
        step.scalar = line[0] == '-' ? -*number : *number;
        return {};
      }
    }
    step.series.push_back(TRY(promql::parse_series(line)));
    if (step.kind == ScriptStep::Kind::load && step.series.back().values.empty())
      return Error{ErrorCode::bad_request, "series without values"};
    return {};
  }

  static Result<void> expectation(ScriptStep& step, std::string_view rest) {
    const std::string_view first = word(rest);
    if (first != "expect") {  // expected_fail_message, expected_fail_regexp
      step.expectations.push_back({"fail", std::string(rest), first.ends_with("message"), false});
      return {};
    }
    if (rest.starts_with("string ")) {
      step.text = TRY(unquote(caisson::trim(rest.substr(7))));
      return {};
    }
    if (rest.starts_with("range vector ")) {
      step.vector_times = std::string(rest.substr(13));
      return {};
    }
    Expectation e;
    e.type = word(rest);
    if (rest.starts_with("msg:") || rest.starts_with("regex:")) {
      e.is_text = rest.starts_with("msg:");
      e.any = false;
      e.pattern = caisson::trim(rest.substr(rest.find(':') + 1));
    }
    step.expectations.push_back(std::move(e));
    return {};
  }

  std::vector<std::string> lines_;
  std::size_t at_ = 0;
  std::vector<ScriptStep> steps_;
};

}  // namespace

bool ScriptStep::expects(std::string_view type) const {
  return std::any_of(expectations.begin(), expectations.end(), [&](const Expectation& e) { return e.type == type; });
}

Result<std::vector<ScriptStep>> parse_script(std::string_view text) {
  return ScriptParser(text).run();
}

}  // namespace caisson::conformance
