// SPDX-License-Identifier: Apache-2.0
// A log of records in numbered segments: <dir>/00000001, … A record is length (u32), CRC-32C of the payload (u32),
// payload; all little endian. A record counts once append() has returned: it is on the disk then. A torn end, which a
// crash can leave, is cut off on open. One thread at a time.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/base/file.h"

namespace caisson::metrics {

class WriteAheadLog {
 public:
  static constexpr std::size_t kSegmentBytes = 64u << 20;
  static constexpr std::size_t kRecordBytesMax = 256u << 20;

  // Reads every whole record in order, then stands ready to append. Segments before `first` are kept elsewhere: they
  // are removed unread. Errors of `replay` end it.
  static Result<WriteAheadLog> open(const std::string& dir, const std::function<Result<void>(std::string_view)>& replay,
                                    std::uint64_t first = 0);

  // Writes and syncs. Errors: unavailable when the disk is full; the log stays as it was then.
  Result<void> append(std::string_view payload);
  // Begins a new segment and gives its number: drop_before(number) removes what is older, once that is kept elsewhere.
  Result<std::uint64_t> cut();
  Result<void> drop_before(std::uint64_t segment);
  std::uint64_t size_bytes() const { return total_bytes_; }

 private:
  Result<void> open_segment(std::uint64_t number);
  std::string path_of(std::uint64_t number) const;

  std::string dir_;
  UniqueFd file_;
  std::uint64_t segment_ = 0;
  std::uint64_t segment_bytes_ = 0, total_bytes_ = 0;
};

}  // namespace caisson::metrics
