// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/metadata.h"

namespace caisson::render::kustomize_impl {

Result<void> check_metadata(const Value& object) {
  const Value& metadata = object["metadata"];
  if (!metadata.is_map() && !metadata.is_null()) return Error{ErrorCode::invalid, "metadata: must be a map"};
  for (const char* field : {"labels", "annotations"}) {
    const Value& pairs = metadata[field];
    if (pairs.is_map() || pairs.is_null()) continue;
    return Error{ErrorCode::invalid, std::string("metadata.") + field + ": must be a map, not a " +
                                         std::string(document::kind_name(pairs.kind()))};
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
