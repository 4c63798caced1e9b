// SPDX-License-Identifier: Apache-2.0
// Types from Kubernetes' structural schemas (OpenAPI v3 of CustomResourceDefinitions), as apiserver's pkg/cel/common
// makes them: object fields are typed, int-or-string and what has no type are dyn, formats byte, date, date-time and
// duration are bytes, timestamps and durations. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/document/value.h"
#include "core/expr/cel/type.h"

namespace caisson::cel {

// `name` is the type's in messages. Schemas deeper than 64 levels end in dyn.
Type type_from_schema(const document::Value& schema, const std::string& name);

// How an expression writes a property: "namespace" is __namespace__, "a-b" is a__dash__b. Nothing when it can't be
// written ("1st").
std::optional<std::string> escape_property(std::string_view name);

}  // namespace caisson::cel
