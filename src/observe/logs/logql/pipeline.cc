// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/pipeline.h"

#include <algorithm>

#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

class DropKeepStep : public Step {
 public:
  explicit DropKeepStep(DropKeep stage) : stage_(std::move(stage)) {}
  bool apply(LineState& line) override {
    if (stage_.drop) {
      for (const NamedMatcher& one : stage_.names)
        if (!one.matcher || one.matcher->matches(line.get(one.name))) line.remove(one.name);
      return true;
    }
    line.keep_only([&](std::string_view name, std::string_view value) {
      return std::any_of(stage_.names.begin(), stage_.names.end(), [&](const NamedMatcher& one) {
        return one.name == name && (!one.matcher || one.matcher->matches(value));
      });
    });
    return true;
  }

 private:
  const DropKeep stage_;
};

// Control sequences of terminals: ESC [ … letter, and ESC ] … BEL.
class DecolorizeStep : public Step {
 public:
  bool apply(LineState& line) override {
    const std::string_view text = line.line();
    if (text.find('\x1b') == std::string_view::npos) return true;
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\x1b' || i + 1 >= text.size() || text[i + 1] != '[') {
        out += text[i];
        continue;
      }
      std::size_t end = i + 2;
      while (end < text.size() && (text[end] < 0x40 || text[end] > 0x7E)) ++end;
      i = end;
    }
    line.set_line(std::move(out));
    return true;
  }
};

}  // namespace

StepPtr make_drop_keep(const DropKeep& stage) {
  return std::make_unique<DropKeepStep>(stage);
}

StepPtr make_decolorize() {
  return std::make_unique<DecolorizeStep>();
}

Result<Pipeline> Pipeline::compile(const std::vector<Stage>& stages) {
  Pipeline pipeline;
  bool changed = false;  // the text is not the stored one any more
  for (const Stage& stage : stages) {
    Result<StepPtr> step = StepPtr();
    if (const auto* filter = std::get_if<LineFilter>(&stage)) {
      step = make_line_filter(*filter);
      if (!changed && filter->match == LineMatch::equal && filter->any.size() == 1 && !filter->any[0].is_ip)
        pipeline.needles_.push_back(filter->any[0].text);
    } else {
      pipeline.only_line_filters_ = false;
      if (const auto* parser = std::get_if<Parser>(&stage))
        step = make_parser(*parser), changed |= parser->kind == ParserKind::unpack;
      else if (const auto* label = std::get_if<std::shared_ptr<const LabelFilter>>(&stage))
        step = make_label_filter(*label);
      else if (const auto* line = std::get_if<LineFormat>(&stage))
        step = make_line_format(*line), changed = true;
      else if (const auto* labels = std::get_if<LabelFormat>(&stage))
        step = make_label_format(*labels);
      else if (const auto* names = std::get_if<DropKeep>(&stage))
        step = make_drop_keep(*names);
      else
        step = make_decolorize(), changed = true;
    }
    pipeline.steps_.push_back(TRY(std::move(step)));
  }
  return pipeline;
}

bool Pipeline::apply(LineState& line) const {
  return std::all_of(steps_.begin(), steps_.end(), [&](const StepPtr& step) { return step->apply(line); });
}

std::optional<double> unwrapped(LineState& line, const Unwrap& unwrap) {
  if (!line.has(unwrap.label)) return std::nullopt;
  const std::string text(line.get(unwrap.label));
  constexpr std::string_view kFailed = "SampleExtractionErr";
  if (unwrap.conversion.empty()) {
    if (const auto value = metrics::parse_float(text)) return *value;
    line.fail(kFailed, "strconv.ParseFloat: parsing " + metrics::quote(text) + ": invalid syntax");
    return 0;
  }
  if (unwrap.conversion == "bytes") {
    const auto size = parse_byte_size(text);
    if (size.ok()) return static_cast<double>(*size);
    line.fail(kFailed, size.error().message);
    return 0;
  }
  const auto duration = parse_go_duration(text);
  if (duration.ok()) return static_cast<double>(*duration) / 1e9;
  line.fail(kFailed, duration.error().message);
  return 0;
}

}  // namespace caisson::logs::logql
