// SPDX-License-Identifier: Apache-2.0
// What the API server does to a document before it looks at it: pruning unknown fields, writing quantities and times in
// their canonical form, filling defaults. Follows Kubernetes 1.33 (pkg/apis/*/defaults.go; structural defaulting and
// pruning of CRDs). Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/kind.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::schema {

// Without the fields the kind doesn't have. `unknown_fields` (may be null) gets their paths: "spec.foo",
// "spec.containers[0].imag". Fields whose value is null are dropped as well, as Go's decoder does.
Value pruned(const KindSchema& kind, Value object, std::vector<std::string>* unknown_fields = nullptr);

// Every default the API server would fill, those that depend on other fields (imagePullPolicy by tag) included.
// Idempotent: an object that was read back is unchanged. What admission or an allocator fills (cluster IPs, tokens,
// priorities) is not here.
Value with_defaults(const KindSchema& kind, Value object);

// Quantities ("0.5" to "500m", "1024Mi" to "1Gi", 1 to "1") in the form in which the server gives them back. What is
// none stays as it is, for validate to report.
Value canonical(const KindSchema& kind, Value object);

}  // namespace caisson::schema
