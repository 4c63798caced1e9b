// SPDX-License-Identifier: Apache-2.0
// The OpenAPI v2 document in the protobuf form that kubectl up to 1.28 asks for (gnostic's openapi.v2.Document,
// application/com.github.proto-openapi.spec.v2@v1.0+protobuf). Pure; any thread.
#pragma once
#include <string>

#include "core/document/value.h"

namespace caisson::schema {

inline constexpr std::string_view kOpenapiProtobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

// What clients read of it: information, definitions, paths with their operations. Security is left out.
std::string openapi_protobuf(const Value& document);

}  // namespace caisson::schema
