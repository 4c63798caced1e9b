// SPDX-License-Identifier: Apache-2.0
#include "main/platform/images.h"

#include "artifact/registry/registry_client.h"
#include "core/base/encoding.h"
#include "core/base/log.h"
#include "main/platform/instance.h"

namespace caisson::platform {
namespace {

// The entry for `host` of the `auths` that the pod brought.
std::optional<registry::Login> login_for(const std::vector<Value>& configs, std::string_view host) {
  for (const Value& config : configs) {
    for (const auto& [name, entry] : config.entries()) {
      if (name != host && name != "https://" + std::string(host) &&
          !(host == "docker.io" && name == "https://index.docker.io/v1/"))
        continue;
      const auto text = unbase64(entry["auth"].as_string());
      const auto colon = text.ok() ? text->find(':') : std::string::npos;
      if (colon != std::string::npos)
        return registry::Login{text->substr(0, colon), SecretBytes(text->substr(colon + 1))};
      if (entry.contains("username"))
        return registry::Login{entry["username"].str(), SecretBytes(entry["password"].str())};
    }
  }
  return std::nullopt;
}

class Upstream : public node::ImageSource {
 public:
  explicit Upstream(content::BlobStore& blobs) : blobs_(blobs) {}

  Result<content::Digest> fetch(const content::Reference& reference, const node::ImageRequest& request) override {
    registry::ClientOptions options;
    options.login = [&request](std::string_view host) { return login_for(request.docker_configs, host); };
    options.http.connect_time_max = std::chrono::seconds(4);  // a stand-in waits behind it
    options.attempts_max = 2;
    registry::RegistryClient client(std::move(options));
    const registry::PulledImage image = TRY(client.pull(reference, blobs_));
    log::info("image pulled", {{"image", reference.str()}, {"digest", image.digest.str()}});
    return image.digest;
  }

 private:
  content::BlobStore& blobs_;
};

class StandIns : public node::ImageSource {
 public:
  explicit StandIns(bootstrap::Bootstrap& bootstrap) : bootstrap_(bootstrap) {}

  Result<content::Digest> fetch(const content::Reference& reference, const node::ImageRequest&) override {
    return bootstrap_.make(reference, [](std::string_view line) { log::info("stand-in", {{"doing", line}}); });
  }

 private:
  bootstrap::Bootstrap& bootstrap_;
};

}  // namespace

content::RegistryNames registry_names(const Instance& instance) {
  return {instance.settings.ports.registry, {instance.service_address(3) + ":5000", instance.node_address() + ":5000"}};
}

std::unique_ptr<node::ImageSource> make_upstream(content::BlobStore& blobs) {
  return std::make_unique<Upstream>(blobs);
}
std::unique_ptr<node::ImageSource> make_stand_ins(bootstrap::Bootstrap& bootstrap) {
  return std::make_unique<StandIns>(bootstrap);
}

std::function<Result<build::BaseImage>(const std::string&, const content::Platform&)> make_base_images(
    node::ImageProvider& images, content::BlobStore& blobs) {
  return
      [&images, &blobs](const std::string& reference, const content::Platform& platform) -> Result<build::BaseImage> {
        if (platform.os != "linux" || platform.architecture != "amd64") {
          return Error{ErrorCode::invalid, reference + ": this machine builds for linux/amd64 only, not " +
                                               platform.os + "/" + platform.architecture};
        }
        const node::Image image = TRY(images.ensure({.name = reference}));
        const std::string bytes = TRY(blobs.read(image.digest, content::kManifestBytesMax));
        content::Manifest manifest = TRY(content::parse_manifest(bytes));
        return build::BaseImage{image.digest, std::move(manifest), image.config, !image.stand_in.empty()};
      };
}

}  // namespace caisson::platform
