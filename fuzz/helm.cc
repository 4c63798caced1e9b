// SPDX-License-Identifier: Apache-2.0
// What comes from outside into a chart's rendering: archives, --set, .helmignore, versions, schemas, rendered streams.
// None of it crashes or hangs; names from an archive stay below the chart; what --set made is a map within its limits.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/file.h"
#include "delivery/render/helm/ignore.h"
#include "delivery/render/helm/json_schema.h"
#include "delivery/render/helm/manifest.h"
#include "delivery/render/helm/objects.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/helm/repository/index.h"
#include "delivery/render/helm/repository/oci.h"
#include "delivery/render/helm/repository/openpgp.h"
#include "delivery/render/helm/repository/url.h"
#include "delivery/render/helm/version.h"

using namespace caisson;
using namespace caisson::render::helm;

namespace {

void fuzz_archive(std::string_view bytes) {
  LoadLimits limits;
  limits.chart_bytes_max = 1u << 20;
  const auto files = read_archive(bytes, limits);
  if (!files.ok()) return;
  for (const File& file : *files) CHECK(safe_path(file.name).ok());
  std::vector<std::string> warnings;
  static_cast<void>(load_files(*files, warnings, limits).ok());
}

void fuzz_set(std::string_view text) {
  const auto read = [](const std::string& path) -> Result<std::string> { return path; };
  for (const SetKind kind : {SetKind::value, SetKind::string, SetKind::json, SetKind::file, SetKind::literal}) {
    Value values = Value::map();
    if (set_values(values, text, kind, read).ok()) CHECK(values.is_map());
  }
}

void fuzz_chart(std::string_view text) {
  const std::size_t cut = text.find("\n===\n");
  const std::string values(text.substr(0, cut));
  const std::string body(cut == std::string_view::npos ? std::string_view() : text.substr(cut + 5));
  std::vector<std::string> warnings;
  auto chart = load_files(
      {{"Chart.yaml", "name: c\nversion: 1.0.0\n"}, {"values.yaml", values}, {"templates/a.yaml", body}}, warnings);
  if (!chart.ok()) return;
  const auto prepared = prepare(std::move(chart).value(), Value::map(), false, warnings);
  if (!prepared.ok()) return;
  RenderOptions options;
  options.release.name = "r";
  options.engine.steps_max = 100'000;
  static_cast<void>(render_prepared(*prepared, options, warnings).ok());
}

// What repositories and people's key rings hold.
void fuzz_repository(std::string_view text) {
  std::vector<std::string> warnings;
  if (const auto index = parse_index(text, "fuzz", warnings); index.ok()) {
    const auto again = parse_index(write_index(*index, false), "fuzz", warnings);
    CHECK(again.ok());
    static_cast<void>(index->find("web", ">=1").ok());
  }
  static_cast<void>(OciReference::parse(text.substr(0, 512)).ok());
  static_cast<void>(resolve_url(text.substr(0, 512), "x.tgz"));
  const auto ring = read_key_ring(text);
  const auto message = read_clear_signed(text);
  if (ring.ok() && message.ok()) static_cast<void>(check_signature(*ring, *message).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.starts_with("\x1f\x8b")) {
    fuzz_archive(text);
    return 0;
  }
  fuzz_repository(text);
  fuzz_set(text.substr(0, 4096));
  const auto rules = IgnoreRules::parse(text.substr(0, 4096));
  if (rules.ok()) static_cast<void>(rules->ignores("templates/a.yaml", false));
  static_cast<void>(file_glob_matches(text.substr(0, 64), "conf/a/b.txt"));
  static_cast<void>(version_satisfies(text.substr(0, 256), "1.2.3-rc.1"));
  static_cast<void>(schema_violations(text.substr(0, 4096), Value{{"a", 1}, {"b", Value::list()}}).ok());
  for (const std::string& document : split_manifests(text)) CHECK(!document.empty());
  fuzz_chart(text);
  return 0;
}
