// SPDX-License-Identifier: Apache-2.0
// Layers for tests: a tar of the files that a test names. Of this room's tests only.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "artifact/content/tar.h"

namespace caisson::scan {

struct TestFile {
  std::string name, contents;
  std::uint32_t mode = 0644;
};

inline std::string make_tar(const std::vector<TestFile>& files) {
  std::string out;
  for (const TestFile& file : files) {
    content::TarEntry entry;
    entry.name = file.name;
    entry.mode = file.mode;
    entry.size_bytes = file.contents.size();
    content::append_header(out, entry);
    out += file.contents;
    out.append(content::padding_bytes(file.contents.size()), '\0');
  }
  return out.append(content::kTrailerBytes, '\0');
}

inline constexpr const char* kDebian = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";

}  // namespace caisson::scan
