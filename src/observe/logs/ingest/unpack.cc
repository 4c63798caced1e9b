// SPDX-License-Identifier: Apache-2.0
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
  std::size_t at = 0;
  std::uint64_t size = 0;
  for (int shift = 0;; shift += 7) {
    if (at >= bytes.size() || shift > 28) return broken("snappy");
    const auto byte = static_cast<unsigned char>(bytes[at++]);
    size |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) break;
  }
  if (size > size_bytes_max) return too_large(size_bytes_max);
  std::string out;
  out.reserve(size);
  const auto little = [&](std::size_t count) -> Result<std::size_t> {
    if (bytes.size() - at < count) return broken("snappy");
    std::size_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[at++])) << 8 * i;
    return value;
  };
  while (at < bytes.size()) {
    const auto tag = static_cast<unsigned char>(bytes[at++]);
    std::size_t length = 0, offset = 0;
    switch (tag & 3) {
      case 0: {
        length = tag >> 2;
        if (length >= 60) length = TRY(little(length - 59));
        ++length;
        if (length > bytes.size() - at || length > size - out.size()) return broken("snappy");
        out.append(bytes, at, length);
        at += length;
        continue;
      }
      case 1:
        length = 4 + (tag >> 2 & 7);
        offset = static_cast<std::size_t>(tag >> 5) << 8 | TRY(little(1));
        break;
      case 2:
        length = 1 + (tag >> 2);
        offset = TRY(little(2));
        break;
      default:
        length = 1 + (tag >> 2);
        offset = TRY(little(4));
    }
    if (offset == 0 || offset > out.size() || length > size - out.size()) return broken("snappy");
    const std::size_t from = out.size() - offset;
    if (offset >= length) {
      out.append(out, from, length);
    } else {
      for (std::size_t i = 0; i < length; ++i) out += out[from + i];
    }
  }
  if (out.size() != size) return broken("snappy");
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
