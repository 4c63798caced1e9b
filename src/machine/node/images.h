// SPDX-License-Identifier: Apache-2.0
// Where the images of pods come from: our own registry's content first (it is on this disk), then the upstream
// registry, then a stand-in made from distribution packages, by the setting `images.standIns`; the executor image from
// the running binary itself. Invariant: an image that ensure() gave has every layer unpacked. Threads: any; the same
// image is fetched once at a time.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "artifact/content/blob_store.h"
#include "artifact/content/image.h"
#include "artifact/content/layer_store.h"
#include "artifact/content/reference.h"
#include "artifact/content/tag_index.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::node {

enum class PullPolicy { always, if_not_present, never };
// `policy` "" means what the image's tag says: always for :latest or none, else only when it is not here.
PullPolicy pull_policy(std::string_view image, std::string_view policy);

struct Image {
  content::Reference reference;
  content::Digest digest;  // of the manifest
  content::ImageConfig config;
  std::vector<std::string> trees;  // for a root, topmost first
  std::string stand_in;            // what it was made from; empty: the image itself
  std::string id() const;          // "<familiar name without tag>@sha256:…", for imageID
};

struct ImageRequest {
  std::string name;  // as the pod has it
  PullPolicy policy = PullPolicy::if_not_present;
  // Credentials of imagePullSecrets: the `auths` of each dockerconfigjson, decoded.
  std::vector<Value> docker_configs;
  // Called once when bytes must come from outside or a stand-in must be made: the node tells "Pulling".
  std::function<void()> on_pull;
};

class ImageProvider {
 public:
  virtual ~ImageProvider() = default;
  // Blocks, perhaps for minutes. Errors say what to do: not_found (no such image anywhere), unavailable (registry not
  // reached, with why), unauthorized, bad_request (InvalidImageName).
  virtual Result<Image> ensure(const ImageRequest& request) = 0;
};

// Beyond our own registry: the upstream registry, and artifact/bootstrap's stand-ins. Wired by main/platform.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // Puts manifest, configuration and layers into the stores and gives the manifest's digest. Errors: not_found when
  // this source has no such image; unavailable or timeout when it can't be reached.
  virtual Result<content::Digest> fetch(const content::Reference& reference, const ImageRequest& request) = 0;
};

enum class StandIns { automatic, always, never };         // the setting images.standIns
Result<StandIns> parse_stand_ins(std::string_view text);  // "auto", "always", "never"

struct ImageOptions {
  std::string directory;  // which digest a name had when it was fetched: "<data>/cache/images"; empty: not kept
  content::RegistryNames registry;
  StandIns stand_ins = StandIns::automatic;
  std::string executable = "/proc/self/exe";  // what the executor image holds
};

// Borrows the stores and sources; the sources may be null.
std::unique_ptr<ImageProvider> make_image_provider(content::BlobStore& blobs, content::TagIndex& tags,
                                                   content::LayerStore& layers, ImageSource* upstream,
                                                   ImageSource* stand_ins, ImageOptions options);

// Whether the name is the executor's: gcr.io/kaniko-project/executor and caisson.dev/executor, any tag.
bool is_executor(const content::Reference& reference);
// Makes that image of a program: /kaniko/executor with its shared libraries and loader, and this host's CA
// certificates.
Result<content::Digest> make_executor_image(const std::string& executable, content::BlobStore& blobs,
                                            content::LayerStore& layers);

// What was fetched by name (ImageOptions::directory), for the collector: `used_at` is when a pod last asked for it.
struct FetchedImage {
  std::string name;
  content::Digest digest;
  Time used_at;
};
Result<std::vector<FetchedImage>> fetched_images(const std::string& directory);
// The next pod that wants it fetches it again.
Result<void> forget_image(const std::string& directory, const std::string& name);

}  // namespace caisson::node
