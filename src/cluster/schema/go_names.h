// SPDX-License-Identifier: Apache-2.0
// Names of Go's types behind fields, as errors of its decoders show them (kinds/go_types.yaml), and what these share. Internal to the room.
// Pure; any thread.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/schema/field.h"

namespace caisson::schema {

// The last `parts` of a dotted name: 3 give "core.v1.PodSpec" of "io.k8s.api.core.v1.PodSpec".
std::string_view last_parts(std::string_view full, int parts);
// "v1.SecretType" of the member `type` of Secret; "" where Go uses a plain type.
std::string_view named_go_type(const ObjectType& holder, std::string_view member);
// "int32", "[]string", "v1.PodSpec".
std::string go_type(const Field& field);
// Where encoding/base64 gives up; nullopt: it does not.
std::optional<std::size_t> base64_error_at(std::string_view text);

}  // namespace caisson::schema
