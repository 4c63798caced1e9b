// SPDX-License-Identifier: Apache-2.0
// The wire format of Protocol Buffers (encoding, editions 2023): fields one after another, without a schema. Reading
// borrows the bytes and copies nothing; whoever reads knows what a field's number means and passes over the others.
// Values; one thread each.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::protobuf {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

class Reader {
 public:
  explicit Reader(std::string_view message) : rest_(message) {}

  // Moves to the next field; false at the end. Errors: bad_request "proto: …" when the bytes are no message.
  Result<bool> next();

  // Of the field that next() moved to. One that has another wire type than asked for reads as 0 or empty, as a field
  // that is absent does.
  std::uint32_t number() const { return number_; }
  WireType type() const { return type_; }
  std::uint64_t integer() const {
    return type_ == WireType::bytes ? 0 : value_;
  }                                                  // uint64, uint32, int32, int64, bool, enum
  std::int64_t zigzag() const;                       // sint32, sint64
  double real() const;                               // double, float
  std::string_view bytes() const { return bytes_; }  // string, bytes, message, packed

  // Appends the values of a repeated number, packed or not. Errors: bad_request.
  Result<void> integers(std::vector<std::uint64_t>& into) const;
  Result<void> zigzags(std::vector<std::int64_t>& into) const;
  Result<void> reals(std::vector<double>& into) const;

 private:
  Result<std::uint64_t> varint();
  Result<std::uint64_t> fixed(std::size_t width);

  std::string_view rest_, bytes_;
  std::uint32_t number_ = 0;
  WireType type_ = WireType::varint;
  std::uint64_t value_ = 0;
};

// A message behind its length, as streams of messages are written; `from` then begins behind it. Errors: bad_request.
Result<std::string_view> take_delimited(std::string_view& from);

// Puts a message together, field by field; what is left out is absent.
class Writer {
 public:
  Writer& integer(std::uint32_t number, std::uint64_t value);
  Writer& zigzag(std::uint32_t number, std::int64_t value);
  Writer& real(std::uint32_t number, double value);
  Writer& bytes(std::uint32_t number, std::string_view value);
  Writer& message(std::uint32_t number, const Writer& value) { return bytes(number, value.out_); }
  Writer& packed(std::uint32_t number, const std::vector<std::uint64_t>& values);
  Writer& packed_zigzag(std::uint32_t number, const std::vector<std::int64_t>& values);
  Writer& packed_reals(std::uint32_t number, const std::vector<double>& values);
  const std::string& str() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void tag(std::uint32_t number, WireType type);
  void varint(std::uint64_t value);
  void fixed64(double value);
  std::string out_;
};

}  // namespace caisson::protobuf
