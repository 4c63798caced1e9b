// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "artifact/content/aside.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/random.h"

namespace caisson::content {
namespace {
constexpr std::size_t kPieceBytes = 128u << 10;
constexpr std::uint64_t kFlushBytes = 16u << 20;  // of an upload: given to the disk while the next ones come

bool is_upload_id(std::string_view id) {
  if (id.size() != 36) return false;
  for (const char c : id) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-')) return false;
  }
  return true;
}

Error no_blob(const Digest& digest) {
  return Error{ErrorCode::not_found, "blob " + digest.str() + " is not here"};
}
}  // namespace

struct BlobStore::Impl {
  std::string root;
  uid_t uid = 0;
  gid_t gid = 0;
  bool must_chown = false;

  // Hashes of uploads under way, so that finishing one does not read it again. Lost with the process; then it is read.
  struct Progress {
    Hasher hasher;
    std::uint64_t size_bytes = 0;
  };
  std::mutex mutex;
  std::map<std::string, Progress> progress;  // GUARDED_BY(mutex)

  std::string upload_path(const std::string& id) const { return root + "/uploads/" + id; }

  Result<void> own(int fd) const {
    if (must_chown && ::fchown(fd, uid, gid) != 0) return errno_error("chown blob");
    return {};
  }

  Result<void> settle(const std::string& from, const Digest& digest) const {
    const std::string directory = root + "/blobs/" + digest.algorithm;
    TRY(rename_file(from, directory + "/" + digest.hex));
    return sync_dir(directory);
  }
};

BlobStore::BlobStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlobStore::BlobStore(BlobStore&&) noexcept = default;
BlobStore& BlobStore::operator=(BlobStore&&) noexcept = default;
BlobStore::~BlobStore() = default;

Result<BlobStore> BlobStore::open(std::string_view root) {
  auto impl = std::make_unique<Impl>();
  impl->root = root;
  const bool made = !exists(impl->root);
  TRY(make_dirs(impl->root, 0750));
  struct stat st {};
  if (::stat(impl->root.c_str(), &st) != 0) return errno_error("stat " + impl->root);
  impl->uid = st.st_uid;
  impl->gid = st.st_gid;
  impl->must_chown = ::geteuid() == 0 && (st.st_uid != 0 || st.st_gid != 0) && !made;
  for (const char* below : {"/blobs", "/blobs/sha256", "/blobs/sha512", "/uploads"}) {
    const std::string path = impl->root + below;
    if (exists(path)) continue;
    TRY(make_dirs(path, 0750));
    if (impl->must_chown && ::chown(path.c_str(), st.st_uid, st.st_gid) != 0) return errno_error("chown " + path);
  }
  return BlobStore(std::move(impl));
}

std::string BlobStore::path(const Digest& digest) const {
  return impl_->root + "/blobs/" + digest.algorithm + "/" + digest.hex;
}

std::string BlobStore::upload_path(const std::string& id) const {
  return impl_->upload_path(id);
}

bool BlobStore::has(const Digest& digest) const {
  return exists(path(digest));
}

Result<std::uint64_t> BlobStore::size_bytes(const Digest& digest) const {
  struct stat st {};
  if (::stat(path(digest).c_str(), &st) != 0) return no_blob(digest);
  return static_cast<std::uint64_t>(st.st_size);
}

Result<std::string> BlobStore::read(const Digest& digest, std::size_t size_bytes_max) const {
  if (!has(digest)) return no_blob(digest);
  return read_file(path(digest), size_bytes_max);
}

Result<ByteSource> BlobStore::open_read(const Digest& digest, std::uint64_t offset, std::uint64_t length) const {
  const int fd = ::open(path(digest).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return no_blob(digest);
  if (fd < 0) return errno_error("open " + path(digest));
  auto file = std::make_shared<UniqueFd>(fd);
  return ByteSource([file, offset, length]() mutable -> Result<std::string> {
    std::string piece(std::min<std::uint64_t>(kPieceBytes, length), '\0');
    if (piece.empty()) return piece;
    const ssize_t n = ::pread(file->get(), piece.data(), piece.size(), static_cast<off_t>(offset));
    if (n < 0) return errno_error("read blob");
    piece.resize(static_cast<std::size_t>(n));
    offset += piece.size();
    length -= piece.size();
    return piece;
  });
}

Result<std::vector<Digest>> BlobStore::list() const {
  std::vector<Digest> out;
  for (const char* algorithm : {"sha256", "sha512"}) {
    for (const std::string& hex : TRY(list_dir(impl_->root + "/blobs/" + algorithm))) {
      if (Result<Digest> digest = Digest::parse(std::string(algorithm) + ":" + hex); digest.ok())
        out.push_back(*digest);
    }
  }
  return out;
}

Result<void> BlobStore::put(const Digest& expected, const ByteSource& next) {
  if (touch(expected)) return {};
  const std::string id = TRY(begin_upload());
  const Result<std::uint64_t> size = append_upload(id, next);
  if (!size.ok()) {
    TRY(cancel_upload(id));
    return size.error();
  }
  return finish_upload(id, expected);
}

Result<Digest> BlobStore::put_bytes(std::string_view bytes) {
  const Digest digest = Digest::of(bytes);
  TRY(put(digest, from_string(std::string(bytes))));
  return digest;
}

Result<void> BlobStore::remove(const Digest& digest) {
  return remove_file(path(digest));
}

bool BlobStore::touch(const Digest& digest) const {
  return touch_file(path(digest));
}

Result<bool> BlobStore::remove_if_older(const Digest& digest, Time than) {
  return remove_file_if_older(path(digest), impl_->root + "/uploads/gone-" + random_uuid(), than);
}

Result<std::string> BlobStore::begin_upload() {
  const std::string id = random_uuid();
  const UniqueFd file(::open(impl_->upload_path(id).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!file) return errno_error("open " + impl_->upload_path(id));
  TRY(impl_->own(file.get()));
  return id;
}

Result<std::uint64_t> BlobStore::upload_size_bytes(const std::string& id) const {
  struct stat st {};
  if (!is_upload_id(id) || ::stat(impl_->upload_path(id).c_str(), &st) != 0) {
    return Error{ErrorCode::not_found, "upload " + id.substr(0, 64) + " is not here"};
  }
  return static_cast<std::uint64_t>(st.st_size);
}

Result<std::uint64_t> BlobStore::append_upload(const std::string& id, const ByteSource& next) {
  std::uint64_t size = TRY(upload_size_bytes(id));
  const UniqueFd file(::open(impl_->upload_path(id).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file) return errno_error("open " + impl_->upload_path(id));
  std::optional<Hasher> hasher;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto it = impl_->progress.find(id);
    if (it != impl_->progress.end()) {
      if (it->second.size_bytes == size) hasher = std::move(it->second.hasher);
      impl_->progress.erase(it);
    } else if (size == 0) {
      hasher.emplace();
    }
  }
  const auto keep = [&] {
    if (!hasher) return;
    const std::lock_guard lock(impl_->mutex);
    impl_->progress.insert_or_assign(id, Impl::Progress{std::move(*hasher), size});
  };
  for (std::uint64_t flushed = size;;) {
    Result<std::string> piece = next();
    if (!piece.ok() || piece->empty()) {
      keep();
      if (!piece.ok()) return std::move(piece).error();
      return size;
    }
    if (hasher) hasher->update(*piece);
    TRY(write_all(file.get(), *piece));
    size += piece->size();
    // Only a hint, so that the sync at the end finds little to do; nothing counts on it.
    if (size - flushed >= kFlushBytes &&
        ::sync_file_range(file.get(), static_cast<off_t>(flushed), static_cast<off_t>(size - flushed),
                          SYNC_FILE_RANGE_WRITE) == 0)
      flushed = size;
  }
}

namespace {
Result<Digest> hash_file(int fd, std::string_view algorithm) {
  Hasher hasher(algorithm);
  std::string piece(kPieceBytes, '\0');
  for (off_t offset = 0;;) {
    const ssize_t n = ::pread(fd, piece.data(), piece.size(), offset);
    if (n < 0) return errno_error("read upload");
    if (n == 0) return hasher.finish();
    hasher.update(std::string_view(piece.data(), static_cast<std::size_t>(n)));
    offset += n;
  }
}
}  // namespace

Result<void> BlobStore::finish_upload(const std::string& id, const Digest& expected) {
  const std::uint64_t size = TRY(upload_size_bytes(id));
  const std::string from = impl_->upload_path(id);
  const UniqueFd file(::open(from.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return errno_error("open " + from);
  std::optional<Digest> actual;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto it = impl_->progress.find(id);
    if (it != impl_->progress.end()) {
      if (it->second.size_bytes == size && expected.algorithm == "sha256") actual = it->second.hasher.finish();
      impl_->progress.erase(it);
    }
  }
  if (!actual) actual = TRY(hash_file(file.get(), expected.algorithm));
  if (*actual != expected) {
    TRY(remove_file(from));
    return Error{ErrorCode::bad_request, "the bytes hash to " + actual->str() + ", not to " + expected.str()};
  }
  if (::fsync(file.get()) != 0) return errno_error("sync " + from);
  return impl_->settle(from, expected);
}

Result<void> BlobStore::cancel_upload(const std::string& id) {
  TRY(upload_size_bytes(id));
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->progress.erase(id);
  }
  return remove_file(impl_->upload_path(id));
}

Result<int> BlobStore::expire_uploads(Time older_than) {
  int gone = 0;
  for (const std::string& id : TRY(list_dir(impl_->root + "/uploads"))) {
    struct stat st {};
    if (::stat(impl_->upload_path(id).c_str(), &st) != 0) continue;
    if (Time(std::chrono::seconds(st.st_mtim.tv_sec)) >= older_than) continue;
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->progress.erase(id);
    }
    TRY(remove_file(impl_->upload_path(id)));
    ++gone;
  }
  return gone;
}

}  // namespace caisson::content
