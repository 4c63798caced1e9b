// SPDX-License-Identifier: Apache-2.0
// metadata.managedFields: who set which field, and server-side apply on top of it. Follows apimachinery's managedfields
// and structured-merge-diff's merge.Updater (Kubernetes 1.33).
#pragma once
#include <optional>
#include <string>

#include "cluster/apiserver/field_set.h"
#include "cluster/apiserver/request.h"

namespace caisson::apiserver {

struct FieldManager {
  std::string name, subresource, time;
};

// After a create (`live` null) or an update: gives the fields that changed to `manager` and takes them from the others.
void track_update(const schema::KindSchema& kind, const Value& live, Value& object, const FieldManager& manager);

// What `live` (null: absent) becomes when `manager` applies `config`, managedFields included; not yet defaulted.
// Errors: conflict when others own what differs and not `force`; internal for a field the schema doesn't have.
Result<Value> apply_configuration(Request& request, const Value& live, const Value& config, const FieldManager& manager,
                                  bool force);

// The first place of `config` that its schema can't take, in structured-merge-diff's words: ".spec.x: field not declared
// in schema".
std::optional<std::string> undeclared_field(const schema::Field* root, const Value& config);

}  // namespace caisson::apiserver
