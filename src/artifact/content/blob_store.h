// SPDX-License-Identifier: Apache-2.0
// Blobs by digest, on disk: <root>/blobs/<algorithm>/<hex>; unfinished uploads in <root>/uploads/<id>. Source: OCI
// distribution-spec 1.1.
// Invariant: a file at its final path is complete, durable and matches its name. Two processes may write to one store:
// files get the owner of the blobs directory, so what the agent (root) writes the server can read and remove.
// Threads: every method may be called from any thread; one upload is used by one caller at a time.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/digest.h"
#include "artifact/content/source.h"
#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::content {

class BlobStore {
 public:
  static Result<BlobStore> open(std::string_view root);  // creates what is absent below `root`
  BlobStore(BlobStore&&) noexcept;
  BlobStore& operator=(BlobStore&&) noexcept;
  ~BlobStore();

  bool has(const Digest& digest) const;
  Result<std::uint64_t> size_bytes(const Digest& digest) const;  // not_found when absent
  Result<std::string> read(const Digest& digest, std::size_t size_bytes_max) const;
  Result<ByteSource> open_read(const Digest& digest, std::uint64_t offset = 0, std::uint64_t length = UINT64_MAX) const;
  Result<std::vector<Digest>> list() const;

  // Streams to disk and syncs before the blob becomes visible. Errors: bad_request when the bytes do not hash to
  // `expected`.
  Result<void> put(const Digest& expected, const ByteSource& next);
  // The same for bytes in memory; gives their sha256.
  Result<Digest> put_bytes(std::string_view bytes);
  Result<void> remove(const Digest& digest);  // fine when absent
  // Tells the collector that somebody counts on it; false when it is not here.
  bool touch(const Digest& digest) const;
  // False when it was touched (or put) since. Fine when absent.
  Result<bool> remove_if_older(const Digest& digest, Time than);

  // Resumable uploads. Ids are unguessable.
  Result<std::string> begin_upload();
  Result<std::uint64_t> upload_size_bytes(const std::string& id) const;  // not_found
  // Gives the new size. Errors of `next` leave what has come.
  Result<std::uint64_t> append_upload(const std::string& id, const ByteSource& next);
  // Errors: bad_request when the bytes do not hash to `expected`; the upload is gone then.
  Result<void> finish_upload(const std::string& id, const Digest& expected);
  Result<void> cancel_upload(const std::string& id);  // not_found
  Result<int> expire_uploads(Time older_than);        // gives how many went
  // The file of an upload, for who reads it while it grows; a file that is open stays readable when the upload ends.
  std::string upload_path(const std::string& id) const;

  std::string path(const Digest& digest) const;  // where the blob is when it is there

 private:
  struct Impl;
  explicit BlobStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::content
