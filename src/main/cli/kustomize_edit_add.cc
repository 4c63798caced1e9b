// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize edit add …`, but for generators of ConfigMaps and Secrets. Source: kustomize v5.8,
// commands/edit/add.
#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/kustomize/edit_fields.h"
#include "main/cli/kustomize_commands.h"

namespace caisson::cli {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::bad_request, std::move(why)};
}

// Adds what is not there yet, but for the kustomization file itself.
Result<void> add_paths(const std::vector<std::string>& paths, const char* field, const std::string& what) {
  if (paths.empty()) return {};
  const std::string file = TRY(kustomization_file());
  return edit_kustomization([&](Value& fields) -> Result<void> {
    for (const std::string& path : paths) {
      if (path == file) continue;
      if (list_contains(fields[field], path))
        edit_note(what + " " + path + " already in kustomization file");
      else
        fields.edit(field).push_back(Value(path));
    }
    return {};
  });
}

Result<void> add_files(const Flags& flags, const char* field, const std::string& what, const char* missing) {
  if (flags.arguments().empty()) return wrong(missing);
  return add_paths(files_matching(flags.arguments()), field, what);
}

}  // namespace

Result<void> kustomize_add_component(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("must specify a component file");
  const std::vector<std::string> paths = TRY(resources_matching(flags.arguments(), false));
  return add_paths(paths, "components", "component");
}

Result<void> kustomize_add_resource(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("must specify a resource file");
  const std::vector<std::string> paths = TRY(resources_matching(flags.arguments(), flags.is_set("no-verify")));
  return add_paths(paths, "resources", "resource");
}

Result<void> kustomize_add_transformer(const Flags& flags) {
  return add_files(flags, "transformers", "transformer",
                   "must specify a yaml file which contains a transformer plugin resource");
}
Result<void> kustomize_add_generator(const Flags& flags) {
  return add_files(flags, "generators", "generator",
                   "must specify a yaml file which contains a generator plugin resource");
}
Result<void> kustomize_add_configuration(const Flags& flags) {
  return add_files(flags, "configurations", "configuration",
                   "must specify a yaml file which contains a configuration resource");
}

Result<void> kustomize_add_base(const Flags& flags) {
  if (flags.arguments().size() != 1) return wrong("must specify a base directory");
  return edit_kustomization([&](Value& fields) -> Result<void> {
    for (const std::string_view path : split(flags.arguments()[0], ',')) {
      if (!exists(std::string(path))) return wrong(std::string(path) + " does not exist");
      if (list_contains(fields["resources"], path))
        return wrong("base " + std::string(path) + " already in kustomization file");
      fields.edit("resources").push_back(Value(path));
    }
    return {};
  });
}

Result<void> kustomize_add_build_metadata(const Flags& flags) {
  const std::vector<std::string> options = TRY(parse_build_metadata(flags.arguments()));
  return edit_kustomization([&](Value& fields) -> Result<void> {
    for (const std::string& option : options) {
      if (list_contains(fields["buildMetadata"], option))
        return wrong("buildMetadata option " + option + " already in kustomization file");
      fields.edit("buildMetadata").push_back(Value(option));
    }
    return {};
  });
}

Result<void> kustomize_add_annotation(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("must specify annotation");
  const Value pairs = TRY(parse_pairs(flags.arguments(), "annotation"));
  return edit_kustomization(
      [&](Value& fields) { return render::add_annotations(fields, pairs, flags.is_set("force")); });
}

Result<void> kustomize_add_label(const Flags& flags) {
  if (flags.arguments().empty()) return wrong("must specify label");
  const render::LabelOptions options{flags.is_set("without-selector"), flags.is_set("include-templates"),
                                     flags.is_set("force")};
  const Value pairs = TRY(parse_pairs(flags.arguments(), "label"));
  return edit_kustomization([&](Value& fields) { return render::add_labels(fields, pairs, options); });
}

Result<void> kustomize_add_patch(const Flags& flags) {
  const Value patch = patch_of(flags);
  if (patch.contains("path") && patch.contains("patch")) return wrong("patch and path can't be set at the same time");
  if (!patch.contains("path") && !patch.contains("patch")) return wrong("must provide either patch or path");
  return edit_kustomization(
      [&](Value& fields) -> Result<void> {
        const auto known = fields["patches"].items();
        if (std::find(known.begin(), known.end(), patch) != known.end())
          edit_note("patch " + (patch.contains("path") ? patch["path"].str() : patch["patch"].str()) +
                    " already in kustomization file");
        else
          fields.edit("patches").push_back(patch);
        return {};
      },
      Unchanged::left);
}

}  // namespace caisson::cli
