// SPDX-License-Identifier: Apache-2.0
// The types that Kubernetes' OpenAPI names although they are one scalar or any document: Quantity, IntOrString, Time,
// RawExtension … Clients show these names (`kubectl explain`: "limits <map[string]Quantity>"). Follows the documents of
// kube-apiserver 1.33. Internal to the room. Pure.
#pragma once
#include <string_view>

#include "cluster/schema/field.h"

namespace caisson::schema {

struct SpecialType {
  std::string_view name;  // "io.k8s.apimachinery.pkg.api.resource.Quantity"
  std::string_view description;
  std::string_view v2, v3;  // the schema in each version, as JSON
};

// The name of a field that is the member `member` of `type`, or an item or value of it; nullptr: it has none.
const SpecialType* special_type(std::string_view type, std::string_view member, const Field& field);

}  // namespace caisson::schema
