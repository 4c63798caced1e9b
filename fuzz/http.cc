// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 heads, chunked bodies, WebSocket frames, and git's push commands and reports. Properties: a body decodes
// alike however its bytes are cut; what is consumed is never more than what was given; frames read back as written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/http/parser.h"
#include "core/http/websocket_frames.h"
#include "delivery/git/pkt_line.h"

namespace {

using namespace caisson;

void demand(bool holds) {
  if (!holds) std::abort();
}

struct Decoded {
  bool ok = true, done = false;
  std::string content;
};

Decoded decode(std::string_view bytes, std::size_t step) {
  http::BodyDecoder decoder(http::Framing{http::Framing::Kind::chunked, 0});
  Decoded out;
  while (out.ok && !decoder.done() && !bytes.empty()) {
    const std::string_view piece = bytes.substr(0, step);
    const auto used = decoder.decode(piece, out.content);
    out.ok = used.ok();
    if (!out.ok) break;
    demand(*used <= piece.size());
    demand(*used == piece.size() || decoder.done());
    bytes.remove_prefix(*used);
  }
  out.done = decoder.done();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);

  const http::HeadEnd end = http::find_head_end(bytes, 0);
  if (end.state == http::HeadEnd::State::complete) {
    demand(end.size <= size);
    http::RequestHead head;
    http::Framing framing;
    if (http::parse_request_head(bytes.substr(0, end.size), head).status == 0) {
      demand(http::is_token(head.method) && !head.target.empty());
      if (http::request_framing(head, framing).status == 0)
        demand(!(head.headers.contains("Content-Length") && head.headers.contains("Transfer-Encoding")));
    }
    (void)http::parse_response_head(bytes.substr(0, end.size)).ok();
  }

  const Decoded whole = decode(bytes, size + 1), single = decode(bytes, 1);
  demand(whole.ok == single.ok && whole.done == single.done);
  if (whole.ok) demand(whole.content == single.content);

  http::FrameReader frames(size % 2 == 0, 1u << 20);
  frames.feed(bytes);
  for (int i = 0; i < 100; ++i) {
    const auto item = frames.next();
    if (!item.ok() || !*item) break;
    demand((*item)->data.size() <= size);
  }
  http::FrameReader reader(true);
  reader.feed(http::websocket_frame(http::Opcode::binary, bytes, true));
  const auto back = reader.next();
  demand(back.ok() && back->has_value() && (*back)->data == bytes);

  (void)http::Url::parse(bytes).ok();
  (void)http::parse_query(bytes).size();
  const auto commands = git::parse_push_commands(bytes);
  if (commands.ok()) {
    for (const git::RefUpdate& update : *commands) demand(update.before.size() == 40 && update.after.size() == 40);
  }
  (void)git::parse_push_report(bytes).refs.size();
  return 0;
}
