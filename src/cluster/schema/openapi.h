// SPDX-License-Identifier: Apache-2.0
// OpenAPI documents of the kinds: v3 (/openapi/v3 and one document a group version) and v2 (/openapi/v2), as kubectl
// apply, explain and validation read them. Made on demand: the documents are large. Pure functions of the Schema and of
// what `definitions` gives; any thread.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/schema/schema.h"
#include "core/document/value.h"

namespace caisson::schema {

// The CustomResourceDefinition of a name ("widgets.example.com"), whose schema v3 shows as it was written and whose
// descriptions v2 takes over; null: none, only what fields know is told.
using DefinitionReader = std::function<Value(std::string_view name)>;

Value openapi_v3_index(const Schema& schema);  // GET /openapi/v3: paths and their hashes
// "api/v1", "apis/apps/v1"; nothing for what is not served.
std::optional<Value> openapi_v3(const Schema& schema, std::string_view group_version,
                                const DefinitionReader& definitions);
Value openapi_v2(const Schema& schema, const DefinitionReader& definitions);  // GET /openapi/v2, JSON

}  // namespace caisson::schema
