// SPDX-License-Identifier: Apache-2.0
// Time: the first sample in 64 bits, then the delta of deltas behind a prefix: 0 · 10 and 7 bits · 110 and 14 · 1110
// and 20 · 1111 and 64. Value: the first in 64 bits, then the XOR: 0 when equal · 10 and the bits of the last window ·
// 11, 5 bits of leading zeros, 6 bits of length less one, the bits.
#include "observe/metrics/storage/chunk.h"

#include <algorithm>
#include <cstring>

#include "observe/metrics/storage/packed.h"

namespace caisson::metrics {
namespace {

constexpr struct {
  int prefix_bits;
  std::uint64_t prefix;
  int bits;
} kTimeClasses[] = {{2, 0b10, 7}, {3, 0b110, 14}, {4, 0b1110, 20}};

bool fits(std::int64_t value, int bits) {
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return value >= -half && value < half;
}

class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}

  // REQUIRES: bits at least 1.
  bool get(int bits, std::uint64_t& value) {
    if (at_ + static_cast<std::size_t>(bits) > bytes_.size() * 8) return false;
    value = 0;
    if (bits <= 56 && at_ / 8 + sizeof value <= bytes_.size()) {  // one load has them, wherever they begin
      std::memcpy(&value, bytes_.data() + at_ / 8, sizeof value);
      value = __builtin_bswap64(value) << (at_ & 7) >> (64 - bits);
      at_ += static_cast<std::size_t>(bits);
      return true;
    }
    while (bits > 0) {
      const int offset = static_cast<int>(at_ & 7), taken = std::min(8 - offset, bits);
      const auto byte = static_cast<unsigned char>(bytes_[at_ >> 3]);
      value = value << taken | (byte >> (8 - offset - taken) & ((1u << taken) - 1));
      at_ += static_cast<std::size_t>(taken);
      bits -= taken;
    }
    return true;
  }

  bool get_signed(int bits, std::int64_t& value) {
    std::uint64_t raw = 0;
    if (!get(bits, raw)) return false;
    value = bits == 64 ? static_cast<std::int64_t>(raw) : static_cast<std::int64_t>(raw << (64 - bits)) >> (64 - bits);
    return true;
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

bool read_delta(BitReader& in, std::int64_t& delta_of_delta) {
  std::uint64_t bit = 0;
  int ones = 0;
  while (ones < 4) {
    if (!in.get(1, bit)) return false;
    if (bit == 0) break;
    ++ones;
  }
  if (ones == 0) {
    delta_of_delta = 0;
    return true;
  }
  return in.get_signed(ones == 4 ? 64 : kTimeClasses[ones - 1].bits, delta_of_delta);
}

struct Window {
  int leading = 0, trailing = 0;
};

bool read_xor(BitReader& in, Window& window, std::uint64_t& value) {
  std::uint64_t changed = 0, fresh = 0, leading = 0, length = 0, bits = 0;
  if (!in.get(1, changed)) return false;
  if (changed == 0) return true;
  if (!in.get(1, fresh)) return false;
  if (fresh != 0) {
    if (!in.get(5, leading) || !in.get(6, length)) return false;
    if (leading + length + 1 > 64) return false;
    window = {static_cast<int>(leading), static_cast<int>(64 - leading - length - 1)};
  }
  if (!in.get(64 - window.leading - window.trailing, bits)) return false;
  value ^= bits << window.trailing;
  return true;
}

// Every sample to `take`; false when the bytes end early.
template <class Take>
bool read_all(std::string_view bytes, std::uint32_t count, Take take) {
  BitReader in(bytes);
  std::int64_t t = 0, delta = 0;
  std::uint64_t value = 0;
  Window window;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i == 0) {
      if (!in.get_signed(64, t) || !in.get(64, value)) return false;
    } else {
      std::int64_t delta_of_delta = 0;
      if (!read_delta(in, delta_of_delta) || !read_xor(in, window, value)) return false;
      delta = static_cast<std::int64_t>(static_cast<std::uint64_t>(delta) + static_cast<std::uint64_t>(delta_of_delta));
      t = static_cast<std::int64_t>(static_cast<std::uint64_t>(t) + static_cast<std::uint64_t>(delta));
    }
    take(t, std::bit_cast<double>(value));
  }
  return true;
}

}  // namespace

void FloatChunk::put(std::uint64_t value, int bits) {
  if (encoder_.free_bits > 0) {
    const int taken = std::min<int>(encoder_.free_bits, bits);
    const std::uint64_t part = value >> (bits - taken) & ((1u << taken) - 1);
    bytes_.back() = static_cast<char>(static_cast<unsigned char>(bytes_.back()) | part << (encoder_.free_bits - taken));
    encoder_.free_bits = static_cast<std::int8_t>(encoder_.free_bits - taken);
    bits -= taken;
  }
  char whole[sizeof value];
  std::size_t count = 0;
  for (; bits >= 8; bits -= 8) whole[count++] = static_cast<char>(value >> (bits - 8));
  bytes_.append(whole, count);
  if (bits == 0) return;
  bytes_ += static_cast<char>(value << (8 - bits));
  encoder_.free_bits = static_cast<std::int8_t>(8 - bits);
}

void FloatChunk::put_time_delta(std::int64_t delta_of_delta) {
  if (delta_of_delta == 0) return put(0, 1);
  for (const auto& c : kTimeClasses) {
    if (!fits(delta_of_delta, c.bits)) continue;
    put(c.prefix, c.prefix_bits);
    return put(static_cast<std::uint64_t>(delta_of_delta) & ((std::uint64_t{1} << c.bits) - 1), c.bits);
  }
  put(0b1111, 4);
  put(static_cast<std::uint64_t>(delta_of_delta), 64);
}

void FloatChunk::put_value(double v) {
  const std::uint64_t changed = std::bit_cast<std::uint64_t>(v) ^ encoder_.value_bits;
  if (changed == 0) return put(0, 1);
  put(1, 1);
  const int leading = std::min(std::countl_zero(changed), 31), trailing = std::countr_zero(changed);
  if (encoder_.leading >= 0 && leading >= encoder_.leading && trailing >= encoder_.trailing) {
    put(0, 1);
    return put(changed >> encoder_.trailing, 64 - encoder_.leading - encoder_.trailing);
  }
  encoder_.leading = static_cast<std::int8_t>(leading);
  encoder_.trailing = static_cast<std::int8_t>(trailing);
  const int length = 64 - leading - trailing;
  put(1, 1);
  put(static_cast<std::uint64_t>(leading), 5);
  put(static_cast<std::uint64_t>(length - 1), 6);
  put(changed >> trailing, length);
}

void FloatChunk::append(std::int64_t t, double v) {
  if (count_ == 0) {
    first_ = t;
    put(static_cast<std::uint64_t>(t), 64);
    put(std::bit_cast<std::uint64_t>(v), 64);
  } else {
    const std::int64_t delta = t - last_;
    put_time_delta(delta - encoder_.delta);
    put_value(v);
    encoder_.delta = delta;
  }
  encoder_.value_bits = std::bit_cast<std::uint64_t>(v);
  last_ = t;
  if (++count_ == kSamplesMax) seal();
}

void FloatChunk::seal() {
  closed_ = true;
  std::vector<FloatPoint> points;
  if (packed_ || count_ == 0 || !decode(INT64_MIN, INT64_MAX, points).ok()) return;
  auto packed = pack(points);
  if (packed && packed->size() < bytes_.size()) {
    bytes_ = std::move(*packed);
    packed_ = true;
  } else {
    bytes_.shrink_to_fit();
  }
}

Result<void> FloatChunk::decode(std::int64_t mint, std::int64_t maxt, std::vector<FloatPoint>& into) const {
  if (last_ < mint || first_ > maxt) return {};
  return decode_chunk(bytes_, head(), mint, maxt, into);
}

Result<void> decode_chunk(std::string_view bytes, std::uint32_t head, std::int64_t mint, std::int64_t maxt,
                          std::vector<FloatPoint>& into) {
  const std::uint32_t count = head & ~FloatChunk::kPackedFlag;
  if ((head & FloatChunk::kPackedFlag) != 0) return unpack(bytes, count, mint, maxt, into);
  const bool whole = read_all(bytes, count, [&](std::int64_t t, double v) {
    if (t >= mint && t <= maxt) into.push_back({t, v});
  });
  if (!whole) return Error{ErrorCode::invalid, "chunk ends early"};
  return {};
}

Result<FloatChunk> FloatChunk::restore(std::uint32_t head, std::int64_t first, std::int64_t last,
                                       std::string_view bytes, const Encoder* encoder) {
  FloatChunk chunk;
  chunk.count_ = head & ~kPackedFlag;
  chunk.packed_ = (head & kPackedFlag) != 0;
  if (chunk.count_ == 0 || chunk.count_ > kSamplesMax || last < first)
    return Error{ErrorCode::invalid, "chunk of " + std::to_string(chunk.count_) + " samples is damaged"};
  chunk.first_ = first;
  chunk.last_ = last;
  chunk.bytes_ = bytes;
  chunk.closed_ = encoder == nullptr;
  if (!encoder) return chunk;
  const bool fits_window = encoder->leading < 0 || encoder->leading + encoder->trailing < 64;
  if (chunk.packed_ || encoder->free_bits < 0 || encoder->free_bits > 7 || encoder->leading > 31 ||
      encoder->trailing < 0 || !fits_window || bytes.empty())
    return Error{ErrorCode::invalid, "chunk goes on in no way it can"};
  chunk.encoder_ = *encoder;
  return chunk;
}

}  // namespace caisson::metrics
