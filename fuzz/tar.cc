// SPDX-License-Identifier: Apache-2.0
// Reading an archive ends, within its limits; what was read is written and read again to the same entry.
#include "artifact/content/tar.h"
#include "artifact/content/compress.h"
#include "artifact/content/extract.h"
#include "core/base/check.h"

using namespace caisson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto plain = content::decompress(content::from_string(bytes));
  if (!plain.ok()) return 0;
  std::size_t raw_bytes = 0;
  content::TarReader reader(*plain, {.entries_max = 1000, .bytes_max = 1u << 20},
                            [&](std::string_view raw) { raw_bytes += raw.size(); });
  for (;;) {
    const auto entry = reader.next();
    if (!entry.ok() || !entry->has_value()) break;
    const auto path = content::entry_path((*entry)->name);
    if (path.ok()) CHECK(("/" + *path + "/").find("/../") == std::string::npos);
    std::string header;
    content::append_header(header, **entry);
    content::TarReader again(content::from_string(header));
    const auto same = again.next();
    // A NUL or an '=' can't be told in every field; without them the writer is exact.
    const bool plain_text = (*entry)->name.find('\0') == std::string::npos &&
                            (*entry)->link.find('\0') == std::string::npos && !(*entry)->name.empty();
    if (plain_text && same.ok() && same->has_value()) CHECK((*same)->mode == (*entry)->mode);
  }
  return 0;
}
