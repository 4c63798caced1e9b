// SPDX-License-Identifier: Apache-2.0
// Tar streams: ustar, PAX (POSIX.1-2001) and GNU long names read; ustar with PAX where needed written. Sparse files and
// multi-volume archives are refused by name. Never touches the file system: see extract.h. One thread at a time.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/content/source.h"
#include "core/base/result.h"

namespace caisson::content {

enum class EntryType : std::uint8_t { file, hard_link, symlink, char_device, block_device, directory, fifo };

struct TarEntry {
  EntryType type = EntryType::file;
  std::string name;           // as in the archive
  std::string link;           // target of a link
  std::uint32_t mode = 0644;  // permission bits, setuid, setgid, sticky
  std::uint32_t uid = 0, gid = 0;
  std::string user, group;
  std::int64_t mtime_s = 0;
  std::uint32_t mtime_ns = 0;
  std::uint64_t size_bytes = 0;
  std::uint32_t device_major = 0, device_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;  // sorted by name
  bool operator==(const TarEntry&) const = default;
};

// What an archive may ask for.
struct ArchiveLimits {
  std::uint64_t entries_max = 1'000'000;
  std::uint64_t bytes_max = 64ull << 30;  // of contents, uncompressed
  std::size_t name_bytes_max = 4096;
  std::size_t header_bytes_max = 1u << 20;  // PAX records of one entry
};

class TarReader {
 public:
  // `raw`, when set, sees every byte that is not content of a file: headers, padding, trailer.
  explicit TarReader(ByteSource source, ArchiveLimits limits = {}, std::function<void(std::string_view)> raw = {});
  // The source of a recipe: a tar whose contents were left out (padding is there).
  static TarReader without_contents(ByteSource source, ArchiveLimits limits, std::function<void(std::string_view)> raw);
  TarReader(TarReader&&) noexcept;
  ~TarReader();

  // The next entry; what was not read of the last one is skipped. Nothing at the end. Errors: bad_request (offset and
  // what), too_large.
  Result<std::optional<TarEntry>> next();
  // Contents of the entry in pieces, empty at its end.
  Result<std::string> read_some();
  // Reads to the end of the source, so that its hash is whole.
  Result<void> drain();

 private:
  struct Impl;
  explicit TarReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The header blocks of `entry`: one of ustar, before it a PAX block when a field does not fit. A function of the entry
// alone.
void append_header(std::string& out, const TarEntry& entry);
// How many zero bytes follow contents of that size.
std::size_t padding_bytes(std::uint64_t size_bytes);
inline constexpr std::size_t kTrailerBytes = 1024;  // two zero blocks

}  // namespace caisson::content
