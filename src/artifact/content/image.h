// SPDX-License-Identifier: Apache-2.0
// Image manifests, indexes and configurations as data. Reads OCI (image-spec 1.1) and Docker (v2 schema 2), writes OCI.
// Bytes that came from outside are kept as they came: a digest names bytes, so nothing is parsed and written again.
// Pure functions; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/content/digest.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::content {

inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciEmpty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kStandInLabel = "dev.caisson.stand-in";
inline constexpr std::size_t kManifestBytesMax = 4u << 20;
inline constexpr std::size_t kConfigBytesMax = 8u << 20;

using Pairs = std::vector<std::pair<std::string, std::string>>;  // in order

struct Platform {
  std::string os = "linux", architecture = "amd64", variant;
  bool operator==(const Platform&) const = default;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size_bytes = 0;
  std::optional<Platform> platform;
  std::string artifact_type;
  Pairs annotations;
  bool operator==(const Descriptor&) const = default;
};

struct Manifest {
  std::string media_type{kOciManifest};
  Descriptor config;
  std::vector<Descriptor> layers;
  std::string artifact_type;
  std::optional<Descriptor> subject;
  Pairs annotations;
  bool operator==(const Manifest&) const = default;
};

struct Index {
  std::string media_type{kOciIndex};
  std::vector<Descriptor> manifests;
  std::string artifact_type;
  std::optional<Descriptor> subject;
  Pairs annotations;
  bool operator==(const Index&) const = default;
};

struct Healthcheck {
  std::vector<std::string> test;  // {"NONE"}, {"CMD", …}, {"CMD-SHELL", "…"}
  std::int64_t interval_ns = 0, timeout_ns = 0, start_period_ns = 0, start_interval_ns = 0;
  int retries = 0;
  bool operator==(const Healthcheck&) const = default;
};

struct History {
  std::string created, created_by, comment;
  bool empty_layer = false;
  bool operator==(const History&) const = default;
};

struct ImageConfig {
  Platform platform;
  std::string created, author;   // created: RFC 3339
  std::vector<std::string> env;  // "NAME=value", in order
  std::vector<std::string> entrypoint, cmd;
  bool args_escaped = false;
  std::string working_dir, user, stop_signal;
  std::vector<std::string> exposed_ports;  // "80/tcp", sorted
  std::vector<std::string> volumes;        // sorted
  Pairs labels;                            // in order
  std::optional<Healthcheck> healthcheck;
  std::vector<std::string> shell, on_build;
  std::vector<Digest> diff_ids;
  std::vector<History> history;

  std::string label(std::string_view key) const;
  bool operator==(const ImageConfig&) const = default;
};

bool is_index_type(std::string_view media_type);
bool is_manifest_type(std::string_view media_type);  // of one image
// The media type of manifest bytes: its mediaType field, else by its shape. Errors: invalid.
Result<std::string> detect_media_type(const Value& manifest);

// Errors: invalid, with the field; layer and config sizes are checked for sense, not against the store.
Result<Manifest> parse_manifest(std::string_view bytes);
Result<Index> parse_index(std::string_view bytes);
Result<ImageConfig> parse_config(std::string_view bytes);
std::string write_manifest(const Manifest& manifest);
std::string write_index(const Index& index);
std::string write_config(const ImageConfig& config);

// The entry of `index` for `platform`, as containerd chooses: os and architecture equal, the variant equal or absent.
// Errors: not_found, which lists what there is.
Result<Descriptor> choose_platform(const Index& index, const Platform& platform = {});

}  // namespace caisson::content
