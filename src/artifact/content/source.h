// SPDX-License-Identifier: Apache-2.0
// Bytes that come in pieces, and where a layer's tar comes from. The same type as http::BodySource, so a request body
// can be stored and a blob be sent without a copy in between.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "artifact/content/digest.h"
#include "core/base/result.h"

namespace caisson::content {

// Gives the next piece; an empty one is the end. Blocks: call it on a worker. One thread at a time.
using ByteSource = std::function<Result<std::string>()>;

ByteSource from_string(std::string bytes);
// Everything, in one string. Errors: too_large above `size_bytes_max`.
Result<std::string> read_all(const ByteSource& source, std::size_t size_bytes_max);
// At most the `length` bytes after the first `offset`.
ByteSource slice(ByteSource source, std::uint64_t offset, std::uint64_t length);

// Plain tars of layers that are kept as a tree. Two implementations: LayerStore in the agent; over run/agent.sock in
// the server.
// Any thread.
class LayerSource {
 public:
  virtual ~LayerSource() = default;
  virtual bool has(const Digest& diff_id) = 0;
  virtual Result<std::uint64_t> size_bytes(const Digest& diff_id) = 0;  // of the tar; not_found when absent
  // The stream ends with an error when the bytes do not hash to `diff_id`.
  virtual Result<ByteSource> open(const Digest& diff_id) = 0;
};

}  // namespace caisson::content
