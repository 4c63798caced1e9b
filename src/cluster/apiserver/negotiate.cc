// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/negotiate.h"

#include <cstdlib>

#include "cluster/schema/protobuf.h"
#include "cluster/schema/validate.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

namespace caisson::apiserver {
namespace {

struct MediaType {
  std::string type;
  std::vector<std::pair<std::string, std::string>> parameters;
  std::string_view get(std::string_view name) const {
    for (const auto& [key, value] : parameters)
      if (key == name) return value;
    return {};
  }
};

MediaType parse_media_type(std::string_view text) {
  const auto parts = split(text, ';');
  MediaType media{to_lower(trim(parts[0])), {}};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = trim(parts[i]);
    const auto equals = part.find('=');
    if (equals != std::string_view::npos)
      media.parameters.emplace_back(to_lower(trim(part.substr(0, equals))), trim(part.substr(equals + 1)));
  }
  return media;
}

constexpr std::string_view kAccepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

std::optional<Representation> representation_of(const MediaType& media) {
  Representation as;
  if (media.type == "application/yaml")
    as.yaml = true;
  else if (media.type != "application/json" && media.type != "*/*")
    return std::nullopt;
  as.pretty = media.get("pretty") == "1";
  const std::string_view kind = media.get("as"), group = media.get("g"), version = media.get("v");
  if (kind.empty()) return as;
  if (kind == "APIGroupDiscoveryList" && group == "apidiscovery.k8s.io" && version == "v2")
    as.aggregated = true;
  else if (group != "meta.k8s.io" || (version != "v1" && version != "v1beta1"))
    return std::nullopt;
  else if (kind == "Table")
    as.table = true;
  else if (kind == "PartialObjectMetadata")
    as.partial = true;
  else if (kind == "PartialObjectMetadataList")
    as.partial_list = true;
  else
    return std::nullopt;
  if (version == "v1beta1") as.meta_version = "meta.k8s.io/v1beta1";
  return as;
}

}  // namespace

Result<Representation> negotiate(std::string_view accept, Offered offered) {
  if (trim(accept).empty() || accept == "application/json") return Representation{};
  std::optional<Representation> best;
  double best_quality = -1;
  for (const std::string_view part : split(accept, ',')) {
    const MediaType media = parse_media_type(part);
    const std::string_view quality_text = media.get("q");
    const double quality = quality_text.empty() ? 1.0 : std::strtod(std::string(quality_text).c_str(), nullptr);
    const auto as = representation_of(media);
    if (!as || quality <= best_quality) continue;
    best = as;
    best_quality = quality;
  }
  if (best) return *best;
  std::string available(kAccepted);
  if (offered == Offered::watch)
    available += ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
  if (offered == Offered::log) available = "text/plain, " + available;
  return Error{ErrorCode::not_acceptable, "406: Not Acceptable\n\nAvailable representations: " + available};
}

std::string encode(const Value& value, const Representation& as) {
  if (as.yaml) return yaml::write(value, {.sort_keys = true});
  if (as.pretty) return json::write(value, {.indent = 2}) + "\n";
  std::string text = json::write(value);
  text += '\n';
  return text;
}

Result<BodyType> body_type(std::string_view content_type, bool patch) {
  if (!patch && content_type == "application/json") return BodyType::json;
  const std::string type = parse_media_type(content_type).type;
  if (patch) {
    if (type == "application/json-patch+json") return BodyType::json_patch;
    if (type == "application/merge-patch+json") return BodyType::merge_patch;
    if (type == "application/strategic-merge-patch+json") return BodyType::strategic_patch;
    if (type == "application/apply-patch+yaml") return BodyType::apply;
    return Error{
        ErrorCode::unsupported_media_type,
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
        "application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"};
  }
  if (type.empty() || type == "application/json" || type == "*/*") return BodyType::json;
  if (type == "application/yaml") return BodyType::yaml;
  if (type == schema::kProtobufType) return BodyType::protobuf;
  return Error{
      ErrorCode::unsupported_media_type,
      "the body of the request was in an unknown format - accepted media types include: " + std::string(kAccepted)};
}

Result<Value> parse_body(std::string_view bytes, BodyType type) {
  if (type == BodyType::yaml || type == BodyType::apply) {
    // As sigs.k8s.io/yaml reads it: the booleans of YAML 1.1; of equal keys the last (fieldValidation tells of them).
    yaml::ReadOptions options;
    options.old_booleans = true;
    options.duplicate_keys_refused = false;
    auto value = yaml::read(bytes, options);
    if (!value.ok())
      return Error{ErrorCode::bad_request,
                   (type == BodyType::apply ? "error decoding YAML: " : "yaml: ") + value.error().message};
    if (type == BodyType::yaml && value->is_map()) {  // by way of JSON, whose maps Go sorts
      Value sorted = *value;
      sorted.sort_keys();
      return sorted;
    }
    return value;
  }
  auto value = json::parse(bytes);
  if (value.ok()) return value;
  const bool patch = type != BodyType::json;
  return Error{ErrorCode::bad_request,
               (patch ? "error decoding patch: " : "couldn't get version/kind; json parse error: ") +
                   schema::go_json_error(bytes)};
}

}  // namespace caisson::apiserver
