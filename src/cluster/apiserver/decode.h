// SPDX-License-Identifier: Apache-2.0
// Decoding beside verbs.h: bodies of sub-resources, and a name that is not there. Internal to this room.
#pragma once
#include "cluster/apiserver/verbs.h"

namespace caisson::apiserver {

// As decode, of a body that a sub-resource takes in place of its object: `type` is its named type
// ("policy.v1.Eviction").
Result<Value> decode_part(Core& core, Request& request, Value body, std::string_view type,
                          const schema::Resource& resource);

// The refusal of an object without a name, where the URL has one.
Error no_name(Request& request);

}  // namespace caisson::apiserver
