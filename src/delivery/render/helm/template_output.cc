// SPDX-License-Identifier: Apache-2.0
// Source: Helm 3.22 cmd/helm/template.go.
#include "core/base/text.h"
#include "delivery/render/helm/ignore.h"
#include "delivery/render/helm/render_chart.h"

namespace caisson::render::helm {
namespace {

// The path of a manifest below its chart, from the line "# Source: chart/…".
std::string_view source_below_chart(std::string_view manifest) {
  constexpr std::string_view kLine = "# Source: ";
  const std::size_t at = manifest.find(kLine);
  if (at == std::string_view::npos) return {};
  std::string_view path = manifest.substr(at + kLine.size());
  path = path.substr(0, path.find('\n'));
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
}

// The manifests of each named file, in the order of the names.
Result<std::string> only(std::string_view all, const std::vector<std::string>& names) {
  const std::vector<std::string> manifests = split_manifests(all);
  std::string out;
  for (const std::string& name : names) {
    bool found = false;
    for (const std::string& manifest : manifests) {
      const std::string_view path = source_below_chart(manifest);
      if (path.empty() || !path_matches(name, path).value_or(false)) continue;
      found = true;
      out += "---\n" + manifest + "\n";
    }
    if (!found) return Error{ErrorCode::not_found, "could not find template " + name + " in chart"};
  }
  return out;
}

}  // namespace

std::vector<const Manifest*> shown_hooks(const RenderedChart& rendered, const TemplateOutput& output) {
  std::vector<const Manifest*> out;
  if (output.no_hooks) return out;
  for (const Hook& hook : rendered.manifests.hooks) {
    if (!output.skip_tests || !hook.has_event("test")) out.push_back(&hook.manifest);
  }
  return out;
}

Result<std::string> template_output(const RenderedChart& rendered, std::string manifest, const TemplateOutput& output) {
  std::string out = std::move(manifest);
  while (!out.empty() && trim(std::string_view(&out.back(), 1)).empty()) out.pop_back();
  out.erase(0, out.size() - trim(out).size());
  out += "\n";
  for (const Manifest* hook : shown_hooks(rendered, output))
    out.append("---\n# Source: ").append(hook->source).append("\n").append(hook->content).append("\n");
  if (output.show_only.empty()) return out;
  return only(out, output.show_only);
}

}  // namespace caisson::render::helm
