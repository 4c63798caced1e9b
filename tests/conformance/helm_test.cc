// SPDX-License-Identifier: Apache-2.0
// Helm: a folder holds chart/, and for each run args*.txt (the arguments of `helm template`, one a line) with
// expected*.yaml (bytes) or expected-error*.txt of the same middle name.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "delivery/render/helm/render_chart.h"

namespace caisson::conformance {
namespace {

using namespace render::helm;

struct Run {
  std::string release = "release-name", chart, name_template;
  ValueSources values;
  RenderOptions options;
  TemplateOutput output;
};

Result<void> take_flag(const std::string& flag, const std::string& value, Run& run) {
  if (flag == "--namespace") run.options.release.ns = value;
  if (flag == "--name-template") run.name_template = value;
  if (flag == "--kube-version") run.options.capabilities.kube_version = TRY(parse_kube_version(value));
  if (flag == "--api-versions") run.options.capabilities.api_versions.push_back(value);
  if (flag == "-f") run.values.files.push_back(value);
  if (flag == "--set") run.values.sets.emplace_back(SetKind::value, value);
  if (flag == "--set-string") run.values.sets.emplace_back(SetKind::string, value);
  if (flag == "--set-json") run.values.sets.emplace_back(SetKind::json, value);
  if (flag == "--set-file") run.values.sets.emplace_back(SetKind::file, value);
  if (flag == "--set-literal") run.values.sets.emplace_back(SetKind::literal, value);
  if (flag == "-s" || flag == "--show-only") run.output.show_only.push_back(value);
  return {};
}

bool take_switch(const std::string& flag, Run& run) {
  bool* const target = flag == "--skip-tests"               ? &run.output.skip_tests
                       : flag == "--no-hooks"               ? &run.output.no_hooks
                       : flag == "--include-crds"           ? &run.options.include_crds
                       : flag == "--skip-schema-validation" ? &run.options.skip_schema_validation
                       : flag == "--is-upgrade"             ? &run.options.release.is_upgrade
                                                            : nullptr;
  if (target != nullptr) *target = true;
  return target != nullptr || flag == "--skip-crds";
}

Result<Run> read_arguments(const std::string& path) {
  Run run;
  std::vector<std::string> words, lines;
  const std::string text = text_of(path);
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty()) lines.emplace_back(line);
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (take_switch(lines[i], run)) continue;
    if (lines[i].starts_with("-") && i + 1 < lines.size()) {
      TRY(take_flag(lines[i], lines[i + 1], run));
      ++i;
    } else {
      words.push_back(lines[i]);
    }
  }
  if (words.size() == 2) run.release = words[0];
  run.chart = words.back();
  run.options.release.is_install = !run.options.release.is_upgrade;
  return run;
}

Result<std::string> execute(const std::string& dir, const std::string& arguments) {
  Run run = TRY(read_arguments(dir + "/" + arguments));
  if (!run.name_template.empty()) run.release = TRY(name_from_template(run.name_template));
  run.options.release.name = run.release;
  const Value values =
      TRY(merge_sources(run.values, [&](const std::string& path) { return read_file(dir + "/" + path); }));
  const auto source = render::disk_source(dir);
  std::vector<std::string> warnings;
  Chart chart = TRY(load_chart(*source, run.chart, warnings));
  TRY(check_installable(chart));
  TRY(check_release_name(run.release));
  const Prepared prepared = TRY(prepare(std::move(chart), values, run.options.skip_schema_validation, warnings));
  const RenderedChart rendered = TRY(render_prepared(prepared, run.options, warnings));
  return template_output(rendered, rendered.manifest, run.output);
}

bool same_documents(const std::string& a, const std::string& b) {
  const auto left = yaml::read_all(a), right = yaml::read_all(b);
  return left.ok() && right.ok() && *left == *right;
}

// What a chart's author wrote must be in the message: the last line of the reference's first paragraph, less the place.
std::string check_error(const std::string& dir, const std::string& expected, const Result<std::string>& result) {
  if (result.ok()) return "was not refused";
  const std::string want = text_of(dir + "/" + expected);
  const std::size_t place = want.find("Error: execution error at (");
  if (place == std::string::npos) return "";
  const std::string author = want.substr(7, want.find("\n\n") - 7);
  return result.error().message.find(author) != std::string::npos
             ? ""
             : "refused otherwise:\n" + result.error().message + "\nexpected:\n" + author;
}

}  // namespace

TEST_CASE("charts render to the bytes that helm template prints, or are refused") {
  const std::string root = corpus_dir("helm");
  if (root.empty()) return;
  Outcomes outcomes("helm");
  std::size_t runs = 0, documents = 0;
  for (const std::string& id : cases_with(root, "chart")) {
    const std::string dir = root + "/" + id;
    const auto names = list_dir(dir);
    REQUIRE(names.ok());
    for (const std::string& name : *names) {
      const bool error = name.starts_with("expected-error");
      if (!name.starts_with("expected") || (!error && !name.ends_with(".yaml"))) continue;
      const std::string middle = error ? name.substr(14, name.size() - 18) : name.substr(8, name.size() - 13);
      const auto result = execute(dir, "args" + middle + ".txt");
      ++runs;
      std::string why;
      if (error) {
        why = check_error(dir, name, result);
      } else if (!result.ok()) {
        why = "refused: " + result.error().message;
      } else if (const std::string want = text_of(dir + "/" + name); want != *result) {
        const bool same = same_documents(want, *result);
        documents += same ? 1 : 0;
        why = (same ? "equal as documents only:\n" : "output differs:\n") +
              document::unified_diff(want, *result, "expected", "rendered").substr(0, 3000);
      }
      documents += why.empty() ? 1 : 0;
      if (why.empty())
        outcomes.passed(id + "/" + name);
      else
        outcomes.failed(id + "/" + name, why);
    }
  }
  MESSAGE("helm: " << documents << " of " << runs << " equal as documents");
  outcomes.check(true);
}

}  // namespace caisson::conformance
