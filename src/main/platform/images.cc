// SPDX-License-Identifier: Apache-2.0
#include "main/platform/images.h"

#include "core/base/log.h"
#include "main/platform/instance.h"

namespace caisson::platform {
namespace {

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
