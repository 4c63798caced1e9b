// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/archive.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "core/base/file.h"
#include "core/document/json.h"

namespace caisson::content {
namespace {

constexpr std::size_t kPieceBytes = 1u << 20, kIndexBytesMax = 16u << 20;
constexpr std::string_view kNameAnnotation = "io.containerd.image.name",
                           kRefAnnotation = "org.opencontainers.image.ref.name";
constexpr std::string_view kBlobs = "blobs/";

// What was read of an archive: blobs by digest, the two indexes, and files of the old form by name.
struct Contents {
  std::string index, docker_manifest;
  std::map<std::string, Digest> files;
  std::map<std::string, std::string> links;  // a layer that is there twice is a link the second time
  std::map<Digest, std::uint64_t> sizes;
};

Result<Digest> keep_file(BlobStore& blobs, const ByteSource& contents) {
  Hasher hasher;
  const std::string upload = TRY(blobs.begin_upload());
  TRY(blobs.append_upload(upload, [&]() -> Result<std::string> {
    std::string piece = TRY(contents());
    hasher.update(piece);
    return piece;
  }));
  const Digest digest = hasher.finish();
  TRY(blobs.finish_upload(upload, digest));
  return digest;
}

Result<void> read_entry(Contents& out, const TarEntry& entry, const std::string& path, const ByteSource& contents,
                        BlobStore& blobs) {
  if (entry.type == EntryType::symlink || entry.type == EntryType::hard_link) {
    const std::string target =
        entry.type == EntryType::symlink ? path_clean(path_dir(path) + "/" + entry.link) : entry.link;
    out.links[path] = TRY(entry_path(target));
    return {};
  }
  if (entry.type != EntryType::file) return {};
  if (path == "index.json" || path == "manifest.json") {
    std::string& into = path == "index.json" ? out.index : out.docker_manifest;
    into = TRY(read_all(contents, kIndexBytesMax));
    return {};
  }
  if (path == "oci-layout" || path == "repositories") return {};
  Digest digest;
  if (path.starts_with(kBlobs)) {
    std::string name = path.substr(kBlobs.size());
    if (const std::size_t slash = name.find('/'); slash != std::string::npos) name[slash] = ':';
    digest = TRY(Digest::parse(name));
    TRY(blobs.put(digest, contents));
  } else {
    digest = TRY(keep_file(blobs, contents));
  }
  out.files[path] = digest;
  out.sizes[digest] = entry.size_bytes;
  return {};
}

Result<Contents> read_contents(const std::string& path, BlobStore& blobs, const ArchiveLimits& limits) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return errno_error("open " + path);
  const ByteSource raw = [&file, &path]() -> Result<std::string> {
    std::string piece(kPieceBytes, '\0');
    const ssize_t count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0) return errno_error("read " + path);
    piece.resize(static_cast<std::size_t>(count));
    return piece;
  };
  TarReader reader(TRY(decompress(raw)), limits);
  const ByteSource contents = [&reader] { return reader.read_some(); };
  Contents out;
  for (;;) {
    const std::optional<TarEntry> entry = TRY(reader.next());
    if (!entry) return out;
    const std::string name = TRY(entry_path(entry->name));
    TRY(read_entry(out, *entry, name, contents, blobs).in(entry->name));
  }
}

// Everything a manifest names must be in the archive, or the image could not be used.
Result<void> check_complete(const Digest& digest, const BlobStore& blobs, int depth) {
  if (depth > 4) return Error{ErrorCode::bad_request, "indexes in indexes, more than four deep"};
  const std::string bytes = TRY(blobs.read(digest, kManifestBytesMax).in("manifest " + digest.str()));
  const Value document = TRY(json::parse(bytes));
  const std::string type = TRY(detect_media_type(document));
  if (is_index_type(type)) {
    const Index index = TRY(parse_index(bytes));
    for (const Descriptor& child : index.manifests) {
      // An archive of one platform may name the manifests of the others.
      if (blobs.has(child.digest)) TRY(check_complete(child.digest, blobs, depth + 1));
    }
    return {};
  }
  const Manifest manifest = TRY(parse_manifest(bytes));
  std::vector<Digest> needed{manifest.config.digest};
  for (const Descriptor& layer : manifest.layers) needed.push_back(layer.digest);
  for (const Digest& one : needed) {
    if (!blobs.has(one)) return Error{ErrorCode::bad_request, "the archive lacks " + one.str() + " of " + digest.str()};
  }
  return {};
}

Result<std::vector<ArchivedImage>> images_of_index(const Contents& contents, const BlobStore& blobs) {
  const Index index = TRY(parse_index(contents.index).in("index.json"));
  std::vector<ArchivedImage> out;
  for (const Descriptor& one : index.manifests) {
    ArchivedImage image;
    image.digest = one.digest;
    for (const std::string_view key : {kRefAnnotation, kNameAnnotation}) {
      for (const auto& [name, value] : one.annotations) {
        if (name == key) image.name = value;
      }
    }
    TRY(check_complete(one.digest, blobs, 0));
    out.push_back(std::move(image));
  }
  return out;
}

Result<Descriptor> file_of(const Contents& contents, std::string path, std::string_view type) {
  if (const auto link = contents.links.find(path); link != contents.links.end()) path = link->second;
  const auto it = contents.files.find(path);
  if (it == contents.files.end()) return Error{ErrorCode::bad_request, "the archive lacks " + path};
  return Descriptor{std::string(type), it->second, contents.sizes.at(it->second), {}, "", {}};
}

// The old form: manifest.json names a configuration and layers; the OCI manifest is made here.
Result<std::vector<ArchivedImage>> images_of_docker(const Contents& contents, BlobStore& blobs) {
  const Value list = TRY(json::parse(contents.docker_manifest).in("manifest.json"));
  std::vector<ArchivedImage> out;
  for (const Value& one : list.items()) {
    Manifest manifest;
    manifest.config = TRY(file_of(contents, one["Config"].str(), kOciConfig));
    for (const Value& layer : one["Layers"].items()) {
      Descriptor descriptor = TRY(file_of(contents, layer.str(), kOciLayer));
      manifest.layers.push_back(std::move(descriptor));
    }
    const std::string config = TRY(blobs.read(manifest.config.digest, kConfigBytesMax));
    const ImageConfig parsed = TRY(parse_config(config).in(one["Config"].str()));
    if (parsed.diff_ids.size() != manifest.layers.size()) {
      return Error{ErrorCode::bad_request, one["Config"].str() + " names " + std::to_string(parsed.diff_ids.size()) +
                                               " layers, manifest.json " + std::to_string(manifest.layers.size())};
    }
    const Digest digest = TRY(blobs.put_bytes(write_manifest(manifest)));
    out.push_back({one["RepoTags"][0].str(), digest});
  }
  return out;
}

// --- writing
class Writer {
 public:
  Writer(const std::string& path, const BlobStore& blobs, LayerSource* layers)
      : path_(path), blobs_(blobs), layers_(layers) {}

  Result<void> open() {
    file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    return file_ ? Result<void>() : Result<void>(errno_error("create " + path_));
  }
  Result<void> add_bytes(const std::string& name, const std::string& bytes) {
    TRY(add_header(name, bytes.size()));
    return write_all(file_.get(), bytes + std::string(padding_bytes(bytes.size()), '\0'));
  }
  Result<void> add_blob(const Digest& digest, std::uint64_t size_bytes) {
    if (!done_.insert(digest).second) return {};
    TRY(add_header(std::string(kBlobs) + digest.algorithm + "/" + digest.hex, size_bytes));
    const bool stored = blobs_.has(digest);
    if (!stored && layers_ == nullptr) return Error{ErrorCode::not_found, "blob " + digest.str() + " is not here"};
    const ByteSource source = stored ? TRY(blobs_.open_read(digest)) : TRY(layers_->open(digest));
    std::uint64_t written = 0;
    for (;;) {
      const std::string piece = TRY(source());
      if (piece.empty()) break;
      written += piece.size();
      TRY(write_all(file_.get(), piece));
    }
    if (written != size_bytes)
      return Error{ErrorCode::internal,
                   digest.str() + " has " + std::to_string(written) + " bytes, not " + std::to_string(size_bytes)};
    return write_all(file_.get(), std::string(padding_bytes(size_bytes), '\0'));
  }
  Result<void> finish() { return write_all(file_.get(), std::string(kTrailerBytes, '\0')); }

 private:
  Result<void> add_header(const std::string& name, std::uint64_t size_bytes) {
    TarEntry entry;
    entry.name = name;
    entry.size_bytes = size_bytes;
    std::string header;
    append_header(header, entry);
    return write_all(file_.get(), header);
  }
  const std::string& path_;
  const BlobStore& blobs_;
  LayerSource* layers_;
  UniqueFd file_;
  std::set<Digest> done_;
};

std::string blob_path(const Digest& digest) {
  return std::string(kBlobs) + digest.algorithm + "/" + digest.hex;
}

// One image's blobs, and its entry of manifest.json, by which Docker of old finds it.
Result<Value> save_image(Writer& writer, const ArchivedImage& image, const std::string& bytes) {
  TRY(writer.add_blob(image.digest, bytes.size()));
  const Manifest manifest = TRY(parse_manifest(bytes));
  TRY(writer.add_blob(manifest.config.digest, manifest.config.size_bytes));
  std::vector<std::string> layers;
  for (const Descriptor& layer : manifest.layers) {
    TRY(writer.add_blob(layer.digest, layer.size_bytes).in("layer"));
    layers.push_back(blob_path(layer.digest));
  }
  return Value{{"Config", blob_path(manifest.config.digest)},
               {"RepoTags", image.name.empty() ? Value::list() : Value::list_of({image.name})},
               {"Layers", Value::list_of(layers)}};
}

}  // namespace

Result<std::vector<ArchivedImage>> load_archive(const std::string& path, BlobStore& blobs,
                                                const ArchiveLimits& limits) {
  const Contents contents = TRY(read_contents(path, blobs, limits).in(path));
  if (!contents.index.empty()) return images_of_index(contents, blobs).in(path);
  if (!contents.docker_manifest.empty()) return images_of_docker(contents, blobs).in(path);
  return Error{ErrorCode::bad_request, path + ": neither index.json nor manifest.json: this is no archive of images"};
}

Result<void> save_archive(const std::string& path, const std::vector<ArchivedImage>& images, const BlobStore& blobs,
                          LayerSource* layers) {
  Writer writer(path, blobs, layers);
  TRY(writer.open());
  TRY(writer.add_bytes("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  Index index;
  std::vector<Value> docker;
  for (const ArchivedImage& image : images) {
    const std::string bytes = TRY(blobs.read(image.digest, kManifestBytesMax).in("manifest " + image.digest.str()));
    const Value document = TRY(json::parse(bytes));
    const std::string type = TRY(detect_media_type(document));
    if (is_index_type(type)) {
      const Index inner = TRY(parse_index(bytes));
      TRY(writer.add_blob(image.digest, bytes.size()));
      for (const Descriptor& child : inner.manifests) {
        if (!blobs.has(child.digest)) continue;  // of a platform that was not pulled
        const std::string manifest = TRY(blobs.read(child.digest, kManifestBytesMax));
        TRY(save_image(writer, {"", child.digest}, manifest));
      }
    } else {
      Value entry = TRY(save_image(writer, image, bytes));
      docker.push_back(std::move(entry));
    }
    Descriptor descriptor{type, image.digest, bytes.size(), {}, "", {}};
    if (!image.name.empty())
      descriptor.annotations = {{std::string(kNameAnnotation), image.name},
                                {std::string(kRefAnnotation), image.name.substr(image.name.rfind(':') + 1)}};
    index.manifests.push_back(std::move(descriptor));
  }
  TRY(writer.add_bytes("index.json", write_index(index)));
  if (!docker.empty()) TRY(writer.add_bytes("manifest.json", json::write(Value(std::move(docker)))));
  return writer.finish();
}

}  // namespace caisson::content
