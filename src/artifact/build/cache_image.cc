// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/cache_image.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::build {

using content::Descriptor;
using content::Digest;

Result<Digest> write_cache_image(const std::vector<CacheEntry>& entries, content::BlobStore& blobs) {
  content::Manifest manifest;
  std::vector<Value> rows;
  for (const CacheEntry& entry : entries) {
    const CachedLayer& layer = entry.layer;
    rows.push_back(Value{{"key", entry.key.str()},
                         {"diffID", layer.diff_id.str()},
                         {"sizeBytes", static_cast<std::int64_t>(layer.size_bytes)},
                         {"created", layer.created}});
    const bool known = std::any_of(manifest.layers.begin(), manifest.layers.end(),
                                   [&](const Descriptor& one) { return one.digest == layer.diff_id; });
    if (!known)
      manifest.layers.push_back({std::string(content::kOciLayer), layer.diff_id, layer.size_bytes, {}, "", {}});
  }
  const std::string config = json::write(Value{{"entries", Value(std::move(rows))}});
  const auto config_digest = TRY(blobs.put_bytes(config));
  manifest.config = {std::string(kCacheConfig), config_digest, config.size(), {}, "", {}};
  return blobs.put_bytes(content::write_manifest(manifest));
}

Result<std::vector<CacheEntry>> read_cache_image(const Digest& digest, const content::BlobStore& blobs) {
  const std::string bytes = TRY(blobs.read(digest, content::kManifestBytesMax));
  const content::Manifest manifest = TRY(content::parse_manifest(bytes));
  if (manifest.config.media_type != kCacheConfig)
    return Error{ErrorCode::invalid, digest.str() + " is an image, not a build cache"};
  const std::string text = TRY(blobs.read(manifest.config.digest, content::kConfigBytesMax));
  const Value config = TRY(json::parse(text).in("build cache " + digest.str()));
  std::vector<CacheEntry> out;
  for (const Value& row : config["entries"].items()) {
    CacheEntry entry;
    entry.key = TRY(Digest::parse(row["key"].as_string()).in("build cache " + digest.str()));
    entry.layer.diff_id = TRY(Digest::parse(row["diffID"].as_string()).in("build cache " + digest.str()));
    entry.layer.created = row["created"].str();
    const auto held = std::find_if(manifest.layers.begin(), manifest.layers.end(),
                                   [&](const Descriptor& one) { return one.digest == entry.layer.diff_id; });
    if (held == manifest.layers.end())
      return Error{ErrorCode::invalid, "build cache " + digest.str() + " names the layer " + entry.layer.diff_id.str() +
                                           ", which it does not hold"};
    entry.layer.size_bytes = held->size_bytes;
    out.push_back(std::move(entry));
  }
  return out;
}

Result<CacheOption> parse_cache_option(std::string_view flag, std::string_view text) {
  CacheOption out;
  const auto bad = [&](const std::string& what) {
    return Error{ErrorCode::bad_request, "--" + std::string(flag) + " " + std::string(text) + ": " + what};
  };
  if (text.find('=') == std::string_view::npos) {
    out.reference = std::string(text);
    return out.reference.empty() ? Result<CacheOption>(bad("want a reference")) : out;
  }
  std::string type = "registry";
  for (const std::string_view field : split(text, ',')) {
    const std::size_t equals = field.find('=');
    const std::string_view key = field.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? std::string_view() : field.substr(equals + 1));
    if (key == "type")
      type = value;
    else if (key == "ref")
      out.reference = value;
    else if (key == "mode" && (value == "min" || value == "max"))
      out.all_stages = value == "max";
    else
      return bad("\"" + std::string(field) + "\" is not supported");
  }
  if (type != "registry") return bad("type=" + type + " is not supported, only type=registry");
  if (out.reference.empty()) return bad("ref= is missing");
  return out;
}

}  // namespace caisson::build
