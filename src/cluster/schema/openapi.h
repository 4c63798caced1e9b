// SPDX-License-Identifier: Apache-2.0
// OpenAPI documents of the kinds: v3 (/openapi/v3 and one document a group version) and v2 (/openapi/v2), as kubectl
// apply, explain and validation read them. Made on demand: the documents are large. Pure functions of the Schema; any
// thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "cluster/schema/schema.h"
#include "core/document/value.h"

namespace caisson::schema {

Value openapi_v3_index(const Schema& schema);  // GET /openapi/v3: paths and their hashes
std::optional<Value> openapi_v3(const Schema& schema, std::string_view group_version);  // "api/v1", "apis/apps/v1"
Value openapi_v2(const Schema& schema);                                                 // GET /openapi/v2, JSON

}  // namespace caisson::schema
