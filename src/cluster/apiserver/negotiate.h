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
  bool partial = false;                              // PartialObjectMetadata
  bool partial_list = false;                         // PartialObjectMetadataList
  std::string_view meta_version = "meta.k8s.io/v1";  // of Table and PartialObjectMetadata: v1 or v1beta1
  bool aggregated = false;                           // APIGroupDiscoveryList, v2
  std::string_view content_type() const { return yaml ? "application/yaml" : "application/json"; }
};

// What is asked for by the highest quality that can be given; of equal ones the first. Errors: not_acceptable; the
// message lists what there is, which a watch and a log have more of.
enum class Offered { objects, watch, log };
Result<Representation> negotiate(std::string_view accept, Offered offered = Offered::objects);
std::string encode(const Value& value, const Representation& as);

enum class BodyType { json, yaml, protobuf, json_patch, merge_patch, strategic_patch, apply };
// Errors: unsupported_media_type.
Result<BodyType> body_type(std::string_view content_type, bool patch);
// Of any type but protobuf. Errors: bad_request, in words close to upstream's.
Result<Value> parse_body(std::string_view bytes, BodyType type);

}  // namespace caisson::apiserver
