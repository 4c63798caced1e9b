// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/source.h"

#include <memory>

namespace caisson::content {

ByteSource from_string(std::string bytes) {
  return [left = std::move(bytes)]() mutable -> Result<std::string> { return std::exchange(left, {}); };
}

Result<std::string> read_all(const ByteSource& source, std::size_t size_bytes_max) {
  std::string out;
  for (;;) {
    const std::string piece = TRY(source());
    if (piece.empty()) return out;
    if (out.size() + piece.size() > size_bytes_max) {
      return Error{ErrorCode::too_large, "more than " + std::to_string(size_bytes_max) + " bytes"};
    }
    out += piece;
  }
}

ByteSource slice(ByteSource source, std::uint64_t offset, std::uint64_t length) {
  return [source = std::move(source), offset, length]() mutable -> Result<std::string> {
    while (length > 0) {
      std::string piece = TRY(source());
      if (piece.empty()) break;
      if (offset >= piece.size()) {
        offset -= piece.size();
        continue;
      }
      piece.erase(0, offset);
      offset = 0;
      if (piece.size() > length) piece.resize(length);
      length -= piece.size();
      return piece;
    }
    return std::string();
  };
}

}  // namespace caisson::content
