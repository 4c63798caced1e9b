// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/engine.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/execution.h"
#include "delivery/render/helm/parse_ahead.h"

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
    out.push_back({path_clean(path + "/" + file.name), {chart.files, &file.data}});
  }
}

// Sorts by `path`: deeper paths first, and of one depth the later name, so that a chart's own definitions come after
// its subcharts' and win. Of several items of one path the last is kept.
template <class Item>
void sort_as_helm(std::vector<Item>& items) {
  struct Place {
    std::ptrdiff_t slashes;
    std::size_t index;
  };
  std::vector<Place> places;
  for (std::size_t i = 0; i < items.size(); ++i)
    places.push_back({std::count(items[i].path.begin(), items[i].path.end(), '/'), i});
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    if (a.slashes != b.slashes) return a.slashes > b.slashes;
    const int order = items[a.index].path.compare(items[b.index].path);
    return order != 0 ? order > 0 : a.index > b.index;
  });
  std::vector<Item> sorted;
  for (const Place& place : places) {
    Item& item = items[place.index];
    if (sorted.empty() || sorted.back().path != item.path) sorted.push_back(std::move(item));
  }
  items = std::move(sorted);
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
  constexpr std::string_view kLeft = "{{";
  for (std::size_t at = 0; (at = text.find(kLeft, at)) != std::string_view::npos;) {
    at += kLeft.size();
    const std::size_t word = text.find_first_not_of("- \t\r\n", at);
    if (word == std::string_view::npos) return false;
    const std::string_view rest = text.substr(word);
    if (rest.starts_with("define") || rest.starts_with("block")) return true;
  }
  return false;
}

go_template::Set empty_set() {
  return {"gotpl",
          {kFunctions, go_template::helm_functions(), go_template::sprig_functions(), go_template::go_functions()}};
}

using Outputs = std::map<std::string, std::string>;  // by path

std::string without_no_value(std::string text) {
  constexpr std::string_view kNoValue = "<no value>";
  return text.find(kNoValue) == std::string::npos ? std::move(text) : replace_all(std::move(text), kNoValue, "");
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

// A text that is parsed when it runs.
struct LateText {
  std::string path;
  std::function<Result<go_template::Trees>()> parse;
};

Result<Outputs> run(const go_template::Set& set, std::vector<LateText> later, const Chart& chart, const Value& values,
                    const ReleaseInfo& release, const Capabilities& capabilities, const EngineOptions& options,
                    const OutputReader& reader) {
  EngineHost host(options);
  go_template::Options run_options;
  run_options.missing_key = go_template::MissingKey::zero;
  run_options.lint = options.lint;
  run_options.limits.steps_max = options.steps_max;
  run_options.clock = options.clock;
  std::vector<Renderable> templates = renderables(chart, values, release, capabilities);
  sort_as_helm(templates);
  go_template::Execution execution(set, run_options, &host);
  for (LateText& one : later) execution.add_text(one.path, std::move(one.parse));
  Outputs out;
  for (const Renderable& one : templates) {
    set_template(one);
    auto text = execution.run(one.path, one.data);
    if (!text.ok()) return run_error(text.error());
    std::string shown = without_no_value(std::move(text).value());
    if (reader && !one.path.ends_with(kNotesFile))
      reader(one.path, std::move(shown));
    else
      out.emplace(one.path, std::move(shown));
  }
  return out;
}

// Adds the first `count` texts of `ahead`, with these paths. False when one does not parse.
bool add_all(go_template::Set& set, ParseAhead& ahead, const std::vector<TemplateText>& texts, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto trees = ahead.take(i);
    if (!trees.ok()) return false;
    set.add(texts[i].path, std::move(trees).value());
  }
  return true;
}

}  // namespace

Result<Outputs> run_templates(const go_template::Set& set, const Chart& chart, const Value& values,
                              const ReleaseInfo& release, const Capabilities& capabilities,
                              const EngineOptions& options) {
  return run(set, {}, chart, values, release, capabilities, options, nullptr);
}

Result<Outputs> render_once(const Chart& chart, const Value& values, const ReleaseInfo& release,
                            const Capabilities& capabilities, const EngineOptions& options,
                            const OutputReader& reader) {
  const std::vector<TemplateText> templates = templates_of(chart);
  std::vector<TemplateText> texts = templates;
  const auto runs_late = [](const TemplateText& one) {
    return !path_base(one.path).starts_with('_') && !may_define(*one.text);
  };
  const auto late = std::stable_partition(texts.begin(), texts.end(), [&](const auto& one) { return !runs_late(one); });
  const auto first_count = static_cast<std::size_t>(late - texts.begin());
  go_template::Set set = empty_set();
  ParseAhead ahead(set, texts);
  const bool shadows = !add_all(set, ahead, texts, first_count) ||
                       std::any_of(late, texts.end(), [&](const TemplateText& one) { return set.defines(one.path); });
  if (shadows) {
    const auto all = TRY(parse_templates(templates));
    return run(*all, {}, chart, values, release, capabilities, options, reader);
  }
  std::vector<LateText> later;
  for (std::size_t i = first_count; i < texts.size(); ++i)
    later.push_back({texts[i].path, [&ahead, i] { return ahead.take(i); }});
  OutputReader read_meanwhile;
  if (reader) {
    read_meanwhile = [&](std::string path, std::string text) {
      ahead.add([&reader, path = std::move(path), text = std::move(text)]() mutable {
        reader(std::move(path), std::move(text));
      });
    };
  }
  auto out = run(set, std::move(later), chart, values, release, capabilities, options, read_meanwhile);
  if (!out.ok()) TRY(parse_templates(templates));  // an error of the parser, in any template, is the one to tell
  if (out.ok()) ahead.finish();
  return out;
}

}  // namespace caisson::render::helm
