// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/ingest/protobuf.h"

#include <cstring>

namespace caisson::logs {
namespace {

Error cut_off() {
  return {ErrorCode::bad_request, "protobuf message is cut off"};
}

}  // namespace

Result<std::uint64_t> ProtoReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return cut_off();
}

Result<ProtoField> ProtoReader::next() {
  const std::uint64_t key = TRY(varint());
  ProtoField field;
  field.number = static_cast<std::uint32_t>(key >> 3);
  field.wire = static_cast<std::uint32_t>(key & 7);
  if (field.number == 0) return Error{ErrorCode::bad_request, "protobuf message has a field without number"};
  if (field.wire == 0) {
    field.value = TRY(varint());
    return field;
  }
  if (field.wire == 2) {
    const std::uint64_t size = TRY(varint());
    if (size > rest_.size()) return cut_off();
    field.bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return field;
  }
  const std::size_t size = field.wire == 1 ? 8 : field.wire == 5 ? 4 : 0;
  if (size == 0) return Error{ErrorCode::bad_request, "protobuf message has a field of wire type " + std::to_string(field.wire)};
  if (rest_.size() < size) return cut_off();
  std::memcpy(&field.value, rest_.data(), size);
  rest_.remove_prefix(size);
  return field;
}

}  // namespace caisson::logs
