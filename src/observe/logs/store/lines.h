// SPDX-License-Identifier: Apache-2.0
// Lines of one stream in columns, and the compressed form in which they are kept. Times are nanoseconds since 1970.
//
// Lines are kept apart from what belongs to them (times, lengths, structured metadata), so that counting lines
// decompresses no text and a search runs over one stretch of memory. Values; any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "observe/metrics/model/labels.h"

namespace caisson::logs {

using metrics::Label;
using metrics::Labels;
using metrics::LabelsHash;
using metrics::LabelView;
using metrics::Matcher;

struct Lines {
  std::vector<std::int64_t> times;
  std::vector<std::uint32_t> ends;      // where each line ends in `text`
  std::vector<std::uint32_t> metadata;  // of each line, an index into `sets`; 0: none
  std::vector<Labels> sets{Labels()};
  std::string text;
  bool sorted = true;  // by time, and nothing twice

  std::size_t size() const { return times.size(); }
  std::string_view line(std::size_t i) const {
    const std::uint32_t begin = i == 0 ? 0 : ends[i - 1];
    return std::string_view(text).substr(begin, ends[i] - begin);
  }
  std::uint32_t line_bytes(std::size_t i) const { return ends[i] - (i == 0 ? 0 : ends[i - 1]); }
  const Labels& metadata_of(std::size_t i) const { return sets[metadata[i]]; }

  void append(std::int64_t t, std::string_view line, std::uint32_t set);  // an index into `sets`
  // The same lines by time (equal times keep their order), each once.
  Lines ordered() const;
};

// What is known of a block without opening it.
struct BlockInfo {
  std::int64_t mint = 0, maxt = 0;
  std::uint32_t count = 0;
  std::uint64_t text_bytes = 0;
  bool has_metadata = false;
  bool operator==(const BlockInfo&) const = default;
};

inline constexpr std::size_t kBlockTextBytes = 512u << 10;  // a block is closed when its text is that long

// Lines that do not change any more. `columns` and `text` are zstd frames with a checksum; `filter` tells which
// texts are surely not in it (filter.h).
struct SealedBlock {
  BlockInfo info;
  std::string columns, text, filter;
};
// REQUIRES: lines are sorted and not empty. Errors: internal.
Result<SealedBlock> seal(const Lines& lines);

enum class Columns : std::uint8_t { times_and_lengths, all };
// Without `all` the text stays empty; lengths are there. Errors: invalid when the bytes are damaged.
Result<Lines> unseal(std::string_view columns, std::string_view text, Columns wanted);

}  // namespace caisson::logs
