// SPDX-License-Identifier: Apache-2.0
// Reads the wire format of protocol buffers field by field. Views point into the message. Any thread.
#pragma once
#include <cstdint>
#include <string_view>

#include "core/base/result.h"

namespace caisson::logs {

struct ProtoField {
  std::uint32_t number = 0;
  std::uint32_t wire = 0;     // 0 varint, 1 fixed64, 2 bytes, 5 fixed32
  std::uint64_t value = 0;    // of numbers
  std::string_view bytes;     // of wire 2
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}
  bool at_end() const { return rest_.empty(); }
  Result<ProtoField> next();  // Errors: bad_request. REQUIRES: !at_end()

 private:
  Result<std::uint64_t> varint();
  std::string_view rest_;
};

}  // namespace caisson::logs
