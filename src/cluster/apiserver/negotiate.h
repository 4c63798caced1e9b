// SPDX-License-Identifier: Apache-2.0
// Content negotiation: which representation the client wants (Accept), and how a body is read (Content-Type).
// JSON and YAML; Table and PartialObjectMetadata of meta.k8s.io/v1. Protobuf is read (schema/protobuf.h), not written:
// 406 says so to a client that takes nothing else. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::apiserver {

struct Representation {
  bool yaml = false;
  bool pretty = false;
  bool table = false;
  bool partial = false;     // PartialObjectMetadata(List)
  bool aggregated = false;  // APIGroupDiscoveryList, v2
  std::string_view content_type() const { return yaml ? "application/yaml" : "application/json"; }
};

// Errors: not_acceptable when nothing that is asked for can be given.
Result<Representation> negotiate(std::string_view accept);
std::string encode(const Value& value, const Representation& as);

enum class BodyType { json, yaml, protobuf, json_patch, merge_patch, strategic_patch, apply };
// Errors: unsupported_media_type.
Result<BodyType> body_type(std::string_view content_type, bool patch);
// Of any type but protobuf. Errors: bad_request, in words close to upstream's.
Result<Value> parse_body(std::string_view bytes, BodyType type);

}  // namespace caisson::apiserver
