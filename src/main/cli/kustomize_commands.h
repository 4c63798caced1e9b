// SPDX-License-Identifier: Apache-2.0
// `caisson kustomize …`: the commands of kustomize v5 with its flags, messages and exit statuses. Each function below
// runs one command in the current directory; kustomize_commands.cc holds the tree, its help and its examples.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "main/cli/helm_flags.h"

namespace caisson::cli {

struct KustomizeCommand {
  std::string_view words;      // "edit set image"
  std::string_view arguments;  // "IMAGE=NEWIMAGE:NEWTAG…"
  std::string_view summary;    // one line
  std::string_view details;    // flags and rules; lines
  std::string_view example;    // lines
  std::span<const FlagSpec> flags;
  Result<void> (*run)(const Flags& flags);
};

// kustomize_build.cc
std::span<const FlagSpec> kustomize_build_flags();
Result<void> kustomize_build(const Flags& flags);

// kustomize_create.cc
Result<void> kustomize_create(const Flags& flags);

// kustomize_edit_set.cc, _add.cc, _generator.cc, _remove.cc, _fix.cc
Result<void> kustomize_set_image(const Flags& flags);
Result<void> kustomize_set_namespace(const Flags& flags);
Result<void> kustomize_set_name_prefix(const Flags& flags);
Result<void> kustomize_set_name_suffix(const Flags& flags);
Result<void> kustomize_set_replicas(const Flags& flags);
Result<void> kustomize_set_label(const Flags& flags);
Result<void> kustomize_set_annotation(const Flags& flags);
Result<void> kustomize_set_build_metadata(const Flags& flags);
Result<void> kustomize_add_resource(const Flags& flags);
Result<void> kustomize_add_component(const Flags& flags);
Result<void> kustomize_add_base(const Flags& flags);
Result<void> kustomize_add_patch(const Flags& flags);
Result<void> kustomize_add_label(const Flags& flags);
Result<void> kustomize_add_annotation(const Flags& flags);
Result<void> kustomize_add_transformer(const Flags& flags);
Result<void> kustomize_add_generator(const Flags& flags);
Result<void> kustomize_add_configuration(const Flags& flags);
Result<void> kustomize_add_build_metadata(const Flags& flags);
Result<void> kustomize_add_config_map(const Flags& flags);
Result<void> kustomize_add_secret(const Flags& flags);
Result<void> kustomize_set_config_map(const Flags& flags);
Result<void> kustomize_set_secret(const Flags& flags);
Result<void> kustomize_remove_resource(const Flags& flags);
Result<void> kustomize_remove_component(const Flags& flags);
Result<void> kustomize_remove_transformer(const Flags& flags);
Result<void> kustomize_remove_patch(const Flags& flags);
Result<void> kustomize_remove_label(const Flags& flags);
Result<void> kustomize_remove_annotation(const Flags& flags);
Result<void> kustomize_remove_config_map(const Flags& flags);
Result<void> kustomize_remove_secret(const Flags& flags);
Result<void> kustomize_remove_build_metadata(const Flags& flags);
Result<void> kustomize_fix(const Flags& flags);

// --- what the edits share (kustomize_edit_common.cc)

// The kustomization file of the current directory. Errors: not_found; conflict when there are two.
Result<std::string> kustomization_file();
// Reads it, lets `change` work on it, writes it; the file stays as it is when `change` fails. A file in which nothing
// changed is written in kustomize's style all the same, or left as it is.
enum class Unchanged { written, left };
Result<void> edit_kustomization(const std::function<Result<void>(Value& fields)>& change,
                                Unchanged unchanged = Unchanged::written);
// The paths that match, each pattern's sorted; what matches nothing is left out, with a note on standard error.
std::vector<std::string> files_matching(const std::vector<std::string>& patterns);
// The same for resources: a pattern that matches nothing may be a URL. Errors: not_found for what is neither.
// `unchecked`: the patterns as they are.
Result<std::vector<std::string>> resources_matching(const std::vector<std::string>& patterns, bool unchecked);
// "key:value" or "key", the value perhaps in double quotes, as a map. `what` ("label") is for the error.
Result<Value> parse_pairs(const std::vector<std::string>& texts, const std::string& what);
Result<std::vector<std::string>> parse_build_metadata(const std::vector<std::string>& arguments);
// The patch that --path, --patch and the target flags describe.
Value patch_of(const Flags& flags);
bool list_contains(const Value& list, std::string_view text);
bool same_namespace(std::string_view a, std::string_view b);  // "" is "default"
void edit_note(const std::string& text);                      // on standard error

}  // namespace caisson::cli
