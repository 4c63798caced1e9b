// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize edit fix`: deprecated fields become those of now, and says when that changes what a build gives.
// Source: kustomize v5.8, commands/edit/fix and api/types FixKustomizationPreMarshalling.
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "delivery/render/kustomize/vars_to_replacements.h"
#include "delivery/render/render.h"
#include "main/cli/kustomize_commands.h"

namespace caisson::cli {
namespace {

void move_patches(Value& fields) {
  for (const Value& patch : Value(fields["patchesJson6902"]).items()) fields.edit("patches").push_back(patch);
  fields.erase("patchesJson6902");
  for (const Value& patch : Value(fields["patchesStrategicMerge"]).items()) {
    const bool file = patch.as_string().find('\n') == std::string_view::npos && read_file(patch.str()).ok();
    fields.edit("patches").push_back(Value{{file ? "path" : "patch", patch}});
  }
  fields.erase("patchesStrategicMerge");
}

Result<void> move_labels(Value& fields) {
  const Value common = fields["commonLabels"];
  if (common.empty()) return {};
  for (const Value& label : fields["labels"].items()) {
    for (const auto& [key, value] : label["pairs"].entries()) {
      if (common.contains(key))
        return Error{ErrorCode::conflict,
                     "label name '" + std::string(key) + "' exists in both commonLabels and labels"};
    }
  }
  fields.edit("labels").push_back(Value{{"pairs", common}, {"includeSelectors", true}});
  fields.erase("commonLabels");
  return {};
}

Result<std::string> build_here() {
  char directory[PATH_MAX];
  if (::getcwd(directory, sizeof directory) == nullptr) return errno_error("current directory");
  const auto files = render::disk_source("/");
  const render::Rendering rendering = TRY(render::kustomize(*files, std::string(directory).substr(1), {}));
  return rendering.yaml();
}

}  // namespace

Result<void> kustomize_fix(const Flags& flags) {
  const auto before = build_here();
  const bool vars = flags.is_set("vars");
  TRY(edit_kustomization([&](Value& fields) -> Result<void> {
    move_patches(fields);
    TRY(move_labels(fields));
    if (!vars) return {};
    const render::ConvertedVars converted = TRY(render::vars_to_replacements(*render::disk_source("."), fields));
    for (const auto& [path, text] : converted.files) TRY(write_file(path, text));
    fields = converted.fields;
    return {};
  }));
  std::printf(
      "\nFixed fields:\n  patchesJson6902 -> patches\n  patchesStrategicMerge -> patches\n"
      "  commonLabels -> labels\n%s",
      vars ? "  vars -> replacements\n" : "");
  if (!vars) {
    std::printf(
        "\n`kustomize edit fix --vars` also turns vars into replacements. It rewrites the resource files that\n"
        "use them, and the output of `kustomize build` may differ: do it in a clean git repository.\n");
  }
  const auto after = build_here();
  if (!after.ok()) {
    std::printf("Warning: 'Fixed' kustomization now produces the error when running `kustomize build`: %s\n",
                after.error().message.c_str());
  } else if (!before.ok() || *before != *after) {
    std::printf("Warning: 'Fixed' kustomization now produces different output when running `kustomize build`\n");
  }
  return {};
}

}  // namespace caisson::cli
