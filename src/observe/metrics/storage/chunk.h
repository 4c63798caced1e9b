// SPDX-License-Identifier: Apache-2.0
// Float samples, compressed: times as deltas of deltas, values as XOR with the one before (Pelkonen et al., "Gorilla",
// VLDB 2015, with millisecond times). A chunk is appended to until it is full, then packed (packed.h) where that is
// smaller, and decoded as a whole. One thread at a time.
#pragma once
#include <string>

#include "observe/metrics/model/sample.h"

namespace caisson::metrics {

class FloatChunk {
 public:
  static constexpr std::uint32_t kSamplesMax = 240;
  static constexpr std::uint32_t kPackedFlag = 1u << 16;  // of head()

  // REQUIRES: !full() and t greater than the last time.
  void append(std::int64_t t, double v);
  bool full() const { return closed_ || count_ >= kSamplesMax; }
  std::uint32_t count() const { return count_; }
  std::int64_t first_time() const { return first_; }
  std::int64_t last_time() const { return last_; }
  const std::string& bytes() const { return bytes_; }
  // What a reader of the bytes needs to know: how many samples, and how they are written.
  std::uint32_t head() const { return count_ | (packed_ ? kPackedFlag : 0); }
  // No sample is added any more: writes them in less space where that is possible.
  void seal();

  // Appends the samples of mint..maxt. Errors: invalid when the bytes end early.
  Result<void> decode(std::int64_t mint, std::int64_t maxt, std::vector<FloatPoint>& into) const;

  // What goes on with a chunk beside its bytes.
  struct Encoder {
    std::int64_t delta = 0;
    std::uint64_t value_bits = 0;
    std::int8_t free_bits = 0;               // of the last byte
    std::int8_t leading = -1, trailing = 0;  // window of the last XOR that was written in full; -1: none
  };
  const Encoder* encoder() const { return full() ? nullptr : &encoder_; }  // null: nothing is appended any more

  // From what was stored. Without an encoder the chunk is closed: full() says so, whatever its count. The bytes are
  // looked at when they are read. Errors: invalid.
  static Result<FloatChunk> restore(std::uint32_t head, std::int64_t first, std::int64_t last, std::string_view bytes,
                                    const Encoder* encoder = nullptr);

 private:
  void put(std::uint64_t value, int bits);
  void put_time_delta(std::int64_t delta_of_delta);
  void put_value(double v);

  std::string bytes_;
  std::uint32_t count_ = 0;
  bool closed_ = false;  // sealed, or restored without its encoder
  bool packed_ = false;
  std::int64_t first_ = 0, last_ = 0;
  Encoder encoder_;
};

// Decodes a chunk's bytes where they lie. Errors: invalid when they end early.
Result<void> decode_chunk(std::string_view bytes, std::uint32_t head, std::int64_t mint, std::int64_t maxt,
                          std::vector<FloatPoint>& into);

}  // namespace caisson::metrics
