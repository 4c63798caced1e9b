// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/bundle.h"

#include "artifact/content/compress.h"
#include "artifact/content/tar.h"
#include "core/base/file.h"

namespace caisson::scan {
namespace {

constexpr std::size_t kFileBytesMax = 1u << 30;
constexpr content::ArchiveLimits kLimits{.entries_max = 1'000'000, .bytes_max = 8ull << 30};

bool is_advisory_file(std::string_view name) {
  return name.ends_with(".json") || name.ends_with(".zip");
}

// A source that begins with `piece` again.
content::ByteSource with_first(std::string piece, content::ByteSource rest) {
  return [piece = std::move(piece), rest = std::move(rest)]() mutable -> Result<std::string> {
    if (!piece.empty()) return std::exchange(piece, {});
    return rest();
  };
}

Result<void> feed_layer(const std::string& name, content::ByteSource packed, const AdvisoryStore::FileSink& sink) {
  content::ByteSource plain = TRY(content::decompress(std::move(packed)));
  const std::string first = TRY(plain());
  content::ByteSource all = with_first(first, std::move(plain));
  if (first.starts_with('{') || first.starts_with('[') || first.starts_with("PK")) {
    const std::string bytes = TRY(content::read_all(all, kFileBytesMax));
    return sink(name, bytes);
  }
  content::TarReader reader(std::move(all), kLimits);
  const content::ByteSource contents = [&reader] { return reader.read_some(); };
  for (;;) {
    const std::optional<content::TarEntry> entry = TRY(reader.next());
    if (!entry) return {};
    if (entry->type != content::EntryType::file || !is_advisory_file(entry->name)) continue;
    const std::string bytes = TRY(content::read_all(contents, kFileBytesMax).in(entry->name));
    TRY(sink(entry->name, bytes));
  }
}

Result<void> append_files(std::string& tar, const std::string& root, const std::string& below) {
  const std::string path = below.empty() ? root : root + "/" + below;
  if (is_directory(path)) {
    for (const std::string& name : TRY(list_dir(path))) {
      const std::string inner = below.empty() ? name : below + "/" + name;
      if (is_directory(root + "/" + inner) || is_advisory_file(name)) TRY(append_files(tar, root, inner));
    }
    return {};
  }
  const std::string bytes = TRY(read_file(path, kFileBytesMax));
  content::TarEntry entry;
  entry.name = below.empty() ? path_base(root) : below;
  entry.size_bytes = bytes.size();
  content::append_header(tar, entry);
  tar += bytes;
  tar.append(content::padding_bytes(bytes.size()), '\0');
  return {};
}

}  // namespace

Result<ImportResult> import_bundle(const content::BlobStore& blobs, const content::Digest& digest,
                                   AdvisoryStore& into) {
  const std::string bytes = TRY(blobs.read(digest, content::kManifestBytesMax).in("advisories " + digest.str()));
  const content::Manifest manifest = TRY(content::parse_manifest(bytes));
  if (manifest.artifact_type != kBundleType && manifest.config.media_type != kBundleType) {
    return Error{ErrorCode::invalid, digest.str() + " is no bundle of advisories: its artifactType is \"" +
                                         manifest.artifact_type + "\", not " + std::string(kBundleType)};
  }
  return into.import_files(
      [&](const AdvisoryStore::FileSink& sink) -> Result<void> {
        for (const content::Descriptor& layer : manifest.layers) {
          content::ByteSource source = TRY(blobs.open_read(layer.digest));
          TRY(feed_layer(layer.digest.str(), std::move(source), sink).in("layer " + layer.digest.str()));
        }
        return {};
      },
      digest.str());
}

Result<content::Digest> make_bundle(const std::string& path, content::BlobStore& blobs) {
  std::string tar;
  TRY(append_files(tar, path, ""));
  if (tar.empty()) return Error{ErrorCode::not_found, path + " holds no .json or .zip file"};
  tar.append(content::kTrailerBytes, '\0');
  const std::string packed =
      TRY(content::read_all(content::compress_zstd(content::from_string(std::move(tar))), kFileBytesMax));
  content::Manifest manifest;
  manifest.artifact_type = kBundleType;
  const content::Digest empty = TRY(blobs.put_bytes("{}")), layer = TRY(blobs.put_bytes(packed));
  manifest.config = {std::string(content::kOciEmpty), empty, 2, {}, "", {}};
  manifest.layers = {{std::string(kBundleLayerType),
                      layer,
                      packed.size(),
                      {},
                      "",
                      {{"org.opencontainers.image.title", path_base(path)}}}};
  return blobs.put_bytes(content::write_manifest(manifest));
}

}  // namespace caisson::scan
