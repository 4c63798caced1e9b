// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize edit remove …`. Source: kustomize v5.8, commands/edit/remove.
#include <fnmatch.h>

#include <algorithm>

#include "core/base/text.h"
#include "main/cli/kustomize_commands.h"

namespace caisson::cli {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::bad_request, std::move(why)};
}

void remove_if(Value& fields, const char* field, const std::function<bool(const Value&)>& unwanted) {
  if (fields[field].is_null()) return;
  Value kept = Value::list();
  for (const Value& item : fields[field].items()) {
    if (!unwanted(item)) kept.push_back(item);
  }
  fields.set(field, std::move(kept));
}

Result<void> remove_paths(const Flags& flags, const char* field, const char* missing) {
  if (flags.arguments().empty()) return wrong(missing);
  return edit_kustomization(
      [&](Value& fields) -> Result<void> {
        remove_if(fields, field, [&](const Value& item) {
          return std::any_of(flags.arguments().begin(), flags.arguments().end(), [&](const std::string& pattern) {
            return ::fnmatch(pattern.c_str(), item.str().c_str(), FNM_PATHNAME) == 0;
          });
        });
        return {};
      },
      Unchanged::left);
}

Result<void> remove_keys(const Flags& flags, const char* field, const std::string& what) {
  if (flags.arguments().empty()) return wrong("must specify label");
  if (flags.arguments().size() > 1) return wrong("labels must be comma-separated, with no spaces");
  const bool ignore = flags.is_set("ignore-non-existence");
  return edit_kustomization([&](Value& fields) -> Result<void> {
    if (fields[field].is_null() && !ignore) return wrong(std::string(field) + " is not defined in kustomization file");
    for (const std::string_view key : split(flags.arguments()[0], ',')) {
      if (key.empty()) return wrong("invalid label: '' (name is empty)");
      if (!fields[field].contains(key) && !ignore)
        return wrong(what + " " + std::string(key) + " is not defined in kustomization file");
      if (fields[field].is_map()) fields.edit(field).erase(key);
    }
    return {};
  });
}

Result<void> remove_generators(const Flags& flags, const char* field, const std::string& what) {
  if (flags.arguments().empty()) return wrong("at least one " + what + " name must be specified");
  if (flags.arguments().size() > 1) {
    return wrong("too many arguments: [" + join(flags.arguments(), " ") + "]; to provide multiple " + what +
                 "s to remove, please separate " + what + " names by commas");
  }
  const std::vector<std::string_view> names = split(flags.arguments()[0], ',');
  const std::string ns = flags.text("namespace");
  return edit_kustomization([&](Value& fields) -> Result<void> {
    std::vector<std::string> found;
    remove_if(fields, field, [&](const Value& item) {
      const bool unwanted = std::find(names.begin(), names.end(), item["name"].as_string()) != names.end() &&
                            same_namespace(item["namespace"].as_string(), ns);
      if (unwanted) found.push_back(item["name"].str());
      return unwanted;
    });
    if (found.empty()) return wrong("no specified " + what + "(s) were found in the kustomization.yaml file");
    for (const std::string_view name : names) {
      if (std::find(found.begin(), found.end(), name) == found.end())
        edit_note(what + " " + std::string(name) + " doesn't exist in kustomization file");
    }
    return {};
  });
}

}  // namespace

Result<void> kustomize_remove_resource(const Flags& flags) {
  return remove_paths(flags, "resources", "must specify a resource file");
}
Result<void> kustomize_remove_component(const Flags& flags) {
  return remove_paths(flags, "components", "must specify a component file");
}
Result<void> kustomize_remove_transformer(const Flags& flags) {
  return remove_paths(flags, "transformers", "must specify a transformer file");
}
Result<void> kustomize_remove_label(const Flags& flags) {
  return remove_keys(flags, "commonLabels", "label");
}
Result<void> kustomize_remove_annotation(const Flags& flags) {
  return remove_keys(flags, "commonAnnotations", "annotation");
}
Result<void> kustomize_remove_config_map(const Flags& flags) {
  return remove_generators(flags, "configMapGenerator", "configmap");
}
Result<void> kustomize_remove_secret(const Flags& flags) {
  return remove_generators(flags, "secretGenerator", "secret");
}

Result<void> kustomize_remove_patch(const Flags& flags) {
  const Value patch = patch_of(flags);
  if (patch.contains("path") && patch.contains("patch")) return wrong("patch and path can't be set at the same time");
  return edit_kustomization(
      [&](Value& fields) -> Result<void> {
        const std::size_t before = fields["patches"].size();
        remove_if(fields, "patches", [&](const Value& item) { return item == patch; });
        if (fields["patches"].size() == before)
          edit_note("patch " + patch["patch"].str() + " doesn't exist in kustomization file");
        return {};
      },
      Unchanged::left);
}

Result<void> kustomize_remove_build_metadata(const Flags& flags) {
  const std::vector<std::string> options = TRY(parse_build_metadata(flags.arguments()));
  return edit_kustomization([&](Value& fields) -> Result<void> {
    remove_if(fields, "buildMetadata", [&](const Value& item) {
      return std::find(options.begin(), options.end(), item.as_string()) != options.end();
    });
    return {};
  });
}

}  // namespace caisson::cli
