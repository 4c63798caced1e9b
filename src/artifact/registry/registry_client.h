// SPDX-License-Identifier: Apache-2.0
// The registry client: pulls from and pushes to any OCI registry (distribution-spec 1.1; docker's token
// authentication). Every byte is checked against its digest; a blob that is cut off goes on where it stopped. Loopback
// registries are spoken to in plain HTTP, as docker does; all others by TLS. Any thread; calls block.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/content/reference.h"
#include "core/base/result.h"
#include "core/base/secret.h"
#include "core/http/client.h"

namespace caisson::registry {

struct Login {
  std::string user;
  SecretBytes password;
  bool is_bearer = false;  // password is a Bearer token
};

struct ClientOptions {
  http::ClientOptions http;                                          // CA, proxy
  std::function<std::optional<Login>(std::string_view host)> login;  // host as in the reference; "" is our own registry
  std::string own_url;      // where references without a host go: "https://registry.caisson.internal:5000"
  int attempts_max = 4;     // for a blob that is cut off
  std::string traceparent;  // sent along when set
  bool plain_http = false;  // every registry, not only those on loopback
  // The registry that the one asked is a mirror of: sent as `ns`, as containerd does.
  std::string stands_for;
};

struct FetchedManifest {
  std::string bytes, media_type;
  content::Digest digest;
};

// Told while a blob comes, on the thread that fetches it; each may be empty.
struct FetchWatcher {
  std::function<void(const std::string& upload)> begun;  // the upload of the store that the bytes go to
  std::function<void(std::uint64_t size_bytes)> grown;   // how many are in its file
  std::stop_token stop;                                  // cuts the transfer off
};

// One image, with manifest and configuration parsed; their blobs and the layers' are in the store.
struct PulledImage {
  content::Digest digest;  // of the image's own manifest, not of the index it came from
  content::Manifest manifest;
  content::ImageConfig config;
};

class RegistryClient {
 public:
  explicit RegistryClient(ClientOptions options);
  RegistryClient(RegistryClient&&) noexcept;
  ~RegistryClient();

  // Errors: not_found, unauthorized and forbidden as the registry says; unavailable when it can't be reached.
  Result<FetchedManifest> manifest(const content::Reference& ref);
  Result<content::Digest> resolve(const content::Reference& ref);  // HEAD: the digest behind a tag
  // Whether `options.login` opens the registry. Errors: unauthorized.
  Result<void> check_login(std::string_view host);
  Result<bool> has_blob(const content::Reference& ref, const content::Digest& digest);
  Result<content::ByteSource> open_blob(const content::Reference& ref, const content::Digest& digest);  // not checked
  // By HEAD. Errors: not_found; bad_request when the registry does not say.
  Result<std::uint64_t> blob_size(const content::Reference& ref, const content::Digest& digest);
  Result<void> fetch_blob(const content::Reference& ref, const content::Descriptor& blob, content::BlobStore& into,
                          const FetchWatcher& watcher = {});
  // `progress` is told of each blob as it is done. What `into` has is not asked for: with a digest a pull of what is
  // here asks nothing.
  Result<PulledImage> pull(const content::Reference& ref, content::BlobStore& into,
                           const content::Platform& platform = {},
                           const std::function<void(const content::Descriptor&)>& progress = {});

  // Puts a blob that is not there yet. `open` is called again for another attempt.
  Result<void> put_blob(const content::Reference& ref, const content::Digest& digest, std::uint64_t size_bytes,
                        const std::function<Result<content::ByteSource>()>& open);
  // Makes a blob of `from` visible in `ref`'s repository, on the registry itself. Gives false when the registry would
  // not.
  Result<bool> mount_blob(const content::Reference& ref, const content::Digest& digest, std::string_view from);
  Result<void> put_manifest(const content::Reference& ref, std::string_view bytes, std::string_view media_type);
  // All tags of ref's repository, page after page.
  Result<std::vector<std::string>> tags(const content::Reference& ref);
  // All repositories of ref's registry; its repository does not count.
  Result<std::vector<std::string>> repositories(const content::Reference& ref);
  // What names `digest` as its subject. Registries without the referrers API have none.
  Result<content::Index> referrers(const content::Reference& ref, const content::Digest& digest);
  // The tag, or with a digest the manifest and every tag that names it. Errors: not_found; forbidden when the registry
  // deletes nothing.
  Result<void> remove(const content::Reference& ref);
  // The image with its blobs, or an index with those of its images that are here; layers that have no blob come from
  // `layers`.
  Result<void> push(const content::Reference& ref, const content::Digest& manifest, const content::BlobStore& blobs,
                    content::LayerSource* layers);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::registry
