// SPDX-License-Identifier: Apache-2.0
// Bodies of application/vnd.kubernetes.protobuf as the Value that the same object's JSON gives: the magic "k8s\0", a
// runtime.Unknown that names apiVersion and kind, and the object in its raw field (apimachinery 1.33,
// runtime/serializer/protobuf). Field numbers come from kinds/protobuf.yaml, types from the kinds. Reads only: answers
// are JSON, which every client that writes protobuf accepts too.
//
// Pure; any thread. Unknown field numbers are passed over, as Go does.
#pragma once
#include <string_view>

#include "cluster/schema/schema.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::schema {

inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf";

// Whether Go's JSON of the built-in type "io.k8s.api.core.v1.PodSpec" has no `member` when it is false, 0 or "".
bool omits_zero(std::string_view type, std::string_view member);

// Errors: bad_request when the bytes are no such message or its kind is no built-in one.
Result<Value> from_protobuf(const Schema& schema, std::string_view bytes);

}  // namespace caisson::schema
