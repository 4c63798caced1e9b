// SPDX-License-Identifier: Apache-2.0
// The body of a git request, received whole into an unnamed file before git starts: a slow or broken-off upload holds
// no process and leaves nothing behind. gzip'd bodies are unpacked on the way. Internal to the room.
#pragma once
#include <functional>
#include <string>

#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::git {

class RequestBody {
 public:
  // `next` gives the pieces; empty ends. Errors: what `next` gives, too_large, bad_request (broken gzip).
  static Result<RequestBody> receive(const std::function<Result<std::string>()>& next, bool gzip,
                                     const std::string& directory, std::uint64_t size_bytes_max);
  int fd() const { return file_.get(); }  // at its beginning
  Result<std::string> first(std::size_t size_bytes_max) const;
  std::uint64_t size() const { return size_; }

 private:
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace caisson::git
