// SPDX-License-Identifier: Apache-2.0
#include "core/http/parser.h"

#include <doctest/doctest.h>

#include "core/http/websocket_frames.h"

namespace caisson::http {
namespace {

int verdict(const std::string& bytes, std::size_t header_bytes_max = 64u << 10) {
  const HeadEnd end = find_head_end(bytes, 0);
  if (end.state == HeadEnd::State::malformed) return 400;
  if (end.state == HeadEnd::State::incomplete) return 0;
  if (end.size > header_bytes_max) return 431;
  RequestHead head;
  Framing framing;
  Refusal refusal = parse_request_head(std::string_view(bytes).substr(0, end.size), head);
  if (refusal.status == 0) refusal = request_framing(head, framing);
  return refusal.status == 0 ? 200 : refusal.status;
}

TEST_CASE("a request head is taken or refused with the status that says why") {
  struct Case {
    const char* name;
    std::string bytes;
    int want;
  };
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 600; ++i) many += "X: y\r\n";
  const Case cases[] = {
      {"plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"HTTP/1.0 without host", "GET / HTTP/1.0\r\n\r\n", 200},
      {"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 200},
      {"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 200},
      {"not at its end", "GET / HTTP/1.1\r\nHost: a\r\n", 0},
      {"length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 400},
      {"list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400},
      {"negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"length with a plus", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
      {"length beyond 64 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
      {"another coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"coding that looks like chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
      {"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"space before colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n", 400},
      {"obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400},
      {"NUL in a value", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 37), 400},
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400},
      {"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400},
      {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no version", "GET /\r\n\r\n", 400},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", 505},
      {"method that is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"too many fields", many + "\r\n", 431},
      {"too many bytes", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n", 431},
      {"obs-text is kept", "GET / HTTP/1.1\r\nHost: a\r\nX: \xed\x95\x9c\r\n\r\n", 200},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(verdict(c.bytes) == c.want);
  }
}

TEST_CASE("a body is decoded alike however its bytes are cut") {
  struct Case {
    const char* name;
    Framing framing;
    std::string bytes, want;
    bool ok = true;
    bool done = true;
  };
  const Framing chunked{Framing::Kind::chunked, 0};
  const Case cases[] = {
      {"length", {Framing::Kind::length, 5}, "hello", "hello"},
      {"length cut off", {Framing::Kind::length, 5}, "hel", "hel", true, false},
      {"chunks", chunked, "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", "hello world"},
      {"upper-case size, trailers", chunked, "A\r\n0123456789\r\n0\r\nX: y\r\n\r\n", "0123456789"},
      {"cut off", chunked, "5\r\nhello\r\n", "hello", true, false},
      {"no last empty line", chunked, "0\r\n", "", true, false},
      {"size is no number", chunked, "g\r\n", "", false},
      {"size is empty", chunked, "\r\n", "", false},
      {"size with 0x", chunked, "0x5\r\nhello\r\n", "", false},
      {"negative size", chunked, "-1\r\n", "", false},
      {"size beyond 64 bits", chunked, "10000000000000000\r\n", "", false},
      {"size line ends with LF", chunked, "5\nhello\r\n", "", false},
      {"data longer than its size", chunked, "5\r\nhelloo\r\n", "", false},
      {"endless size line", chunked, std::string(5000, '0'), "", false},
      {"endless trailers", chunked,
       "0\r\n" +
           [] {
             std::string t;
             for (int i = 0; i < 3000; ++i) t += "A: bcd\r\n";
             return t;
           }(),
       "", false},
  };
  for (const Case& c : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{100'000}}) {
      CAPTURE(c.name);
      CAPTURE(step);
      BodyDecoder decoder(c.framing);
      std::string out;
      bool ok = true;
      for (std::size_t at = 0; ok && at < c.bytes.size(); at += step) {
        const std::string_view piece = std::string_view(c.bytes).substr(at, step);
        const auto used = decoder.decode(piece, out);
        ok = used.ok();
        if (ok) CHECK(*used == piece.size());
      }
      CHECK(ok == c.ok);
      if (!c.ok) continue;
      CHECK(out == c.want);
      CHECK(decoder.done() == c.done);
    }
  }
}

TEST_CASE("what follows a body stays for the next message") {
  BodyDecoder decoder(Framing{Framing::Kind::chunked, 0});
  std::string out;
  const auto used = decoder.decode("1\r\na\r\n0\r\n\r\nGET /", out);
  REQUIRE(used.ok());
  CHECK(*used == 11);
}

TEST_CASE("a response head is parsed, and a malformed one refused") {
  const auto head = parse_response_head("HTTP/1.1 404 Not Found\r\nX: y\r\n\r\n");
  REQUIRE(head.ok());
  CHECK(head->status == 404);
  CHECK(head->headers.get("x") == "y");
  CHECK(parse_response_head("HTTP/1.1 200\r\n\r\n").ok());
  for (const char* bad :
       {"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_response_head(bad).ok());
  }
}

TEST_CASE("a URL is taken apart, and a malformed one refused") {
  const auto url = Url::parse("https://ada:s%40crets@[::1]:6443/a%20b?x=1#f");
  REQUIRE(url.ok());
  CHECK(url->scheme == "https");
  CHECK(url->host == "::1");
  CHECK(url->port == 6443);
  CHECK(url->path == "/a%20b");
  CHECK(url->query == "x=1");
  CHECK(url->user == "ada");
  CHECK(url->password == "s@crets");
  CHECK(url->str_without_userinfo() == "https://[::1]:6443/a%20b?x=1");
  for (const char* bad :
       {"", "localhost/x", "http://", "http://a:0/", "http://a:70000/", "http://a:x/", "http://[::1/", "http://a b/"}) {
    CAPTURE(bad);
    CHECK_FALSE(Url::parse(bad).ok());
  }
  const Query query = parse_query("a=1&b=x+y%26z&flag&a=2");
  CHECK(query_get(query, "a") == "1");
  CHECK(query_get(query, "b") == "x y&z");
  CHECK(query.size() == 4);
}

TEST_CASE("WebSocket frames come back as the messages that went in") {
  for (const bool masked : {false, true}) {
    for (const std::size_t size : {0u, 125u, 126u, 65535u, 65536u, 200'000u}) {
      FrameReader reader(masked);
      const std::string bytes = websocket_frame(Opcode::binary, std::string(size, 'x'), masked);
      for (std::size_t at = 0; at < bytes.size(); at += 1000) reader.feed(std::string_view(bytes).substr(at, 1000));
      const auto item = reader.next();
      REQUIRE(item.ok());
      REQUIRE(item->has_value());
      CHECK((*item)->data == std::string(size, 'x'));
    }
  }
  CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455 §1.3
}

TEST_CASE("a WebSocket frame that breaks the protocol ends with its close code") {
  struct Case {
    const char* name;
    std::string bytes;
    int code;
  };
  const auto fragment = [](unsigned char first, const std::string& data) {
    return std::string(1, static_cast<char>(first)) + std::string(1, static_cast<char>(data.size())) + data;
  };
  const Case cases[] = {
      {"reserved bit", fragment(0xc2, "a"), 1002},
      {"unknown opcode", fragment(0x83, "a"), 1002},
      {"fragmented ping", fragment(0x09, "a"), 1002},
      {"continuation of nothing", fragment(0x80, "a"), 1002},
      {"message inside a message", fragment(0x01, "a") + fragment(0x81, "b"), 1002},
      {"masked from a server", std::string("\x81\x80\0\0\0\0", 6), 1002},
      {"not UTF-8", fragment(0x81, "\xff"), 1007},
      {"half a close code", fragment(0x88, "x"), 1002},
      {"too large", std::string("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10), 1009},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    FrameReader reader(false);
    reader.feed(c.bytes);
    const auto item = reader.next();
    REQUIRE_FALSE(item.ok());
    CHECK(websocket_close_code(item.error()) == c.code);
  }
}

TEST_CASE("fragments are joined, with a ping between them") {
  FrameReader reader(false);
  reader.feed(std::string("\x01\x03") + "\xed\x95\x9c" + "\x89\x01p" + std::string("\x80\x03") + "\xea\xb5\xad");
  const auto ping = reader.next();
  REQUIRE(ping.ok());
  CHECK((*ping)->opcode == Opcode::ping);
  const auto message = reader.next();
  REQUIRE(message.ok());
  CHECK((*message)->data == "한국");
}

}  // namespace
}  // namespace caisson::http
