// SPDX-License-Identifier: Apache-2.0
// The body of a git request, received whole before git starts: a slow or broken-off upload holds no process and leaves
// nothing behind. A small one stays in memory, so that repositories can be read while the disk is full; a bigger one
// goes to an unnamed file. gzip'd bodies are unpacked on the way. Internal to the room.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::git {

class RequestBody {
 public:
  // `next` gives the pieces; empty ends. Errors: what `next` gives, too_large, bad_request (broken gzip). What can't be
  // kept (a full disk) is no error here but `lost`: the client sends on, and its request is taken to the end so that it
  // reads the answer.
  static Result<RequestBody> receive(const std::function<Result<std::string>()>& next, bool gzip,
                                     const std::string& directory, std::uint64_t size_bytes_max);
  int fd() const { return file_ ? file_.get() : memory_.get(); }  // at its beginning
  Result<std::string> first(std::size_t size_bytes_max) const;    // of a lost body, at most kMemoryBytesMax
  const std::optional<Error>& lost() const { return lost_; }
  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::size_t kMemoryBytesMax = 1u << 20;
  Result<void> keep(std::string_view bytes, const std::string& directory);

  UniqueFd memory_, file_;  // the file, once there is one, holds everything
  std::uint64_t size_ = 0;
  std::optional<Error> lost_;
};

}  // namespace caisson::git
