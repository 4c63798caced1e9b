// SPDX-License-Identifier: Apache-2.0
#include <snappy.h>
#include <zlib.h>

#include "observe/logs/ingest/push.h"

namespace caisson::logs {
namespace {

Error broken(std::string_view what) {
  return {ErrorCode::bad_request, "the " + std::string(what) + " body is broken"};
}
Error too_large(std::size_t limit) {
  return {ErrorCode::too_large, "the unpacked body is larger than " + std::to_string(limit >> 20) + " MiB"};
}

Result<std::string> inflate_all(std::string& body, int window_bits, std::string_view name) {
  z_stream stream{};
  if (inflateInit2(&stream, window_bits) != Z_OK) return Error{ErrorCode::internal, "no memory to unpack a body"};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(body.data());
  stream.avail_in = static_cast<uInt>(body.size());
  std::string out;
  for (int code = Z_OK; code != Z_STREAM_END;) {
    char buffer[64u << 10];
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END) return broken(name);
    out.append(buffer, sizeof buffer - stream.avail_out);
    if (out.size() > kUnpackedBytesMax) return too_large(kUnpackedBytesMax);
    if (code == Z_OK && stream.avail_in == 0 && stream.avail_out == sizeof buffer) return broken(name);
  }
  return out;
}

}  // namespace

Result<std::string> unsnappy(std::string_view bytes, std::size_t size_bytes_max) {
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size)) return broken("snappy");
  if (size > size_bytes_max) return too_large(size_bytes_max);
  std::string out(size, '\0');
  if (!snappy::RawUncompress(bytes.data(), bytes.size(), out.data())) return broken("snappy");
  return out;
}

Result<std::string> unpack_body(std::string body, std::string_view encoding) {
  if (encoding.empty() || encoding == "identity") return body;
  if (encoding == "gzip") return inflate_all(body, 15 + 16, "gzip");
  if (encoding == "deflate") return inflate_all(body, -15, "deflate");
  if (encoding == "snappy") return unsnappy(body, kUnpackedBytesMax);
  return Error{ErrorCode::unsupported_media_type, "Content-Encoding \"" + std::string(encoding) + "\" not supported"};
}

}  // namespace caisson::logs
