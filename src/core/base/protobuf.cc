// SPDX-License-Identifier: Apache-2.0
#include "core/base/protobuf.h"

#include <bit>

namespace caisson::protobuf {
namespace {

Error malformed(std::string_view what) {
  return {ErrorCode::bad_request, "proto: " + std::string(what)};
}

std::int64_t from_zigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

std::uint64_t to_zigzag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}

Result<std::uint64_t> take_varint(std::string_view& from) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (from.empty()) return malformed("unexpected end of the message");
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return malformed("integer overflow");
}

Result<std::string_view> take(std::string_view& from, std::uint64_t size) {
  if (size > from.size()) return malformed("unexpected end of the message");
  const std::string_view taken = from.substr(0, size);
  from.remove_prefix(size);
  return taken;
}

}  // namespace

Result<std::string_view> take_delimited(std::string_view& from) {
  const std::uint64_t size = TRY(take_varint(from));
  return take(from, size);
}

Result<std::uint64_t> Reader::varint() {
  return take_varint(rest_);
}

Result<std::uint64_t> Reader::fixed(std::size_t width) {
  const std::string_view raw = TRY(take(rest_, width));
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
  return value;
}

Result<bool> Reader::next() {
  bytes_ = {};
  value_ = 0;
  if (rest_.empty()) return false;
  const std::uint64_t tag = TRY(varint());
  number_ = static_cast<std::uint32_t>(tag >> 3);
  if (number_ == 0) return malformed("illegal tag 0");
  switch (tag & 7) {
    case 0:
      value_ = TRY(varint());
      break;
    case 1:
      value_ = TRY(fixed(8));
      break;
    case 5:
      value_ = TRY(fixed(4));
      break;
    case 2:
      bytes_ = TRY(take_delimited(rest_));
      break;
    default:
      return malformed("illegal wireType " + std::to_string(tag & 7));
  }
  type_ = static_cast<WireType>(tag & 7);
  return true;
}

std::int64_t Reader::zigzag() const {
  return from_zigzag(integer());
}

double Reader::real() const {
  if (type_ == WireType::fixed64) return std::bit_cast<double>(value_);
  if (type_ == WireType::fixed32) return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(value_)));
  return 0;
}

Result<void> Reader::integers(std::vector<std::uint64_t>& into) const {
  if (type_ != WireType::bytes) {
    into.push_back(value_);
    return {};
  }
  for (Reader packed(bytes_); !packed.rest_.empty();) into.push_back(TRY(packed.varint()));
  return {};
}

Result<void> Reader::zigzags(std::vector<std::int64_t>& into) const {
  std::vector<std::uint64_t> raw;
  TRY(integers(raw));
  for (const std::uint64_t value : raw) into.push_back(from_zigzag(value));
  return {};
}

Result<void> Reader::reals(std::vector<double>& into) const {
  if (type_ != WireType::bytes) {
    into.push_back(real());
    return {};
  }
  for (Reader packed(bytes_); !packed.rest_.empty();) into.push_back(std::bit_cast<double>(TRY(packed.fixed(8))));
  return {};
}

void Writer::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
  out_ += static_cast<char>(value);
}

void Writer::tag(std::uint32_t number, WireType type) {
  varint(static_cast<std::uint64_t>(number) << 3 | static_cast<std::uint64_t>(type));
}

void Writer::fixed64(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i) out_ += static_cast<char>(bits >> (8 * i));
}

Writer& Writer::integer(std::uint32_t number, std::uint64_t value) {
  tag(number, WireType::varint);
  varint(value);
  return *this;
}

Writer& Writer::zigzag(std::uint32_t number, std::int64_t value) {
  return integer(number, to_zigzag(value));
}

Writer& Writer::real(std::uint32_t number, double value) {
  tag(number, WireType::fixed64);
  fixed64(value);
  return *this;
}

Writer& Writer::bytes(std::uint32_t number, std::string_view value) {
  tag(number, WireType::bytes);
  varint(value.size());
  out_ += value;
  return *this;
}

Writer& Writer::packed(std::uint32_t number, const std::vector<std::uint64_t>& values) {
  Writer list;
  for (const std::uint64_t value : values) list.varint(value);
  return bytes(number, list.out_);
}

Writer& Writer::packed_zigzag(std::uint32_t number, const std::vector<std::int64_t>& values) {
  Writer list;
  for (const std::int64_t value : values) list.varint(to_zigzag(value));
  return bytes(number, list.out_);
}

Writer& Writer::packed_reals(std::uint32_t number, const std::vector<double>& values) {
  Writer list;
  for (const double value : values) list.fixed64(value);
  return bytes(number, list.out_);
}

}  // namespace caisson::protobuf
