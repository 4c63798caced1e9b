// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/ingest/push.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include "observe/logs/source/cri.h"

namespace caisson::logs {
namespace {

std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  for (std::size_t size = bytes.size();; size >>= 7) {
    out += static_cast<char>(size >= 0x80 ? size | 0x80 : size);
    if (size < 0x80) break;
  }
  return out + std::string(bytes);
}

std::string varint(int number, std::uint64_t value) {
  std::string out(1, static_cast<char>(number << 3));
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

std::string literal_snappy(const std::string& text) {
  std::string out;
  for (std::size_t size = text.size();; size >>= 7) {
    out += static_cast<char>(size >= 0x80 ? size | 0x80 : size);
    if (size < 0x80) break;
  }
  for (std::size_t at = 0; at < text.size(); at += 60) {
    const std::string piece = text.substr(at, 60);
    out += static_cast<char>((piece.size() - 1) << 2);
    out += piece;
  }
  return out;
}

const Labels kApp = Labels::from({{"app", "web"}});

}  // namespace

TEST_CASE("a push in JSON: values with and without metadata, and the older form") {
  const Batch batch =
      read_push_json(
          R"({"streams":[{"stream":{"app":"web"},"values":[["1700000000000000001","one"],["1700000000000000002","two",{"trace_id":"x"}]]},
    {"labels":"{app=\"old\"}","entries":[{"ts":"2023-11-14T22:13:20.5Z","line":"three"}]}]})")
          .value();
  REQUIRE(batch.streams.size() == 2);
  CHECK(batch.streams[0].labels == kApp);
  CHECK(batch.streams[0].entries[0].t == 1700000000000000001);
  CHECK(batch.streams[0].entries[0].line == "one");
  CHECK(batch.streams[0].entries[1].metadata == Labels::from({{"trace_id", "x"}}));
  CHECK(batch.streams[1].labels == Labels::from({{"app", "old"}}));
  CHECK(batch.streams[1].entries[0].t == 1700000000500000000);
  for (const char* bad : {"", "[]", "{}", R"({"streams":[{"stream":{"a":1},"values":[]}]})",
                          R"({"streams":[{"stream":{"a":"b"},"values":[["x","y"]]}]})",
                          R"({"streams":[{"stream":{"a":"b"},"values":[["1"]]}]})",
                          R"({"streams":[{"labels":"{a=~\"b\"}","entries":[]}]})"})
    CHECK_MESSAGE(!read_push_json(bad).ok(), bad);
}

TEST_CASE("a push in protobuf with snappy") {
  const std::string time = varint(1, 1700000000) + varint(2, 5);
  const std::string entry = field(1, time) + field(2, "the line") + field(3, field(1, "trace_id") + field(2, "abc"));
  const std::string message = field(1, field(1, "{app=\"web\"}") + field(2, entry));
  const Batch batch = read_push_protobuf(unsnappy(literal_snappy(message), 1 << 20).value()).value();
  REQUIRE(batch.streams.size() == 1);
  CHECK(batch.streams[0].labels == kApp);
  CHECK(batch.streams[0].entries[0].t == 1700000000000000005);
  CHECK(batch.streams[0].entries[0].line == "the line");
  CHECK(batch.streams[0].entries[0].metadata == Labels::from({{"trace_id", "abc"}}));
  for (std::size_t i = 1; i < message.size(); ++i)
    (void)read_push_protobuf(message.substr(0, i)).ok();  // cut off anywhere: no crash
  CHECK_FALSE(read_push_protobuf(message.substr(0, message.size() - 1)).ok());
  CHECK_FALSE(read_push_protobuf("\x0b").ok());
}

TEST_CASE("snappy: copies, what overlaps, and what is broken") {
  // "abcd" then a copy of 4 back 4, then 11 back 1.
  const std::string packed = std::string("\x13\x0c") + "abcd" + std::string("\x01\x04", 2) + std::string("\x1d\x01", 2);
  CHECK(unsnappy(packed, 100).value() == "abcdabcd" + std::string(11, 'd'));
  CHECK(unsnappy(packed, 10).error().code == ErrorCode::too_large);
  CHECK_FALSE(unsnappy("", 10).ok());
  CHECK_FALSE(unsnappy(packed.substr(0, packed.size() - 1), 100).ok());
  CHECK_FALSE(unsnappy(std::string("\x04\x01\x09", 3), 100).ok());    // a copy from before the beginning
  CHECK_FALSE(unsnappy(std::string("\x01\x0c") + "abcd", 100).ok());  // more than it says
}

TEST_CASE("bodies are unpacked by their encoding, within a limit") {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string text(1000, 'x'), packed(2000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  CHECK(unpack_body(packed, "gzip").value() == text);
  CHECK_FALSE(unpack_body(packed.substr(0, packed.size() / 2), "gzip").ok());
  CHECK_FALSE(unpack_body("plain", "gzip").ok());
  CHECK(unpack_body("plain", "br").error().code == ErrorCode::unsupported_media_type);
}

TEST_CASE("OTLP: known resource attributes are labels, all else is metadata") {
  const std::string text =
      R"({"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},{"key":"host.name","value":{"stringValue":"n1"}}]},
    "scopeLogs":[{"scope":{"name":"lib","version":"1"},"logRecords":[{"timeUnixNano":"1700000000000000001","severityNumber":9,"severityText":"INFO",
    "body":{"stringValue":"hello"},"attributes":[{"key":"http.code","value":{"intValue":"200"}},{"key":"m","value":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}}}],
    "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"},{"observedTimeUnixNano":"1700000000000000002","body":{"kvlistValue":{"values":[{"key":"k","value":{"intValue":"1"}}]}}}]}]}]})";
  const Batch batch = read_otlp_json(text, 7).value();
  REQUIRE(batch.streams.size() == 1);
  CHECK(batch.streams[0].labels == Labels::from({{"service_name", "shop"}}));
  const NewEntry& one = batch.streams[0].entries[0];
  CHECK(one.line == "hello");
  CHECK(one.t == 1700000000000000001);
  CHECK(one.metadata == Labels::from({{"host_name", "n1"},
                                      {"scope_name", "lib"},
                                      {"scope_version", "1"},
                                      {"severity_number", "9"},
                                      {"severity_text", "INFO"},
                                      {"http_code", "200"},
                                      {"m_a", "true"},
                                      {"trace_id", "0af7651916cd43dd8448eb211c80319c"},
                                      {"span_id", "b7ad6b7169203331"}}));
  CHECK(batch.streams[0].entries[1].line == R"({"k":1})");
  CHECK(batch.streams[0].entries[1].t == 1700000000000000002);
  CHECK_FALSE(read_otlp_json("{}", 7).ok());
  // The same in protobuf.
  const auto attribute = [](const std::string& key, const std::string& value) {
    return field(1, key) + field(2, field(1, value));
  };
  const std::string record = varint(2, 9) + field(5, field(1, "hello")) + field(9, std::string(16, '\x0a'));
  const std::string message = field(1, field(1, field(1, attribute("service.name", "shop"))) +
                                           field(2, field(1, field(1, "lib")) + field(2, record)));
  const Batch binary = read_otlp_protobuf(message, 7).value();
  REQUIRE(binary.streams.size() == 1);
  CHECK(binary.streams[0].labels == Labels::from({{"service_name", "shop"}}));
  CHECK(binary.streams[0].entries[0].t == 7);
  CHECK(binary.streams[0].entries[0].metadata ==
        Labels::from(
            {{"scope_name", "lib"}, {"severity_number", "9"}, {"trace_id", "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}}));
}

TEST_CASE("CRI lines: pieces are joined, equal times grow, and the position is before what is not whole") {
  CriReader reader(CriReader::Format::cri, 100, 1000);
  const std::string first = "2026-11-21T02:30:17.000000001+00:00 stdout F one\n",
                    part = "2026-11-21T02:30:18+00:00 stdout P two-",
                    other = "2026-11-21T02:30:18+00:00 stderr F err\n",
                    rest = "2026-11-21T02:30:19+00:00 stdout F three\n";
  auto lines = reader.feed(first + first.substr(0, 10));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "one");
  CHECK(lines[0].stream == "stdout");
  CHECK(reader.taken() == 100 + first.size());
  lines = reader.feed(first.substr(10) + part + "\n" + other);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == "one");
  CHECK(lines[1].text == "err");
  CHECK(reader.taken() == 100 + 2 * first.size());  // before the piece
  lines = reader.feed(rest + "garbage\n");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "two-three");
  CHECK(lines[0].t == parse_time("2026-11-21T02:30:18Z")->time_since_epoch().count());
  CHECK(reader.taken() == 100 + 2 * first.size() + part.size() + 1 + other.size() + rest.size() + 8);
  CriReader equal(CriReader::Format::cri, 0, 1000);
  lines = equal.feed(first + first);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].t == lines[0].t + 1);
  CriReader plain(CriReader::Format::plain, 0, 1000);
  lines = plain.feed("2026-11-21T02:30:17.123456Z INFO  server: started port=1\nno time\n");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].text == "INFO  server: started port=1");
}

}  // namespace caisson::logs
