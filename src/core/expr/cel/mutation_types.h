// SPDX-License-Identifier: Apache-2.0
// The types that expressions of mutations make objects of: Object, what is below it (Object.spec …) and
// JSONPatch{op, path, from, value}. Follows Kubernetes 1.33, pkg/cel/mutation: the fields of an Object are dyn, what it
// makes is checked when it is laid over the object that is changed. Any thread.
#pragma once
#include <memory>

#include "core/expr/cel/cel.h"

namespace caisson::cel {

std::shared_ptr<const TypeProvider> mutation_types();

// Whether each Object below `value` is named by the way to it: Object.spec at `spec`. Errors: bad_request, "unexpected
// type name …".
Result<void> check_type_names(const Value& value);

}  // namespace caisson::cel
