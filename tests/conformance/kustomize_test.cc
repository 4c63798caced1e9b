// SPDX-License-Identifier: Apache-2.0
// Kustomize: a folder holds input/, expected.yaml (bytes) or expected-error.txt, and args.txt with flags and the entry
// folder. Own cases that are refused have words.txt: each line of it is in our error, as it is in kustomize's.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/patch.h"
#include "delivery/render/render.h"

namespace caisson::conformance {
namespace {

struct Arguments {
  std::string entry = ".";
  render::Options options;
};

Arguments arguments(const std::string& dir) {
  Arguments out;
  std::string previous;
  const std::string text = text_of(dir + "/args.txt");
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    if (previous == "--load-restrictor")
      out.options.outside_root_allowed = line == "LoadRestrictionsNone";
    else if (previous == "--reorder")
      out.options.order = line == "none" ? "fifo" : "legacy";
    else if (previous == "--helm-kube-version")
      out.options.chart_kube_version = line;
    else if (previous == "--helm-api-versions")
      out.options.chart_api_versions.emplace_back(line);
    else if (line == "--enable-helm")
      out.options.charts_enabled = true;
    else if (line == "--enable-managedby-label")
      out.options.managed_by_label = true;
    else if (!line.starts_with("-"))
      out.entry = line;
    previous = line;
  }
  return out;
}

// Lines without regard to case: the system's "No such file" begins with a capital where Go's does not.
std::string missing_word(const std::string& dir, const Error& error) {
  const std::string message = to_lower(error.message), words = text_of(dir + "/words.txt");
  for (const std::string_view line : split(words, '\n')) {
    if (message.find(to_lower(line)) == std::string::npos)
      return "the refusal does not say \"" + std::string(line) + "\": " + error.message;
  }
  return "";
}

std::string check_case(const std::string& dir) {
  const Arguments arguments = conformance::arguments(dir);
  const auto source = render::disk_source(dir + "/input");
  const auto rendering = render::kustomize(*source, arguments.entry, arguments.options);
  if (exists(dir + "/expected-error.txt"))
    return rendering.ok() ? "was not refused" : missing_word(dir, rendering.error());
  if (!rendering.ok()) return "refused: " + rendering.error().message;
  const std::string want = text_of(dir + "/expected.yaml"), have = rendering->yaml();
  return want == have
             ? ""
             : "output differs:\n" + document::unified_diff(want, have, "expected", "rendered").substr(0, 4000);
}

void run(const std::string& root, Outcomes& outcomes) {
  for (const std::string& id : cases_with(root, "input")) {
    const std::string why = check_case(root + "/" + id);
    if (why.empty())
      outcomes.passed(id);
    else
      outcomes.failed(id, why);
  }
}

}  // namespace

TEST_CASE("kustomizations render to the bytes that kustomize prints, or are refused") {
  Outcomes outcomes("kustomize");
  run(own_dir("kustomize"), outcomes);
  const std::string upstream = corpus_dir("kustomize");
  if (!upstream.empty()) run(upstream, outcomes);
  outcomes.check(!upstream.empty());
}

}  // namespace caisson::conformance
