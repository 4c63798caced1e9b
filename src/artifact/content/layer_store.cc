// SPDX-License-Identifier: Apache-2.0
// <root>/<hex>/recipe begins with one line, "caisson-layer 1 <bytes of the tar> recipe|cache\n"; after it, for
// `recipe`, the tar without the contents of its files, compressed with zstd (39 bytes an entry).
#include "artifact/content/layer_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "artifact/content/aside.h"
#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "artifact/content/tree_tar.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson::content {
namespace {

constexpr std::string_view kMagic = "caisson-layer 1 ";
constexpr std::size_t kRecipeBytesMax = 1u << 30;

std::string recipe_text(std::uint64_t tar_bytes, bool can_rebuild, std::string_view headers) {
  return std::string(kMagic) + std::to_string(tar_bytes) + (can_rebuild ? " recipe\n" : " cache\n") +
         std::string(headers);
}

struct RecipeHead {
  std::uint64_t tar_bytes = 0;
  bool can_rebuild = false;
  std::size_t head_bytes = 0;
};

Result<RecipeHead> parse_recipe_head(std::string_view text) {
  const Error bad{ErrorCode::internal, "the layer's recipe is damaged"};
  const std::size_t end = text.substr(0, 64).find('\n');
  if (!text.starts_with(kMagic) || end == std::string_view::npos) return bad;
  const std::vector<std::string_view> fields = split(text.substr(kMagic.size(), end - kMagic.size()), ' ');
  if (fields.size() != 2) return bad;
  const std::optional<std::int64_t> bytes = parse_int(fields[0]);
  if (!bytes) return bad;
  return RecipeHead{static_cast<std::uint64_t>(*bytes), fields[1] == "recipe", end + 1};
}

// Compresses what is pushed into it.
class PushZstd {
  static constexpr std::size_t kFrameBytes = 1u << 20;  // so much waits

 public:
  void push(std::string_view bytes) {
    pending_ += bytes;
    if (pending_.size() > kFrameBytes) flush();
  }
  std::string finish() {
    flush();
    return std::move(out_);
  }

 private:
  void flush() {  // frames follow one another: zstd reads them as one stream
    if (pending_.empty()) return;
    const Result<std::string> frame =
        read_all(compress_zstd(from_string(std::exchange(pending_, {}))), kRecipeBytesMax);
    if (frame.ok()) out_ += *frame;
  }
  std::string pending_, out_;
};

// Streams a tar from its recipe and tree, hashing what it gives.
class Rebuild {
 public:
  Rebuild(Digest expected, ByteSource headers, UniqueFd tree, ArchiveLimits limits)
      : expected_(std::move(expected)),
        reader_(
            TarReader::without_contents(std::move(headers), limits, [this](std::string_view raw) { pending_ += raw; })),
        tree_(std::move(tree)) {}

  Result<std::string> next() {
    std::string out = TRY(piece());
    if (!out.empty()) {
      hasher_.update(out);
    } else if (!checked_) {
      checked_ = true;
      if (hasher_.finish() != expected_) {
        return Error{ErrorCode::internal,
                     "layer " + expected_.str() + " is damaged: its tree no longer gives its digest"};
      }
    }
    return out;
  }

 private:
  Result<std::string> piece() {
    while (pending_.empty()) {
      if (left_ > 0) return contents();
      if (ended_) return std::string();
      const std::optional<TarEntry> entry = TRY(reader_.next());
      if (!entry) {
        ended_ = true;
      } else if (entry->type == EntryType::file && entry->size_bytes > 0) {
        const std::string path = TRY(entry_path(entry->name));
        file_ = TRY(open_tree_file(tree_.get(), path));
        left_ = entry->size_bytes;
      }
    }
    return std::exchange(pending_, {});
  }

  Result<std::string> contents() {
    std::string out(static_cast<std::size_t>(std::min<std::uint64_t>(left_, 512u << 10)), '\0');
    const ssize_t n = ::read(file_.get(), out.data(), out.size());
    if (n < 0) return errno_error("read a layer's file");
    if (n == 0)
      return Error{ErrorCode::internal, "layer " + expected_.str() + " is damaged: a file of its tree is too short"};
    out.resize(static_cast<std::size_t>(n));
    left_ -= out.size();
    return out;
  }

  Digest expected_;
  Hasher hasher_;
  std::string pending_;
  TarReader reader_;
  UniqueFd tree_, file_;
  std::uint64_t left_ = 0;
  bool ended_ = false, checked_ = false;
};

}  // namespace

struct LayerStore::Impl {
  std::string root;
  ArchiveLimits limits;
  std::mutex mutex;
  std::condition_variable settled;
  std::set<std::string> unpacking;  // GUARDED_BY(mutex)

  std::string directory(const Digest& digest) const { return root + "/" + digest.hex; }

  // Makes <work>/{tree,recipe} durable and gives it its name. The same layer may have come meanwhile.
  Result<void> settle(const std::string& work, const Digest& digest, std::string_view recipe) {
    TRY(write_file_unsynced(work + "/recipe", recipe, 0600));
    const UniqueFd fd(::open(work.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::syncfs(fd.get()) != 0) return errno_error("sync " + work);
    if (::rename(work.c_str(), directory(digest).c_str()) != 0) {
      if (errno != EEXIST && errno != ENOTEMPTY) return errno_error("rename to " + directory(digest));
      return remove_tree(work);
    }
    return sync_dir(root);
  }

  Result<std::string> make_work() {
    const std::string work = root + "/.work/layer-" + random_uuid();
    TRY(make_dirs(work, 0700));
    return work;
  }

  Result<LayerInfo> unpack_into(const std::string& work, const Digest& expected, ByteSource next);
};

LayerStore::LayerStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LayerStore::~LayerStore() = default;

Result<std::unique_ptr<LayerStore>> LayerStore::open(std::string_view root, ArchiveLimits limits) {
  auto impl = std::make_unique<Impl>();
  impl->root = root;
  impl->limits = limits;
  TRY(make_dirs(impl->root, 0700));
  TRY(make_dirs(impl->root + "/.work", 0700));
  for (const std::string& name : TRY(list_dir(impl->root + "/.work"))) {
    if (name.starts_with("layer-")) TRY(remove_tree(impl->root + "/.work/" + name));  // what a crash left
  }
  return std::unique_ptr<LayerStore>(new LayerStore(std::move(impl)));
}

bool LayerStore::has(const Digest& diff_id) {
  return exists(impl_->directory(diff_id) + "/recipe");
}
std::string LayerStore::tree(const Digest& diff_id) const {
  return impl_->directory(diff_id) + "/tree";
}

std::vector<std::string> LayerStore::lowers(const std::vector<Digest>& diff_ids) const {
  std::vector<std::string> out;
  for (auto it = diff_ids.rbegin(); it != diff_ids.rend(); ++it) {
    const std::string one = tree(*it);
    if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(one);
  }
  return out;
}

std::string LayerStore::work_dir() const {
  return impl_->root + "/.work";
}

namespace {
Result<RecipeHead> read_head(const std::string& path, const Digest& diff_id) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error{ErrorCode::not_found, "layer " + diff_id.str() + " is not here"};
  char text[64];
  const ssize_t n = ::pread(fd.get(), text, sizeof text, 0);
  if (n < 0) return errno_error("read " + path);
  return parse_recipe_head(std::string_view(text, static_cast<std::size_t>(n)));
}
}  // namespace

Result<std::uint64_t> LayerStore::size_bytes(const Digest& diff_id) {
  const RecipeHead head = TRY(read_head(impl_->directory(diff_id) + "/recipe", diff_id));
  return head.tar_bytes;
}

bool LayerStore::has_recipe(const Digest& diff_id) {
  const Result<RecipeHead> head = read_head(impl_->directory(diff_id) + "/recipe", diff_id);
  return head.ok() && head->can_rebuild;
}

Result<ByteSource> LayerStore::open(const Digest& diff_id) {
  const std::string path = impl_->directory(diff_id) + "/recipe";
  const RecipeHead head = TRY(read_head(path, diff_id));
  if (!head.can_rebuild)
    return Error{ErrorCode::not_found, "layer " + diff_id.str() + " has no recipe: it is a cache of its blob"};
  std::string recipe = TRY(read_file(path, kRecipeBytesMax));
  recipe.erase(0, head.head_bytes);
  UniqueFd tree_fd(::open(tree(diff_id).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!tree_fd) return errno_error("open " + tree(diff_id));
  ByteSource headers = TRY(decompress(from_string(std::move(recipe))));
  auto rebuild = std::make_shared<Rebuild>(diff_id, std::move(headers), std::move(tree_fd), impl_->limits);
  return ByteSource([rebuild] { return rebuild->next(); });
}

Result<std::vector<Digest>> LayerStore::list() {
  std::vector<Digest> out;
  for (const std::string& name : TRY(list_dir(impl_->root))) {
    if (Result<Digest> digest = Digest::parse("sha256:" + name); digest.ok()) out.push_back(*digest);
  }
  return out;
}

Result<LayerInfo> LayerStore::Impl::unpack_into(const std::string& work, const Digest& expected, ByteSource next) {
  TRY(make_dirs(work + "/tree", 0755));
  ByteSource plain = TRY(decompress(std::move(next)));
  Hasher hasher(expected.algorithm);
  std::uint64_t tar_bytes = 0;
  const std::uint64_t tar_bytes_max = limits.bytes_max + limits.entries_max * 4096;
  const ByteSource hashed = [&]() -> Result<std::string> {
    std::string piece = TRY(plain());
    hasher.update(piece);
    tar_bytes += piece.size();
    if (tar_bytes > tar_bytes_max)
      return Error{ErrorCode::too_large, "a layer of more than " + std::to_string(tar_bytes_max) + " bytes"};
    return piece;
  };
  PushZstd headers;
  TarReader reader(hashed, limits, [&](std::string_view raw) { headers.push(raw); });
  Extractor extractor = TRY(Extractor::open(work + "/tree", {.whiteouts = true}));
  for (;;) {
    const std::optional<TarEntry> entry = TRY(reader.next());
    if (!entry) break;
    TRY(extractor.add(*entry, [&] { return reader.read_some(); }));
  }
  TRY(reader.drain());
  TRY(extractor.finish());
  const Digest actual = hasher.finish();
  if (actual != expected) {
    return Error{ErrorCode::bad_request, "the layer's tar hashes to " + actual.str() + ", not to " + expected.str()};
  }
  TRY(settle(work, expected, recipe_text(tar_bytes, !extractor.replaced(), headers.finish())));
  return LayerInfo{expected, tar_bytes};
}

Result<LayerInfo> LayerStore::unpack(const Digest& expected, ByteSource next) {
  {
    std::unique_lock lock(impl_->mutex);
    impl_->settled.wait(lock, [&] { return !impl_->unpacking.contains(expected.hex); });
    if (!has(expected)) impl_->unpacking.insert(expected.hex);
  }
  if (has(expected)) {
    const auto size = TRY(size_bytes(expected));
    return LayerInfo{expected, size};
  }
  const Result<std::string> work = impl_->make_work();
  Result<LayerInfo> done =
      work.ok() ? impl_->unpack_into(*work, expected, std::move(next)) : Result<LayerInfo>(work.error());
  if (!done.ok() && work.ok()) {
    if (const Result<void> gone = remove_tree(*work); !gone.ok())
      log::warning("layer work left", {{"error", gone.error()}});
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->unpacking.erase(expected.hex);
  }
  impl_->settled.notify_all();
  return done;
}

Result<LayerInfo> LayerStore::commit(const std::string& directory, const CommitOptions& options) {
  for (const std::string& path : options.exclude) {
    const std::string clean = TRY(entry_path(path));
    if (!clean.empty()) TRY(remove_tree(directory + "/" + clean));
  }
  PushZstd headers;
  const TreeTar tar =
      TRY(hash_tree_tar(directory, impl_->limits.entries_max, [&](std::string_view raw) { headers.push(raw); }));
  if (has(tar.diff_id)) {
    TRY(remove_tree(directory));
    return LayerInfo{tar.diff_id, tar.size_bytes};
  }
  const std::string work = TRY(impl_->make_work());
  TRY(rename_file(directory, work + "/tree"));
  TRY(impl_->settle(work, tar.diff_id, recipe_text(tar.size_bytes, true, headers.finish())));
  return LayerInfo{tar.diff_id, tar.size_bytes};
}

Result<void> LayerStore::remove(const Digest& diff_id) {
  if (!exists(impl_->directory(diff_id))) return {};
  const std::string gone = impl_->root + "/.work/layer-" + random_uuid();
  TRY(rename_file(impl_->directory(diff_id), gone));
  return remove_tree(gone);
}

bool LayerStore::touch(const Digest& diff_id) const {
  return touch_file(impl_->directory(diff_id));
}

Result<bool> LayerStore::remove_if_older(const Digest& diff_id, Time than) {
  const std::string gone = impl_->root + "/.work/layer-" + random_uuid();
  if (!TRY(put_aside_if_older(impl_->directory(diff_id), gone, than))) return false;
  TRY(remove_tree(gone));
  return true;
}

Result<std::vector<std::string>> ensure_layers(const BlobStore& blobs, LayerStore& layers, const Manifest& manifest,
                                               const ImageConfig& config) {
  if (manifest.layers.size() != config.diff_ids.size()) {
    return Error{ErrorCode::invalid, "the image's manifest has " + std::to_string(manifest.layers.size()) +
                                         " layers, its configuration " + std::to_string(config.diff_ids.size())};
  }
  for (std::size_t i = 0; i < config.diff_ids.size(); ++i) {
    const Digest& diff_id = config.diff_ids[i];
    if (!layers.touch(diff_id)) {
      const Digest& blob = manifest.layers[i].digest;
      ByteSource bytes = TRY(blobs.open_read(blob).in("layer " + blob.str()));
      TRY(layers.unpack(diff_id, std::move(bytes)).in("layer " + blob.str()));
    }
  }
  return layers.lowers(config.diff_ids);
}

}  // namespace caisson::content
