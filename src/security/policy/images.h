// SPDX-License-Identifier: Apache-2.0
// The images of a resource, as the variable `images` has them: {containers: {NAME: {jsonPointer, registry, name, path,
// tag, digest, reference, referenceWithTag}}, …}. Follows Kyverno 1.19, pkg/utils/api/image.go. Pure; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/document/value.h"

namespace caisson::policy {

// Of Pods and of what makes Pods; of other kinds those that `extractors` (a rule's imageExtractors) lead to. Null when
// there is none. Names that can't be read are left out.
Value images_of(const Value& object, const Value& extractors);
// Puts `text` where images_of(…)[list][key] was found. False: there is no such image any more.
bool replace_image(Value& object, const Value& extractors, std::string_view list, std::string_view key,
                   const std::string& text);
// metadata and spec of the Pod that an object is or makes; null when it makes none.
struct PodParts {
  Value metadata, spec;
};
PodParts pod_parts(const Value& object);

}  // namespace caisson::policy
