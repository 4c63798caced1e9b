// SPDX-License-Identifier: Apache-2.0
// The door: one kustomization with all that it names, to objects.
#include <mutex>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/document/yaml.h"
#include "delivery/render/inputs.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render {

using namespace kustomize_impl;

Result<Rendering> kustomize(const FileSource& source, const std::string& path, const Options& options) {
  const RecordingSource recorded(source, options.inputs_wanted);
  Mounts mounts(recorded, options.fetcher, options.inputs_wanted);
  Build build{mounts, options};
  std::string directory = path_clean(path.empty() ? "." : path);
  Origin origin;
  if (const auto url = parse_repository_url(path); url.ok()) {
    directory = TRY(mounts.mount(*url));
    origin = Origin().below(path);
  }
  Accumulated all = TRY(accumulate(build, directory, origin));
  add_hashes(all.resources);
  TRY(fix_references(*all.config, all.resources));
  TRY(resolve_variables(all, all.resources));
  TRY(drop_local(all.resources).in(build.entry_file));
  const Value given_order = options.order.empty() ? Value() : Value{{"order", Value(options.order)}};
  TRY(order(build.sort_options.is_null() ? given_order : build.sort_options, all.resources).in(build.entry_file));
  Rendering rendering = write(build, std::move(all.resources));
  rendering.inputs = recorded.inputs();
  const std::vector<Input> fetched = mounts.inputs();
  rendering.inputs.insert(rendering.inputs.end(), fetched.begin(), fetched.end());
  return rendering;
}

bool is_cluster_scoped_object(const Value& object) {
  return is_cluster_scoped(Gvk::of(object));
}

std::string Rendering::yaml() const {
  std::string out;
  for (const Value& object : objects) {
    if (!out.empty()) out += "---\n";
    out += yaml::write(object, {.sort_keys = true});
  }
  return out;
}

}  // namespace caisson::render
