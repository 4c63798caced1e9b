// SPDX-License-Identifier: Apache-2.0
// spec.ignoreDifferences and resource.customizations.ignoreDifferences: which fields don't count, by JSON pointer, jq
// path or the manager that owns them. Follows Argo CD 3.0 docs/user-guide/diffing.md. Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

struct ResourceId;

struct IgnoreRule {
  std::string group, kind, name, ns;  // '*' and, but for the group, empty: any
  std::vector<std::string> json_pointers, jq_paths, managers;
};

// "jsonPointers", "jqPathExpressions", "managedFieldsManagers" of a rule.
void read_ignore_fields(const Value& value, IgnoreRule& rule);

// The rules' fields are taken out of both. Errors: what a jq expression gives; the others have been applied.
Result<void> ignore(const std::vector<IgnoreRule>& rules, const ResourceId& id, Value& desired, Value& live);

// RespectIgnoreDifferences: what is to be applied has in those fields what is live, or lacks them.
Result<Value> respect_ignored(const std::vector<IgnoreRule>& rules, const ResourceId& id, Value desired,
                              const Value& live);

}  // namespace caisson::gitops
