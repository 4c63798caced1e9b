// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/engine.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/execution.h"
#include "delivery/render/helm/template_order.h"
#include "delivery/render/helm/template_run.h"
#include "delivery/render/helm/two_threads.h"

namespace caisson::render::helm {
namespace {

using go_template::Call;
using go_template::Datum;

struct EngineHost final : go_template::Host {
  explicit EngineHost(const EngineOptions& options) : options(options) {}
  const EngineOptions& options;
};

Result<Datum> call_include(Call& call) {
  return call.execution.include(call.text(0), call[1]);
}

Result<Datum> call_tpl(Call& call) {
  return call.execution.expand(call.text(0), call[1]);
}

Result<Datum> call_lookup(Call& call) {
  const auto& lookup = static_cast<EngineHost*>(call.host())->options.lookup;
  if (!lookup) return Datum::from(Value::map());
  auto found = lookup(call.text(0), call.text(1), call.text(2), call.text(3));
  if (found.ok()) return Datum::from(go_template::with_json_numbers(*found));
  if (found.error().code == ErrorCode::not_found) return Datum::from(Value::map());
  return std::move(found).error();
}

Result<Datum> call_host_by_name(Call& call) {
  const auto& resolve = static_cast<EngineHost*>(call.host())->options.host_by_name;
  return Datum(resolve ? resolve(std::string(call.text(0))) : std::string());
}

constexpr go_template::Function kFunctions[] = {
    {"getHostByName", "s", call_host_by_name},
    {"include", "sa", call_include},
    {"lookup", "ssss", call_lookup},
    {"tpl", "sa", call_tpl},
};

void collect_templates(const Chart& chart, const std::string& parent, std::vector<TemplateText>& out) {
  const std::string path = chart_path(chart, parent);
  for (const Chart& child : chart.dependencies) collect_templates(child, path, out);
  for (const File& file : chart.files->templates) {
    if (chart.metadata.is_library() && !path_base(file.name).starts_with('_')) continue;
    out.push_back({template_path(path, file.name), {chart.files, &file.data}});
  }
}

// "template: FILE:LINE: …: WHAT" is shown as "parse error at (FILE:LINE): WHAT".
Error parse_error(const std::string& path, const Error& error) {
  const std::string& text = error.message;
  const std::size_t first = text.find(": ");
  if (first == std::string::npos) return {ErrorCode::invalid, "parse error in (" + path + "): " + text};
  const std::size_t second = text.find(": ", first + 2);
  const std::size_t last = text.rfind(": ");
  return {ErrorCode::invalid,
          "parse error at (" + text.substr(first + 2, second - first - 2) + "): " + text.substr(last + 2)};
}

// What `required` and `fail` said is shown alone, with the place where it was said.
Error run_error(const Error& error) {
  const std::string& text = error.message;
  const std::size_t start = text.find(go_template::kAuthorMessageStart);
  const std::size_t end = text.rfind(go_template::kAuthorMessageEnd);
  const std::size_t first = text.find(": ");
  const std::size_t second = first == std::string::npos ? first : text.find(": ", first + 2);
  if (start == std::string::npos || end == std::string::npos || second == std::string::npos || start < second)
    return error;
  const std::size_t from = start + go_template::kAuthorMessageStart.size();
  if (end < from) return error;
  return {error.code,
          "execution error at (" + text.substr(first + 2, second - first - 2) + "): " + text.substr(from, end - from)};
}

// May `text` define templates beside its own? A keyword stands right behind the braces.
bool may_define(std::string_view text) {
  const auto passed_over = [](char c) { return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  for (std::size_t at = 0; (at = text.find('{', at)) != std::string_view::npos;) {
    if (++at >= text.size() || text[at] != '{') continue;
    do {
      ++at;
    } while (at < text.size() && passed_over(text[at]));
    if (at >= text.size() || (text[at] != 'd' && text[at] != 'b')) continue;
    const std::string_view rest = text.substr(at);
    if (rest.starts_with("define") || rest.starts_with("block")) return true;
  }
  return false;
}

go_template::Set empty_set() {
  return {"gotpl",
          {kFunctions, go_template::helm_functions(), go_template::sprig_functions(), go_template::go_functions()}};
}

// Two threads share the work from here on: less is done while a thread starts.
constexpr std::size_t kTextBytesOfTwo = 64u << 10;

std::size_t text_bytes(const std::vector<TemplateText>& texts) {
  return std::accumulate(texts.begin(), texts.end(), std::size_t{0},
                         [](std::size_t sum, const TemplateText& one) { return sum + one.text->size(); });
}

}  // namespace

std::vector<TemplateText> templates_of(const Chart& chart) {
  std::vector<TemplateText> out;
  collect_templates(chart, "", out);
  sort_as_helm(out);
  return out;
}

Result<std::shared_ptr<const go_template::Set>> parse_templates(const std::vector<TemplateText>& templates) {
  auto set = std::make_shared<go_template::Set>(empty_set());
  for (const TemplateText& one : templates) {
    const auto parsed = set->parse_shared(one.path, one.text);
    if (!parsed.ok()) return parse_error(one.path, parsed.error());
  }
  return std::shared_ptr<const go_template::Set>(std::move(set));
}

namespace {

// `late`: those of the chart's texts that are not in `set`; `bytes`: of all of them.
Result<Outputs> run(const go_template::Set& set, std::vector<TemplateText> late, std::size_t bytes, const Chart& chart,
                    const Value& values, const ReleaseInfo& release, const Capabilities& capabilities,
                    const EngineOptions& options, const OutputReader& reader) {
  // What gives another value, or the whole of ".", from one template to the next.
  static constexpr std::string_view kOwnFields[] = {"AsMap", "PathValue", "Subcharts", "Table", "Template", "YAML"};
  EngineHost host(options);
  TemplateRun run{.set = set, .options = {}, .host = &host, .data = {}, .late = std::move(late), .reader = reader};
  run.options.missing_key = go_template::MissingKey::zero;
  run.options.lint = options.lint;
  run.options.limits.steps_max = options.steps_max;
  run.options.clock = options.clock;
  run.options.own_fields = kOwnFields;
  run.by_two = bytes >= kTextBytesOfTwo && !options.lookup && !options.host_by_name;
  run.data = [&] {
    std::vector<Renderable> templates = renderables(chart, values, release, capabilities);
    sort_as_helm(templates);
    return templates;
  };
  auto out = run_all_templates(run);
  if (!out.ok()) return run_error(out.error());
  return out;
}

// Adds the first `count` texts. False when one does not parse.
bool add_first(go_template::Set& set, const std::vector<TemplateText>& texts, std::size_t count) {
  std::vector<std::optional<Result<go_template::Trees>>> parsed(count);
  const bool pays = text_bytes({texts.begin(), texts.begin() + static_cast<std::ptrdiff_t>(count)}) >= kTextBytesOfTwo;
  on_two_threads(count, pays, [&](std::size_t i) { parsed[i] = set.parse_apart(texts[i].path, texts[i].text); });
  for (std::size_t i = 0; i < count; ++i) {
    if (!parsed[i]->ok()) return false;
    set.add(texts[i].path, std::move(*parsed[i]).value());
  }
  return true;
}

}  // namespace

Result<Outputs> run_templates(const go_template::Set& set, const Chart& chart, const Value& values,
                              const ReleaseInfo& release, const Capabilities& capabilities,
                              const EngineOptions& options) {
  return run(set, {}, text_bytes(templates_of(chart)), chart, values, release, capabilities, options, nullptr);
}

Result<Outputs> render_once(const Chart& chart, const Value& values, const ReleaseInfo& release,
                            const Capabilities& capabilities, const EngineOptions& options,
                            const OutputReader& reader) {
  const std::vector<TemplateText> templates = templates_of(chart);
  const std::size_t bytes = text_bytes(templates);
  std::vector<TemplateText> texts = templates;
  const auto runs_late = [](const TemplateText& one) {
    return !path_base(one.path).starts_with('_') && !may_define(*one.text);
  };
  const auto late = std::stable_partition(texts.begin(), texts.end(), [&](const auto& one) { return !runs_late(one); });
  go_template::Set set = empty_set();
  const bool shadows = !add_first(set, texts, static_cast<std::size_t>(late - texts.begin())) ||
                       std::any_of(late, texts.end(), [&](const TemplateText& one) { return set.defines(one.path); });
  if (shadows) {
    const auto all = TRY(parse_templates(templates));
    return run(*all, {}, bytes, chart, values, release, capabilities, options, reader);
  }
  auto out = run(set, {late, texts.end()}, bytes, chart, values, release, capabilities, options, reader);
  if (!out.ok()) TRY(parse_templates(templates));  // an error of the parser, in any template, is the one to tell
  return out;
}

}  // namespace caisson::render::helm
