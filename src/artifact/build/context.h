// SPDX-License-Identifier: Apache-2.0
// A build context: a directory as a tar, without what its .dockerignore leaves out. The same files give the same bytes:
// names are sorted, owner is root, times are whole seconds. One thread at a time.
#pragma once
#include <string>
#include <vector>

#include "artifact/content/digest.h"
#include "artifact/content/source.h"
#include "core/base/result.h"

namespace caisson::build {

class Context {
 public:
  // Reads names and sizes. `dockerfile` is relative to the directory; "<dockerfile>.dockerignore" goes before
  // ".dockerignore".
  // Errors: not_found (no such directory or Dockerfile), bad_request (a line of the ignore file).
  static Result<Context> open(const std::string& directory, const std::string& dockerfile);

  // The tar's digest and size: one pass over the contents.
  struct Summary {
    content::Digest digest;
    std::uint64_t size_bytes = 0;
    std::size_t files = 0;
  };
  Result<Summary> summary() const;
  content::ByteSource stream() const;  // the tar from its beginning; the Context must outlive it

 private:
  std::string directory_;
  std::vector<std::string> names_;  // relative, parents before their children
};

}  // namespace caisson::build
