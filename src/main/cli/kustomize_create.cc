// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize create`. Source: kustomize v5.8, commands/create.
#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/kustomize/edit_generators.h"
#include "delivery/render/kustomize/editable.h"
#include "delivery/render/render.h"
#include "main/cli/kustomize_commands.h"

namespace caisson::cli {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> out;
  if (text.empty()) return out;
  for (const std::string_view word : split(text, ',')) out.emplace_back(word);
  return out;
}

Result<std::vector<std::string>> resources_of(const Flags& flags) {
  std::vector<std::string> resources = TRY(resources_matching(words_of(flags.text("resources")), false));
  if (kustomization_file().ok()) return Error{ErrorCode::already_exists, "kustomization file already exists"};
  if (!flags.is_set("autodetect")) return resources;
  const auto files = render::disk_source(".");
  for (std::string& found : TRY(render::detect_resources(*files, flags.is_set("recursive")))) {
    if (std::find(resources.begin(), resources.end(), found) == resources.end()) resources.push_back(std::move(found));
  }
  return resources;
}

}  // namespace

Result<void> kustomize_create(const Flags& flags) {
  const std::vector<std::string> resources = TRY(resources_of(flags));
  render::EditableKustomization made = TRY(render::EditableKustomization::parse("", "kustomization.yaml"));
  made.fields.set("resources", Value::list_of(resources));
  made.fields.set("namespace", Value(flags.text("namespace")));
  made.fields.set("namePrefix", Value(flags.text("nameprefix")));
  made.fields.set("nameSuffix", Value(flags.text("namesuffix")));
  made.fields.set("commonAnnotations", TRY(parse_pairs(words_of(flags.text("annotations")), "annotation")));
  made.fields.set("commonLabels", TRY(parse_pairs(words_of(flags.text("labels")), "label")));
  return write_file("kustomization.yaml", made.text());
}

}  // namespace caisson::cli
