// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/scanner.h"

#include "artifact/content/blob_store.h"
#include "artifact/content/compress.h"
#include "artifact/scan/layer_findings.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::scan {
namespace {

constexpr std::size_t kFindingsBytesMax = 256u << 20;
constexpr int kZstdLevel = 3;

bool is_file_layer(std::string_view media_type) {
  return media_type.starts_with(content::kOciLayer) || media_type.starts_with("application/vnd.docker.image.rootfs.");
}

Result<LayerFindings> read_findings(const std::string& path) {
  const std::string packed = TRY(read_file(path, kFindingsBytesMax));
  const std::string text = TRY(content::zstd_decompress(packed, kFindingsBytesMax));
  const Value value = TRY(json::parse(text));
  return layer_findings_of_value(value);
}

Result<void> write_findings(const std::string& path, const LayerFindings& findings) {
  const content::ByteSource packed =
      content::compress_zstd(content::from_string(json::write(layer_findings_to_value(findings))), kZstdLevel);
  const std::string bytes = TRY(content::read_all(packed, kFindingsBytesMax));
  TRY(make_dirs(path_dir(path)));
  return write_file_unsynced(path, bytes);
}

}  // namespace

Result<content::ByteSource> Scanner::open_layer(const content::Digest& layer) const {
  if (blobs_.has(layer)) return blobs_.open_read(layer);
  if (layers_ != nullptr) return layers_->open(layer);
  return Error{ErrorCode::not_found, "layer " + layer.str() + " is not here"};
}

Result<ImageScan> Scanner::scan(const content::Digest& digest) const {
  ImageScan out;
  out.digest = digest;
  std::string bytes = TRY(blobs_.read(digest, content::kManifestBytesMax).in("manifest " + digest.str()));
  const Value document = TRY(json::parse(bytes));
  const std::string type = TRY(content::detect_media_type(document));
  if (content::is_index_type(type)) {
    const content::Index index = TRY(content::parse_index(bytes));
    const content::Descriptor chosen = TRY(content::choose_platform(index));
    out.digest = chosen.digest;
    bytes = TRY(blobs_.read(chosen.digest, content::kManifestBytesMax).in("manifest " + chosen.digest.str()));
  }
  const content::Manifest manifest = TRY(content::parse_manifest(bytes));
  const Error no_image{ErrorCode::invalid, digest.str() + " is no image: its layers are no file systems"};
  if (!manifest.artifact_type.empty() || manifest.layers.empty()) return no_image;
  const std::string config_bytes =
      TRY(blobs_.read(manifest.config.digest, content::kConfigBytesMax).in("configuration"));
  const Result<content::ImageConfig> config = content::parse_config(config_bytes);
  if (!config.ok()) return no_image;
  out.platform = config->platform;
  out.created = config->created;
  std::vector<std::pair<content::Digest, LayerFindings>> layers;
  for (const content::Descriptor& layer : manifest.layers) {
    if (!is_file_layer(layer.media_type)) return no_image;
    const std::string kept = cache_dir_ + "/layers/" + layer.digest.hex + ".json.zst";
    Result<LayerFindings> findings = read_findings(kept);
    if (!findings.ok()) {  // not there yet, or of another format: it can be made again
      content::ByteSource source = TRY(open_layer(layer.digest));
      findings = scan_layer(std::move(source)).in("layer " + layer.digest.str());
      if (!findings.ok()) return findings.error();
      if (const Result<void> written = write_findings(kept, *findings); !written.ok())
        log::warning("findings not kept", {{"layer", layer.digest.str()}, {"error", written.error()}});
    }
    layers.emplace_back(layer.digest, std::move(findings).value());
  }
  out.inventory = merge_layers(layers);
  return out;
}

}  // namespace caisson::scan
