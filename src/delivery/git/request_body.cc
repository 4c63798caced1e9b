// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/request_body.h"

#include <fcntl.h>
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

Result<RequestBody> RequestBody::receive(const std::function<Result<std::string>()>& next, bool gzip,
                                         const std::string& directory, std::uint64_t size_bytes_max) {
  RequestBody body;
  TRY(make_dirs(directory));
  body.file_.reset(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!body.file_) return errno_error("make a temporary file in " + directory);
  const auto keep = [&](std::string_view bytes) -> Result<void> {
    body.size_ += bytes.size();
    if (body.size_ > size_bytes_max)
      return Error{ErrorCode::too_large, "the push is larger than " + std::to_string(size_bytes_max >> 20) + " MiB"};
    return write_all(body.file_.get(), bytes);
  };
  Inflate inflate;
  for (;;) {
    std::string piece = TRY(next());
    if (piece.empty()) break;
    if (gzip)
      TRY(inflate.feed(piece, keep));
    else
      TRY(keep(piece));
  }
  if (gzip && !inflate.ended()) return Error{ErrorCode::bad_request, "the gzip'd request body was cut off"};
  if (lseek(body.file_.get(), 0, SEEK_SET) != 0) return errno_error("rewind the request body");
  return body;
}

Result<std::string> RequestBody::first(std::size_t size_bytes_max) const {
  std::string out(size_bytes_max, '\0');
  const ssize_t count = pread(file_.get(), out.data(), out.size(), 0);
  if (count < 0) return errno_error("read the request body");
  out.resize(static_cast<std::size_t>(count));
  return out;
}

}  // namespace caisson::git
