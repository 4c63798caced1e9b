// SPDX-License-Identifier: Apache-2.0
// Lines of a container's log file, as the CRI has them: "2026-11-21T02:30:17.129695980+00:00 stdout F text". A line
// that was too long for its writer comes in pieces marked P, the last one F. One thread at a time.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "observe/logs/store/store.h"

namespace caisson::logs {

class CriReader {
 public:
  struct Line {
    std::int64_t t = 0;
    std::string stream;  // stdout, stderr
    std::string text;
  };
  // plain: a time, a blank, the text (this program's own log).
  enum class Format : std::uint8_t { cri, plain };
  // `offset`: where in the file the next bytes stand.
  CriReader(Format format, std::uint64_t offset, std::size_t line_bytes_max)
      : format_(format), offset_(offset), line_bytes_max_(line_bytes_max) {}
  // The file was rotated: what follows stands in the next one. Pieces of a line that has not ended are kept.
  void next_file(std::uint64_t offset);

  // Bytes as they follow; may end anywhere. Gives the lines that are whole now. Times grow in each stream, by a
  // nanosecond where the file has them equal: two lines that are the same are two lines.
  std::vector<Line> feed(std::string_view bytes);
  // Everything before this was given as lines: where to go on after a restart.
  std::uint64_t taken() const;

 private:
  struct Pending {
    std::string text;
    std::int64_t t = 0;
    std::uint64_t begin = 0;  // of its first piece in the file
  };
  void line(std::string_view line, std::uint64_t begin, std::vector<Line>& out);

  const Format format_;
  std::string rest_;      // the piece of a line at the end
  std::uint64_t offset_;  // of what comes behind rest_
  const std::size_t line_bytes_max_;
  std::map<std::string, Pending, std::less<>> pending_;
  std::map<std::string, std::int64_t, std::less<>> last_;
};

}  // namespace caisson::logs
