// SPDX-License-Identifier: Apache-2.0
#include "security/policy/registry_images.h"

#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/content/tag_index.h"
#include "artifact/registry/registry_client.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/jmespath/image_name.h"

namespace caisson::policy {
namespace {

class RegistryImages final : public ImageSource {
 public:
  explicit RegistryImages(RegistryImagesOptions options)
      : options_(std::move(options)), client_(client_options(options_)) {}

  Result<FetchedManifest> manifest(const std::string& repository, const std::string& reference) const override {
    const bool is_digest = reference.find(':') != std::string::npos;
    const auto ref = TRY(content::parse_reference(repository + (is_digest ? "@" : ":") + reference, options_.names));
    if (!is_here(ref)) {
      auto found = TRY(client_.manifest(ref));
      return checked({found.digest.str(), std::move(found.media_type), std::move(found.bytes)});
    }
    const content::Digest digest = ref.digest ? *ref.digest : TRY(options_.tags->find(ref.repository, ref.tag));
    std::string type = TRY(options_.tags->manifest_type(ref.repository, digest));
    std::string bytes = TRY(options_.blobs->read(digest, content::kManifestBytesMax));
    return checked({digest.str(), std::move(type), std::move(bytes)});
  }

  Result<std::string> blob(const std::string& repository, const std::string& digest,
                           std::size_t bytes_max) const override {
    const auto ref = TRY(content::parse_reference(repository + "@" + digest, options_.names));
    if (is_here(ref) && !options_.tags->has_blob(ref.repository, *ref.digest))
      return Error{ErrorCode::not_found, "blob " + digest + " is not in " + repository};
    const auto source = is_here(ref) ? options_.blobs->open_read(*ref.digest) : client_.open_blob(ref, *ref.digest);
    if (!source.ok()) return source.error();
    std::string bytes = TRY(content::read_all(*source, bytes_max));
    content::Hasher hasher(ref.digest->algorithm);
    hasher.update(bytes);
    if (hasher.finish() != *ref.digest)
      return Error{ErrorCode::bad_request, "blob " + digest + " of " + repository + " holds other bytes"};
    return bytes;
  }

  Result<std::vector<ImageReferrer>> referrers(const std::string& repository,
                                               const std::string& digest) const override {
    const auto ref = TRY(content::parse_reference(repository + "@" + digest, options_.names));
    std::vector<ImageReferrer> out;
    const auto add = [&](const std::vector<content::Descriptor>& list) {
      for (const content::Descriptor& one : list) out.push_back({one.digest.str(), one.artifact_type});
    };
    if (is_here(ref)) {
      add(TRY(options_.tags->referrers(ref.repository, *ref.digest)));
      return out;
    }
    add(TRY(client_.referrers(ref, *ref.digest)).manifests);  // none, too, where the registry has no such API
    return out.empty() ? referrers_by_tag(repository, digest) : std::move(out);
  }

 private:
  static registry::ClientOptions client_options(const RegistryImagesOptions& options) {
    registry::ClientOptions out;
    out.http.connect_time_max = std::chrono::seconds(3);  // somebody waits for an answer of the API
    out.login = options.login;
    out.own_url = options.own_url;
    out.attempts_max = 2;
    return out;
  }
  // Where a registry has no referrers API, clients keep the list as an index under a tag made of the digest
  // (distribution-spec 1.1, "Referrers Tag Schema").
  Result<std::vector<ImageReferrer>> referrers_by_tag(const std::string& repository, const std::string& digest) const {
    std::vector<ImageReferrer> out;
    const auto found = manifest(repository, replace_all(digest, ":", "-"));
    if (!found.ok() && found.error().code == ErrorCode::not_found) return out;
    if (!found.ok()) return found.error();
    const Value index = TRY(json::parse(found->bytes, {.size_bytes_max = content::kManifestBytesMax}));
    for (const Value& one : index["manifests"].items()) out.push_back({one["digest"].str(), one["artifactType"].str()});
    return out;
  }
  bool is_here(const content::Reference& ref) const {
    return ref.is_ours() && options_.blobs != nullptr && options_.tags != nullptr;
  }
  static Result<FetchedManifest> checked(FetchedManifest found) {
    if (found.digest.starts_with("sha256:") && "sha256:" + sha256_hex(found.bytes) != found.digest)
      return Error{ErrorCode::bad_request, "manifest " + found.digest + " holds other bytes"};
    return found;
  }

  RegistryImagesOptions options_;
  mutable registry::RegistryClient client_;  // locks for itself
};

}  // namespace

std::unique_ptr<ImageSource> make_registry_images(RegistryImagesOptions options) {
  return std::make_unique<RegistryImages>(std::move(options));
}

Result<Value> image_data(const ImageSource& source, const std::string& reference) {
  const auto name = TRY(jmespath::parse_image_name(reference));
  const std::string repository = name.registry + "/" + name.path;
  const std::string identifier = name.digest.empty() ? (name.tag.empty() ? "latest" : name.tag) : name.digest;
  auto found = TRY(source.manifest(repository, identifier));
  Value out{{"image", reference},
            {"resolvedImage", repository + "@" + found.digest},
            {"registry", name.registry},
            {"repository", name.path},
            {"identifier", identifier}};
  Value manifest = TRY(json::parse(found.bytes));
  if (content::is_index_type(found.media_type)) {
    out.set("manifestList", manifest);
    const content::Index index = TRY(content::parse_index(found.bytes));
    const content::Descriptor chosen = TRY(content::choose_platform(index));
    found = TRY(source.manifest(repository, chosen.digest.str()));
    manifest = TRY(json::parse(found.bytes));
  }
  const std::string config = TRY(source.blob(repository, manifest["config"]["digest"].str(), content::kConfigBytesMax));
  const Value parsed = TRY(json::parse(config));
  return out.set("manifest", manifest).set("configData", parsed);
}

}  // namespace caisson::policy
