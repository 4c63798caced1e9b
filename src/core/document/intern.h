// SPDX-License-Identifier: Apache-2.0
// Interned map keys: one copy for the life of the program, with its hash in front of the text. Any thread.
#pragma once
#include <cstdint>
#include <cstring>
#include <string_view>

namespace caisson::document {

struct KeyHeader {
  std::uint32_t hash, size;
};
inline KeyHeader key_header(const char* interned_text) {
  KeyHeader header;
  std::memcpy(&header, interned_text - sizeof header, sizeof header);
  return header;
}
std::uint32_t hash_key(std::string_view key);

}  // namespace caisson::document
