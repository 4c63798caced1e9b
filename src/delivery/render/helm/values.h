// SPDX-License-Identifier: Apache-2.0
// Which values a chart is rendered with: files and --set merged, a chart's own and its subcharts' defaults filled in,
// `global` handed down, null removing what is below. Also which subcharts take part (conditions, tags, aliases) and
// what they export to their parent (import-values). Source: Helm 3.22 pkg/chartutil. Pure; any thread.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/set_values.h"

namespace caisson::render::helm {

// What a user gives, in the order in which Helm applies it: files, then JSON, values, strings, files as text, literals.
struct ValueSources {
  std::vector<std::string> files;  // paths for `read`
  std::vector<Value> documents;    // after the files: a map each
  std::vector<std::pair<SetKind, std::string>> sets;
};
// Errors: what `read` gives; "failed to parse PATH: …"; "failed parsing --set data: …".
Result<Value> merge_sources(const ValueSources& sources, const ReadFile& read);

// Maps merge, everything else is replaced; a null stays.
Value merge_maps(Value base, const Value& over);

enum class Nulls { removed, kept };
// `values` over the defaults of `chart` and its dependencies; each dependency's are under its name. Errors: invalid
// ("type mismatch on NAME: …").
Result<Value> coalesce(const Chart& chart, Value values, Nulls nulls, std::vector<std::string>& warnings);
// `over` wins.
Value coalesce_tables(Value over, Value defaults, Nulls nulls, std::vector<std::string>& warnings);

// Removes the dependencies that `values` switch off, names the others by their aliases, and takes over what they
// export.
Result<void> process_dependencies(Chart& chart, const Value& values, std::vector<std::string>& warnings);
// Errors: not_found "found in Chart.yaml, but missing in charts/ directory: a, b".
Result<void> check_dependencies(const Chart& chart);

// The map at "a.b.c" of a map; nullptr when there is none.
const Value* table_at(const Value& values, std::string_view path);

}  // namespace caisson::render::helm
