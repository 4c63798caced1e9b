// SPDX-License-Identifier: Apache-2.0
// Pipeline: the stages of a query, made ready to run. Semantics are Loki 3.7's: a stage that can't do its work sets
// __error__ and lets the line pass. One thread uses one pipeline.
#pragma once
#include "observe/logs/logql/ast.h"
#include "observe/logs/logql/line_state.h"

namespace caisson::logs::logql {

class Step {
 public:
  virtual ~Step() = default;
  virtual bool apply(LineState& line) = 0;  // false: the line is dropped
};
using StepPtr = std::unique_ptr<Step>;

class Pipeline {
 public:
  // Errors: bad_request for what parsing had let pass.
  static Result<Pipeline> compile(const std::vector<Stage>& stages);
  bool apply(LineState& line) const;
  bool empty() const { return steps_.empty(); }
  // Texts that every line which passes had when it was stored: a filter of blocks may be asked for them.
  const std::vector<std::string>& needles() const { return needles_; }
  // Stages only look at the text and change no label.
  bool only_line_filters() const { return only_line_filters_; }

 private:
  std::vector<StepPtr> steps_;
  std::vector<std::string> needles_;
  bool only_line_filters_ = true;
};

// One file for each family of stages.
Result<StepPtr> make_line_filter(const LineFilter& filter);
Result<StepPtr> make_parser(const Parser& parser);
Result<StepPtr> make_label_filter(std::shared_ptr<const LabelFilter> filter);
Result<StepPtr> make_line_format(const LineFormat& format);
Result<StepPtr> make_label_format(const LabelFormat& format);
StepPtr make_decolorize();
StepPtr make_drop_keep(const DropKeep& stage);

// A label's number for | unwrap. Nothing: the line has no such label. What can't be converted sets __error__.
std::optional<double> unwrapped(LineState& line, const Unwrap& unwrap);

}  // namespace caisson::logs::logql
