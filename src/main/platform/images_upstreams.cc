// SPDX-License-Identifier: Apache-2.0
#include "main/platform/images_upstreams.h"

#include "artifact/registry/pull_through.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::platform {
namespace {

constexpr std::string_view kProxyOf = "registry.caisson.dev/proxy-of",
                           kProxySecret = "registry.caisson.dev/proxy-secret";

const kube::ObjectKey& settings_key() {
  static const kube::ObjectKey key{"caisson-system", "registry-upstreams"};
  return key;
}

Result<registry::Mirrors> read_mirrors(kube::Client& client) {
  const Result<kube::Object> settings = client.get(schema::kConfigMaps, settings_key());
  if (!settings.ok() && settings.error().code == ErrorCode::not_found) return registry::Mirrors{};
  if (!settings.ok()) return settings.error();
  return registry::parse_mirrors((*settings)["data"]["registries.yaml"].as_string())
      .in("ConfigMap " + settings_key().str());
}

// The `auths` of the Secret.
Result<std::vector<Value>> read_logins(kube::Client& client, const kube::ObjectKey& key) {
  const kube::Object secret = TRY(client.get(schema::kSecrets, key).in("Secret " + key.str()));
  const std::string doing = "Secret " + key.str() + ": .dockerconfigjson";
  const std::string text = TRY(unbase64(secret["data"][".dockerconfigjson"].as_string()).in(doing));
  const Value config = TRY(json::parse(text).in(doing));
  return std::vector<Value>{config["auths"]};
}

Result<std::vector<Value>> platform_logins(kube::Client& client) {
  Result<std::vector<Value>> logins = read_logins(client, settings_key());
  if (!logins.ok() && logins.error().code == ErrorCode::not_found) return std::vector<Value>{};
  return logins;
}

// What a repository of ours stands for, with the logins that its project brings.
struct Proxied {
  registry::ForeignName name;
  registry::Mirrors mirrors;
  std::string secret;  // of the project, by name
  std::vector<Value> logins;
};
// Without the logins.
Result<std::optional<Proxied>> find_foreign(kube::Client& client, std::string_view repository) {
  const std::string project(repository.substr(0, repository.find('/')));
  const Result<kube::Object> ns = client.get(schema::kNamespaces, {"", project});
  if (!ns.ok() && ns.error().code != ErrorCode::not_found) return ns.error();
  const std::string proxy_of(ns.ok() ? ns->annotation(kProxyOf) : std::string_view());
  if (proxy_of.empty() && !repository.starts_with(registry::kProxyPrefix)) return std::optional<Proxied>();
  Proxied out;
  out.mirrors = TRY(read_mirrors(client));
  const std::optional<registry::ForeignName> name = TRY(registry::foreign_name(repository, proxy_of, out.mirrors)
                                                            .in("Namespace " + project + ": " + std::string(kProxyOf)));
  if (!name) return std::optional<Proxied>();
  out.name = *name;
  out.secret = proxy_of.empty() ? std::string_view() : ns->annotation(kProxySecret);
  return std::optional(std::move(out));
}

Result<std::optional<Proxied>> find_proxied(kube::Client& client, std::string_view repository) {
  std::optional<Proxied> out = TRY(find_foreign(client, repository));
  if (!out || out->secret.empty()) return out;
  out->logins = TRY(read_logins(client, {std::string(repository.substr(0, repository.find('/'))), out->secret}));
  return out;
}

// The image that a tag of a repository that was pulled through names, when every part of it is here.
Result<content::Digest> find_kept(const content::BlobStore& blobs, const content::TagIndex& tags,
                                  const content::Reference& reference) {
  const std::string repository = std::string(registry::kProxyPrefix) + reference.registry + "/" + reference.repository;
  content::Digest digest = reference.digest ? *reference.digest : TRY(tags.find(repository, reference.tag));
  std::string bytes = TRY(blobs.read(digest, content::kManifestBytesMax));
  const Value shape = TRY(json::parse(bytes));
  if (content::is_index_type(TRY(content::detect_media_type(shape)))) {
    const content::Index index = TRY(content::parse_index(bytes));
    digest = TRY(content::choose_platform(index)).digest;
    bytes = TRY(blobs.read(digest, content::kManifestBytesMax));
  }
  const content::Manifest manifest = TRY(content::parse_manifest(bytes));
  std::vector<content::Descriptor> parts = manifest.layers;
  parts.push_back(manifest.config);
  for (const content::Descriptor& part : parts) {
    if (!blobs.touch(part.digest)) return Error{ErrorCode::not_found, part.digest.str() + " is not here"};
  }
  return digest;
}

class UpstreamImages final : public node::ImageSource {
 public:
  UpstreamImages(content::BlobStore& blobs, content::TagIndex& tags, kube::Client& client)
      : blobs_(blobs), tags_(tags), client_(client) {}

  Result<content::Digest> fetch(const content::Reference& reference, const node::ImageRequest& request) override {
    std::vector<Value> logins = request.docker_configs;
    for (Value& one : TRY(platform_logins(client_))) logins.push_back(std::move(one));
    const registry::Upstream upstream =
        registry::plan_upstream(TRY(read_mirrors(client_)), logins, reference.registry, reference.repository);
    const Result<content::Digest> digest = clients_.ask<content::Digest>(
        upstream, reference.tag, reference.digest,
        [this](registry::RegistryClient& client, const content::Reference& there) -> Result<content::Digest> {
          content::Reference exact = there;
          exact.digest = TRY(client.resolve(there));
          const registry::PulledImage image = TRY(client.pull(exact, blobs_));
          return image.digest;
        });
    if (digest.ok()) {
      log::info("image pulled", {{"image", reference.str()}, {"digest", digest->str()}});
      return digest;
    }
    if (!registry::is_away(digest.error())) return digest;
    const Result<content::Digest> kept = find_kept(blobs_, tags_, reference);
    if (!kept.ok()) return digest;
    log::warning("upstream is away: the image is as it was pulled through",
                 {{"image", reference.str()}, {"error", digest.error()}});
    return kept;
  }

 private:
  content::BlobStore& blobs_;
  content::TagIndex& tags_;
  kube::Client& client_;
  registry::UpstreamClients clients_;
};

class ProxiedImages final : public node::ImageProvider {
 public:
  ProxiedImages(node::ImageProvider& images, kube::Client& client, content::RegistryNames names)
      : images_(images), client_(client), names_(std::move(names)) {}

  Result<node::Image> ensure(const node::ImageRequest& request) override {
    const Result<content::Reference> reference = content::parse_reference(request.name, names_);
    if (!reference.ok() || !reference->is_ours()) return images_.ensure(request);
    const Result<std::optional<Proxied>> found = find_proxied(client_, reference->repository);
    // Our own images are on this disk: a server that is being restarted must not hold them up.
    const bool unknown = !found.ok() && registry::is_away(found.error());
    if (unknown || (found.ok() && !found->has_value())) return images_.ensure(request);
    if (!found.ok()) return found.error();
    const Proxied* proxied = &**found;
    node::ImageRequest there = request;
    content::Reference foreign = *reference;
    foreign.registry = proxied->name.registry;
    foreign.repository = proxied->name.repository;
    there.name = foreign.str();
    there.docker_configs.insert(there.docker_configs.begin(), proxied->logins.begin(), proxied->logins.end());
    node::Image image = TRY(images_.ensure(there));
    image.reference = *reference;
    return image;
  }

 private:
  node::ImageProvider& images_;
  kube::Client& client_;
  content::RegistryNames names_;
};

}  // namespace

std::function<Result<std::optional<registry::Upstream>>(std::string_view repository)> make_registry_upstreams(
    kube::Client& client) {
  return [&client](std::string_view repository) -> Result<std::optional<registry::Upstream>> {
    std::optional<Proxied> proxied = TRY(find_proxied(client, repository));
    if (!proxied) return std::optional<registry::Upstream>();
    if (proxied->logins.empty()) proxied->logins = TRY(platform_logins(client));
    return std::optional(
        registry::plan_upstream(proxied->mirrors, proxied->logins, proxied->name.registry, proxied->name.repository));
  };
}

std::function<Result<bool>(std::string_view repository)> make_is_proxied(kube::Client& client) {
  return [&client](std::string_view repository) -> Result<bool> {
    const std::optional<Proxied> found = TRY(find_foreign(client, repository));
    return found.has_value();
  };
}

std::unique_ptr<node::ImageSource> make_upstream(content::BlobStore& blobs, content::TagIndex& tags,
                                                 kube::Client& client) {
  return std::make_unique<UpstreamImages>(blobs, tags, client);
}

std::unique_ptr<node::ImageProvider> make_proxied_images(node::ImageProvider& images, kube::Client& client,
                                                         content::RegistryNames names) {
  return std::make_unique<ProxiedImages>(images, client, std::move(names));
}

}  // namespace caisson::platform
