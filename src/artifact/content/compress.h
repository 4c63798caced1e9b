// SPDX-License-Identifier: Apache-2.0
// Compression of streams: gzip (ISA-L, opened on first use), zstd, bzip2, xz. Found out by the first bytes. One thread
// at a time.
#pragma once
#include <string>
#include <string_view>

#include "artifact/content/source.h"
#include "core/base/result.h"

namespace caisson::content {

enum class Compression { none, gzip, zstd, bzip2, xz };
Compression detect_compression(std::string_view first_bytes);  // needs six bytes

// Decompresses whatever comes, plain bytes included. Errors of the stream: bad_request "gzip: …"; unavailable when
// ISA-L is missing. The caller limits how much it takes (a compressed bomb gives pieces of at most 1 MiB).
Result<ByteSource> decompress(ByteSource source);
ByteSource compress_zstd(ByteSource source, int level = 3);
Result<ByteSource> compress_gzip(ByteSource source);  // ISA-L level 1: the same bytes every time

Result<std::string> zstd_decompress(std::string_view bytes, std::size_t size_bytes_max);

}  // namespace caisson::content
