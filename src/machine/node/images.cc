// SPDX-License-Identifier: Apache-2.0
#include "machine/node/images.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <mutex>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::node {
namespace {

using content::Digest;
using content::Reference;

// What a name meant when it was fetched or made, one small file a name.
struct Known {
  Digest digest;
  bool stand_in = false;  // made, not fetched
  std::string source;     // of the executor image: which program
};

std::string record_path(const std::string& directory, const std::string& name) {
  return directory + "/" + sha256_hex(name) + ".json";
}

class Provider final : public ImageProvider {
 public:
  Provider(content::BlobStore& blobs, content::TagIndex& tags, content::LayerStore& layers, ImageSource* upstream,
           ImageSource* stand_ins, ImageOptions options)
      : blobs_(blobs),
        tags_(tags),
        layers_(layers),
        upstream_(upstream),
        stand_ins_(stand_ins),
        options_(std::move(options)) {}

  Result<Image> ensure(const ImageRequest& request) override {
    const Reference reference = TRY(content::parse_reference(request.name, options_.registry));
    const std::shared_ptr<std::mutex> turn = turn_of(reference.str());
    const std::lock_guard lock(*turn);  // the second to want an image finds it there
    if (is_executor(reference)) return executor(reference);
    if (reference.is_ours()) return own(reference);
    return foreign(reference, request);
  }

 private:
  std::shared_ptr<std::mutex> turn_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    auto& turn = turns_[name];
    if (!turn) turn = std::make_shared<std::mutex>();
    return turn;
  }

  // From the manifest's digest to trees.
  Result<Image> load(const Reference& reference, Digest digest) {
    std::string bytes = TRY(blobs_.read(digest, content::kManifestBytesMax));
    const Value shape = TRY(json::parse(bytes));
    const std::string type = TRY(content::detect_media_type(shape));
    if (content::is_index_type(type)) {
      const content::Index index = TRY(content::parse_index(bytes));
      digest = TRY(content::choose_platform(index)).digest;
      bytes = TRY(blobs_.read(digest, content::kManifestBytesMax));
    }
    const content::Manifest manifest = TRY(content::parse_manifest(bytes));
    Image image;
    image.reference = reference;
    image.digest = digest;
    image.config = TRY(content::parse_config(TRY(blobs_.read(manifest.config.digest, content::kConfigBytesMax))));
    image.trees = TRY(content::ensure_layers(blobs_, layers_, manifest, image.config));
    image.stand_in = image.config.label(content::kStandInLabel);
    return image;
  }

  Result<Image> own(const Reference& reference) {
    if (reference.digest) {
      const auto type = tags_.manifest_type(reference.repository, *reference.digest);
      if (type.ok()) return load(reference, *reference.digest);
    } else {
      const auto digest = tags_.find(reference.repository, reference.tag);
      if (digest.ok()) return load(reference, *digest);
      if (digest.error().code != ErrorCode::not_found) return digest.error();
    }
    return Error{ErrorCode::not_found, "image " + reference.str() + " is not in the platform's registry: push it to " +
                                           std::string(content::kRegistryName) + "/" + reference.str() +
                                           ", or correct the name"};
  }

  Result<Image> foreign(const Reference& reference, const ImageRequest& request) {
    const auto known = recall(reference);
    const bool standing_in = stand_ins_ && !reference.digest && options_.stand_ins != StandIns::never;
    const bool usable = known && (!known->stand_in || standing_in);
    if (usable && request.policy != PullPolicy::always) {
      auto image = load(reference, known->digest);
      if (image.ok()) return image;
      log::warning("image is not whole any more and is fetched again",
                   {{"image", reference.familiar()}, {"error", image.error()}});
    }
    if (request.policy == PullPolicy::never) {
      return Error{ErrorCode::not_found, "image " + reference.familiar() +
                                             " is not present and imagePullPolicy is Never: change the policy, or push "
                                             "the image to the platform's registry"};
    }
    if (request.on_pull) request.on_pull();
    if (standing_in && options_.stand_ins == StandIns::always) {
      auto made = stand_in(reference, request);
      if (made.ok() || made.error().code != ErrorCode::not_found) return made;
    }
    auto pulled = upstream_ ? upstream_->fetch(reference, request)
                            : Result<Digest>(Error{ErrorCode::unavailable, "no upstream registry is set up"});
    if (pulled.ok()) {
      TRY(remember(reference, {*pulled}));
      return load(reference, *pulled);
    }
    return without_upstream(reference, request, usable ? known : std::nullopt, pulled.error());
  }

  // "Always" asks whether there is a newer one; where nobody answers, the one that is here goes on serving, or a
  // stand-in does.
  Result<Image> without_upstream(const Reference& reference, const ImageRequest& request,
                                 const std::optional<Known>& known, const Error& error) {
    const bool refused =
        error.code == ErrorCode::not_found;  // docker.io answers 401 for what does not exist, and a proxy 403 for all
    if (known && !refused) return load(reference, known->digest);
    std::string also;
    if (!refused && stand_ins_ && !reference.digest && options_.stand_ins == StandIns::automatic) {
      auto made = stand_in(reference, request);
      if (made.ok()) return made;
      also = "; " + made.error().message;
    }
    std::string hint =
        "push it to the platform's registry (" + std::string(content::kRegistryName) + ") and use that name";
    if (error.code == ErrorCode::unauthorized || error.code == ErrorCode::forbidden)
      hint = "add imagePullSecrets with credentials, or " + hint;
    if (refused) hint = "correct the name, or " + hint;
    return Error{error.code, "image " + reference.familiar() + ": " + error.message + also + "; " + hint};
  }

  Result<Image> stand_in(const Reference& reference, const ImageRequest& request) {
    const Digest digest = TRY(stand_ins_->fetch(reference, request));
    TRY(remember(reference, {digest, true}));
    return load(reference, digest);
  }

  Result<Image> executor(const Reference& reference) {
    struct stat info {};
    if (::stat(options_.executable.c_str(), &info) != 0) return errno_error("look at " + options_.executable);
    const std::string source = std::to_string(info.st_ino) + "/" + std::to_string(info.st_size) + "/" +
                               std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec);
    const Reference name{"caisson.dev", "executor", "latest", {}};
    const auto known = recall(name);
    if (known && known->source == source) {
      auto image = load(reference, known->digest);
      if (image.ok()) return image;
    }
    const Digest digest = TRY(make_executor_image(options_.executable, blobs_, layers_));
    TRY(remember(name, {digest, false, source}));
    return load(reference, digest);
  }

  std::string record(const Reference& reference) const { return record_path(options_.directory, reference.str()); }

  std::optional<Known> recall(const Reference& reference) const {
    if (reference.digest && blobs_.has(*reference.digest)) return Known{*reference.digest};
    if (options_.directory.empty()) return std::nullopt;
    const auto text = read_file(record(reference));
    if (!text.ok()) return std::nullopt;
    const auto value = json::parse(*text);
    if (!value.ok()) return std::nullopt;
    auto digest = Digest::parse((*value)["digest"].as_string());
    if (!digest.ok()) return std::nullopt;
    ::utimensat(AT_FDCWD, record(reference).c_str(), nullptr, 0);  // used now
    return Known{*digest, (*value)["standIn"].as_bool(), (*value)["source"].str()};
  }

  Result<void> remember(const Reference& reference, const Known& known) {
    if (options_.directory.empty()) return {};
    TRY(make_dirs(options_.directory, 0700));
    const Value value{{"name", reference.str()},
                      {"digest", known.digest.str()},
                      {"standIn", known.stand_in},
                      {"source", known.source}};
    return write_file(record(reference), json::write(value));
  }

  content::BlobStore& blobs_;
  content::TagIndex& tags_;
  content::LayerStore& layers_;
  ImageSource* upstream_;
  ImageSource* stand_ins_;
  ImageOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<std::mutex>> turns_;  // guarded by mutex_
};

}  // namespace

std::string Image::id() const {
  Reference name = reference;
  name.tag.clear();
  name.digest = digest;
  return name.familiar();
}

Result<StandIns> parse_stand_ins(std::string_view text) {
  if (text == "auto" || text.empty()) return StandIns::automatic;
  if (text == "always") return StandIns::always;
  if (text == "never") return StandIns::never;
  return Error{ErrorCode::bad_request, "images.standIns: \"" + std::string(text) + "\" is none of auto, always, never"};
}

bool is_executor(const Reference& reference) {
  return (reference.registry == "gcr.io" && reference.repository == "kaniko-project/executor") ||
         (reference.registry == "caisson.dev" && reference.repository == "executor");
}

std::unique_ptr<ImageProvider> make_image_provider(content::BlobStore& blobs, content::TagIndex& tags,
                                                   content::LayerStore& layers, ImageSource* upstream,
                                                   ImageSource* stand_ins, ImageOptions options) {
  return std::make_unique<Provider>(blobs, tags, layers, upstream, stand_ins, std::move(options));
}

Result<std::vector<FetchedImage>> fetched_images(const std::string& directory) {
  std::vector<FetchedImage> all;
  if (!exists(directory)) return all;
  for (const std::string& file : TRY(list_dir(directory))) {
    struct stat info {};
    const std::string path = directory + "/" + file;
    const auto text = read_file(path);
    if (!text.ok() || ::stat(path.c_str(), &info) != 0) continue;  // forgotten just now
    const Value value = TRY(json::parse(*text).in(path));
    const Digest digest = TRY(Digest::parse(value["digest"].as_string()).in(path));
    all.push_back({value["name"].str(), digest, Time(std::chrono::seconds(info.st_mtim.tv_sec))});
  }
  return all;
}

Result<void> forget_image(const std::string& directory, const std::string& name) {
  return remove_file(record_path(directory, name));
}

}  // namespace caisson::node
