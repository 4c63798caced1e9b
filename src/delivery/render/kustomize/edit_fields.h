// SPDX-License-Identifier: Apache-2.0
// What `kustomize edit` does to the fields of a kustomization (EditableKustomization::fields). Source: kustomize v5.8,
// commands/edit/set and add. Pure; any thread. Errors: bad_request in kustomize's words; the fields may then be half
// changed.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render {

// "NAME=NEWNAME[:TAG][@DIGEST]", "NAME:TAG[@DIGEST]" or "NAME@DIGEST"; '*' keeps what the entry of that name has.
Result<void> set_images(Value& fields, const std::vector<std::string>& images);
// "NAME=COUNT".
Result<void> set_replicas(Value& fields, const std::vector<std::string>& replicas);

struct LabelOptions {
  bool without_selector = false;   // into `labels`, not into commonLabels
  bool include_templates = false;  // needs without_selector
  bool force = false;              // over one that is there, which is refused otherwise
};
Result<void> add_labels(Value& fields, const Value& pairs, const LabelOptions& options);
Result<void> add_annotations(Value& fields, const Value& pairs, bool force);

}  // namespace caisson::render
