// SPDX-License-Identifier: Apache-2.0
// Tables as kubectl get asks for them (Accept: …;as=Table;v=v1;g=meta.k8s.io): columns and cells of Kubernetes 1.33's
// printers (pkg/printers/internalversion/printers.go) and of CRDs' additionalPrinterColumns. Pure; any thread.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "cluster/schema/kind.h"
#include "core/base/clock.h"
#include "core/document/value.h"

namespace caisson::schema {

enum class IncludeObject { none, metadata, object };  // ?includeObject=

// meta.k8s.io/v1 Table, without metadata (the caller sets resourceVersion, continue and remainingItemCount).
Value table(const KindSchema& kind, std::span<const Value> objects, Time now,
            IncludeObject include = IncludeObject::metadata);
// One row: what a watch sends. `columnDefinitions` are given with `with_columns`.
Value table_columns(const KindSchema& kind);
std::vector<Value> table_cells(const KindSchema& kind, const Value& object, Time now);

// PartialObjectMetadata (meta.k8s.io/v1) of an object.
Value partial_metadata(const Value& object);

}  // namespace caisson::schema
