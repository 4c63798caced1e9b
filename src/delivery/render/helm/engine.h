// SPDX-License-Identifier: Apache-2.0
// The templates of a chart and its subcharts, parsed in Helm's order and run. Source: Helm 3.22 pkg/engine. Templates
// reach nothing of the host: `lookup` and `getHostByName` answer empty unless the caller hands functions in.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/expr/go_template/set.h"
#include "delivery/render/helm/objects.h"

namespace caisson::render::helm {

struct EngineOptions {
  // An object, or with an empty name the list of them; not_found gives the template an empty map.
  std::function<Result<Value>(std::string_view api_version, std::string_view kind, std::string_view ns,
                              std::string_view name)>
      lookup;
  std::function<std::string(const std::string& host)> host_by_name;
  bool lint = false;             // `required` and `fail` let pass
  const Clock* clock = nullptr;  // null: the system's
  std::uint64_t steps_max = 100'000'000;
};

struct TemplateText {
  std::string path;
  std::shared_ptr<const std::string> text;  // keeps the chart's files
};
// Every template of the chart and its subcharts, in the order in which Helm parses and runs them.
std::vector<TemplateText> templates_of(const Chart& chart);

// All templates that may see one another. Any thread; one may be used for many renderings of the same chart. It keeps
// the files of the charts that the texts are from.
// Errors: invalid "parse error at (chart/templates/x.yaml:3): …".
Result<std::shared_ptr<const go_template::Set>> parse_templates(const std::vector<TemplateText>& templates);

inline constexpr std::string_view kNotesFile = "NOTES.txt";  // what ends so is told to people, and no manifest

using Outputs = std::map<std::string, std::string>;  // by path

// What the templates give, partials left out. `values`: coalesced. Errors: invalid in Helm's words; timeout
// and too_large above limits.
Result<Outputs> run_templates(const go_template::Set& set, const Chart& chart, const Value& values,
                              const ReleaseInfo& release, const Capabilities& capabilities,
                              const EngineOptions& options);

// Is told what the templates give, each when it is there, by the thread that renders or another, several at a time.
using OutputReader = std::function<void(std::string path, std::string text)>;

// Both at once, for one rendering: a template that defines none for others is parsed when it runs and forgotten behind
// it, which takes a fraction of the memory. Output and errors are the same: what does not parse comes before what
// fails. What `reader` (may be null) was given is left out of the result; it has returned when this does, and may miss
// some when this fails. It is not given NOTES.txt.
Result<Outputs> render_once(const Chart& chart, const Value& values, const ReleaseInfo& release,
                            const Capabilities& capabilities, const EngineOptions& options,
                            const OutputReader& reader = nullptr);

}  // namespace caisson::render::helm
