// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/request_body.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

namespace caisson::git {
namespace {

// gzip to plain bytes, in pieces, so that a small body can't become a big string.
class Inflate {
 public:
  Inflate() { inflateInit2(&stream_, 15 + 16); }  // gzip framing
  ~Inflate() { inflateEnd(&stream_); }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;

  Result<void> feed(std::string& bytes, const std::function<Result<void>(std::string_view)>& out) {
    char buffer[64u << 10];
    stream_.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_in = static_cast<uInt>(bytes.size());
    while (stream_.avail_in > 0 && !ended_) {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer);
      stream_.avail_out = sizeof buffer;
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code != Z_OK && code != Z_STREAM_END)
        return Error{ErrorCode::bad_request, "the gzip'd request body is broken"};
      ended_ = code == Z_STREAM_END;
      TRY(out({buffer, sizeof buffer - stream_.avail_out}));
    }
    return {};
  }
  bool ended() const { return ended_; }

 private:
  z_stream stream_{};
  bool ended_ = false;
};

}  // namespace

Result<void> RequestBody::keep(std::string_view bytes, const std::string& directory) {
  if (!file_ && size_ + bytes.size() > kMemoryBytesMax) {
    TRY(make_dirs(directory));
    UniqueFd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) return errno_error("make a temporary file in " + directory);
    const std::string held = TRY(first(kMemoryBytesMax));
    TRY(write_all(file.get(), held));
    file_ = std::move(file);
  }
  TRY(write_all(fd(), bytes));
  size_ += bytes.size();
  return {};
}

Result<RequestBody> RequestBody::receive(const std::function<Result<std::string>()>& next, bool gzip,
                                         const std::string& directory, std::uint64_t size_bytes_max) {
  RequestBody body;
  body.memory_.reset(::memfd_create("git-request", MFD_CLOEXEC));
  if (!body.memory_) return errno_error("hold a request in memory");
  std::uint64_t received = 0;
  const auto take = [&](std::string_view bytes) -> Result<void> {
    received += bytes.size();
    if (received > size_bytes_max)
      return Error{ErrorCode::too_large, "the push is larger than " + std::to_string(size_bytes_max >> 20) + " MiB"};
    if (body.lost_) return {};
    const auto kept = body.keep(bytes, directory).in("keep what is pushed");
    if (!kept.ok()) body.lost_ = kept.error();
    return {};
  };
  Inflate inflate;
  for (;;) {
    std::string piece = TRY(next());
    if (piece.empty()) break;
    if (gzip)
      TRY(inflate.feed(piece, take));
    else
      TRY(take(piece));
  }
  if (gzip && !inflate.ended()) return Error{ErrorCode::bad_request, "the gzip'd request body was cut off"};
  if (lseek(body.fd(), 0, SEEK_SET) != 0) return errno_error("rewind the request body");
  return body;
}

Result<std::string> RequestBody::first(std::size_t size_bytes_max) const {
  // What was written to the file before it was full may be less than what is still held in memory.
  std::string out(size_bytes_max, '\0');
  const ssize_t count = pread(lost_ ? memory_.get() : fd(), out.data(), out.size(), 0);
  if (count < 0) return errno_error("read the request body");
  out.resize(static_cast<std::size_t>(count));
  return out;
}

}  // namespace caisson::git
