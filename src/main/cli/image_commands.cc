// SPDX-License-Identifier: Apache-2.0
#include "main/cli/image_commands.h"

#include <cstdio>

#include "artifact/content/archive.h"
#include "artifact/content/blob_store.h"
#include "core/base/file.h"
#include "core/document/json.h"
#include "main/cli/registry_access.h"
#include "main/cli/session.h"

namespace caisson::cli {
namespace {

std::string megabytes(std::uint64_t bytes) {
  const std::uint64_t tenths = (bytes * 10 + 500'000) / 1'000'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MB";
}

struct Manifest {
  content::Digest digest;
  content::Manifest manifest;
};

// The image itself: of an index the one for this machine.
Result<Manifest> find_manifest(registry::RegistryClient& client, content::Reference reference) {
  registry::FetchedManifest fetched = TRY(client.manifest(reference));
  if (content::is_index_type(fetched.media_type)) {
    const content::Index index = TRY(content::parse_index(fetched.bytes));
    const content::Descriptor chosen = TRY(content::choose_platform(index));
    reference.digest = chosen.digest;
    fetched = TRY(client.manifest(reference));
  }
  content::Manifest manifest = TRY(content::parse_manifest(fetched.bytes));
  return Manifest{fetched.digest, std::move(manifest)};
}

std::uint64_t size_bytes(const content::Manifest& manifest) {
  std::uint64_t out = manifest.config.size_bytes;
  for (const content::Descriptor& layer : manifest.layers) out += layer.size_bytes;
  return out;
}

Result<void> add_rows(registry::RegistryClient& client, content::Reference reference,
                      std::vector<std::vector<std::string>>& rows) {
  for (const std::string& tag : TRY(client.tags(reference))) {
    reference.tag = tag;
    const Result<Manifest> found = find_manifest(client, reference);
    if (!found.ok()) {
      rows.push_back({reference.repository, tag, "-", "-", found.error().message});
      continue;
    }
    const std::string type = found->manifest.artifact_type;
    rows.push_back({reference.repository, tag, found->digest.str(), megabytes(size_bytes(found->manifest)),
                    type.empty() ? "image" : type});
  }
  return {};
}

// Everything of one image into `blobs`; gives the digest that was named.
Result<content::Digest> fetch(registry::RegistryClient& client, const content::Reference& reference,
                              content::BlobStore& blobs) {
  const registry::PulledImage image = TRY(client.pull(reference, blobs));
  return image.digest;
}

}  // namespace

Result<void> command_image_list(const Global& global, const ImageFlags& flags) {
  registry::RegistryClient client = make_registry_client(global);
  const std::string target = flags.target.empty() ? TRY(own_registry(global)) : flags.target;
  // "host" alone would be a repository's name: a repository stands behind the first slash.
  const std::size_t slash = target.find('/');
  content::Reference reference;
  reference.registry = target.substr(0, slash);
  std::vector<std::string> repositories;
  if (slash != std::string::npos && slash + 1 < target.size())
    repositories = {target.substr(slash + 1)};
  else
    repositories = TRY(client.repositories(reference));
  std::vector<std::vector<std::string>> rows;
  for (const std::string& repository : repositories) {
    reference.repository = repository;
    TRY(add_rows(client, reference, rows));
  }
  if (flags.format == "json") {
    std::vector<Value> items;
    for (const auto& row : rows)
      items.push_back(
          Value{{"repository", row[0]}, {"tag", row[1]}, {"digest", row[2]}, {"size", row[3]}, {"kind", row[4]}});
    print_value(Value(std::move(items)), "json");
    return {};
  }
  for (auto& row : rows) row[2] = row[2].substr(row[2].find(':') + 1).substr(0, 12);
  print_table({"REPOSITORY", "TAG", "DIGEST", "SIZE", "KIND"}, rows);
  return {};
}

Result<void> command_image_inspect(const Global& global, const ImageFlags& flags) {
  registry::RegistryClient client = make_registry_client(global);
  const content::Reference reference = TRY(parse_image(flags.target));
  const Manifest found = TRY(find_manifest(client, reference));
  const content::ByteSource source = TRY(client.open_blob(reference, found.manifest.config.digest));
  const std::string bytes = TRY(content::read_all(source, content::kConfigBytesMax));
  const Value config = TRY(json::parse(bytes));
  std::vector<Value> layers, referrers;
  for (const content::Descriptor& layer : found.manifest.layers) {
    layers.push_back(Value{{"digest", layer.digest.str()},
                           {"mediaType", layer.media_type},
                           {"size", static_cast<long long>(layer.size_bytes)}});
  }
  const content::Index about = TRY(client.referrers(reference, found.digest));
  for (const content::Descriptor& one : about.manifests) {
    referrers.push_back(Value{{"digest", one.digest.str()},
                              {"artifactType", one.artifact_type},
                              {"size", static_cast<long long>(one.size_bytes)}});
  }
  Value out{{"name", reference.familiar()}, {"digest", found.digest.str()}, {"mediaType", found.manifest.media_type}};
  out.set("size", static_cast<long long>(size_bytes(found.manifest)));
  out.set("config", config).set("layers", Value(std::move(layers))).set("referrers", Value(std::move(referrers)));
  print_value(out, "json");
  return {};
}

Result<void> command_image_save(const Global& global, const ImageFlags& flags) {
  registry::RegistryClient client = make_registry_client(global);
  const content::Reference reference = TRY(parse_image(flags.target));
  // Beside the archive: the temporary directory may be small.
  const TempDir dir = TRY(TempDir::make("caisson-image", path_dir(flags.file)));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
  const content::Digest digest = TRY(fetch(client, reference, blobs));
  TRY(content::save_archive(flags.file, {{flags.target, digest}}, blobs, nullptr));
  std::printf("%s@%s\n", flags.target.c_str(), digest.str().c_str());
  return {};
}

Result<void> command_image_push(const Global& global, const ImageFlags& flags) {
  registry::RegistryClient client = make_registry_client(global);
  const content::Reference reference = TRY(parse_image(flags.target));
  const TempDir dir = TRY(TempDir::make("caisson-image", path_dir(flags.file)));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
  const std::vector<content::ArchivedImage> images = TRY(content::load_archive(flags.file, blobs));
  if (images.size() != 1) {
    return Error{ErrorCode::bad_request, flags.file + " holds " + std::to_string(images.size()) +
                                             " images: 'caisson image load' sends them all"};
  }
  TRY(client.push(reference, images.front().digest, blobs, nullptr));
  std::printf("%s@%s\n", flags.target.c_str(), images.front().digest.str().c_str());
  return {};
}

Result<void> command_image_load(const Global& global, const ImageFlags& flags) {
  const std::string host = flags.target.empty() ? TRY(own_registry(global)) : flags.target;
  registry::RegistryClient client = make_registry_client(global);
  const TempDir dir = TRY(TempDir::make("caisson-image", path_dir(flags.file)));
  content::BlobStore blobs = TRY(content::BlobStore::open(dir.path()));
  for (const content::ArchivedImage& image : TRY(content::load_archive(flags.file, blobs))) {
    if (image.name.empty())
      return Error{ErrorCode::bad_request,
                   flags.file + ": " + image.digest.str() + " has no name: 'caisson image push' gives it one"};
    content::Reference reference = TRY(parse_image(image.name));
    if (reference.registry == "docker.io" && reference.repository.starts_with("library/") &&
        image.name.find("library/") == std::string::npos)
      reference.repository.erase(0, std::string_view("library/").size());
    reference.registry = host;
    TRY(client.push(reference, image.digest, blobs, nullptr));
    std::printf("%s/%s:%s@%s\n", reference.registry.c_str(), reference.repository.c_str(), reference.tag.c_str(),
                image.digest.str().c_str());
  }
  return {};
}

Result<void> command_image_remove(const Global& global, const ImageFlags& flags) {
  registry::RegistryClient client = make_registry_client(global);
  const content::Reference reference = TRY(parse_image(flags.target));
  return client.remove(reference);
}

}  // namespace caisson::cli
