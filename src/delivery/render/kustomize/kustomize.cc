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
  const RecordingSource recorded(source);
  Build build{recorded, options};
  const std::string directory = path_clean(path.empty() ? "." : path);
  Accumulated all = TRY(accumulate(build, directory, "."));
  add_hashes(all.resources);
  TRY(fix_references(all.config, all.resources));
  TRY(resolve_variables(all, all.resources));
  drop_local(all.resources);
  std::vector<std::string> ignored;
  const Kustomization entry = TRY(load_kustomization(recorded, directory, ignored));
  TRY(order(entry.fields["sortOptions"], all.resources).in(entry.file));
  Rendering rendering = write(build, std::move(all.resources));
  rendering.inputs = recorded.inputs();
  return rendering;
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
