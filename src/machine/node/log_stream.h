// SPDX-License-Identifier: Apache-2.0
// Offers the log files of all containers, and the platform's own, to the one process that keeps logs (which may not
// read them: they belong to root). One stream for all of them, resumable by position; while nothing is logged nothing
// runs.
//
//   POST /logs/follow {"<source>": {"file": …, "offset": …}}   200, and frames without end:
//     lines <source> <file> <offset> <length>\n<bytes>   what stands before <offset> of that file; cut at line ends
//                                                        where there is one
//     gone <source>\n                                    its files are removed and all of them was sent
//   DELETE /logs/sources/<source>                        a source that is gone is in the store: its files may go
//
// A source is <ns>_<pod>_<uid>/<container>/<attempt>.log, or platform/caisson.log. A file is named by the time that its
// first line begins with, which rotation does not change. Files that are removed while nobody listens are held open
// until they were taken. Any thread.
#pragma once
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/http/server.h"

namespace caisson::node {

class LogStream {
 public:
  // `directory`: that of caisson.log and pods/.
  static Result<std::unique_ptr<LogStream>> start(const std::string& directory);
  ~LogStream();
  // Answers the two requests above; all else goes to `next`.
  http::Handler before(http::Handler next);

 private:
  struct Impl;
  explicit LogStream(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::node
