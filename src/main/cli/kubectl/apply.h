// SPDX-License-Identifier: Apache-2.0
// What apply decides. Internal to this folder.
#pragma once
#include <string>

#include "core/document/patch.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

// `current` with what `modified` says, and without what `original` said and `modified` no longer does; what neither
// spoke of stays. Lists with merge keys go item by item, others are replaced. `schema` null: of a kind that is not
// known.
Value three_way(const Value& original, const Value& modified, const Value& current,
                const document::MergeSchema* schema);

// Opens the file in $KUBE_EDITOR or $EDITOR (vi). Errors: it could not be run, or ended with a status (files.cc).
Result<void> run_editor(const std::string& file);

// The objects of a kustomization as YAML; its warnings go to standard error.
Result<std::string> kustomized(const std::string& folder);

}  // namespace caisson::cli::kubectl
