// SPDX-License-Identifier: Apache-2.0
#include "core/base/random.h"

#include <sys/random.h>

#include <cstring>

#include "core/base/check.h"
#include "core/base/encoding.h"

namespace caisson {
namespace {
// apimachinery's pkg/util/rand: no vowels (no words by accident), no 0, 1, 3 (mistaken for o, l, e).
constexpr std::string_view kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";
}  // namespace

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  for (std::size_t done = 0; done < count;) {
    const ssize_t got = getrandom(out.data() + done, count - done, 0);
    CHECK(got > 0);
    done += static_cast<std::size_t>(got);
  }
  return out;
}

std::uint64_t random_u64() {
  std::uint64_t value;
  std::memcpy(&value, random_bytes(sizeof value).data(), sizeof value);
  return value;
}

std::string random_uuid() {
  std::string bytes = random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  std::string text = hex(bytes);
  for (const std::size_t at : {20, 16, 12, 8}) text.insert(at, 1, '-');
  return text;
}

std::string random_name_suffix(std::size_t length) {
  std::string out;
  while (out.size() < length) {
    for (const char c : random_bytes(length)) {
      const auto index = static_cast<unsigned char>(c);
      if (index < 256 / 27 * 27 && out.size() < length) out += kNameAlphabet[index % 27];  // no bias
    }
  }
  return out;
}

std::string safe_encode(std::string_view text) {
  std::string out;
  for (const char c : text) out += kNameAlphabet[static_cast<unsigned char>(c) % kNameAlphabet.size()];
  return out;
}

std::uint32_t fnv32a(std::string_view bytes) {
  std::uint32_t hash = 2166136261u;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace caisson
