// SPDX-License-Identifier: Apache-2.0
// The grammar of HTTP/1.1 (RFC 9112): heads and body framing, without sockets. Strict where leniency is how requests
// are smuggled: bare LF, obs-fold, white space before the colon, Content-Length beside Transfer-Encoding, and repeated
// lengths are all refused. Used by one thread at a time.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/http/message.h"

namespace caisson::http {

// A refusal with the HTTP status that says it.
struct Refusal {
  int status = 0;  // 0: none
  std::string message;
};

// Where the head that `bytes` begins with ends (after the empty line). Scanning goes on at `from`.
struct HeadEnd {
  enum class State { incomplete, complete, malformed } state = State::incomplete;
  std::size_t size = 0;  // of the head with its empty line, when complete
};
HeadEnd find_head_end(std::string_view bytes, std::size_t from);

struct RequestHead {
  std::string method, target;
  int minor = 1;  // of HTTP/1.x
  Headers headers;
};
struct ResponseHead {
  int status = 0, minor = 1;
  Headers headers;
};
// `bytes` is a whole head with its empty line.
Refusal parse_request_head(std::string_view bytes, RequestHead& head);
Result<ResponseHead> parse_response_head(std::string_view bytes);

bool is_token(std::string_view text);
// Whether a comma-separated header value names `token` (without case).
bool header_has_token(const Headers& headers, std::string_view name, std::string_view token);
bool wants_keep_alive(int minor, const Headers& headers);

// How a body is delimited.
struct Framing {
  enum class Kind { none, length, chunked, until_close } kind = Kind::none;
  std::uint64_t length = 0;
};
Refusal request_framing(const RequestHead& head, Framing& framing);
Result<Framing> response_framing(const ResponseHead& head, bool is_head_request);

// Takes a body's bytes out of the stream that carries it.
class BodyDecoder {
 public:
  BodyDecoder() = default;
  explicit BodyDecoder(const Framing& framing);
  // Reads from `in`, appends content to `out`, gives the bytes consumed. Errors: bad_request for malformed chunks.
  Result<std::size_t> decode(std::string_view in, std::string& out);
  bool done() const { return done_; }
  bool ends_with_connection() const { return kind_ == Framing::Kind::until_close; }

 private:
  enum class Chunk { size, data, data_end, trailer };
  Result<void> chunk_line(std::string_view line);

  Framing::Kind kind_ = Framing::Kind::none;
  Chunk chunk_ = Chunk::size;
  std::uint64_t left_ = 0;
  std::string line_;  // an unfinished chunk-size or trailer line
  std::size_t trailer_bytes_ = 0;
  bool done_ = true;
};

}  // namespace caisson::http
