// SPDX-License-Identifier: Apache-2.0
// The fields of a kustomization: their names, types and order. One table for reading (unknown fields and wrong types
// are refused), for writing (what `edit` puts into a file) and for `fix`. Source: kustomize api/types v0.21. Any
// thread.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::kustomize_impl {

// Names are matched without regard to case, as Go's encoding/json does, and put right in `kustomization`. Errors:
// invalid, with the path of the field ("images[0].newTag: must be a string, not the integer 2").
Result<void> check_fields(Value& kustomization);

// The value of a top-level field as kustomize writes it: without members that say nothing ("", false, 0, empty lists
// and maps), with those that it always writes. Null: the field is left out.
Value written_field(std::string_view name, const Value& value);

// The top-level fields in the order in which kustomize adds them to a file. Fields that it only reads are not in it.
std::span<const std::string_view> field_order();
// The name in field_order() that `text` is, without regard to case; empty: none.
std::string_view field_named(std::string_view text);

// An entry of helmChartInflationGenerator under the names of helmCharts.
Value modern_chart(const Value& old);

// Deprecated fields move to those that took their place: bases, imageTags, env.
void modernise(Value& fields);

}  // namespace caisson::render::kustomize_impl
