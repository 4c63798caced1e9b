// SPDX-License-Identifier: Apache-2.0
// The type that expressions have of a kind's objects, as apiserver's pkg/cel/common makes it of OpenAPI: fields are
// typed, times are timestamps; what may be of several types (quantities, int-or-string), what is open and what holds
// itself is dyn. Pure; any thread.
#pragma once
#include "cluster/schema/kind.h"
#include "core/expr/cel/type.h"

namespace caisson::schema {

cel::Type cel_type_of(const KindSchema& kind);

}  // namespace caisson::schema
