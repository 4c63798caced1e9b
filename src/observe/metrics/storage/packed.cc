// SPDX-License-Identifier: Apache-2.0
// Bytes: the scale (digits behind the point); the column of times, then that of values. A column: its first number as
// 8 bytes, then frames of at most 32 differences: width and shift (bits that are zero in all) as a byte each, the
// smallest difference as LEB128 of its zigzag, then the rest of each difference in `width` bits, the frame filled to
// whole bytes. Numbers are little-endian.
#include "observe/metrics/storage/packed.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace caisson::metrics {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr double kPowers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
constexpr double kExactMax = 9007199254740992.0;  // 2^53
constexpr std::size_t kFrameSize = 32;
constexpr int kWidthMax = 56;  // one unaligned load of 8 bytes has any such number, wherever it begins

std::optional<std::int64_t> scaled(double v, int scale) {
  const double whole = std::nearbyint(v * kPowers[scale]);
  if (!(std::fabs(whole) < kExactMax)) return {};
  const auto number = static_cast<std::int64_t>(whole);
  if (std::bit_cast<std::uint64_t>(static_cast<double>(number) / kPowers[scale]) != std::bit_cast<std::uint64_t>(v))
    return {};
  return number;
}

// The smallest scale that all values have, and the values as numbers of it.
std::optional<int> scale_of(std::span<const FloatPoint> points, std::vector<std::int64_t>& numbers) {
  int scale = 0;
  for (const FloatPoint& p : points)
    while (!scaled(p.v, scale))
      if (++scale == static_cast<int>(std::size(kPowers))) return {};
  for (const FloatPoint& p : points) {
    const auto number = scaled(p.v, scale);  // what had a smaller scale may be too large for this one
    if (!number) return {};
    numbers.push_back(*number);
  }
  return scale;
}

template <class Number>
void append_bytes(std::string& out, Number number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

void put_varint(std::string& out, std::int64_t number) {
  std::uint64_t zigzag = static_cast<std::uint64_t>(number) << 1 ^ static_cast<std::uint64_t>(number >> 63);
  for (; zigzag >= 0x80; zigzag >>= 7) out += static_cast<char>(zigzag | 0x80);
  out += static_cast<char>(zigzag);
}

// Differences wrap around as unsigned numbers do, so any two times have one.
std::int64_t wrapping_minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t wrapping_plus(std::int64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
}

bool put_frame(std::string& out, std::span<const std::int64_t> differences) {
  const std::int64_t least = *std::min_element(differences.begin(), differences.end());
  std::uint64_t all = 0;
  for (const std::int64_t d : differences) all |= static_cast<std::uint64_t>(wrapping_minus(d, least));
  const int shift = all == 0 ? 0 : std::countr_zero(all), width = static_cast<int>(std::bit_width(all >> shift));
  if (width > kWidthMax) return false;
  out += static_cast<char>(width);
  out += static_cast<char>(shift);
  put_varint(out, least);
  std::uint64_t word = 0;
  int filled = 0;  // bits of word; below 8 between numbers, so that kWidthMax more have room
  for (const std::int64_t d : differences) {
    word |= static_cast<std::uint64_t>(wrapping_minus(d, least)) >> shift << filled;
    for (filled += width; filled >= 8; filled -= 8, word >>= 8) out += static_cast<char>(word);
  }
  if (filled > 0) out += static_cast<char>(word);
  return true;
}

bool put_column(std::string& out, std::span<const std::int64_t> numbers) {
  append_bytes(out, numbers[0]);
  std::array<std::int64_t, kFrameSize> frame{};
  for (std::size_t at = 1; at < numbers.size(); at += kFrameSize) {
    const std::size_t count = std::min(kFrameSize, numbers.size() - at);
    for (std::size_t i = 0; i < count; ++i) frame[i] = wrapping_minus(numbers[at + i], numbers[at + i - 1]);
    if (!put_frame(out, {frame.data(), count})) return false;
  }
  return true;
}

template <class Number>
bool take_bytes(std::string_view& rest, Number& number) {
  if (rest.size() < sizeof number) return false;
  std::memcpy(&number, rest.data(), sizeof number);
  rest.remove_prefix(sizeof number);
  return true;
}

bool take_varint(std::string_view& rest, std::int64_t& number) {
  std::uint64_t zigzag = 0;
  std::uint8_t byte = 0x80;
  for (int shift = 0; (byte & 0x80) != 0; shift += 7) {
    if (shift > 63 || !take_bytes(rest, byte)) return false;
    zigzag |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
  }
  number = static_cast<std::int64_t>(zigzag >> 1 ^ (0 - (zigzag & 1)));
  return true;
}

// The numbers of a frame: each is the one before it, `least`, and its own `width` bits. REQUIRES: width is 1 to
// kWidthMax; 8 bytes can be read from any byte of the frame.
std::int64_t widen(const char* frame, int width, int shift, std::int64_t least, std::int64_t number,
                   std::span<std::int64_t> into) {
  const std::uint64_t mask = (std::uint64_t{1} << width) - 1;
  auto sum = static_cast<std::uint64_t>(number);
  std::size_t bit = 0;
  for (std::int64_t& one : into) {
    std::uint64_t word;
    std::memcpy(&word, frame + bit / 8, sizeof word);
    sum += static_cast<std::uint64_t>(least) + ((word >> (bit % 8) & mask) << shift);
    one = static_cast<std::int64_t>(sum);
    bit += static_cast<std::size_t>(width);
  }
  return static_cast<std::int64_t>(sum);
}

bool take_frame(std::string_view& rest, std::int64_t& number, std::span<std::int64_t> into) {
  std::uint8_t width = 0, shift = 0;
  std::int64_t least = 0;
  if (!take_bytes(rest, width) || !take_bytes(rest, shift) || width > kWidthMax || !take_varint(rest, least))
    return false;
  const std::size_t size = (into.size() * width + 7) / 8;
  if (shift >= 64 || rest.size() < size) return false;
  if (width == 0) {
    for (std::int64_t& one : into) one = number = wrapping_plus(number, static_cast<std::uint64_t>(least));
    return true;
  }
  if (rest.size() >= size + sizeof(std::uint64_t)) {
    number = widen(rest.data(), width, shift, least, number, into);
  } else {  // nothing follows that could be read with it
    char frame[kFrameSize * kWidthMax / 8 + sizeof(std::uint64_t)] = {};
    std::memcpy(frame, rest.data(), size);
    number = widen(frame, width, shift, least, number, into);
  }
  rest.remove_prefix(size);
  return true;
}

bool take_column(std::string_view& rest, std::span<std::int64_t> into) {
  std::int64_t number = 0;
  if (!take_bytes(rest, number)) return false;
  into[0] = number;
  for (std::size_t at = 1; at < into.size(); at += kFrameSize)
    if (!take_frame(rest, number, into.subspan(at, std::min(kFrameSize, into.size() - at)))) return false;
  return true;
}

}  // namespace

std::optional<std::string> pack(std::span<const FloatPoint> points) {
  std::vector<std::int64_t> numbers;
  numbers.reserve(points.size());
  const auto scale = scale_of(points, numbers);
  if (!scale) return {};
  std::vector<std::int64_t> times;
  times.reserve(points.size());
  for (const FloatPoint& p : points) times.push_back(p.t);
  std::string out(1, static_cast<char>(*scale));
  if (!put_column(out, times) || !put_column(out, numbers)) return {};
  out.shrink_to_fit();
  return out;
}

Result<void> unpack(std::string_view bytes, std::uint32_t count, std::int64_t mint, std::int64_t maxt,
                    std::vector<FloatPoint>& into) {
  constexpr std::uint32_t kCountMax = 1024;
  std::array<std::int64_t, kCountMax> times, numbers;
  std::uint8_t scale = 0;
  const Error broken{ErrorCode::invalid, "packed chunk is damaged"};
  if (count == 0 || count > kCountMax || !take_bytes(bytes, scale) || scale >= std::size(kPowers)) return broken;
  if (!take_column(bytes, {times.data(), count}) || !take_column(bytes, {numbers.data(), count}) || !bytes.empty())
    return broken;
  // Every sample is written, and those that are wanted stay: no branch to be guessed.
  const std::size_t before = into.size();
  into.resize(before + count);
  FloatPoint* out = into.data() + before;
  const double power = kPowers[scale];
  for (std::uint32_t i = 0; i < count; ++i) {
    *out = {times[i], scale == 0 ? static_cast<double>(numbers[i]) : static_cast<double>(numbers[i]) / power};
    out += static_cast<int>(times[i] >= mint) & static_cast<int>(times[i] <= maxt);
  }
  into.resize(static_cast<std::size_t>(out - into.data()));
  return {};
}

}  // namespace caisson::metrics
