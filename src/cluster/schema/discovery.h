// SPDX-License-Identifier: Apache-2.0
// Discovery: which groups, versions and resources there are. Legacy (/api, /apis, /apis/GROUP/VERSION) and aggregated
// (apidiscovery.k8s.io/v2). Pure functions of the Schema; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "cluster/schema/schema.h"
#include "core/document/value.h"

namespace caisson::schema {

Value api_versions(std::string_view server_address);                           // GET /api
Value api_group_list(const Schema& schema);                                    // GET /apis
std::optional<Value> api_group(const Schema& schema, std::string_view group);  // GET /apis/GROUP
std::optional<Value> api_resource_list(const Schema& schema, std::string_view group,
                                       std::string_view version);  // GET /api/v1, /apis/G/V
// GET /api or /apis with Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList
Value aggregated_discovery(const Schema& schema, bool core);

}  // namespace caisson::schema
