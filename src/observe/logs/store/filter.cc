// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/store/filter.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

namespace caisson::logs {
namespace {

constexpr std::size_t kGram = 6;
constexpr std::size_t kBitsMax = 1u << 19, kBitsMin = 1u << 9;

std::uint64_t hash_at(const char* at) {
  std::uint32_t low;
  std::uint16_t high;
  std::memcpy(&low, at, sizeof low);
  std::memcpy(&high, at + sizeof low, sizeof high);
  const std::uint64_t gram = static_cast<std::uint64_t>(high) << 32 | low;
  return gram * 0x9E3779B97F4A7C15u >> 20;
}

bool is_sampled(std::uint64_t hash) {
  return (hash >> 40 & 3) == 0;
}

}  // namespace

std::string make_filter(std::string_view text) {
  if (text.size() < kGram) return std::string(kBitsMin / 8, '\0');
  std::vector<std::uint64_t> words(kBitsMax / 64);
  for (std::size_t i = 0; i + kGram <= text.size(); ++i) {
    const std::uint64_t hash = hash_at(text.data() + i);
    if (is_sampled(hash)) words[hash % kBitsMax / 64] |= std::uint64_t{1} << hash % 64;
  }
  // Folded while less than half of the bits are set afterwards: a shorter filter of the same strength.
  while (words.size() > kBitsMin / 64) {
    const std::size_t half = words.size() / 2;
    std::size_t set = 0;
    for (std::size_t i = 0; i < half; ++i) set += static_cast<std::size_t>(std::popcount(words[i] | words[i + half]));
    if (set > half * 32) break;
    for (std::size_t i = 0; i < half; ++i) words[i] |= words[i + half];
    words.resize(half);
  }
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof(std::uint64_t)};
}

bool may_contain(std::string_view filter, std::string_view needle) {
  const std::size_t bits = filter.size() * 8;
  if (bits < kBitsMin || !std::has_single_bit(bits)) return true;
  for (std::size_t i = 0; i + kGram <= needle.size(); ++i) {
    const std::uint64_t hash = hash_at(needle.data() + i);
    if (!is_sampled(hash)) continue;
    const std::uint64_t bit = hash % bits;
    if ((static_cast<unsigned char>(filter[bit / 8]) >> bit % 8 & 1) == 0) return false;
  }
  return true;
}

}  // namespace caisson::logs
