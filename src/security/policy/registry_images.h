// SPDX-License-Identifier: Apache-2.0
// Images of registries, for policies: of our own registry from its stores, of others by the distribution protocol.
// Any thread; what is borrowed must outlive the source.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "artifact/content/reference.h"
#include "core/document/value.h"
#include "security/policy/image_source.h"

namespace caisson::content {
class BlobStore;
class TagIndex;
}  // namespace caisson::content
namespace caisson::registry {
struct Login;
}

namespace caisson::policy {

struct RegistryImagesOptions {
  const content::BlobStore* blobs = nullptr;  // null, with `tags`: our own registry is asked like any other
  const content::TagIndex* tags = nullptr;
  content::RegistryNames names;
  std::string own_url;                                                         // of our own registry without the stores
  std::function<std::optional<registry::Login>(std::string_view host)> login;  // may be unset
};
std::unique_ptr<ImageSource> make_registry_images(RegistryImagesOptions options);

// What a policy sees of an image (context entry imageRegistry, CEL's image.GetMetadata): {image, resolvedImage,
// registry, repository, identifier, manifest, configData}, and manifestList where the name leads to an index. Errors:
// bad_request for a name that can't be read; those of the source.
Result<Value> image_data(const ImageSource& source, const std::string& reference);

}  // namespace caisson::policy
