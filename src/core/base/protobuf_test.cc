// SPDX-License-Identifier: Apache-2.0
#include "core/base/protobuf.h"

#include <doctest/doctest.h>

using namespace std::string_literals;

namespace caisson::protobuf {

TEST_CASE("protobuf: what is written is read back, and unknown fields are passed over") {
  const std::string bytes = Writer()
                                .integer(1, 300)
                                .bytes(99, "unknown")
                                .zigzag(2, -7)
                                .real(3, 0.25)
                                .message(4, Writer().bytes(1, "안녕"))
                                .packed_zigzag(5, {0, -1, 1, INT64_MIN, INT64_MAX})
                                .packed_reals(6, {1.5, -2})
                                .take();
  Reader in(bytes);
  std::string text;
  std::vector<std::int64_t> deltas;
  std::vector<double> reals;
  while (in.next().value()) {
    if (in.number() == 1) CHECK(in.integer() == 300);
    if (in.number() == 2) CHECK(in.zigzag() == -7);
    if (in.number() == 3) CHECK(in.real() == 0.25);
    if (in.number() == 4) {
      Reader inner(in.bytes());
      REQUIRE(inner.next().value());
      text = inner.bytes();
    }
    if (in.number() == 5) REQUIRE(in.zigzags(deltas).ok());
    if (in.number() == 6) REQUIRE(in.reals(reals).ok());
  }
  CHECK(text == "안녕");
  CHECK(deltas == std::vector<std::int64_t>{0, -1, 1, INT64_MIN, INT64_MAX});
  CHECK(reals == std::vector<double>{1.5, -2});
}

TEST_CASE("protobuf: a repeated number is read packed and one by one") {
  const std::string bytes = "\x08\x05\x0a\x02\x06\x07";
  Reader in(bytes);
  std::vector<std::uint64_t> all;
  while (in.next().value()) REQUIRE(in.integers(all).ok());
  CHECK(all == std::vector<std::uint64_t>{5, 6, 7});
}

TEST_CASE("protobuf: what is no message is refused") {
  const std::pair<std::string, const char*> cases[] = {
      {"\x08"s, "proto: unexpected end of the message"},
      {"\x0a\x05"
       "abc"s,
       "proto: unexpected end of the message"},
      {"\x09\x01"s, "proto: unexpected end of the message"},
      {"\x0b"s, "proto: illegal wireType 3"},
      {"\x00\x01"s, "proto: illegal tag 0"},
      {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "proto: integer overflow"},
  };
  for (const auto& [bytes, error] : cases) {
    Reader in(bytes);
    const auto read = in.next();
    REQUIRE(!read.ok());
    CHECK(read.error().message == error);
  }
}

}  // namespace caisson::protobuf
